//! A run on a server of somebody else: it neither does their work nor takes their definitions for its own, and an
//! interrupted one leaves nothing running.

use crate::program;
use crate::program::{Running, shakedown, wait_for};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::{TempDir, tempdir};

const TABLE: &str = "ref,task,agent,duration_s\na,pack,staff,30\nb,ship,staff,20\n";

fn definition(order: [&str; 2]) -> Value {
    let task = |reference: &str| {
        let name = if reference == "a" { "pack" } else { "ship" };
        json!({"name": name, "taskReferenceName": reference, "type": "SIMPLE", "inputParameters": {}})
    };
    json!({"name": "orders", "version": 1, "schemaVersion": 2, "ownerEmail": "x@example.com",
           "tasks": [task(order[0]), task(order[1])]})
}

/// A server, and a folder with a workflow of one's own.
fn stage() -> (TempDir, Running, SocketAddr, Wire) {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("orders.csv"), TABLE).unwrap();
    fs::write(folder.path().join("orders.json"), definition(["a", "b"]).to_string()).unwrap();
    let mut engine =
        Running::start(folder.path(), &["engine", "--listen", "127.0.0.1:0", "--store", "memory"]);
    let address: SocketAddr =
        engine.first_line().strip_prefix("listening on http://").unwrap().parse().unwrap();
    (folder, engine, address, Wire::to(address))
}

fn run_args(address: SocketAddr) -> Vec<String> {
    let args = format!("run --workflow orders.json --durations orders.csv --target http://{address}");
    args.split(' ').map(str::to_owned).collect()
}

fn run(folder: &Path, address: SocketAddr) -> program::Ended {
    let args = run_args(address);
    shakedown(folder, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn work_that_waits_there_is_not_done_by_us() {
    let (folder, _engine, address, mut wire) = stage();
    assert_eq!(wire.ask("POST", "/api/metadata/workflow", &definition(["a", "b"])).unwrap().0, 200);
    let start = json!({"name": "orders", "correlationId": "REAL-ORDER-42"});
    let (_, id) = wire.ask("POST", "/api/workflow", &start).unwrap();
    run(folder.path(), address).expect(3, &["tasks of somebody else wait", "pack (1)"]);
    let (_, order) = wire.ask("GET", &format!("/api/workflow/{id}"), &Value::Null).unwrap();
    let order: Value = serde_json::from_str(&order).unwrap();
    assert_eq!(order["tasks"][0]["status"], "SCHEDULED", "{order}");
}

#[test]
fn a_workflow_of_the_same_name_in_another_order_is_refused() {
    let (folder, _engine, address, mut wire) = stage();
    assert_eq!(wire.ask("POST", "/api/metadata/workflow", &definition(["b", "a"])).unwrap().0, 200);
    run(folder.path(), address)
        .expect(4, &["another workflow under the name orders", "another name or version"]);
}

#[test]
fn an_interrupted_run_ends_what_it_started_there() {
    let (folder, _engine, address, mut wire) = stage();
    let args = run_args(address);
    let running = Running::start(folder.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    wait_for("a workflow of the run", || {
        let (_, sizes) = wire.ask("GET", "/api/tasks/queue/all", &Value::Null).ok()?;
        let history =
            fs::read_to_string(program::run_directory(folder.path())?.join("history.jsonl")).ok()?;
        (sizes.contains("pack") && history.contains("level_began")).then_some(())
    });
    running.signal(libc::SIGINT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    let history =
        fs::read_to_string(program::run_directory(folder.path()).unwrap().join("history.jsonl")).unwrap();
    let records = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let started: Vec<Value> = records.filter(|record| record["kind"] == "start").collect();
    assert!(!started.is_empty());
    for start in started {
        let id = start["workflow_id"].as_str().unwrap().to_owned();
        let (_, status) = wire.ask("GET", &format!("/api/workflow/{id}/status"), &Value::Null).unwrap();
        assert!(!status.contains("RUNNING"), "left running: {status}");
    }
}
