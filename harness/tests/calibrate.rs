//! `shakedown calibrate`: what is planted in the stand-in is told, to the bounds; and a stand-in that keeps something to
//! itself makes it fail, so that its yes is worth something.
//!
//! On a machine that is too busy a calibration calls itself invalid; that proves nothing either way, and is done again.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "shakedown/mod.rs"]
mod program;

use program::{Ended, shakedown};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tempfile::tempdir;

/// Calibrations that may call themselves invalid before the machine is given up.
const TRIES: usize = 3;

/// They measure time: one at once.
static ALONE: Mutex<()> = Mutex::new(());

/// One workflow of one task on the reference engine.
const RUN: &str = r#"
name = "later"
title = "a run that is made after the calibration"
seed = 1
speed = 1000000

[workflow.single]
definition = "workflows/single.json"
durations = "workflows/single.csv"

[[level]]
name = "1x"
workflow = "single"
mode = "open"
in_flight_cap = 10
stages = [{ burst = 1 }]
slots = 1
drain = "10 s"
"#;

fn calibrate(folder: &Path, args: &[&str]) -> Ended {
    let args = [&["calibrate"], args].concat();
    let tries = (0..TRIES).map(|_| shakedown(folder, &args));
    let told = tries.inspect(|ended| println!("{}", ended.out)).find(|ended| ended.code != Some(3));
    told.unwrap_or_else(|| {
        panic!("{TRIES} calibrations were invalid: is this machine busy with something else?")
    })
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn what_is_planted_is_told_and_later_runs_carry_how_well() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempdir().unwrap();
    calibrate(folder.path(), &["--quick"]).expect(0, &[]);
    let kept = json(&folder.path().join("runs/calibration.json"));
    let found = &kept["calibration"];
    assert_eq!(kept["version"], env!("CARGO_PKG_VERSION"));
    assert!(kept["machine"]["cores"].is_string(), "{kept:#}");
    assert_eq!(
        (found["planted"].as_u64(), found["found"].as_u64(), found["invented"].as_u64()),
        (Some(56), Some(56), Some(0))
    );
    let interval_ms = found["probe_interval_ms"].as_f64().unwrap();
    assert!((45.0..55.0).contains(&interval_ms), "{kept:#}");
    let outage_ms = found["outage_error_ms"].as_f64().unwrap();
    assert!(outage_ms > 0.0 && outage_ms <= interval_ms + 20.0, "{kept:#}");
    let percentile = found["percentile_error"].as_f64().unwrap();
    assert!(percentile > 0.0 && percentile <= 0.01, "{kept:#}");

    fs::write(folder.path().join("later.toml"), RUN).unwrap();
    let later = shakedown(folder.path(), &["run", "later.toml"]);
    assert!(matches!(later.code, Some(0 | 2)), "{later:#?}");
    let runs = fs::read_dir(folder.path().join("runs")).unwrap().flatten().map(|entry| entry.path());
    let later = runs.into_iter().find(|path| path.display().to_string().contains("-later-")).unwrap();
    let history = fs::read_to_string(later.join("history.jsonl")).unwrap();
    let carried: Value = serde_json::from_str(history.lines().nth(1).unwrap()).unwrap();
    assert_eq!(carried["kind"], "calibration");
    for (name, value) in found.as_object().unwrap() {
        assert_eq!(&carried[name], value, "{name}");
    }
}

#[test]
fn a_loss_that_the_stand_in_keeps_to_itself_looks_invented() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempdir().unwrap();
    let ended = calibrate(folder.path(), &["--lie", "loss"]);
    ended.expect(1, &[]);
    assert!(ended.out.contains("lost_start found what nobody planted"), "{}", ended.out);
    assert!(!folder.path().join("runs/calibration.json").exists(), "a lie is true of no other run");
}

#[test]
fn an_outage_that_lasted_longer_than_was_told_is_off() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempdir().unwrap();
    let ended = calibrate(folder.path(), &["--lie", "outage"]);
    ended.expect(1, &[]);
    let off = ended.out.lines().filter(|line| line.starts_with("outage ") && line.ends_with("OFF"));
    assert_eq!(off.count(), 4, "{}", ended.out);
}
