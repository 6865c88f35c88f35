//! What the documents of a run with faults say: who opens one knows in ten seconds what broke, for how long, and what
//! was lost.

use crate::made;
use crate::made::chaos::{Drill, MadeFault, drill, kill, outage};
use crate::made::page::Page;
use crate::made::run_dir::write_run;
use shakedown_reports::gate::Verdict;
use shakedown_reports::history::{Calibration, FaultPhase, Note};
use shakedown_reports::joined::Joined;
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::render::{html, junit, markdown, terminal};
use shakedown_reports::rundir::judge_dir;
use std::fs;
use std::path::Path;

/// The engine is killed once, and the second fault is one that this machine can't do.
fn made() -> Drill {
    let not_run =
        MadeFault { name: "packets-lost", marks: vec![(FaultPhase::NotRun, 1)], node: None, ..kill(1, 1, 1) };
    Drill { faults: vec![kill(1, 10_000, 600), not_run], ..outage(10_000, 600) }
}

fn written(dir: &Path, made: &Drill) {
    let (plan, history) = drill(made);
    fs::create_dir_all(dir).unwrap();
    write_run(dir, &plan, &history, &[]);
}

fn judged() -> (Summary, String) {
    let (plan, history) = drill(&made());
    let summary = judge(&plan, &history, &[]);
    let page = html::render(&summary, &Joined::new(&plan, &history));
    (summary, page)
}

const SENTENCE: &str = "engine-killed (kill engine) at 11.0 s: users saw errors for 600 ms (12 of 52 probes failed); back \
                        to full throughput after 601 ms; recovered (backlog gone) after 730 ms; 0 of 10,536 \
                        acknowledged lost.";

#[test]
fn the_page_tells_the_story_and_draws_one_timeline() {
    let (summary, html) = judged();
    let page = Page::read(&html);
    assert!(page.says(SENTENCE), "{:?}", page.texts.iter().find(|t| t.contains("users saw")));
    for lane in ["detect", "first success", "throughput", "recovered", "ok", "late", "failed"] {
        assert!(page.texts.iter().any(|t| t == lane), "lane {lane}");
    }
    for panel in ["Per second", "Waiting tasks", "Probes"] {
        assert!(page.texts.iter().any(|t| t == panel), "panel {panel}");
    }
    assert_eq!(page.values("class").filter(|c| *c == "force").count(), 1, "one fault was in force");
    assert!(page.says("Allowance against measured") && page.says("Ledger of truth"));
    assert!(page.says("packets-lost (kill engine): not run"), "what was not run has its reason");
    assert_eq!(page.count("script"), 0);
    assert!(html.find("What the faults did").unwrap() < html.find("<nav").unwrap(), "it is at the top");
    assert_eq!(html, judged().1, "the same run gives the same bytes");
    assert_eq!(summary.verdict, Verdict::Pass);
}

#[test]
fn a_fault_too_short_to_be_seen_in_a_long_level_has_a_picture_of_its_own() {
    let long = Drill { seconds: 120, rate: 50, ..made() };
    let (plan, history) = drill(&long);
    let summary = judge(&plan, &history, &[]);
    let page = Page::read(&html::render(&summary, &Joined::new(&plan, &history)));
    assert!(page.says("engine-killed from close by"));
    assert!(!Page::read(&judged().1).says("from close by"), "24 s show all of it");
}

#[test]
fn a_run_without_faults_shows_nothing_of_them() {
    let (plan, history) = made::run(&[made::level("1x", 6)]);
    let summary = judge(&plan, &history, &[]);
    let page = Page::read(&html::render(&summary, &Joined::new(&plan, &history)));
    assert!(!page.says("faults") && !page.says("calibrate"), "{:?}", page.texts);
    assert!(!terminal::render(&summary, &terminal::Options::default()).contains("calibrate"));
}

fn calibrated() -> Calibration {
    Calibration {
        made_ms: 0,
        outage_error_ms: 31.0,
        probe_interval_ms: 50.0,
        percentile_error: 0.002,
        planted: 20,
        found: 20,
        invented: 0,
    }
}

#[test]
fn a_run_without_faults_tells_how_far_off_its_figures_are_where_that_is_known() {
    let (plan, mut history) = made::run(&[made::level("1x", 6)]);
    history.calibration = Some(calibrated());
    let summary = judge(&plan, &history, &[]);
    let page = Page::read(&html::render(&summary, &Joined::new(&plan, &history)));
    assert!(page.says("percentiles to 0.2 %") && !page.says("faults"), "{:?}", page.texts);
    assert!(markdown::render(&summary).contains("percentiles to 0.2 %"), "{}", markdown::render(&summary));
    assert_eq!(summary.calibration, history.calibration);
}

#[test]
fn the_terminal_has_a_row_a_fault_and_how_far_off_the_figures_are() {
    let (plan, mut history) = drill(&made());
    let shown = |history: &_| terminal::render(&judge(&plan, history, &[]), &terminal::Options::default());
    let text = shown(&history);
    let row = text.lines().find(|l| l.starts_with("engine-killed  engine")).unwrap();
    for cell in ["11.0 s", "626 ms", "601 ms", "730 ms", "0 of 10,536", "pass"] {
        assert!(row.contains(cell), "{cell} in {row}");
    }
    assert!(text.lines().any(|l| l.starts_with("packets-lost") && l.ends_with("not run")), "{text}");
    assert!(text.contains("configured timers restart delay 100 ms = 100 ms; measured: recovered 730 ms"));
    assert!(text.contains("not calibrated on this machine: run `shakedown calibrate`"));
    assert!(text.contains("availability by probes: 97.5 %"), "{text}");
    history.calibration = Some(calibrated());
    assert!(shown(&history).contains("planted outages were told to 31 ms"));
}

#[test]
fn markdown_and_junit_have_every_fault() {
    let (summary, _) = judged();
    let text = markdown::render(&summary);
    for part in
        ["## Recovery", "## Allowance against measured", "## Ledger of truth", "time to first success"]
    {
        assert!(text.contains(part), "{part}");
    }
    let xml = junit::render(&summary).unwrap();
    assert!(xml.contains(r#"<testsuite name="faults" tests="2" skipped="1""#), "{xml}");
}

#[test]
fn a_run_that_did_not_pass_leaves_a_bundle_and_one_that_passed_none() {
    let dir = tempfile::tempdir().unwrap();
    let down = Drill { down: vec![(10_000, 99_000)], ..made() };
    let (plan, mut history) = drill(&down);
    // The last that was started before has nothing to show for it.
    let stuck = history.starts.iter().rfind(|s| s.workflow_id.is_some()).unwrap().clone();
    for read in history.finals.iter_mut().filter(|f| f.level == stuck.level && f.index == stuck.index) {
        read.status = "RUNNING".into();
        read.tasks[0].status = "SCHEDULED".into();
    }
    write_run(dir.path(), &plan, &history, &[]);
    fs::create_dir(dir.path().join("logs")).unwrap();
    fs::write(dir.path().join("logs/engine.log"), "x".repeat(100_000) + "the last line\n").unwrap();
    assert_eq!(judge_dir(dir.path()).unwrap().verdict, Verdict::Fail);
    let bundle = dir.path().join("bundle");
    let text = |name: &str| fs::read_to_string(bundle.join(name)).unwrap();
    let cover = text("README.md");
    assert!(cover.contains("shakedown run made-up --seed 7"), "{cover}");
    assert!(cover.contains("fault engine-killed (FAIL): first success: not within"), "{cover}");
    assert!(text("unfinished.jsonl").contains("waits in queue `do_t`"), "{}", text("unfinished.jsonl"));
    assert!(text("findings.txt").contains("stuck: "));
    assert_eq!(text("faults.jsonl").lines().count(), 2);
    let tail = text("log-engine.log");
    assert!(tail.len() == 64 * 1024 && tail.ends_with("the last line\n"));
    written(dir.path(), &made());
    assert_eq!(judge_dir(dir.path()).unwrap().verdict, Verdict::Pass);
    assert!(!bundle.exists(), "the one of the run before is gone");
}

#[test]
fn a_control_run_stands_beside_and_shows_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &made());
    written(&dir.path().join("control"), &Drill { down: Vec::new(), faults: Vec::new(), ..made() });
    let summary = judge_dir(dir.path()).unwrap();
    let control = summary.control.as_ref().unwrap();
    assert_eq!((control.verdict, control.valid), (Verdict::Pass, true));
    let effect = |name: &str| control.effects.iter().find(|e| e.name == name).unwrap();
    let p99 = effect("chaos/start_response_p99_ms");
    assert!(p99.without.unwrap() < 2.0 && p99.effect.unwrap() > 100.0, "{p99:?}");
    assert!((effect("probes/availability").effect.unwrap() + 0.025).abs() < 1e-9);
    assert_eq!(effect("lost_start").effect, Some(0.0));
    assert!(dir.path().join("control/summary.json").is_file(), "it has its own report");
    let text = fs::read_to_string(dir.path().join("report.md")).unwrap();
    assert!(text.contains("## Effect of the faults") && text.contains("without faults; it passed"));
}

#[test]
fn a_remark_that_is_made_again_and_again_is_shown_once() {
    let (plan, mut history) = drill(&made());
    let note = |text: &str| Note { at_ns: 0, text: text.into(), data: serde_json::Value::Null };
    history.notes = vec![
        note("a start of unknown fate happened"),
        note("once"),
        note("a start of unknown fate happened"),
    ];
    let notes = judge(&plan, &history, &[]).notes;
    assert_eq!(notes, ["a start of unknown fate happened (2 times)", "once"]);
}
