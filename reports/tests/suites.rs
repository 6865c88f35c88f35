//! What becomes of a suite: of several exit codes one wins, what was not run is named, and it can be judged again.

use crate::made::{Made, level, run};
use shakedown_reports::gate::{Gate, Verdict};
use shakedown_reports::judge::{Summary, judge};
use shakedown_reports::render;
use shakedown_reports::suite::{Entry, Outcome, SUITE_SCHEMA_VERSION, Suite, SuiteSummary};
use std::collections::BTreeMap;

fn entry(name: &str, covers: &[&str], outcome: Outcome) -> Entry {
    let covers = covers.iter().map(|id| (*id).to_owned()).collect();
    Entry { name: name.into(), title: format!("title of {name}"), covers, required: false, outcome }
}

fn ran(directory: &str) -> Outcome {
    Outcome::Ran { directory: directory.into(), invalid_before: vec![] }
}

fn not_run() -> Outcome {
    Outcome::NotRun { reason: "there is no Docker here".into() }
}

fn suite(scenarios: Vec<Entry>) -> Suite {
    Suite {
        schema_version: SUITE_SCHEMA_VERSION,
        run: "stamp-load-1".into(),
        suite: "load".into(),
        title: "all <load> | scenarios".into(),
        profile: "quick".into(),
        seed: 1,
        again: vec!["run".into(), "load".into()],
        scenarios,
    }
}

/// A run whose only gate asks for a makespan of at most so many seconds; it is 200.4.
fn summary(at_most: f64) -> Summary {
    let gate = Gate {
        name: "short".into(),
        measure: "1x/makespan_max_s".into(),
        at_least: None,
        at_most: Some(at_most),
        sure: false,
        duration: false,
    };
    let (plan, history) = run(&[level("1x", 6)]);
    judge(&plan, &history, &[gate])
}

fn judged(scenarios: Vec<Entry>) -> SuiteSummary {
    let invalid = {
        let (plan, history) = run(&[Made { cap_reached: true, ..level("1x", 6) }]);
        judge(&plan, &history, &[])
    };
    let summaries = BTreeMap::from([
        ("good".to_owned(), summary(300.0)),
        ("bad".to_owned(), summary(100.0)),
        ("invalid".to_owned(), invalid),
    ]);
    suite(scenarios).judge(&summaries)
}

#[test]
fn of_several_exit_codes_the_one_that_wins_is_the_suites() {
    let code = |outcomes: Vec<Outcome>| {
        let entries =
            outcomes.into_iter().enumerate().map(|(i, outcome)| entry(&format!("s{i}"), &[], outcome));
        judged(entries.collect()).exit_code
    };
    assert_eq!(code(vec![ran("good"), ran("good")]), 0);
    assert_eq!(code(vec![ran("good"), ran("bad")]), 1);
    assert_eq!(code(vec![ran("bad"), ran("invalid")]), 3);
    let failed = Outcome::Failed { exit_code: 5, reason: "the disk is full".into() };
    assert_eq!(code(vec![ran("invalid"), failed, ran("bad")]), 5);
    assert_eq!(code(vec![ran("good"), ran("gone")]), 2, "a run that can't be judged shows nothing");
    assert_eq!(code(vec![ran("good"), not_run()]), 0, "what a machine can't run leaves a suite green");
    assert_eq!(code(vec![not_run()]), 2, "no evidence is not a pass");
    let mut required = entry("x", &[], not_run());
    required.required = true;
    assert_eq!(judged(vec![entry("y", &[], ran("good")), required]).exit_code, 4);
}

#[test]
fn a_case_is_as_good_as_the_worst_scenario_that_covers_it() {
    let summary = judged(vec![
        entry("a", &["L1", "L2"], ran("good")),
        entry("b", &["L2"], ran("bad")),
        entry("c", &["L3"], not_run()),
        entry("d", &["L1"], ran("good")),
    ]);
    let known = [("L1", Verdict::Pass), ("L2", Verdict::Fail), ("L3", Verdict::Unknown)];
    assert_eq!(summary.cases, known.map(|(id, verdict)| (id.to_owned(), verdict)).into());
}

#[test]
fn every_document_names_what_failed_and_what_was_not_run() {
    let scenarios =
        vec![entry("a", &["L1"], ran("good")), entry("b|x", &[], ran("bad")), entry("c", &["L3"], not_run())];
    let summary = judged(scenarios);
    let terminal = render::suite::terminal(&summary, 100, "runs/x");
    for part in
        ["FAILED (exit 1)", "no Docker", "short: it is above", "0 of 1", "not run", "shakedown run load"]
    {
        assert!(terminal.contains(part), "no {part} in\n{terminal}");
    }
    let markdown = render::suite::markdown(&summary);
    for part in ["# suite load: FAILED", "[a](good/report.md)", "b\\|x", "no Docker", "| L3 | unknown |"] {
        assert!(markdown.contains(part), "no {part} in\n{markdown}");
    }
    let junit = render::suite::junit(&summary).unwrap();
    for part in ["tests=\"3\"", "failures=\"1\"", "<skipped", "no Docker"] {
        assert!(junit.contains(part), "no {part} in\n{junit}");
    }
    let scenario = &summary.scenarios[0];
    assert_eq!((scenario.gates_passed, scenario.gates, scenario.verdict), (1, 1, Some(Verdict::Pass)));
    assert!(scenario.load_s > 12.0 && scenario.reasons.is_empty());
}
