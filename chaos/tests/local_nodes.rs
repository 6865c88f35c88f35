//! Nodes as real processes: ready, ended, missing, mute, and gone with the process that started them.

use shakedown_chaos::substrate::local::{Node, NodeError, Ready, Spec};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

fn shell(folder: &Path, script: &str, ready: Option<&str>, within: Duration) -> Spec {
    Spec {
        name: "node".to_owned(),
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("GREETING".into(), "listening on ".into())],
        log: folder.join("node.log"),
        ready: ready.map(|prefix| Ready { prefix: prefix.to_owned(), within }),
    }
}

#[test]
fn a_node_is_ready_when_it_says_so_and_gone_when_it_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"echo "hello"; echo "${GREETING}port 7"; sleep 60"#;
    let mut node = Node::spawn(&shell(folder.path(), script, Some("listening on "), LIMIT)).unwrap();
    assert_eq!(node.ready_text(), "port 7");
    assert!(node.is_running().unwrap());
    let pid = node.pid();
    assert!(!node.kill().unwrap().success());
    assert!(!node.is_running().unwrap());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn stop_asks_first() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut node = Node::spawn(&shell(folder.path(), script, Some("ready"), LIMIT)).unwrap();
    assert_eq!(node.stop(LIMIT).unwrap().code(), Some(7));
}

#[test]
fn stop_kills_a_node_that_does_not_listen() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let mut node = Node::spawn(&shell(folder.path(), script, Some("ready"), LIMIT)).unwrap();
    let status = node.stop(Duration::from_millis(100)).unwrap();
    assert_eq!(status.code(), None, "it was killed");
}

#[test]
fn a_missing_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(folder.path(), "", None, LIMIT);
    spec.program = "/nowhere/engine".into();
    let error = Node::spawn(&spec).unwrap_err();
    assert!(matches!(error, NodeError::Start { .. }));
    assert!(error.to_string().contains("/nowhere/engine"), "{error}");
}

#[test]
fn a_node_that_ends_early_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let spec = shell(folder.path(), "echo 'address in use' >&2; exit 3", Some("ready"), LIMIT);
    let error = Node::spawn(&spec).unwrap_err();
    assert!(matches!(error, NodeError::EndedEarly { .. }), "{error}");
    assert!(error.to_string().contains("address in use"), "{error}");
}

#[test]
fn a_mute_node_is_killed_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let spec = shell(folder.path(), "echo starting; sleep 60", Some("ready"), Duration::from_millis(50));
    let error = Node::spawn(&spec).unwrap_err();
    assert!(matches!(error, NodeError::NotReady { .. }), "{error}");
}

#[test]
fn a_dropped_node_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::spawn(&shell(folder.path(), "echo ready; sleep 60", Some("ready"), LIMIT)).unwrap();
    let pid = node.pid();
    drop(node);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_node_outlives_the_thread_that_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = shell(folder.path(), "echo ready; read -r _ || exec sleep 60", Some("ready"), LIMIT);
    let mut node = std::thread::spawn(move || Node::spawn(&spec).unwrap()).join().unwrap();
    assert_eq!(node.wait(Duration::from_millis(100)).unwrap(), None, "the parent-death signal did not fire");
}
