//! Engines with a defect below their API: each is found by the check that the defect belongs to, and a sound one is not.

use crate::drill;
use crate::program::run_directory;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::tempdir;

const ENGINE_KILLED: &str =
    "[[fault]]\nname = \"kill\"\ninject = { fault = \"kill\" }\non = \"engine\"\nat = \"3 s\"\n";
const WORKER_KILLED: &str = "[[fault]]\nname = \"kill\"\ninject = { fault = \"kill\" }\non = \"worker\"\nafter = { event = \"begun\", nth = 300 }\n";

/// The engine's example, which is built with the tests of the workspace.
fn broken() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_shakedown")).parent().unwrap().join("examples/broken");
    assert!(
        beside.is_file(),
        "{} is missing: cargo build --release -p shakedown-engine --examples",
        beside.display()
    );
    beside
}

/// Seconds of workflow time that a task takes: half a real second each, so that a worker that is killed surely has some of
/// them in hand.
const HALF_A_SECOND: u32 = 300;
/// Nearly its lease: it is still being done when an engine that was killed is back.
const LONG: u32 = 510;

/// The verdicts of the checks, by name, with the number of findings.
fn checks(fault: &str, defect: Option<&str>, task_s: u32) -> Vec<(String, String, usize)> {
    let folder = tempdir().unwrap();
    // A sound engine gets the time that it needs on a busy machine; a broken one would only use it up.
    let drain = if defect.is_some() { "4 s" } else { "30 s" };
    let scenario = drill::scenario(150, 5, fault)
        .replace("workflows/short.csv", "long.csv")
        .replace("drain = \"4 s\"", &format!("drain = \"{drain}\""));
    fs::write(folder.path().join("broken.toml"), scenario).unwrap();
    let durations =
        format!("ref,task,title,agent,duration_s\nshort,short_task,A short task,short,{task_s}\n");
    fs::write(folder.path().join("long.csv"), durations).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown"));
    command.current_dir(folder.path()).args(["run", "broken.toml"]);
    if let Some(defect) = defect {
        command.arg("--engine").arg(broken()).env("DEFECT", defect);
    }
    let ended = command.output().unwrap();
    let directory = run_directory(folder.path()).unwrap_or_else(|| panic!("{ended:?}"));
    // Shown when a test fails.
    println!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    for log in fs::read_dir(directory.join("logs")).unwrap().map(|entry| entry.unwrap().path()) {
        println!("{}:\n{}", log.display(), fs::read_to_string(&log).unwrap_or_default());
    }
    let summary = drill::summary(&directory);
    let of = |check: &Value| {
        let text = |key: &str| check[key].as_str().unwrap().to_owned();
        (text("name"), text("verdict"), check["findings"].as_array().unwrap().len())
    };
    summary["checks"].as_array().unwrap().iter().filter(|check| check["applies"] == true).map(of).collect()
}

fn failed(checks: &[(String, String, usize)]) -> Vec<&str> {
    checks.iter().filter(|(_, verdict, _)| verdict == "fail").map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn an_engine_that_answers_before_the_sync_loses_what_it_acknowledged_and_is_found_out() {
    let checks = checks(ENGINE_KILLED, Some("early"), HALF_A_SECOND);
    assert!(failed(&checks).contains(&"lost_start"), "{checks:?}");
}

#[test]
fn an_engine_whose_disk_loses_acknowledged_writes_is_found_out() {
    let checks = checks(ENGINE_KILLED, Some("lose"), HALF_A_SECOND);
    assert!(failed(&checks).contains(&"lost_start"), "{checks:?}");
}

#[test]
fn an_engine_that_hands_tasks_out_twice_is_found_out() {
    let checks = checks(ENGINE_KILLED, Some("twice"), LONG);
    assert!(failed(&checks).contains(&"duplicated") && failed(&checks).contains(&"overlapped"), "{checks:?}");
}

#[test]
fn an_engine_that_forgets_its_timers_leaves_workflows_stuck_and_is_found_out() {
    let checks = checks(WORKER_KILLED, Some("forget"), HALF_A_SECOND);
    assert!(failed(&checks).contains(&"stuck"), "{checks:?}");
}

#[test]
fn a_sound_engine_under_the_same_faults_is_not_accused() {
    for fault in [ENGINE_KILLED, WORKER_KILLED] {
        let checks = checks(fault, None, HALF_A_SECOND);
        assert_eq!(failed(&checks), [""; 0], "{checks:?}");
    }
}
