//! The documents of a run directory: what they say, and that half a report is never taken for a whole one.

use crate::made::run_dir::write_run;
use crate::made::{Made, level, run};
use shakedown_reports::gate::{Gate, Verdict};
use shakedown_reports::judge::Summary;
use shakedown_reports::render::terminal::{Options, render};
use shakedown_reports::rundir::{RunDirError, judge_dir};
use std::fs;
use std::path::Path;

fn gates() -> Vec<Gate> {
    let gate = |name: &str, measure: &str, at_most: f64| Gate {
        name: name.into(),
        measure: measure.into(),
        at_least: None,
        at_most: Some(at_most),
        sure: false,
        duration: false,
    };
    vec![
        gate("3x load: at most 5 % slower than 1x", "slowdown_3x", 0.05),
        gate("wait | p95", "1x/queue_wait_p95_s", 120.0),
        gate("1x <b>under</b> 1 min", "1x/makespan_max_s", 60.0),
    ]
}

fn run_dir() -> (tempfile::TempDir, Summary) {
    let dir = tempfile::tempdir().unwrap();
    let waiting = Made { concurrency: 3, wait_ms: |_| (200, 0), ..level("3x", 6) };
    let (plan, history) = run(&[level("1x", 6), waiting]);
    write_run(dir.path(), &plan, &history, &gates());
    let summary = judge_dir(dir.path()).unwrap();
    (dir, summary)
}

fn text(dir: &tempfile::TempDir, file: &str) -> String {
    fs::read_to_string(dir.path().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
fn every_document_is_there_and_nothing_half_written() {
    let (dir, _) = run_dir();
    let mut names: Vec<String> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = [
        "api.hlog",
        "bundle",
        "gates.json",
        "history.jsonl",
        "junit.xml",
        "plan.jsonl",
        "queue_wait.hlog",
        "report.html",
        "report.md",
        "response.hlog",
        "samples.csv",
        "summary.json",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_summary_on_disk_is_the_summary() {
    let (dir, summary) = run_dir();
    let read: Summary = serde_json::from_str(&text(&dir, "summary.json")).unwrap();
    assert_eq!(read.exit_code, 1);
    // Through JSON a float may move by its last bit; the documents made of both must not.
    assert_eq!(render(&read, &Options::default()), render(&summary, &Options::default()));
    let json: serde_json::Value = serde_json::from_str(&text(&dir, "summary.json")).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["levels"][1]["concurrency"], 3);
    assert_eq!(json["gates"][0]["verdict"], "fail");
}

#[test]
fn judging_again_writes_the_same_bytes() {
    let (dir, _) = run_dir();
    let before: Vec<String> = ["summary.json", "report.html", "report.md", "junit.xml", "samples.csv"]
        .map(|f| text(&dir, f))
        .to_vec();
    judge_dir(dir.path()).unwrap();
    let after = ["summary.json", "report.html", "report.md", "junit.xml", "samples.csv"]
        .map(|f| text(&dir, f))
        .to_vec();
    assert_eq!(before, after);
}

#[test]
fn a_report_that_could_not_be_finished_has_no_summary() {
    let (dir, _) = run_dir();
    // A document can't take its place when a folder with something in it stands there.
    fs::remove_file(dir.path().join("samples.csv")).unwrap();
    fs::create_dir(dir.path().join("samples.csv")).unwrap();
    fs::write(dir.path().join("samples.csv/x"), "").unwrap();
    let error = judge_dir(dir.path()).unwrap_err();
    assert!(
        matches!(error, RunDirError::Write { .. }) && error.to_string().contains("samples.csv"),
        "{error}"
    );
    assert!(
        !dir.path().join("summary.json").exists(),
        "the old summary would speak for a report that isn't whole"
    );
    assert!(!dir.path().join(".samples.csv.new").exists());
}

#[test]
fn what_is_missing_or_broken_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let said = |dir: &Path| judge_dir(dir).unwrap_err().to_string();
    assert!(said(dir.path()).contains("plan.jsonl isn't there: name the directory of a run"));
    let (plan, history) = run(&[level("1x", 2)]);
    write_run(dir.path(), &plan, &history, &[]);
    fs::write(dir.path().join("gates.json"), r#"[{"name":"x","measure":"y","at_mots":3}]"#).unwrap();
    let bad_gate = said(dir.path());
    assert!(bad_gate.contains("gates.json") && bad_gate.contains("at_mots"), "{bad_gate}");
    fs::write(dir.path().join("gates.json"), "[]").unwrap();
    let mut history = text_of(dir.path(), "history.jsonl");
    history.insert_str(0, "{}\n");
    fs::write(dir.path().join("history.jsonl"), history).unwrap();
    assert!(said(dir.path()).contains("history.jsonl:1"), "{}", said(dir.path()));
    assert!(!dir.path().join("summary.json").exists());
}

fn text_of(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap()
}

#[test]
fn a_history_cut_inside_a_character_is_still_judged_as_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, history) = run(&[level("1x", 6)]);
    write_run(dir.path(), &plan, &history, &[]);
    let path = dir.path().join("history.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    let footer = text_of(dir.path(), "history.jsonl").lines().last().unwrap().len() + 1;
    bytes.truncate(bytes.len() - footer);
    bytes.extend_from_slice(b"{\"kind\":\"note\",\"text\":\"\xe2\x82");
    fs::write(&path, bytes).unwrap();
    assert_eq!(judge_dir(dir.path()).unwrap().exit_code, 3);
}

#[test]
fn the_terminal_says_gate_measured_allowed_verdict() {
    let (_dir, summary) = run_dir();
    let shown = render(&summary, &Options { width: 110, colour: false, report: "runs/x/report.md".into() });
    for line in [
        "gate                                 measured                             allowed        verdict",
        "3x load: at most 5 % slower than 1x  19.8 % (19.8 to 19.8 %, n 6)       at most 5 %    FAIL",
        "wait | p95                           n/a (needs 59)                       at most 2 min  unknown",
        "1x <b>under</b> 1 min                3.34 min (n 6)                       at most 60 s   FAIL",
        "3x     closed 3   6 of 6   4 / 4 / 4 min   n/a (needs 299)   2.49 /s   400 ms",
        "lost_start       0 of 12 acknowledged starts lost     pass",
        "lost_completion  0 of 24 acknowledged completions lost pass",
    ] {
        let squeezed = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.lines().any(|l| squeezed(l) == squeezed(line)), "no line `{line}` in\n{shown}");
    }
    assert!(shown.contains("FAILED (exit 1)"));
    assert!(shown.contains("Report: runs/x/report.md"));
    assert!(shown.contains("shakedown run made-up --seed 7"));
    assert!(shown.contains("is short"), "the pool that waiting is for: {shown}");
    assert!(shown.lines().all(|l| l.chars().count() <= 110), "{shown}");
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn what_touches_every_gate_is_said_once() {
    let slow = Made { wait_ms: |_| (100, 0), ..level("1x", 6) };
    let (plan, mut history) = run(&[slow]);
    let mut gates = vec![gates().remove(2), gates().remove(2)];
    gates.iter_mut().for_each(|g| g.duration = true);
    let summary = shakedown_reports::judge::judge(&plan, &history, &gates);
    let shown = render(&summary, &Options { width: 200, ..Options::default() });
    assert_eq!(shown.matches("overhead is 9.1 %").count(), 1, "{shown}");
    history.ended[0].cap_reached = true;
    gates.iter_mut().for_each(|g| (g.duration, g.at_most) = (false, Some(1e9)));
    let summary = shakedown_reports::judge::judge(&plan, &history, &gates);
    let shown = render(&summary, &Options { width: 200, ..Options::default() });
    assert_eq!(shown.matches("invalid:").count(), 1, "{shown}");
    assert!(!shown.contains("nothing in it passes"), "{shown}");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let (_dir, summary) = run_dir();
    let plain = render(&summary, &Options::default());
    let coloured = render(&summary, &Options { colour: true, ..Options::default() });
    assert!(coloured.contains("\u{1b}[31mFAIL\u{1b}[0m"));
    let mut stripped = coloured;
    for escape in ["\u{1b}[0m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[1;31m"] {
        stripped = stripped.replace(escape, "");
    }
    assert_eq!(stripped, plain);
}

#[test]
fn junit_has_a_case_for_each_gate_and_check_and_unknown_is_a_failure_of_its_own_type() {
    let (dir, summary) = run_dir();
    let xml = text(&dir, "junit.xml");
    assert_eq!(xml.matches("<testcase").count(), 3 + summary.checks.len() + summary.validity.checks.len());
    assert!(xml.contains(r#"type="unknown""#) && xml.contains(r#"type="fail""#));
    let failed = summary.gates.iter().filter(|g| g.verdict != Verdict::Pass).count();
    assert_eq!(xml.matches("<failure").count(), failed);
    assert!(xml.contains("1x &lt;b&gt;under&lt;/b&gt; 1 min"), "names are escaped");
}

/// Every kind of character that XML 1.0 forbids or a terminal obeys.
const NASTY: &str = "a\0b\u{1b}[31mc\u{fffe}d\u{ffff}e\u{7}f\rg\u{9b}2Jh\u{7f}i";

#[test]
fn control_characters_reach_neither_junit_nor_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut plan, mut history) = run(&[level("1x", 6)]);
    history.header.scenario = NASTY.into();
    history.header.run = NASTY.into();
    history.header.target = NASTY.into();
    history.header.again = vec![NASTY.into()];
    history.footer.as_mut().unwrap().complete = false;
    history.footer.as_mut().unwrap().reason = Some(NASTY.into());
    // A task of that name, found by a check, and gates of that name, one of each verdict.
    plan.templates[0].tasks[1].reference = NASTY.into();
    history.executions.iter_mut().filter(|e| e.reference == "b").for_each(|e| e.reference = NASTY.into());
    history.finals.iter_mut().for_each(|f| f.tasks[1].reference = NASTY.into());
    history.finals[0].tasks[1].nonce = Some(NASTY.into());
    let mut gates = gates();
    gates.iter_mut().for_each(|g| g.name = NASTY.into());
    gates[0].measure = NASTY.into();
    write_run(dir.path(), &plan, &history, &gates);
    let summary = judge_dir(dir.path()).unwrap();

    let xml = text(&dir, "junit.xml");
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    assert!(xml.chars().all(allowed), "{xml:?}");
    let references = ["&#0", "&#x0", "&#27", "&#x1b", "&#x1B", "&#7;", "&#x7;", "&#xfff", "&#xFFF"];
    assert!(references.iter().all(|r| !xml.contains(r)), "{xml}");
    let shown = render(&summary, &Options { width: 300, report: NASTY.into(), ..Options::default() });
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    let replaced = "a\u{fffd}b\u{fffd}[31mc\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}2Jh\u{fffd}i";
    for (document, least) in [(&xml, 10), (&shown, 8)] {
        assert!(document.matches(replaced).count() >= least, "{document}");
    }
}

#[test]
fn markdown_holds_every_measure_and_escapes_its_tables() {
    let (dir, summary) = run_dir();
    let report = text(&dir, "report.md");
    assert!(report.starts_with("# made-up: FAILED"));
    for measure in &summary.measures {
        assert!(report.contains(&format!("`{}`", measure.name)), "{}", measure.name);
    }
    assert!(report.contains("wait \\| p95"));
    let columns = |l: &str| l.replace("\\|", "").matches('|').count();
    let rows: Vec<&str> = report.lines().filter(|l| l.starts_with('|')).collect();
    assert!(rows.windows(2).filter(|w| columns(w[0]) != columns(w[1])).count() <= 4, "five tables");
}

#[test]
fn samples_hold_a_row_for_each_workflow_and_execution() {
    let (dir, _) = run_dir();
    let mut reader = csv::Reader::from_path(dir.path().join("samples.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|h| h == name).unwrap_or_else(|| panic!("{name}"));
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let of = |kind: &str| rows.iter().filter(|r| &r[at("kind")] == kind).count();
    assert_eq!((of("workflow"), of("execution")), (12, 24));
    let first = rows.iter().find(|r| &r[at("kind")] == "execution").unwrap();
    assert_eq!((&first[at("ref")], &first[at("accepted")], &first[at("level")]), ("a", "true", "1x"));
    let run_ns = |r: &csv::StringRecord| {
        r[at("finished_ns")].parse::<u64>().unwrap() - r[at("started_ns")].parse::<u64>().unwrap()
    };
    assert_eq!(run_ns(first), 1_000_000_000);
}

#[test]
fn interval_logs_name_levels_and_operations() {
    let (dir, _) = run_dir();
    let api = text(&dir, "api.hlog");
    for series in ["1x.start", "1x.update", "3x.status"] {
        assert!(api.contains(&format!("Tag={series},")), "{series} in\n{api}");
    }
    assert!(text(&dir, "queue_wait.hlog").contains("Tag=3x.dev,"));
    assert!(text(&dir, "response.hlog").contains("Tag=1x.response,"));
}
