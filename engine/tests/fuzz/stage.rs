//! An engine in memory, whose answers are looked at.

use crate::odd::{task_def, workflow_def};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::MemoryArchive;
use shakedown_engine::store::{AppendError, Apply, Memory, Store, StoreError};
use shakedown_engine::writer::{Handle, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::ServiceExt;

/// No answer takes longer.
const LIMIT: Duration = Duration::from_secs(10);

pub type Frames = Arc<std::sync::Mutex<Vec<Vec<u8>>>>;

/// A journal that is looked at.
pub struct Recording(Memory, Frames);

impl Store for Recording {
    fn append(&mut self, at: u64, frame: &[u8]) -> Result<(), AppendError> {
        self.1.lock().unwrap().push(frame.to_vec());
        self.0.append(at, frame)
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        self.0.replay(apply)
    }

    fn forget(&mut self, position: u64) {
        self.0.forget(position);
    }
}

pub struct Stage {
    runtime: tokio::runtime::Runtime,
    routes: Router,
    pub ids: Vec<String>,
}

impl Stage {
    pub fn recorded() -> (Self, Frames) {
        let clock = AtomicU64::new(1_000_000);
        let read = Box::new(move || clock.fetch_add(1, Ordering::SeqCst));
        let archive = Arc::new(MemoryArchive::default());
        let frames = Frames::default();
        let store = Recording(Memory::default(), Arc::clone(&frames));
        let writer = Writer::open((Box::new(store), archive.clone()), read, None).unwrap();
        let (handle, requests) = Handle::channel();
        let metrics = writer.metrics();
        std::thread::spawn(move || writer.run(&requests).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nobody waits: a poll answers at once.
        runtime.block_on(handle.drain());
        let routes = routes(Api { writer: handle, archive, metrics });
        (Self { runtime, routes, ids: Vec::new() }, frames)
    }

    pub fn with_work() -> Self {
        let (mut stage, _) = Self::recorded();
        stage.ids = stage.block_on(async |stage| stage.work().await);
        stage
    }

    pub fn block_on<T>(&self, work: impl AsyncFnOnce(&Self) -> T) -> T {
        self.runtime.block_on(work(self))
    }

    /// Definitions, two workflows, and one of their tasks done; answers ids of workflows and tasks.
    pub async fn work(&self) -> Vec<String> {
        let mut ids = Vec::new();
        self.ask("POST", "/api/metadata/taskdefs", json!([task_def()]).to_string()).await.unwrap();
        self.ask("POST", "/api/metadata/workflow", workflow_def().to_string()).await.unwrap();
        for _ in 0..2 {
            let start = json!({"name": "w", "correlationId": "c", "input": {"list": [{"v": 1}]}}).to_string();
            ids.push(self.ask("POST", "/api/workflow", start).await.unwrap().1);
        }
        let tasks = self.ask("GET", "/api/tasks/poll/batch/a?count=2", String::new()).await.unwrap().1;
        let tasks: Value = serde_json::from_str(&tasks).unwrap();
        ids.extend(tasks.as_array().unwrap().iter().map(|task| task["taskId"].as_str().unwrap().to_owned()));
        assert_eq!(ids.len(), 4, "{ids:?}");
        let update =
            json!({"workflowInstanceId": ids[0], "taskId": ids[2], "status": "COMPLETED"}).to_string();
        self.ask("POST", "/api/tasks", update).await.unwrap();
        self.ask("DELETE", &format!("/api/workflow/{}", ids[1]), String::new()).await.unwrap();
        self.ask("POST", &format!("/api/workflow/{}/retry", ids[1]), String::new()).await.unwrap();
        ids
    }

    /// The answer, or what is wrong with it.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<(u16, String), String> {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.into()));
        // What is no URI never leaves a client.
        let Ok(request) = request else { return Ok((400, String::new())) };
        let answer = tokio::time::timeout(LIMIT, self.routes.clone().oneshot(request)).await;
        let answer = answer.map_err(|_| "no answer".to_owned())?.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())?;
        if status < 300 {
            return Ok((status, text));
        }
        let problem: Value =
            serde_json::from_str(&text).map_err(|_| format!("{status} without JSON: {text}"))?;
        let says_why = problem["message"].as_str().is_some_and(|message| !message.is_empty());
        if status >= 500 || problem["status"] != status || !says_why {
            return Err(format!("{status}: {text}"));
        }
        Ok((status, text))
    }
}
