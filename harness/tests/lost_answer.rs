//! A start whose answer was lost is settled by its correlation id, never guessed and never sent again.

use crate::drill;
use crate::program::{Running, run_directory, shakedown};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::tempdir;

/// Hands everything on to `target`, except the answer to one start of the load, whose connection it closes instead.
fn lossy(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let lost = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(target).unwrap();
            let lose = Arc::new(AtomicBool::new(false));
            let (client_in, server_out) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (mark, lost) = (Arc::clone(&lose), Arc::clone(&lost));
            std::thread::spawn(move || {
                copy(client_in, server_out, |bytes| {
                    let text = String::from_utf8_lossy(bytes);
                    let start = text.starts_with("POST /api/workflow ") && text.contains("full_22_optimized");
                    if start && !lost.swap(true, Ordering::SeqCst) {
                        mark.store(true, Ordering::SeqCst);
                    }
                    true
                });
            });
            std::thread::spawn(move || copy(server, client, |_| !lose.load(Ordering::SeqCst)));
        }
    });
    address
}

/// Copies until one side ends or `go_on` says no.
fn copy(mut from: TcpStream, mut to: TcpStream, go_on: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !go_on(&buffer[..read]) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Hands everything on to `target` until the load has begun; from then on the reading back of workflows is refused, as a
/// gateway without a server does.
fn gateway(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let loaded = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let loaded = Arc::clone(&loaded);
            std::thread::spawn(move || {
                let mut server = TcpStream::connect(target).unwrap();
                let answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || copy(answers.0, answers.1, |_| true));
                let mut buffer = vec![0; 65_536];
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..read]);
                    let path =
                        text.strip_prefix("GET /api/workflow/").and_then(|rest| rest.split(' ').next());
                    loaded.fetch_or(text.contains("/load/"), Ordering::SeqCst);
                    // By its id alone: the load asks for the status only.
                    let whole = path.is_some_and(|path| path.starts_with("01") && !path.contains("/status"));
                    let sent = if whole && loaded.load(Ordering::SeqCst) {
                        client.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
                    } else {
                        server.write_all(&buffer[..read])
                    };
                    if sent.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn what_a_gateway_refuses_is_not_read_back_one_by_one() {
    let folder = tempdir().unwrap();
    let mut engine =
        Running::start(folder.path(), &["engine", "--listen", "127.0.0.1:0", "--store", "memory"]);
    let target = engine.first_line().strip_prefix("listening on http://").unwrap().parse().unwrap();
    let url = format!("http://{}", gateway(target));
    fs::write(folder.path().join("drill.toml"), drill::scenario(40, 3, "")).unwrap();
    // Each of 120 starts would be tried for ten seconds, by eight readers.
    let run = shakedown(folder.path(), &["run", "drill.toml", "--target", &url]);
    let directory = run_directory(folder.path()).unwrap();
    let told =
        |text: &str| drill::records(&directory, "note").iter().filter(|note| note["text"] == text).count();
    assert_eq!(told("the target does not answer: the rest was not read back"), 1, "{run:#?}");
    assert!(told("a workflow could not be read back") <= 8, "{run:#?}");
    let summary = drill::summary(&directory);
    let lost =
        summary["checks"].as_array().unwrap().iter().find(|check| check["name"] == "lost_start").unwrap();
    assert_eq!(lost["verdict"], "unknown", "{lost}");
}

#[test]
fn a_start_whose_answer_was_lost_is_found_again() {
    let folder = tempdir().unwrap();
    let mut engine =
        Running::start(folder.path(), &["engine", "--listen", "127.0.0.1:0", "--store", "memory"]);
    let target = engine.first_line().strip_prefix("listening on http://").unwrap().parse().unwrap();
    let url = format!("http://{}", lossy(target));
    let run = shakedown(folder.path(), &["run", "smoke", "--target", &url]);
    let directory = run_directory(folder.path()).unwrap();
    let history = fs::read_to_string(directory.join("history.jsonl")).unwrap();
    let records: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let starts = || records.iter().filter(|record| record["kind"] == "start");
    let unknown: Vec<&Value> = starts().filter(|start| start["outcome"] == "unknown").collect();
    assert_eq!(unknown.len(), 1, "{run:#?}");
    assert_eq!(starts().count(), 5, "nothing was started twice");
    let settled = records.iter().filter(|record| record["kind"] == "final");
    let found: Vec<&Value> = settled
        .filter(|record| record["index"] == unknown[0]["index"] && record["level"] == unknown[0]["level"])
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["found"], true);
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(directory.join("summary.json")).unwrap()).unwrap();
    let lost =
        summary["checks"].as_array().unwrap().iter().find(|check| check["name"] == "lost_start").unwrap();
    assert_eq!(lost["verdict"], "pass", "{lost}");
}
