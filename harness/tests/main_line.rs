//! The whole line on the real binary: engine, workers, load, history, judge, reports.

use crate::program::{Running, run_directory, shakedown, wait_for};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use tempfile::tempdir;

const WHOLE: &[&str] = &[
    "scenario.toml",
    "plan.jsonl",
    "gates.json",
    "history.jsonl",
    "summary.json",
    "report.html",
    "report.md",
    "junit.xml",
    "samples.csv",
    "data/engine.db",
    "logs/engine.log",
];

fn summary(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join("summary.json")).unwrap()).unwrap()
}

#[test]
fn smoke_passes_leaves_everything_behind_and_is_judged_the_same_again() {
    let folder = tempdir().unwrap();
    let run = shakedown(folder.path(), &["run", "smoke", "--json"]);
    run.expect(0, &[]);
    let directory = run_directory(folder.path()).unwrap();
    for file in WHOLE {
        assert!(directory.join(file).is_file(), "{file}");
    }
    let before = fs::read_to_string(directory.join("summary.json")).unwrap();
    let printed: Value = serde_json::from_str(&run.out).unwrap();
    assert!(printed == summary(&directory), "standard output holds the summary and nothing else");
    assert_eq!(run.out.lines().count(), 1, "one line a scenario");
    assert_eq!(summary(&directory)["exit_code"], 0);
    let judged = shakedown(folder.path(), &["judge", &directory.display().to_string()]);
    judged.expect(0, &[]);
    assert!(judged.out.contains("report.html"), "{judged:#?}");
    assert_eq!(fs::read_to_string(directory.join("summary.json")).unwrap(), before);
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    let plan = |seed: &str| {
        let folder = tempdir().unwrap();
        let args = ["run", "smoke", "--seed", seed, "--set", "level.1x.waves=1", "--speed", "60000"];
        shakedown(folder.path(), &args);
        let directory = run_directory(folder.path()).unwrap();
        let run = directory.file_name().unwrap().to_str().unwrap().to_owned();
        fs::read_to_string(directory.join("plan.jsonl")).unwrap().replace(&run, "RUN")
    };
    assert_eq!(plan("7"), plan("7"));
    assert_ne!(plan("7"), plan("8"));
}

#[test]
fn a_run_directory_can_be_run_again_when_nothing_else_is_left_of_it() {
    let (folder, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    fs::write(folder.path().join("own.json"), include_str!("../../scenarios/workflows/chain.json")).unwrap();
    fs::write(folder.path().join("own.csv"), include_str!("../../scenarios/workflows/chain.csv")).unwrap();
    let args = ["run", "--workflow", "own.json", "--durations", "own.csv", "--speed", "60000", "--seed", "3"];
    shakedown(folder.path(), &args);
    let plan = |folder: &Path| {
        let directory = run_directory(folder).unwrap();
        let run = directory.file_name().unwrap().to_str().unwrap().to_owned();
        (directory.clone(), fs::read_to_string(directory.join("plan.jsonl")).unwrap().replace(&run, "RUN"))
    };
    let (directory, first) = plan(folder.path());
    let kept = elsewhere.path().join("kept");
    fs::rename(directory, &kept).unwrap();
    drop(folder);
    let again = shakedown(elsewhere.path(), &["run", "kept/scenario.toml"]);
    assert!(matches!(again.code, Some(0..=2)), "it was run and judged: {again:#?}");
    assert!(plan(elsewhere.path()).1 == first, "the same plan");
}

#[test]
fn a_build_in_the_middle_of_a_run_does_not_hurt_it() {
    let folder = tempdir().unwrap();
    let copy = folder.path().join("shakedown");
    fs::copy(env!("CARGO_BIN_EXE_shakedown"), &copy).unwrap();
    let mut command = std::process::Command::new(&copy);
    let mut running = command
        .args(["run", "smoke"])
        .stdout(std::process::Stdio::null())
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    wait_for("the first level", || {
        let history = fs::read_to_string(run_directory(folder.path())?.join("history.jsonl")).ok()?;
        history.contains("\"kind\":\"level_began\"").then_some(())
    });
    fs::remove_file(&copy).unwrap();
    assert!(running.wait().unwrap().success(), "the second level has a load child of its own");
}

#[test]
fn tasks_that_fail_fail_the_run() {
    let folder = tempdir().unwrap();
    let run = shakedown(folder.path(), &["run", "smoke", "--set", "workers.terminal_failure_rate=1"]);
    run.expect(1, &[]);
    assert!(run.out.contains("fail"), "{run:#?}");
}

#[test]
fn several_scenarios_end_with_the_worst_code() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("bad.toml"), "name = 3").unwrap();
    let args = ["run", "smoke", "bad.toml"];
    shakedown(folder.path(), &args).expect(4, &["bad.toml:1"]);
    assert!(!folder.path().join("runs").exists(), "all are read before the first is run");
}

/// Starts `shakedown engine` on a free port and returns its URL.
fn engine(folder: &Path) -> (Running, String) {
    let mut engine = Running::start(folder, &["engine", "--listen", "127.0.0.1:0", "--store", "memory"]);
    let line = engine.first_line();
    let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (engine, url)
}

#[test]
fn a_workflow_of_your_own_on_a_target_of_your_own() {
    let folder = tempdir().unwrap();
    let definition = include_str!("../../scenarios/workflows/single.json");
    fs::write(folder.path().join("own.json"), definition).unwrap();
    let table = "ref,task,agent,nominal_s\nt01,remove_wifi_credentials,security,100\n";
    fs::write(folder.path().join("own.csv"), table).unwrap();
    let (_engine, url) = engine(folder.path());
    let args =
        ["run", "--workflow", "own.json", "--durations", "own.csv", "--target", &url, "--speed", "1000"];
    let run = shakedown(folder.path(), &args);
    assert!(matches!(run.code, Some(0 | 2)), "few samples may leave gates unknown, none may fail: {run:#?}");
    let directory = run_directory(folder.path()).unwrap();
    let summary = summary(&directory);
    assert_eq!(summary["embedded"], false);
    assert_eq!(summary["scenario"], "own-workflow");
}

#[test]
fn a_task_that_is_longer_than_its_lease_is_kept() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("own.json"), include_str!("../../scenarios/workflows/single.json")).unwrap();
    let table = "ref,task,agent,nominal_s\nt01,remove_wifi_credentials,security,300\n";
    fs::write(folder.path().join("own.csv"), table).unwrap();
    let mut args = vec!["run", "--workflow", "own.json", "--durations", "own.csv", "--speed", "100"];
    let settings =
        ["timers.response_timeout=1 s", "level.1x.waves=1", "level.3x.waves=1", "level.10x.waves=1"];
    settings.iter().for_each(|setting| args.extend(["--set", setting]));
    let run = shakedown(folder.path(), &args);
    assert!(matches!(run.code, Some(0 | 2)), "{run:#?}");
    let history = fs::read_to_string(run_directory(folder.path()).unwrap().join("history.jsonl")).unwrap();
    let records = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let executions: Vec<Value> = records.filter(|record| record["kind"] == "execution").collect();
    assert_eq!(executions.len(), 14, "nothing was handed out twice");
    assert!(executions.iter().all(|one| one["attempt"] == 0 && one["lease_s"] == 1.0), "{executions:#?}");
}

/// One request of a client that knows nothing but HTTP.
fn http(url: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let length = body.len();
    let head = "host: engine\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{method} /api{path} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

#[test]
fn workers_do_what_any_client_starts() {
    let folder = tempdir().unwrap();
    let (_engine, url) = engine(folder.path());
    let worker = Running::start(folder.path(), &["worker", "--target", &url, "--speed", "10000"]);
    http(&url, "POST", "/metadata/workflow", include_str!("../../scenarios/workflows/chain.json"));
    let started = http(&url, "POST", "/workflow", r#"{"name":"chain","input":{"project":"x"}}"#);
    let id = started.lines().find(|line| line.contains('-')).unwrap_or(&started).trim().to_owned();
    wait_for("the chain to complete", || {
        http(&url, "GET", &format!("/workflow/{id}/status"), "").contains("COMPLETED").then_some(())
    });
    worker.signal(libc::SIGTERM);
    worker.end().expect(0, &["3 tasks were taken"]);
}

#[test]
fn pages_for_people() {
    let folder = tempdir().unwrap();
    let page = |args: &[&str]| {
        let page = shakedown(folder.path(), args);
        page.expect(0, &[]);
        page.out
    };
    assert!(page(&[]).contains("shakedown run"));
    assert!(page(&["list"]).contains("load/main"));
    assert!(page(&["doctor"]).contains("cores"));
    assert!(page(&["help"]).contains("Exit codes"));
    assert!(page(&["--version"]).starts_with("shakedown "));
}
