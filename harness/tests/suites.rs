//! A suite on the real binary: one directory with a folder a scenario, the exit code that wins, judged the same again.

use crate::program::{Running, run_directory, shakedown, wait_for};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::tempdir;

const SMOKE: &str = include_str!("../../scenarios/load/smoke.toml");

/// A suite of a scenario that passes, one whose tasks all fail, and one in another profile.
fn write(folder: &Path) {
    let suite = "suite = \"two\"\ntitle = \"good and bad\"\nseed = 5\n[[scenario]]\nrun = \"good.toml\"\n\
                 [[scenario]]\nrun = \"bad.toml\"\n[[scenario]]\nrun = \"load/smoke\"\nprofile = \"other\"\n";
    fs::write(folder.join("two.toml"), suite).unwrap();
    let named = |name: &str| SMOKE.replacen("name = \"smoke\"", &format!("name = \"{name}\""), 1);
    let good = named("good").replacen("covers = []", "covers = [\"L1\"]", 1);
    fs::write(folder.join("good.toml"), good).unwrap();
    let bad = named("bad").replacen("covers = []", "covers = [\"L1\", \"L4\"]", 1);
    let bad = bad.replacen("[workflow.", "[workers]\nterminal_failure_rate = 1\n\n[workflow.", 1);
    fs::write(folder.join("bad.toml"), bad).unwrap();
}

fn summary(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join("summary.json")).unwrap()).unwrap()
}

#[test]
fn a_suite_leaves_one_directory_and_its_worst_code_and_is_judged_the_same_again() {
    let folder = tempdir().unwrap();
    write(folder.path());
    let run = shakedown(folder.path(), &["run", "two.toml"]);
    run.expect(1, &[]);
    let directory = run_directory(folder.path()).unwrap();
    assert!(directory.file_name().unwrap().to_str().unwrap().ends_with("-two-5"), "{directory:?}");
    let told = summary(&directory);
    let scenarios = told["scenarios"].as_array().unwrap();
    let codes: Vec<&Value> = scenarios.iter().map(|scenario| &scenario["exit_code"]).collect();
    assert_eq!(codes, [0, 1]);
    assert_eq!(told["exit_code"], 1);
    assert_eq!((&told["cases"]["L1"], &told["cases"]["L4"]), (&"fail".into(), &"fail".into()));
    for scenario in scenarios {
        let inside = directory.join(scenario["directory"].as_str().unwrap());
        assert!(inside.join("summary.json").is_file() && inside.join("report.md").is_file());
        assert_eq!(summary(&inside)["seed"], 5, "the suite's seed is that of its scenarios");
    }
    let index = fs::read_to_string(directory.join("report.html")).unwrap();
    for scenario in scenarios {
        let link = format!("href=\"./{}/report.html\"", scenario["directory"].as_str().unwrap());
        assert!(index.contains(&link), "{link}");
    }
    assert!(fs::read_to_string(directory.join("junit.xml")).unwrap().contains("failures=\"1\""));
    assert!(run.out.contains("good.toml") && run.out.contains("FAILED (exit 1)"), "{}", run.out);
    let before = fs::read_to_string(directory.join("summary.json")).unwrap();
    shakedown(folder.path(), &["judge", &directory.display().to_string()]).expect(1, &[]);
    assert_eq!(fs::read_to_string(directory.join("summary.json")).unwrap(), before);
}

#[test]
fn an_interrupted_suite_names_what_was_not_run() {
    let folder = tempdir().unwrap();
    write(folder.path());
    let running = Running::start(folder.path(), &["run", "two.toml", "--speed", "100"]);
    wait_for("the first level of the first scenario", || {
        let suite = run_directory(folder.path())?;
        let inside = fs::read_dir(suite).ok()?.flatten().find(|entry| entry.path().is_dir())?;
        let history = fs::read_to_string(inside.path().join("history.jsonl")).ok()?;
        history.contains("\"kind\":\"level_began\"").then_some(())
    });
    running.signal(libc::SIGINT);
    running.end().expect(130, &["interrupted"]);
    let told = summary(&run_directory(folder.path()).unwrap());
    let second = &told["scenarios"][1];
    assert_eq!(second["exit_code"], Value::Null);
    assert!(second["reasons"][0].as_str().unwrap().contains("interrupted"), "{second}");
}

#[test]
fn an_invalid_run_is_repeated_as_often_as_was_asked_and_every_run_is_named() {
    let folder = tempdir().unwrap();
    fs::write(
        folder.path().join("capped.toml"),
        "suite = \"capped\"\ntitle = \"x\"\nseed = 1\n[[scenario]]\nrun = \"sheds.toml\"\n",
    )
    .unwrap();
    // A burst of five with room for one: four are shed, so the run can't be valid.
    let open = "mode = \"open\"\nin_flight_cap = 1\nstages = [{ burst = 5 }]\n";
    let (head, level) = SMOKE.split_once("[[level]]").unwrap();
    let workflow = level.lines().find(|line| line.starts_with("workflow =")).unwrap();
    let scenario = format!(
        "{}[[level]]\nname = \"sheds\"\n{workflow}\n{open}slots = 9\ndrain = \"30 s\"\n",
        head.replacen("name = \"smoke\"", "name = \"sheds\"", 1)
    );
    fs::write(folder.path().join("sheds.toml"), scenario).unwrap();
    let run = shakedown(folder.path(), &["run", "capped.toml", "--repeat-invalid", "1"]);
    run.expect(3, &["invalid, so it is run again"]);
    assert!(run.out.contains("run again, as"), "{}", run.out);
    let directory = run_directory(folder.path()).unwrap();
    let told: Value = serde_json::from_slice(&fs::read(directory.join("suite.json")).unwrap()).unwrap();
    let outcome = &told["scenarios"][0]["outcome"];
    let first = outcome["invalid_before"][0].as_str().unwrap();
    assert!(directory.join(first).join("report.html").is_file(), "the invalid run is kept: {outcome}");
    assert_ne!(outcome["directory"], first);
}
