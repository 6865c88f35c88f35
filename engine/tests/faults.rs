//! Faults of the store, as clients meet them: what Conductor's cases ask of a broken queue is asked here of a broken
//! journal, because the queues of this engine follow from it.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::{Archive, MemoryArchive};
use shakedown_engine::store::faulty::{Disk, Fault};
use shakedown_engine::writer::{Handle, Writer, WriterError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tower::ServiceExt;

/// An engine on a disk; the disk outlives it.
struct Stage {
    disk: Disk,
    archive: Arc<dyn Archive>,
    clock: Arc<AtomicU64>,
    routes: axum::Router,
    writer: JoinHandle<Result<(), WriterError>>,
}

impl Stage {
    fn on(disk: Disk, now: u64) -> Self {
        Self::with(disk, Arc::new(MemoryArchive::default()), now)
    }

    /// The archive is saved by a thread of its own, so it has a disk of its own: each planned fault hits the journal.
    fn with(disk: Disk, archive: Arc<dyn Archive>, now: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(now));
        let time = Arc::clone(&clock);
        let (store, _) = disk.open();
        let read = Box::new(move || time.load(Ordering::SeqCst));
        let writer = Writer::open((store, Arc::clone(&archive)), read, None).unwrap();
        let (handle, requests) = Handle::channel();
        let metrics = writer.metrics();
        let writer = std::thread::spawn(move || writer.run(&requests));
        let routes = routes(Api { writer: handle, archive: Arc::clone(&archive), metrics });
        Self { disk, archive, clock, routes, writer }
    }

    /// What the fault did is done: the engine has ended, the power comes back, another engine starts.
    fn again(self) -> Self {
        let Self { disk, archive, clock, routes, writer } = self;
        drop(routes);
        assert!(writer.join().unwrap().is_err(), "the fault did not end the engine");
        disk.lose_power(500);
        Self::with(disk, archive, clock.load(Ordering::SeqCst))
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(format!("/api{path}")).body(body).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn define(&self, tasks: Value) {
        let def = json!({"name": "w", "tasks": tasks});
        assert_eq!(self.ask("POST", "/metadata/workflow", def).await.0, 200);
    }

    async fn start(&self) -> (u16, Value) {
        self.ask("POST", "/workflow", json!({"name": "w", "correlationId": "mine"})).await
    }

    /// The tasks of a type that a worker is handed at once.
    async fn poll(&self, kind: &str) -> Vec<Value> {
        let tasks = self.get(&format!("/tasks/poll/batch/{kind}?timeout=0&count=10")).await;
        tasks.as_array().unwrap().clone()
    }

    async fn complete(&self, task: &Value) -> u16 {
        let update = json!({"workflowInstanceId": task["workflowInstanceId"], "taskId": task["taskId"],
                            "status": "COMPLETED", "outputData": {"by": task["taskId"]}});
        self.ask("POST", "/tasks", update).await.0
    }

    /// Reference names and statuses of a workflow's records, in scheduling order.
    async fn records(&self, id: &str) -> Vec<(String, String)> {
        let workflow = self.get(&format!("/workflow/{id}")).await;
        let text = |task: &Value, field: &str| task[field].as_str().unwrap().to_owned();
        let tasks = workflow["tasks"].as_array().unwrap().iter();
        tasks.map(|task| (text(task, "referenceTaskName"), text(task, "status"))).collect()
    }
}

fn task(kind: &str) -> Value {
    json!({"name": kind, "taskReferenceName": kind})
}

/// A fork of `a` and `b`, their join, then `c`.
fn forked() -> Value {
    json!([
        {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[task("a")], [task("b")]]},
        {"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["a", "b"]},
        task("c")])
}

#[tokio::test]
async fn bt_89_while_the_store_is_full_reads_go_on_and_writes_are_refused() {
    let stage = Stage::on(Disk::default(), 1_000_000);
    stage.define(json!([task("a"), task("b")])).await;
    let (_, id) = stage.start().await;
    let path = format!("/workflow/{}", id.as_str().unwrap());
    stage.disk.plan(0, Fault::Full(1_000_000));
    assert_eq!(stage.start().await.0, 507);
    for (method, path) in [
        ("PUT", format!("{path}/pause")),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/retry")),
        ("GET", "/tasks/poll/batch/a?timeout=0".to_owned()),
    ] {
        assert_eq!(stage.ask(method, &path, Value::Null).await.0, 507, "{method} {path}");
    }
    assert_eq!(stage.get(&path).await["status"], "RUNNING");
    assert_eq!(stage.get("/tasks/queue/size?taskType=a").await, 1);
    assert_eq!(stage.ask("GET", "/workflow/search", Value::Null).await.0, 200);
    stage.disk.mend();
    stage.clock.fetch_add(250, Ordering::SeqCst);
    let handed = stage.poll("a").await;
    assert_eq!(handed.len(), 1, "nothing was lost, and nothing of what was refused happened");
    assert_eq!(stage.complete(&handed[0]).await, 200);
    assert_eq!(stage.complete(&stage.poll("b").await[0]).await, 200);
    assert_eq!(stage.get(&path).await["status"], "COMPLETED");
}

#[tokio::test]
async fn bt_90_a_task_whose_scheduling_nobody_heard_of_is_in_its_queue() {
    let stage = Stage::on(Disk::default(), 1_000_000);
    stage.define(json!([task("a"), task("b")])).await;
    let (_, id) = stage.start().await;
    let handed = stage.poll("a").await;
    stage.disk.plan(0, Fault::PowerAfter);
    assert_eq!(stage.complete(&handed[0]).await, 500, "it may or may not have happened");
    let stage = stage.again();
    assert_eq!(stage.get("/tasks/queue/size?taskType=b").await, 1);
    assert_eq!(stage.complete(&handed[0]).await, 200, "told again, it changes nothing");
    assert_eq!(stage.complete(&stage.poll("b").await[0]).await, 200);
    let id = id.as_str().unwrap();
    assert_eq!(stage.get(&format!("/workflow/{id}")).await["status"], "COMPLETED");
    let completed = |name: &str| (name.to_owned(), "COMPLETED".to_owned());
    assert_eq!(stage.records(id).await, [completed("a"), completed("b")]);
}

#[tokio::test]
async fn bt_91_a_join_that_a_fault_kept_from_ending_ends_when_the_branch_is_told_again() {
    for fault in [Fault::PowerBefore, Fault::PowerBetween, Fault::Fails] {
        let stage = Stage::on(Disk::default(), 1_000_000);
        stage.define(forked()).await;
        let (_, id) = stage.start().await;
        assert_eq!(stage.complete(&stage.poll("a").await[0]).await, 200);
        let last = stage.poll("b").await;
        stage.disk.plan(0, fault);
        assert_eq!(stage.complete(&last[0]).await, 500, "{fault:?}");
        let stage = stage.again();
        let records = stage.records(id.as_str().unwrap()).await;
        assert_eq!(records[3], ("j".to_owned(), "IN_PROGRESS".to_owned()), "{fault:?}: {records:?}");
        assert!(stage.poll("c").await.is_empty(), "{fault:?}: the join has not ended");
        assert_eq!(stage.complete(&last[0]).await, 200);
        let next = stage.poll("c").await;
        assert_eq!(next.len(), 1, "{fault:?}: the successor is there at once, and once");
        assert_eq!(stage.complete(&next[0]).await, 200);
    }
}

#[tokio::test]
async fn bt_92_what_the_engine_itself_does_is_done_once_when_the_store_is_slow() {
    let stage = Stage::on(Disk::default(), 1_000_000);
    stage.define(forked()).await;
    stage.disk.plan(0, Fault::TimedOut);
    assert_eq!(stage.start().await.0, 500, "the append came too late: nobody knows");
    let stage = stage.again();
    let found = stage.get("/workflow/w/correlated/mine").await;
    assert_eq!(found.as_array().unwrap().len(), 1, "it had happened");
    let id = found[0]["workflowId"].as_str().unwrap();
    let (a, b) = (stage.poll("a").await, stage.poll("b").await);
    assert_eq!((a.len(), b.len()), (1, 1), "the fork was carried out once");
    assert_eq!(stage.complete(&a[0]).await, 200);
    stage.disk.plan(0, Fault::TimedOut);
    assert_eq!(stage.complete(&b[0]).await, 500);
    let stage = stage.again();
    assert_eq!(stage.complete(&b[0]).await, 200);
    assert_eq!(stage.complete(&stage.poll("c").await[0]).await, 200);
    let names: Vec<String> = stage.records(id).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["f", "a", "b", "j", "c"], "the join ended once, its successor was scheduled once");
}
