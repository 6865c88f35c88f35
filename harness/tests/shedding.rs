//! Open load at its cap, for real: arrivals that find it full are turned away, counted and told; a run that reached its
//! cap is invalid unless it says that it may.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "shakedown/mod.rs"]
mod program;

use program::shakedown;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::tempdir;

/// 40 arrivals a second for 3 s of a task of more than a second, and room for five: most are turned away.
const SCENARIO: &str = r#"
name = "full"
title = "more arrivals than there is room for"
covers = []
seed = 1
speed = 300

[workflow.single]
definition = "../workflows/single.json"
durations = "../workflows/single.csv"
column = "optimized_s"

[[level]]
name = "full"
workflow = "single"
mode = "open"
arrivals = "even"
in_flight_cap = 5
stages = [{ rate_per_s = 40, for = "3 s" }]
slots = 10
drain = "20 s"
MAY_SHED
[[gate]]
name = "what was let in completes"
measure = "full/tasks_failed"
at_most = 0.0
"#;

fn run(folder: &Path, may_shed: &str) -> (Option<i32>, Value, String) {
    fs::write(folder.join("full.toml"), SCENARIO.replace("MAY_SHED", may_shed)).unwrap();
    let ended = shakedown(folder, &["run", "full.toml", "--json"]);
    let summary = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:#?}"));
    (ended.code, summary, ended.err)
}

fn measure(summary: &Value, name: &str) -> f64 {
    let all = summary["measures"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {all:#?}"))["value"].as_f64().unwrap()
}

#[test]
fn an_invalid_run_is_repeated_where_that_is_asked_for() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("full.toml"), SCENARIO.replace("MAY_SHED", "")).unwrap();
    let ended = shakedown(folder.path(), &["run", "full.toml", "--repeat-invalid", "1"]);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert_eq!(ended.err.matches("is invalid, so it is run again").count(), 1, "{ended:#?}");
    assert_eq!(fs::read_dir(folder.path().join("runs")).unwrap().count(), 2, "the first one is kept");
}

#[test]
fn a_run_that_reached_its_cap_is_invalid_and_every_shed_arrival_is_counted() {
    let folder = tempdir().unwrap();
    let (code, summary, _) = run(folder.path(), "");
    assert_eq!(code, Some(3), "{:#?}", summary["validity"]);
    let shed = measure(&summary, "full/starts_shed");
    assert!(
        (measure(&summary, "full/shed_ratio") - shed / 120.0).abs() < 1e-9,
        "each of the 120 is accounted for"
    );
    // Five at a time for 3 s, each for more than a second: at most twenty are let in.
    assert!((100.0..=115.0).contains(&shed), "{shed} were shed");
}

#[test]
fn a_scenario_may_study_what_is_shed() {
    let folder = tempdir().unwrap();
    let (code, summary, err) = run(folder.path(), "may_shed = true\n");
    assert_eq!(code, Some(0), "{err}");
    assert!(measure(&summary, "full/starts_shed") >= 100.0);
}
