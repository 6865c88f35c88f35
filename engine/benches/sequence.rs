//! How fast a durable step is: 22 no-op tasks in sequence, one workflow at a time, over HTTP, beside the disk's
//! own append and sync in the same run.
//!
//! Run with `cargo bench -p shakedown-engine`. A worker that does nothing waits in a long poll for each task; its
//! completion, the scheduling of the next task and the handing out of it are one batch with one sync, so the least
//! that 22 steps can take is 23 syncs (the start is one) and 23 round trips.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop where it is")]
#![allow(missing_docs, reason = "criterion's macros make functions without them")]

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use shakedown_engine::store::{Sqlite, Store, Synchronous};
use shakedown_engine::{Options, StoreUrl, serve};
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc;
use wire::Wire;

mod wire;

const TASKS: usize = 22;

/// An engine on SQLite in `folder`, on a thread of its own until the process ends.
fn engine(folder: &Path) -> SocketAddr {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = Options {
        listen,
        store: StoreUrl::Sqlite(folder.join("journal.db")),
        retention: None,
        node: Default::default(),
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(serve(options, std::future::pending())).unwrap();
    });
    listen
}

/// A worker for each type: polls, completes, and tells when the last task of a workflow is acknowledged.
fn workers(address: SocketAddr) -> mpsc::Receiver<()> {
    let (done, ended) = mpsc::channel();
    for step in 0..TASKS {
        let done = done.clone();
        std::thread::spawn(move || {
            let mut wire = Wire::to(address);
            let path = format!("/api/tasks/poll/batch/step{step}?timeout=5000");
            loop {
                let tasks: Value = serde_json::from_str(&wire.ask("GET", &path, "")).unwrap();
                for task in tasks.as_array().unwrap() {
                    let update = json!({"workflowInstanceId": task["workflowInstanceId"], "taskId": task["taskId"],
                                        "status": "COMPLETED"});
                    wire.ask("POST", "/api/tasks", &update.to_string());
                    if step == TASKS - 1 {
                        done.send(()).unwrap();
                    }
                }
            }
        });
    }
    ended
}

fn sequence(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let address = engine(folder.path());
    let mut wire = Wire::to(address);
    let tasks: Vec<Value> = (0..TASKS)
        .map(|step| json!({"name": format!("step{step}"), "taskReferenceName": format!("t{step}")}))
        .collect();
    wire.ask("POST", "/api/metadata/workflow", &json!({"name": "sequence", "tasks": tasks}).to_string());
    let ended = workers(address);
    criterion.bench_function("22 durable no-op tasks in sequence over HTTP", |bencher| {
        bencher.iter(|| {
            wire.ask("POST", "/api/workflow", r#"{"name":"sequence"}"#);
            ended.recv().unwrap();
        });
    });
}

fn disk(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let mut file = File::create(folder.path().join("append")).unwrap();
    criterion.bench_function("append 4 KiB and fdatasync", |bencher| {
        bencher.iter(|| {
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
        });
    });
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let mut store = Sqlite::open(&folder.path().join("journal.db"), Synchronous::Full).unwrap();
    let frame = vec![b' '; 1000];
    let mut position = 0;
    criterion.bench_function("append a frame of 1 kB to the journal", |bencher| {
        bencher.iter(|| {
            store.append(position, &frame).unwrap();
            position += 1;
        });
    });
}

criterion_group!(benches, disk, store, sequence);
criterion_main!(benches);
