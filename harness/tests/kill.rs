//! SIGKILL of the engine, 20 times under load: what was acknowledged is there after the replay, and nothing is
//! done twice beyond what the lease allows.

use crate::program::{Running, wait_for};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const KILLS: usize = 20;
/// Completions between two kills, so that each hits an engine at work.
const BETWEEN_KILLS: u64 = 60;
const LEASE_MS: u64 = 1000;

/// What the clients know: the ledger that the engine is held to.
#[derive(Default)]
struct Ledger {
    /// Workflows whose start was answered 200.
    started: Mutex<BTreeSet<String>>,
    /// Executions by task id: the nonce of each.
    executions: Mutex<BTreeMap<String, Vec<String>>>,
    /// Nonces whose completion was answered 200.
    accepted: Mutex<BTreeSet<String>>,
    completions: AtomicU64,
    starting: AtomicBool,
    working: AtomicBool,
}

fn definitions(wire: &mut Wire) {
    let task = |name: &str| {
        json!({"name": name, "retryCount": 50, "retryDelaySeconds": 0, "timeoutPolicy": "RETRY",
               "responseTimeoutSeconds": LEASE_MS / 1000})
    };
    let defs = json!([task("a"), task("b"), task("c")]);
    assert_eq!(wire.ask("POST", "/api/metadata/taskdefs", &defs).unwrap().0, 200);
    let workflow = json!({"name": "w", "tasks": [
        {"name": "a", "taskReferenceName": "first"},
        {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [
            [{"name": "b", "taskReferenceName": "x"}], [{"name": "c", "taskReferenceName": "y"}]]},
        {"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["x", "y"]},
        {"name": "a", "taskReferenceName": "last"}]});
    assert_eq!(wire.ask("POST", "/api/metadata/workflow", &workflow).unwrap().0, 200);
}

/// Starts workflows one after another. A start without an answer is unknown and never sent again.
fn start_workflows(address: SocketAddr, ledger: &Ledger) {
    let mut wire = Wire::to(address);
    while ledger.starting.load(Ordering::SeqCst) {
        if let Ok((200, id)) = wire.ask("POST", "/api/workflow", &json!({"name": "w"})) {
            ledger.started.lock().unwrap().insert(id);
        }
        // Keeps the backlog small, and yields to the engine while it is down.
        std::thread::yield_now();
        wait_for("room for another workflow", || has_room(ledger).then_some(()));
    }
}

fn has_room(ledger: &Ledger) -> bool {
    let started = ledger.started.lock().unwrap().len() as u64;
    started * 4 < ledger.completions.load(Ordering::SeqCst) + 100 || !ledger.starting.load(Ordering::SeqCst)
}

/// Works the tasks of one type. A completion without an answer is sent again until it has one.
fn work(address: SocketAddr, kind: &str, worker: usize, ledger: &Ledger) {
    let mut wire = Wire::to(address);
    let mut count = 0;
    while ledger.working.load(Ordering::SeqCst) {
        let path = format!("/api/tasks/poll/batch/{kind}?timeout=100&count=1&workerid={worker}");
        let Ok((200, tasks)) = wire.ask("GET", &path, &Value::Null) else { continue };
        let tasks: Value = serde_json::from_str(&tasks).unwrap();
        for task in tasks.as_array().unwrap() {
            count += 1;
            complete(&mut wire, task, &format!("{kind}-{worker}-{count}"), ledger);
        }
    }
}

fn complete(wire: &mut Wire, task: &Value, nonce: &str, ledger: &Ledger) {
    let id = task["taskId"].as_str().unwrap().to_owned();
    ledger.executions.lock().unwrap().entry(id.clone()).or_default().push(nonce.to_owned());
    let update = json!({"workflowInstanceId": task["workflowInstanceId"], "taskId": id, "status": "COMPLETED",
                        "outputData": {"nonce": nonce}});
    let accepted = wait_for("an answer to an update", || match wire.ask("POST", "/api/tasks", &update) {
        Ok((200, _)) => Some(true),
        // Refused: the final reads will tell what is missing.
        Ok(_) => Some(false),
        Err(_) => None,
    });
    if !accepted {
        return;
    }
    ledger.accepted.lock().unwrap().insert(nonce.to_owned());
    ledger.completions.fetch_add(1, Ordering::SeqCst);
}

fn engine(folder: &Path, listen: &str, store: &str) -> (Running, SocketAddr) {
    let mut engine = Running::start(folder, &["engine", "--listen", listen, "--store", store]);
    let line = engine.first_line();
    let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("not ready: {line:?}"));
    (engine, address.parse().unwrap())
}

/// Ends the clients of a run, however the run ends.
struct Clients<'a>(&'a Ledger);

impl Drop for Clients<'_> {
    fn drop(&mut self) {
        self.0.starting.store(false, Ordering::SeqCst);
        self.0.working.store(false, Ordering::SeqCst);
    }
}

/// Loads an engine, kills it `kills` times, lets everything end, and holds it to the ledger. Panics at a loss.
fn kill_under_load(store: &str, kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, address) = engine(folder.path(), "127.0.0.1:0", store);
    let mut wire = Wire::to(address);
    definitions(&mut wire);
    let ledger = Arc::new(Ledger::default());
    ledger.starting.store(true, Ordering::SeqCst);
    ledger.working.store(true, Ordering::SeqCst);
    let clients = Clients(&ledger);
    let threads = start_clients(address, &ledger);
    for kill in 1..=kills {
        let before = ledger.completions.load(Ordering::SeqCst);
        let worked = || (ledger.completions.load(Ordering::SeqCst) >= before + BETWEEN_KILLS).then_some(());
        wait_for(&format!("work before kill {kill}"), worked);
        running.signal(libc::SIGKILL);
        drop(running.end());
        running = engine(folder.path(), &address.to_string(), store).0;
    }
    ledger.starting.store(false, Ordering::SeqCst);
    let finals = drained(&mut wire, &ledger);
    drop(clients);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    check(&ledger, &finals);
    drop(running);
}

fn start_clients(address: SocketAddr, ledger: &Arc<Ledger>) -> Vec<JoinHandle<()>> {
    let mut threads = Vec::new();
    for worker in 0..2 {
        let on = Arc::clone(ledger);
        threads.push(std::thread::spawn(move || start_workflows(address, &on)));
        for kind in ["a", "b", "c"] {
            let on = Arc::clone(ledger);
            threads.push(std::thread::spawn(move || work(address, kind, worker, &on)));
        }
    }
    threads
}

#[test]
fn nothing_acknowledged_is_lost_or_done_twice_over_20_kills() {
    kill_under_load("sqlite:engine.db", KILLS);
}

/// The same load on a store that keeps nothing: the ledger must notice.
#[test]
fn an_engine_that_forgets_is_found_out() {
    let found_out = std::panic::catch_unwind(|| kill_under_load("memory", 1)).unwrap_err();
    let message = found_out.downcast_ref::<String>().map_or("", String::as_str);
    assert!(message.contains("an acknowledged start is lost"), "{message}");
}

/// Every acknowledged workflow as it is told once it is terminal.
fn drained(wire: &mut Wire, ledger: &Ledger) -> Vec<Value> {
    let started = ledger.started.lock().unwrap().clone();
    let read = |id: &String| {
        wait_for(&format!("the end of workflow {id}"), || {
            let (status, body) = wire.ask("GET", &format!("/api/workflow/{id}"), &Value::Null).ok()?;
            assert_eq!(status, 200, "an acknowledged start is lost: {id}: {body}");
            let workflow: Value = serde_json::from_str(&body).unwrap();
            (workflow["status"] != "RUNNING").then_some(workflow)
        })
    };
    started.iter().map(read).collect()
}

fn check(ledger: &Ledger, finals: &[Value]) {
    let executions = ledger.executions.lock().unwrap();
    let accepted = ledger.accepted.lock().unwrap();
    let handed_out_again: Vec<_> = executions.iter().filter(|(_, nonces)| nonces.len() > 1).collect();
    assert!(handed_out_again.is_empty(), "one attempt handed out twice: {handed_out_again:?}");
    let mut stored = BTreeMap::new();
    let mut leases_lost = 0;
    for workflow in finals {
        assert_eq!(workflow["status"], "COMPLETED", "{workflow}");
        for reference in ["first", "x", "y", "last"] {
            leases_lost += check_attempts(workflow, reference);
        }
        for task in workflow["tasks"].as_array().unwrap() {
            let id = task["taskId"].as_str().unwrap().to_owned();
            stored.insert(id, (task["status"].clone(), task["outputData"]["nonce"].clone()));
        }
    }
    for (id, nonces) in executions.iter().filter(|(_, nonces)| accepted.contains(&nonces[0])) {
        // A workflow whose start had no answer is not in `finals`; its tasks are worked all the same.
        let Some((status, nonce)) = stored.get(id) else { continue };
        let kept = *nonce == *nonces[0] && *status == "COMPLETED";
        assert!(kept || *status == "TIMED_OUT", "an accepted completion is lost: {id} {status} {nonce}");
    }
    println!(
        "{KILLS} kills, {} workflows and {} completions acknowledged, {leases_lost} leases lost, nothing else",
        finals.len(),
        accepted.len()
    );
    assert!(finals.len() > 100 && accepted.len() > 1000, "too little was seen to say anything");
}

/// One attempt completed; the ones before it were given up after their lease, not before. Answers how many.
fn check_attempts(workflow: &Value, reference: &str) -> usize {
    let tasks = workflow["tasks"].as_array().unwrap();
    let attempts: Vec<_> = tasks.iter().filter(|task| task["referenceTaskName"] == reference).collect();
    let (last, given_up) = attempts.split_last().unwrap();
    assert_eq!(last["status"], "COMPLETED", "{reference} of {workflow}");
    for task in given_up {
        assert_eq!(task["status"], "TIMED_OUT", "{task}");
        let held = task["endTime"].as_u64().unwrap() - task["updateTime"].as_u64().unwrap();
        assert!(held >= LEASE_MS, "given up after {held} ms: {task}");
    }
    given_up.len()
}
