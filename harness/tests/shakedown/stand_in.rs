//! A server that speaks as much of Conductor's API as a run needs, does no work, and stalls when it is told to.
//!
//! A start is answered after [`SERVICE`], or, when it comes in a stall, so long after the stall's end. Its workflow has
//! completed by then. When it stalls is known to the nanosecond, so what a client must have seen can be computed.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a start takes when nothing stalls.
pub const SERVICE: Duration = Duration::from_millis(5);

/// The rhythm of the stalls: the last `stall_ns` of every `period_ns`.
#[derive(Clone, Copy)]
pub struct Stalls {
    pub period_ns: u64,
    pub stall_ns: u64,
}

impl Stalls {
    /// How long a start that arrives at `at_ns` is held up before it is served.
    pub fn hold_ns(&self, at_ns: u64) -> u64 {
        let within = at_ns % self.period_ns;
        if within >= self.period_ns - self.stall_ns { self.period_ns - within } else { 0 }
    }
}

#[derive(Clone)]
struct Server {
    stalls: Stalls,
    state: Arc<Mutex<Stored>>,
}

#[derive(Default)]
struct Stored {
    /// Workflows by id: whether they have completed.
    workflows: HashMap<String, bool>,
    /// Probes of the steady state whose task nobody has taken.
    probes: VecDeque<String>,
}

/// CLOCK_MONOTONIC, the clock of the harness.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }, 0);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// A stall of 2 s at 800 starts a second is 1,600 connections.
fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid rlimit.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}

/// Serves for as long as this process lives.
pub fn start(stalls: Stalls) -> SocketAddr {
    raise_open_files();
    let server = Server { stalls, state: Arc::default() };
    let routes = Router::new()
        .route("/health", get(|| async { Json(json!({ "healthy": true })) }))
        .route("/api/metadata/taskdefs", post(|| async { "" }))
        .route("/api/metadata/workflow", post(|| async { "" }))
        .route("/api/tasks/queue/sizes", get(|| async { Json(json!({})) }))
        .route("/api/tasks/poll/batch/{task_type}", get(poll))
        .route("/api/tasks", post(update))
        .route("/api/workflow", post(begin))
        .route("/api/workflow/{id}", get(workflow))
        .route("/api/workflow/{id}/status", get(workflow))
        .with_state(server);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn begin(State(server): State<Server>, Json(body): Json<Value>) -> String {
    let is_probe = body["name"] == "shakedown_probe";
    if !is_probe {
        let held = Duration::from_nanos(server.stalls.hold_ns(now_ns()));
        tokio::time::sleep(held + SERVICE).await;
    }
    let mut stored = server.state.lock().unwrap();
    let id = format!("w{}", stored.workflows.len());
    stored.workflows.insert(id.clone(), !is_probe);
    if is_probe {
        stored.probes.push_back(id.clone());
    }
    id
}

async fn poll(State(server): State<Server>, Path(task_type): Path<String>) -> Json<Value> {
    if task_type == "shakedown_probe"
        && let Some(id) = server.state.lock().unwrap().probes.pop_front()
    {
        return Json(json!([{ "taskId": id, "workflowInstanceId": id, "taskType": task_type }]));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Json(json!([]))
}

async fn update(State(server): State<Server>, Json(body): Json<Value>) -> String {
    let id = body["workflowInstanceId"].as_str().unwrap_or_default().to_owned();
    server.state.lock().unwrap().workflows.insert(id.clone(), true);
    id
}

async fn workflow(State(server): State<Server>, Path(id): Path<String>) -> Json<Value> {
    let completed = server.state.lock().unwrap().workflows.get(&id) == Some(&true);
    let status = if completed { "COMPLETED" } else { "RUNNING" };
    Json(json!({ "workflowId": id, "status": status, "createTime": 1, "endTime": 1, "tasks": [] }))
}
