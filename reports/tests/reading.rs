//! What is said to a history or a plan that is damaged, cut off, or newer than this version.

use proptest::prelude::*;
use shakedown_reports::history::History;
use shakedown_reports::jsonl::ReadError;
use shakedown_reports::plan::Plan;

const HEALTHY: &str = include_str!("histories/healthy.jsonl");
const PLAN: &str = include_str!("histories/plan.jsonl");

fn refused(text: &str) -> String {
    History::parse("history.jsonl", text).expect_err("must be refused").to_string()
}

fn lines() -> Vec<&'static str> {
    HEALTHY.lines().collect()
}

#[test]
fn a_whole_history_is_read_whole() {
    let history = History::parse("history.jsonl", HEALTHY).unwrap();
    assert!(!history.truncated);
    let counts = [
        history.began.len(),
        history.starts.len(),
        history.executions.len(),
        history.observed.len(),
        history.ended.len(),
        history.finals.len(),
        history.notes.len(),
    ];
    assert_eq!(counts, [1, 1, 2, 1, 1, 1, 1]);
}

#[test]
fn every_record_is_written_as_it_was_read() {
    for (i, line) in lines().iter().enumerate() {
        let record: shakedown_reports::history::Record = serde_json::from_str(line).unwrap();
        let again = serde_json::to_value(&record).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(line).unwrap(), "line {}", i + 1);
    }
}

#[test]
fn a_line_that_is_no_record_is_named_with_its_number() {
    let mut lines = lines();
    lines[4] = r#"{"kind":"execution","level":"1x"}"#;
    let said = refused(&(lines.join("\n") + "\n"));
    assert!(said.starts_with("history.jsonl:5: ") && said.contains("missing field `index`"), "{said}");
    assert!(said.contains("run again"), "it says what to do: {said}");
    lines[4] = r#"{"kind":"gossip"}"#;
    assert!(refused(&(lines.join("\n") + "\n")).contains("unknown variant `gossip`"));
}

#[test]
fn a_field_that_the_format_does_not_have_is_refused() {
    let odd = HEALTHY.replacen(r#""nonce":"n-a""#, r#""nonce":"n-a","nonse":"x""#, 1);
    assert!(refused(&odd).contains("unknown field `nonse`"));
}

#[test]
fn the_header_comes_first_and_once() {
    let lines = lines();
    assert!(
        refused(&(lines[1..].join("\n") + "\n")).contains("history.jsonl:1: the first line isn't the header")
    );
    let twice = [&lines[..3], &lines[..1], &lines[3..]].concat().join("\n") + "\n";
    assert!(refused(&twice).contains("history.jsonl:4: a second header"));
    assert!(refused("").contains("empty"));
}

#[test]
fn a_newer_format_is_refused_before_anything_else_is_looked_at() {
    // Of a newer format nothing but its version can be trusted: the rest of this header is not of ours.
    let newer = r#"{"kind":"header","schema_version":99,"everything":"else"}"#;
    let error = History::parse("history.jsonl", newer).unwrap_err();
    assert!(matches!(error, ReadError::Newer { found: 99, known: 4, line: 1, .. }), "{error}");
    assert!(error.to_string().contains("newer shakedown"), "{error}");
}

#[test]
fn a_format_that_is_too_old_is_refused_with_what_to_do() {
    let older = r#"{"kind":"header","schema_version":1,"everything":"else"}"#;
    let error = History::parse("history.jsonl", older).unwrap_err();
    assert!(matches!(error, ReadError::Older { found: 1, known: 2, line: 1, .. }), "{error}");
    assert!(error.to_string().contains("older shakedown"), "{error}");
}

#[test]
fn a_speed_that_would_make_nonsense_of_every_duration_is_refused() {
    assert!(refused(&HEALTHY.replace(r#""speed":100.0"#, r#""speed":0.0"#)).contains("speed"));
}

#[test]
fn a_history_without_its_end_is_read_as_far_as_it_goes() {
    let lines = lines();
    let cut = lines[..lines.len() - 1].join("\n") + "\n";
    let history = History::parse("history.jsonl", &cut).unwrap();
    assert!(history.truncated && history.finals.len() == 1);
    // Cut at every byte after the header: never an error, never a whole history, never a panic.
    let header = lines[0].len() + 1;
    for end in header..HEALTHY.len() - 1 {
        // The footer is whole from its last brace on, with or without the line end.
        let history =
            History::parse("history.jsonl", &HEALTHY[..end]).unwrap_or_else(|e| panic!("{end}: {e}"));
        assert!(history.truncated, "cut at byte {end}");
    }
}

#[test]
fn half_a_line_in_the_middle_is_damage_and_not_an_end() {
    let mut lines = lines();
    let half = &lines[4][..lines[4].len() / 2];
    lines[4] = half;
    assert!(refused(&(lines.join("\n") + "\n")).contains("history.jsonl:5"));
    // Nor does an end that is missing excuse what stands before it.
    assert!(refused(&lines[..8].join("\n")).contains("history.jsonl:5"));
    // A line that was ended was written whole, so it is no cut.
    assert!(refused(&(lines[..5].join("\n") + "\n")).contains("history.jsonl:5"));
    assert!(History::parse("history.jsonl", &lines[..5].join("\n")).unwrap().truncated);
}

#[test]
fn nothing_comes_after_the_footer() {
    let more = format!("{HEALTHY}{}\n", lines()[1]);
    assert!(refused(&more).contains("after the footer"));
}

fn plan_refused(text: &str) -> String {
    Plan::parse("plan.jsonl", text).expect_err("must be refused").to_string()
}

#[test]
fn a_plan_is_held_to_itself() {
    assert_eq!(Plan::parse("plan.jsonl", PLAN).unwrap().workflows.len(), 2);
    // A template, a level and its workflows; the rules of task types stand for themselves.
    let lines: Vec<&str> = PLAN.lines().filter(|line| !line.contains("task_rules")).collect();
    let rules = PLAN.lines().find(|line| line.contains("task_rules")).unwrap();
    assert!(plan_refused(&[rules, rules].join("\n")).contains("rules of task type `do_a` is there twice"));
    let said = plan_refused(&[lines[1], lines[0]].join("\n"));
    assert!(said.contains("plan.jsonl:1: level `1x` belongs to nothing"), "{said}");
    assert!(plan_refused(&[lines[0], lines[2]].join("\n")).contains("workflow 0 of level `1x`"));
    let twice = plan_refused(&[lines[0], lines[1], lines[2], lines[2]].join("\n"));
    assert!(twice.contains("plan.jsonl:4: workflow 0 of level `1x` is there twice"), "{twice}");
    assert!(plan_refused(lines[0]).contains("no level"));
    assert!(plan_refused("{").contains("plan.jsonl:1"));
}

proptest! {
    /// Bytes changed anywhere: an error or a history, never a panic, and the judge copes with what was read.
    #[test]
    fn damage_never_panics(changes in prop::collection::vec((0usize..HEALTHY.len(), "[ -~]"), 1..6)) {
        let mut bytes = HEALTHY.as_bytes().to_vec();
        for (at, with) in changes {
            bytes[at] = with.as_bytes()[0];
        }
        let text = String::from_utf8(bytes).unwrap();
        if let Ok(history) = History::parse("history.jsonl", &text) {
            let plan = Plan::parse("plan.jsonl", PLAN).unwrap();
            let _ = shakedown_reports::judge::judge(&plan, &history, &[]);
        }
    }
}

proptest! {
    /// Any number in the place of any other: no sum overflows.
    #[test]
    fn numbers_beyond_reason_never_panic(place in 0usize..400, number in prop::sample::select(vec![0, 1, u64::MAX >> 1, u64::MAX])) {
        let digits = |i: usize| HEALTHY.as_bytes()[i].is_ascii_digit();
        let begins: Vec<usize> =
            (1..HEALTHY.len()).filter(|i| digits(*i) && HEALTHY.as_bytes()[*i - 1] == b':').collect();
        let at = begins[place % begins.len()];
        let end = (at..).find(|i| !digits(*i)).unwrap();
        let text = format!("{}{number}{}", &HEALTHY[..at], &HEALTHY[end..]);
        if let Ok(history) = History::parse("history.jsonl", &text) {
            let plan = Plan::parse("plan.jsonl", PLAN).unwrap();
            let _ = shakedown_reports::judge::judge(&plan, &history, &[]);
        }
    }
}
