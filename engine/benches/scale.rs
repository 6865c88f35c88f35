//! How the engine bears size: 100,000 workflows that run, then up to a million that have ended.
//!
//! Run with `cargo bench -p shakedown-engine --bench scale` (about 10 minutes; `-- 100000` stops at so many ended
//! ones). The engine is a process of its own on a SQLite store; this process drives it over HTTP on the same machine.
//! What is compared is compared within the run. One JSON object a line, for people and for scripts.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop where it is")]
#![allow(clippy::disallowed_methods, reason = "a bench measures time")]

use serde_json::{Value, json};
use shakedown_engine::{Options, StoreUrl, serve};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wire::{Wire, request};

mod wire;

/// Workflows that run at the same time.
const RUNNING: usize = 100_000;
/// Requests on their way at once.
const AT_ONCE: usize = 100;
/// Cycles of start, poll and update over which a latency is the median.
const CYCLES: usize = 1000;
/// Workflows over which the cost of one is measured: some seconds.
const WINDOW: usize = 50_000;
/// Set in the child, which is the engine then: address and store.
const ENGINE: &str = "SHAKEDOWN_SCALE_ENGINE";

fn main() {
    if let Ok(listen) = std::env::var(ENGINE) {
        return engine(&listen);
    }
    let most: usize =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir_in(".").unwrap();
    running(&folder.path().join("running.db"));
    ended(&folder.path().join("ended.db"), most);
}

/// The engine, until this process is killed.
fn engine(listen: &str) {
    let (listen, store) = listen.split_once(' ').unwrap();
    let store = StoreUrl::Sqlite(store.into());
    let options =
        Options { listen: listen.parse().unwrap(), store, retention: None, node: Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(serve(options, std::future::pending())).unwrap();
}

/// An engine process, killed when it is dropped.
struct Engine {
    child: Child,
    address: SocketAddr,
}

impl Engine {
    fn start(store: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(ENGINE, format!("{address} {}", store.display())).stdout(Stdio::null());
        let engine = Self { child: command.spawn().unwrap(), address };
        engine.wire().ask("GET", "/health", "");
        engine
    }

    fn wire(&self) -> Wire {
        Wire::to(self.address)
    }

    fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
    }

    /// CPU used so far, user and system.
    fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        // Linux tells these in hundredths of a second on every machine that this runs on.
        ticks / 100.0
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn define(wire: &mut Wire) {
    let one = json!({"name": "one", "tasks": [{"name": "step", "taskReferenceName": "t"}]});
    wire.ask("POST", "/api/metadata/workflow", &one.to_string());
    wire.ask(
        "POST",
        "/api/metadata/workflow",
        include_str!("../../scenarios/workflows/full-22-optimized.json"),
    );
}

/// Median of start + poll + update of a workflow of one task, milliseconds.
fn cycle_ms(wire: &mut Wire) -> f64 {
    let mut times: Vec<f64> = (0..CYCLES)
        .map(|_| {
            let begun = Instant::now();
            wire.ask("POST", "/api/workflow", r#"{"name":"one"}"#);
            let tasks = wire.ask("GET", "/api/tasks/poll/batch/step?timeout=1000", "");
            wire.ask("POST", "/api/tasks", &completion(&serde_json::from_str::<Value>(&tasks).unwrap()[0]));
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[CYCLES / 2]
}

fn completion(task: &Value) -> String {
    let update = json!({"workflowInstanceId": task["workflowInstanceId"], "taskId": task["taskId"],
                        "status": "COMPLETED", "outputData": {"ok": true}});
    update.to_string()
}

fn running(store: &Path) {
    let engine = Engine::start(store);
    let mut wire = engine.wire();
    define(&mut wire);
    let empty_ms = cycle_ms(&mut wire);
    let start = json!({"name": "full_22_optimized", "input": {"project": "x".repeat(186)}}).to_string();
    let mut wires: Vec<Wire> = (0..AT_ONCE).map(|_| engine.wire()).collect();
    let starts = vec![request("POST", "/api/workflow", &start); AT_ONCE];
    let begun = Instant::now();
    (0..RUNNING / AT_ONCE).for_each(|_| drop(ask_all(&mut wires, &starts)));
    let starts_per_s = RUNNING as f64 / begun.elapsed().as_secs_f64();
    // What is still to be saved is saved within a few seconds; then nothing is left to do.
    let mut before = engine.cpu_s();
    let idle = loop {
        std::thread::sleep(Duration::from_secs(5));
        let used = engine.cpu_s() - before;
        if used < 0.05 || begun.elapsed() > Duration::from_secs(300) {
            break used / 5.0;
        }
        before = engine.cpu_s();
    };
    let (resident_mb, full_ms) = (engine.resident_mb(), cycle_ms(&mut wire));
    drop((wire, wires, engine));
    let begun = Instant::now();
    let engine = Engine::start(store);
    let restart_s = begun.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({"running": RUNNING, "resident_mb": resident_mb, "resident_after_restart_mb": engine.resident_mb(),
               "starts_per_s": starts_per_s, "cycle_on_empty_ms": empty_ms, "cycle_ms": full_ms,
               "cycle_ratio": full_ms / empty_ms, "idle_cpu": idle, "restart_s": restart_s})
    );
}

/// A request on each connection at once, then all answers.
fn ask_all(wires: &mut [Wire], requests: &[String]) -> Vec<String> {
    wires.iter_mut().zip(requests).for_each(|(wire, request)| wire.send(request));
    wires.iter_mut().take(requests.len()).map(Wire::answer).collect()
}

/// Starts and completes `count` workflows of one task.
fn finish(wires: &mut [Wire], count: usize) {
    let start = request("POST", "/api/workflow", r#"{"name":"one","correlationId":"bench","input":{"n":1}}"#);
    let starts = vec![start; AT_ONCE];
    for _ in 0..count / AT_ONCE {
        ask_all(wires, &starts);
        let tasks =
            wires[0].ask("GET", &format!("/api/tasks/poll/batch/step?count={AT_ONCE}&timeout=1000"), "");
        let tasks: Vec<Value> = serde_json::from_str(&tasks).unwrap();
        let updates: Vec<String> =
            tasks.iter().map(|task| request("POST", "/api/tasks", &completion(task))).collect();
        ask_all(wires, &updates);
    }
}

fn ended(store: &Path, most: usize) {
    let engine = Engine::start(store);
    let mut wires: Vec<Wire> = (0..AT_ONCE).map(|_| engine.wire()).collect();
    define(&mut wires[0]);
    // A first round warms allocator, page cache and branch predictors.
    finish(&mut wires, 1000);
    let mut done = 1000;
    let mut first_us = None;
    for target in [51_000, 150_000, 300_000, 1_000_000].into_iter().filter(|target| *target <= most) {
        // The cost is that of the last ones before the target, the archive's share of it included.
        finish(&mut wires, target - done - WINDOW);
        let (begun, cpu) = (Instant::now(), engine.cpu_s());
        finish(&mut wires, WINDOW);
        done = target;
        let cpu_us = (engine.cpu_s() - cpu) / WINDOW as f64 * 1e6;
        let first = *first_us.get_or_insert(cpu_us);
        let wall_us = begun.elapsed().as_secs_f64() / WINDOW as f64 * 1e6;
        println!(
            "{}",
            json!({"ended": done, "engine_cpu_us_per_task": cpu_us, "wall_us_per_task": wall_us,
                   "cpu_ratio": cpu_us / first, "resident_mb": engine.resident_mb()})
        );
    }
    searches(&mut wires[0], done);
}

/// Searches of several kinds, each many times.
fn searches(wire: &mut Wire, ended: usize) {
    let newest = wire.ask("GET", "/api/workflow/search?size=1", "");
    let newest: Value = serde_json::from_str(&newest).unwrap();
    let id = newest["results"][0]["workflowId"].as_str().unwrap();
    let queries = [
        "sort=startTime:DESC".to_owned(),
        "query=status%3DCOMPLETED&sort=endTime:DESC".to_owned(),
        "query=status%3DFAILED".to_owned(),
        "query=workflowType%3Done%20AND%20status%20IN%20(FAILED,COMPLETED)&sort=updateTime:ASC".to_owned(),
        "query=workflowType%3Dnone".to_owned(),
        "query=correlationId%3Dbench&start=5000&sort=workflowType:ASC".to_owned(),
        format!("query=workflowId%3D{id}"),
    ];
    for query in queries {
        let path = format!("/api/workflow/search?{query}");
        let mut times: Vec<f64> = (0..300)
            .map(|_| {
                let begun = Instant::now();
                wire.ask("GET", &path, "");
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{}", json!({"search": query, "over": ended, "p50_ms": times[150], "p99_ms": times[297]}));
    }
}
