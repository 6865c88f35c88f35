//! Bad input: a clear message, the right exit code, no panic, no half-written report, no process left behind.

use crate::program::{Running, children, is_alive, nobody, run_directory, server, shakedown, wait_for};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::tempdir;

const SMOKE: &str = include_str!("../../scenarios/load/smoke.toml");
const SINGLE: &str = include_str!("../../scenarios/workflows/single.json");

/// Writes smoke.toml with one change into a folder and runs it.
#[track_caller]
fn changed(from: &str, to: &str, code: i32, parts: &[&str]) {
    let folder = tempdir().unwrap();
    assert!(SMOKE.contains(from), "the sample has {from}");
    fs::write(folder.path().join("my.toml"), SMOKE.replacen(from, to, 1)).unwrap();
    shakedown(folder.path(), &["run", "my.toml"]).expect(code, parts);
    assert!(!folder.path().join("runs").exists(), "nothing was started");
}

#[test]
fn an_unknown_key() {
    changed("waves = 2", "wavs = 2", 4, &["my.toml:", "wavs", "Did you mean `waves`?", "wavs = 2"]);
}

#[test]
fn a_wrong_unit() {
    changed("\"30 s\"", "\"30 sec\"", 4, &["my.toml:", "\"sec\"", "accepted", "drain = \"30 sec\""]);
}

#[test]
fn a_value_of_the_wrong_kind() {
    changed("speed = 3000", "speed = \"fast\"", 4, &["my.toml:", "\"fast\"", "critical path in 5 s"]);
}

#[test]
fn a_workflow_that_the_scenario_has_not() {
    changed(
        "workflow = \"full_22_optimized\"",
        "workflow = \"full_22\"",
        4,
        &["my.toml:", "full_22_optimized"],
    );
}

#[test]
fn a_file_that_is_not_there() {
    changed("full-22-optimized.json", "full-23.json", 4, &["full-23.json", "my.toml"]);
    let folder = tempdir().unwrap();
    shakedown(folder.path(), &["run", "smok"]).expect(4, &["no scenario \"smok\"", "smoke"]);
}

#[test]
fn a_pool_without_slots() {
    changed("\"3 per workflow\"", "{ codegen = 3 }", 4, &["no slots for the pool"]);
}

#[test]
fn overrides_that_are_refused() {
    let folder = tempdir().unwrap();
    let run = |setting: &str| shakedown(folder.path(), &["run", "smoke", "--set", setting]);
    run("level.1x.wavs=3").expect(4, &["--set level.1x.wavs=3", "Did you mean `waves`?"]);
    run("workers.failure_rate=2").expect(4, &["failure_rate = 2", "between 0 and 1"]);
}

#[test]
fn arguments_that_are_refused() {
    let folder = tempdir().unwrap();
    for args in [
        &["fly"][..],
        &["run", "--speed", "0"],
        &["run", "--workflow", "x.json"],
        &["run", "--seed", "-1"],
        &["judge"],
        &["engine", "--listen", "here"],
    ] {
        shakedown(folder.path(), args).expect(4, &["--help"]);
    }
    shakedown(folder.path(), &["engine", "--store", "cloud"]).expect(4, &["cloud", "sqlite:PATH"]);
}

#[track_caller]
fn own(definition: &str, table: &str, parts: &[&str]) {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("own.json"), definition).unwrap();
    fs::write(folder.path().join("own.csv"), table).unwrap();
    let args = ["run", "--workflow", "own.json", "--durations", "own.csv"];
    shakedown(folder.path(), &args).expect(4, parts);
}

#[test]
fn definitions_and_tables_that_do_not_fit() {
    let header = "ref,task,agent,nominal_s\n";
    let row = "t01,remove_wifi_credentials,security,10\n";
    own(SINGLE, &format!("{header}{row}t99,paint,art,5\n"), &["own.csv", "t99"]);
    own(SINGLE, header, &["own.csv"]);
    own(
        SINGLE,
        &format!("{header}t01,remove_wifi_credentials,security,soon\n"),
        &["own.csv", "line 2", "soon"],
    );
    own("{", &format!("{header}{row}"), &["own.json", "not JSON"]);
    own(SINGLE, "ref,task,agent,seconds\nt01,remove_wifi_credentials,security,10\n", &["--duration-column"]);
}

#[test]
fn a_table_with_a_cycle() {
    let folder = tempdir().unwrap();
    let table = include_str!("../../scenarios/workflows/full-22.csv");
    let cyclic = table.replacen("347,347,,", "347,347,,t22", 1);
    assert_ne!(table, cyclic, "the sample has task 1 without predecessors");
    fs::create_dir(folder.path().join("workflows")).unwrap();
    fs::create_dir(folder.path().join("load")).unwrap();
    fs::write(folder.path().join("workflows/full-22.csv"), cyclic).unwrap();
    fs::write(folder.path().join("load/my.toml"), SMOKE).unwrap();
    shakedown(folder.path(), &["run", "load/my.toml"]).expect(4, &["full-22.csv", "cycle"]);
}

#[track_caller]
fn target(url: &str, code: i32, parts: &[&str]) {
    let folder = tempdir().unwrap();
    shakedown(folder.path(), &["run", "smoke", "--target", url]).expect(code, parts);
    if let Some(directory) = run_directory(folder.path()) {
        let judged = fs::read_to_string(directory.join("summary.json"));
        // What the target is to blame for is reported, for CI; wrong input leaves nothing that looks like a report.
        assert_eq!(judged.is_ok(), code == 3, "{judged:?}");
        if let Ok(text) = judged {
            let summary: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(summary["exit_code"], 3, "{text}");
            assert!(directory.join("junit.xml").exists());
        }
        let footer = footer(&directory);
        assert_eq!(footer["complete"], false, "{footer}");
    }
}

fn footer(directory: &Path) -> Value {
    let history = fs::read_to_string(directory.join("history.jsonl")).unwrap();
    let last: Value = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!(last["kind"], "footer");
    last
}

#[test]
fn a_target_that_is_down() {
    target(&format!("http://{}", nobody()), 3, &["cannot reach the target", "is it running"]);
}

#[test]
fn a_target_that_speaks_something_else() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: 12\r\n\r\n<h1>hi</h1>\n";
    let parts = ["not like a Conductor server", "HTTP 200", "text/html", "<h1>hi</h1>"];
    target(&format!("http://{}/api", server(page)), 3, &parts);
    target(&format!("http://{}", server("220 mail.example ESMTP\r\n")), 3, &["does not speak HTTP"]);
}

#[test]
fn a_target_that_is_not_healthy() {
    let sick = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n\
                {\"healthy\":false}";
    target(&format!("http://{}", server(sick)), 3, &["not healthy", "503"]);
}

#[test]
fn a_target_that_is_no_url() {
    target("https://conductor.example", 4, &["https", "plain http"]);
    target("localhost", 4, &["not a URL", "http://HOST:PORT"]);
}

#[test]
fn a_folder_that_cannot_be_written() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    shakedown(folder.path(), &["run", "smoke", "--out", "file/runs"]).expect(5, &["file/runs", "--out"]);
}

#[test]
fn a_port_in_use() {
    let folder = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["engine", "--listen", &address, "--store", "memory"];
    shakedown(folder.path(), &args).expect(5, &[&address, "--listen"]);
}

#[test]
fn a_store_that_is_no_store() {
    let folder = tempdir().unwrap();
    fs::write(
        folder.path().join("engine.db"),
        "this is a text file, and a long enough one to be read\n".repeat(200),
    )
    .unwrap();
    let args = ["engine", "--listen", "127.0.0.1:0", "--store", "sqlite:engine.db"];
    shakedown(folder.path(), &args).expect(5, &["engine.db"]);
}

#[test]
fn a_directory_that_is_no_run() {
    let folder = tempdir().unwrap();
    shakedown(folder.path(), &["judge", "nowhere"]).expect(4, &["nowhere", "no run directory"]);
}

#[test]
fn a_history_that_is_newer_or_corrupt() {
    let folder = tempdir().unwrap();
    shakedown(folder.path(), &["run", "smoke", "--speed", "60000"]);
    let directory = run_directory(folder.path()).unwrap();
    let path = directory.join("history.jsonl");
    let history = fs::read_to_string(&path).unwrap();
    let judge = |text: String| {
        fs::write(&path, text).unwrap();
        shakedown(folder.path(), &["judge", &directory.display().to_string()])
    };
    judge(history.replacen("\"schema_version\":4", "\"schema_version\":99", 1))
        .expect(4, &["history.jsonl", "99"]);
    judge(history.replacen("\"kind\":\"start\"", "\"kind\":\"strat\"", 1))
        .expect(4, &["history.jsonl", "strat"]);
    judge(String::new()).expect(4, &["history.jsonl"]);
}

/// Starts a run that would take a minute and waits until its tasks are being done.
fn under_load(folder: &Path) -> (Running, Vec<u32>) {
    let running = Running::start(folder, &["run", "smoke", "--speed", "100"]);
    wait_for("the first execution", || {
        let history = fs::read_to_string(run_directory(folder)?.join("history.jsonl")).ok()?;
        history.contains("\"kind\":\"execution\"").then_some(())
    });
    let started = children(running.pid());
    assert_eq!(started.len(), 2, "the engine and the load");
    (running, started)
}

fn gone(processes: &[u32]) {
    wait_for("the children to be gone", || processes.iter().all(|pid| !is_alive(*pid)).then_some(()));
}

#[test]
fn ctrl_c_once_ends_in_order_and_says_that_it_is_partial() {
    let folder = tempdir().unwrap();
    let (running, started) = under_load(folder.path());
    running.signal(libc::SIGINT);
    let ended = running.end();
    ended.expect(130, &["interrupted"]);
    gone(&started);
    let directory = run_directory(folder.path()).unwrap();
    assert_eq!(footer(&directory)["interrupted"], true);
    let summary: Value = serde_json::from_slice(&fs::read(directory.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["exit_code"], 130);
}

#[test]
fn ctrl_c_twice_ends_at_once() {
    let folder = tempdir().unwrap();
    let (running, started) = under_load(folder.path());
    running.signal(libc::SIGINT);
    running.signal(libc::SIGTERM);
    running.end().expect(130, &[]);
    gone(&started);
}

#[test]
fn a_killed_harness_takes_its_children_with_it() {
    let folder = tempdir().unwrap();
    let (running, started) = under_load(folder.path());
    running.signal(libc::SIGKILL);
    assert_eq!(running.end().code, None);
    gone(&started);
    let directory = run_directory(folder.path()).unwrap().display().to_string();
    let judged = shakedown(folder.path(), &["judge", &directory]);
    assert_eq!(judged.code, Some(3), "a history that was cut off is not a whole one: {judged:#?}");
}

#[test]
fn an_engine_that_dies_under_load_is_told() {
    let folder = tempdir().unwrap();
    let (running, started) = under_load(folder.path());
    let engine = started.iter().find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().contains("engine\0")
    });
    // SAFETY: plain kill(2) of a process that the run under test has just started.
    assert_eq!(unsafe { libc::kill(engine.unwrap().cast_signed(), libc::SIGKILL) }, 0);
    let ended = running.end();
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    let directory = run_directory(folder.path()).unwrap();
    assert!(footer(&directory)["reason"].as_str().unwrap().contains("the engine ended"), "{ended:#?}");
    gone(&started);
}
