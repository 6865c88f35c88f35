//! The reference engine as a process: it stops in order, comes back with what it had, and refuses a store that it
//! does not understand.

use crate::program::{Running, shakedown};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;

const STORE: &str = "sqlite:engine.db";

fn engine(folder: &Path) -> (Running, SocketAddr) {
    let mut engine = Running::start(folder, &["engine", "--listen", "127.0.0.1:0", "--store", STORE]);
    let line = engine.first_line();
    let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("not ready: {line:?}"));
    (engine, address.parse().unwrap())
}

fn with_workflow(wire: &mut Wire) -> String {
    let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
    assert_eq!(wire.ask("POST", "/api/metadata/workflow", &def).unwrap().0, 200);
    let (status, id) = wire.ask("POST", "/api/workflow", &json!({"name": "w"})).unwrap();
    assert_eq!(status, 200);
    id
}

#[test]
fn sigterm_answers_the_polls_that_wait_and_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = engine(folder.path());
    let id = with_workflow(&mut Wire::to(address));
    let (tell, asked) = mpsc::channel();
    let poll = std::thread::spawn(move || {
        let mut wire = Wire::to(address);
        // Opens the connection, so that the poll that waits is the second request on it.
        wire.ask("GET", "/health", &Value::Null).unwrap();
        tell.send(()).unwrap();
        wire.ask("GET", "/api/tasks/poll/batch/nothing?timeout=5000", &Value::Null)
    });
    asked.recv().unwrap();
    running.signal(libc::SIGTERM);
    let ended = running.end();
    ended.expect(0, &["stopping"]);
    // The poll is answered with nothing, or its connection was closed before the engine had read it.
    if let Ok((status, body)) = poll.join().unwrap() {
        assert_eq!((status, body.as_str()), (200, "[]"));
    }
    let (_running, address) = engine(folder.path());
    let (status, body) = Wire::to(address).ask("GET", &format!("/api/workflow/{id}"), &Value::Null).unwrap();
    assert_eq!(status, 200, "{body}");
}

#[test]
fn a_store_of_a_newer_engine_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (running, _) = engine(folder.path());
    running.signal(libc::SIGTERM);
    drop(running.end());
    let path = folder.path().join("engine.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The user version of a SQLite file: four bytes at 60, big endian (sqlite.org/fileformat.html, 1.3).
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let refused = shakedown(folder.path(), &["engine", "--listen", "127.0.0.1:0", "--store", STORE]);
    refused.expect(5, &["engine.db has schema version 99", "use the newer engine"]);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn two_engines_do_not_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let (_first, _) = engine(folder.path());
    let refused = shakedown(folder.path(), &["engine", "--listen", "127.0.0.1:0", "--store", STORE]);
    refused.expect(5, &["in use by another engine"]);
}
