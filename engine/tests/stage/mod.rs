//! An engine with a clock of the test's, on any store, and what every store's archive must do.
#![allow(dead_code, reason = "each test program uses a part of it")]

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shakedown_engine::StoreUrl;
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::Archive;
use shakedown_engine::store::open;
use shakedown_engine::writer::{Handle, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tower::ServiceExt;

/// Looks at most so often for something that happens on another thread.
pub const LOOKS: usize = 100_000;

pub struct Engine {
    routes: axum::Router,
    archive: Arc<dyn Archive>,
    handle: Handle,
    clock: Arc<AtomicU64>,
    writer: JoinHandle<()>,
}

impl Engine {
    pub fn start(store: &StoreUrl, now: u64, retention: Option<Duration>) -> Self {
        let clock = Arc::new(AtomicU64::new(now));
        let time = Arc::clone(&clock);
        let read = Box::new(move || time.load(Ordering::SeqCst));
        // A store waits for its answers, which a task must not.
        let opening = || {
            let (journal, archive) = open(store).unwrap();
            (Writer::open((journal, Arc::clone(&archive)), read, retention).unwrap(), archive)
        };
        let (writer, archive) = std::thread::scope(|scope| scope.spawn(opening).join().unwrap());
        let metrics = writer.metrics();
        let (handle, requests) = Handle::channel();
        let writer = std::thread::spawn(move || writer.run(&requests).unwrap());
        let routes = routes(Api { writer: handle.clone(), archive: Arc::clone(&archive), metrics });
        Self { routes, archive, handle, clock, writer }
    }

    pub fn archive(&self) -> Arc<dyn Archive> {
        Arc::clone(&self.archive)
    }

    pub fn stop(self) -> u64 {
        let Self { routes, archive, handle, clock, writer } = self;
        drop((routes, archive, handle));
        writer.join().unwrap();
        clock.load(Ordering::SeqCst)
    }

    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.handle.read(|_| ()).await.unwrap();
    }

    pub async fn in_memory(&self) -> usize {
        self.handle.read(|state| state.workflows().count()).await.unwrap()
    }

    pub async fn until_in_memory(&self, count: usize) {
        for _ in 0..LOOKS {
            if self.in_memory().await == count {
                return;
            }
        }
        panic!("{} workflows are still in memory, {count} were expected", self.in_memory().await);
    }

    pub async fn define(&self) {
        let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
        assert_eq!(self.ask("POST", "/api/metadata/workflow", def).await.0, 200);
    }

    pub async fn start_workflow(&self, correlation: &str) -> String {
        let body = json!({"name": "w", "correlationId": correlation, "input": {"for": correlation}});
        self.ask("POST", "/api/workflow", body).await.1
    }

    /// Completes or fails the next task.
    pub async fn work(&self, status: &str) {
        let tasks = self.get("/api/tasks/poll/batch/a?timeout=0&workerid=w").await;
        let task = &tasks[0];
        let update = json!({"workflowInstanceId": task["workflowInstanceId"], "taskId": task["taskId"],
                            "status": status, "outputData": {"done": true}});
        assert_eq!(self.ask("POST", "/api/tasks", update).await.0, 200);
    }
}

/// What ended leaves memory, reads the same, and can be taken up again.
pub async fn take_up_again(store: &StoreUrl) {
    let engine = Engine::start(store, 1_000_000, None);
    engine.define().await;
    let id = engine.start_workflow("mine").await;
    engine.work("FAILED_WITH_TERMINAL_ERROR").await;
    let path = format!("/api/workflow/{id}");
    let before = engine.get(&path).await;
    assert_eq!(before["status"], "FAILED");
    engine.pass(2000).await;
    engine.until_in_memory(0).await;
    assert_eq!(engine.get(&path).await, before);
    let task = before["tasks"][0]["taskId"].as_str().unwrap();
    assert_eq!(engine.get(&format!("/api/tasks/{task}")).await, before["tasks"][0]);
    let found = engine.get("/api/workflow/w/correlated/mine?includeClosed=true").await;
    assert_eq!(found[0]["workflowId"], json!(id));
    // A late update is answered and changes nothing, and the workflow leaves again.
    let late = json!({"workflowInstanceId": id, "taskId": task, "status": "COMPLETED"});
    assert_eq!(engine.ask("POST", "/api/tasks", late).await.0, 200);
    engine.until_in_memory(0).await;
    assert_eq!(engine.get(&path).await, before);
    assert_eq!(engine.ask("POST", &format!("{path}/retry"), Value::Null).await.0, 204);
    assert_eq!(engine.in_memory().await, 1);
    engine.work("COMPLETED").await;
    engine.pass(2000).await;
    engine.until_in_memory(0).await;
    let after = engine.get(&path).await;
    assert_eq!((after["status"].as_str(), after["tasks"].as_array().unwrap().len()), (Some("COMPLETED"), 2));
    engine.stop();
}

/// What is too old is forgotten.
pub async fn forget_the_old(store: &StoreUrl) {
    let engine = Engine::start(store, 1_000_000, Some(Duration::from_secs(60)));
    engine.define().await;
    let old = engine.start_workflow("old").await;
    engine.work("COMPLETED").await;
    engine.pass(2000).await;
    engine.until_in_memory(0).await;
    engine.pass(70_000).await;
    let running = engine.start_workflow("young").await;
    for _ in 0..LOOKS {
        if engine.ask("GET", &format!("/api/workflow/{old}"), Value::Null).await.0 == 404 {
            assert_eq!(engine.get(&format!("/api/workflow/{running}")).await["status"], "RUNNING");
            engine.stop();
            return;
        }
        engine.pass(1000).await;
    }
    panic!("a workflow that ended long ago is still there");
}
