//! The archive: what ended leaves memory and reads the same, a start reads the archive and only the frames since,
//! both archives find the same, and a file that does not belong here is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use shakedown_engine::StoreUrl;
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::{Archive, MemoryArchive, Query, Slice, SqliteArchive};
use shakedown_engine::machine::command::{KeyTaken, StartWorkflow};
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::{Command, Event, State, decide};
use shakedown_engine::store::{archive_path, encode, open};
use shakedown_engine::writer::{Handle, Writer};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tower::ServiceExt;

/// Looks at most so often for something that happens on another thread.
const LOOKS: usize = 100_000;

struct Engine {
    routes: axum::Router,
    handle: Handle,
    clock: Arc<AtomicU64>,
    writer: JoinHandle<()>,
}

impl Engine {
    fn start(store: &Path, now: u64, retention: Option<Duration>) -> Self {
        let clock = Arc::new(AtomicU64::new(now));
        let time = Arc::clone(&clock);
        let (journal, archive) = open(&StoreUrl::Sqlite(store.to_owned())).unwrap();
        let read = Box::new(move || time.load(Ordering::SeqCst));
        let writer = Writer::open((journal, Arc::clone(&archive)), read, retention).unwrap();
        let metrics = writer.metrics();
        let (handle, requests) = Handle::channel();
        let writer = std::thread::spawn(move || writer.run(&requests).unwrap());
        Self { routes: routes(Api { writer: handle.clone(), archive, metrics }), handle, clock, writer }
    }

    fn stop(self) -> u64 {
        let Self { routes, handle, clock, writer } = self;
        drop((routes, handle));
        writer.join().unwrap();
        clock.load(Ordering::SeqCst)
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn pass(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.handle.read(|_| ()).await.unwrap();
    }

    async fn in_memory(&self) -> usize {
        self.handle.read(|state| state.workflows().count()).await.unwrap()
    }

    async fn until_in_memory(&self, count: usize) {
        for _ in 0..LOOKS {
            if self.in_memory().await == count {
                return;
            }
        }
        panic!("{} workflows are still in memory, {count} were expected", self.in_memory().await);
    }

    async fn define(&self) {
        let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
        assert_eq!(self.ask("POST", "/api/metadata/workflow", def).await.0, 200);
    }

    async fn start_workflow(&self, correlation: &str) -> String {
        let body = json!({"name": "w", "correlationId": correlation, "input": {"for": correlation}});
        self.ask("POST", "/api/workflow", body).await.1
    }

    /// Completes or fails the next task.
    async fn work(&self, status: &str) {
        let tasks = self.get("/api/tasks/poll/batch/a?timeout=0&workerid=w").await;
        let task = &tasks[0];
        let update = json!({"workflowInstanceId": task["workflowInstanceId"], "taskId": task["taskId"],
                            "status": status, "outputData": {"done": true}});
        assert_eq!(self.ask("POST", "/api/tasks", update).await.0, 200);
    }
}

#[tokio::test]
async fn what_ended_leaves_memory_reads_the_same_and_can_be_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(&dir.path().join("engine.db"), 1_000_000, None);
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

#[tokio::test]
async fn a_start_reads_the_archive_and_the_frames_since() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("engine.db");
    let engine = Engine::start(&store, 1_000_000, None);
    engine.define().await;
    let mut ids = Vec::new();
    for round in 0..40 {
        ids.push(engine.start_workflow(&format!("c{round}")).await);
        if round % 3 > 0 {
            engine.work(if round % 3 == 1 { "COMPLETED" } else { "FAILED" }).await;
        }
        engine.pass(700).await;
    }
    let views = async |engine: &Engine| {
        let mut views = Vec::new();
        for id in &ids {
            views.push(engine.get(&format!("/api/workflow/{id}")).await);
        }
        views
    };
    let before = views(&engine).await;
    // What was saved long ago is not needed any more; a few frames go with every append.
    let oldest = || {
        let journal = rusqlite::Connection::open(&store).unwrap();
        journal.query_row("SELECT min(position) FROM journal", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    for _ in 0..LOOKS {
        if oldest() > 40 {
            break;
        }
        engine.pass(1000).await;
        let id = engine.start_workflow("more").await;
        engine.ask("DELETE", &format!("/api/workflow/{id}"), Value::Null).await;
    }
    assert!(oldest() > 40, "the journal still begins at frame {}", oldest());
    let now = engine.stop();
    let engine = Engine::start(&store, now, None);
    assert_eq!(views(&engine).await, before);
    let total = engine.get("/api/workflow/search?query=correlationId%3Dc*").await["totalHits"].clone();
    assert_eq!(total, json!(40));
    engine.stop();
}

#[tokio::test]
async fn what_is_too_old_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(&dir.path().join("engine.db"), 1_000_000, Some(Duration::from_secs(60)));
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

#[test]
fn an_archive_that_is_missing_or_another_journals_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one.db"), dir.path().join("two.db"));
    for store in [&one, &two] {
        drop(open(&StoreUrl::Sqlite(store.clone())).unwrap());
    }
    std::fs::copy(archive_path(&two), archive_path(&one)).unwrap();
    let refused = open(&StoreUrl::Sqlite(one.clone())).err().unwrap().to_string();
    assert!(refused.contains("does not belong to its journal"), "{refused}");
    // Without its archive, a journal that has forgotten frames is not the whole story.
    std::fs::remove_file(archive_path(&one)).unwrap();
    let (mut journal, archive) = open(&StoreUrl::Sqlite(one)).unwrap();
    journal.append(7, &encode(&[])).unwrap();
    drop(journal);
    let (journal, _) = open(&StoreUrl::Sqlite(dir.path().join("one.db"))).unwrap();
    let refused = Writer::open((journal, archive), Box::new(|| 0), None).err().unwrap().to_string();
    assert!(refused.contains("the journal has frames 7 to 8"), "{refused}");
}

/// Workflows of three names in all states.
fn population(picks: &[(u8, u8, u16)]) -> Slice {
    let mut state = State::default();
    let mut now = 1_000_000;
    let carry_out = |state: &mut State, command: Command, now: u64| {
        let Ok(events) = decide(state, command, now) else { return None };
        events.iter().for_each(|event| state.evolve(event));
        events.iter().find_map(Event::workflow)
    };
    for name in ["a", "ab", "b"] {
        let def =
            json!({"name": name, "version": name.len(), "tasks": [{"name": "t", "taskReferenceName": "t"}]});
        let def = serde_json::from_value(def).unwrap();
        carry_out(&mut state, Command::SaveWorkflowDef { def, overwrite: false }, now);
    }
    for (seed, (kind, fate, wait)) in (0..).zip(picks) {
        now += u64::from(*wait % 3);
        let correlation_id = (kind % 4 > 0).then(|| format!("c{}", kind % 4).into());
        // Every second one has a key, some of them one that another had before.
        let key = (seed % 2 == 0).then(|| format!("k{}", seed % 16).into());
        let start = Start { correlation_id, idempotency_key: key, ..Start::default() };
        let name = ["a", "ab", "b"][usize::from(*kind) % 3].to_owned();
        let start =
            StartWorkflow { name, version: None, inline: None, start, taken: KeyTaken::FailOnRunning, seed };
        let Some(id) = carry_out(&mut state, Command::StartWorkflow(Box::new(start)), now) else { continue };
        match fate % 3 {
            0 => carry_out(
                &mut state,
                Command::Terminate { id, reason: None, alarm: false },
                now + u64::from(*wait),
            ),
            1 => carry_out(&mut state, Command::Pause(id), now + 1),
            _ => None,
        };
    }
    let snapshots =
        state.snapshots().iter().map(|(number, snapshot)| (*number, Arc::clone(snapshot))).collect();
    Slice { workflows: state.workflows().cloned().collect(), snapshots, ..Slice::default() }
}

fn query_text() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        "[a-b]{1,2}".prop_map(|name| format!("workflowType = '{name}'")),
        Just("workflowType = a*".to_owned()),
        Just("workflowType = *b".to_owned()),
        Just("status IN (PAUSED, TERMINATED)".to_owned()),
        Just("status = RUNNING".to_owned()),
        (1_000_000..1_000_060_u64).prop_map(|at| format!("startTime > {at}")),
        (1_000_000..1_000_100_u64).prop_map(|at| format!("endTime < {at}")),
        (0..3_u8).prop_map(|n| format!("version = {n}")),
        (0..5_u8).prop_map(|n| format!("correlationId = \"c{n}\"")),
        Just("correlationId < c3".to_owned()),
        Just("workflowId = nobody".to_owned()),
        Just("correlationId = '; DROP TABLE workflow; --'".to_owned()),
    ];
    proptest::collection::vec(condition, 0..4).prop_map(|conditions| conditions.join(" AND "))
}

fn sort_text() -> impl Strategy<Value = String> {
    let fields =
        ["workflowId", "workflowType", "status", "correlationId", "startTime", "updateTime", "endTime"];
    let key = (proptest::sample::select(fields.to_vec()), any::<bool>());
    let key = key.prop_map(|(field, down)| format!("{field}:{}", if down { "DESC" } else { "ASC" }));
    proptest::collection::vec(key, 0..3).prop_map(|keys| keys.join("|"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn both_archives_find_the_same(
        picks in proptest::collection::vec(any::<(u8, u8, u16)>(), 0..60),
        queries in proptest::collection::vec((query_text(), sort_text(), 0..5_usize, 1..30_usize), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let on_disk = SqliteArchive::open(&dir.path().join("a.db"), "test").unwrap();
        let in_memory = MemoryArchive::default();
        let slice = population(&picks);
        on_disk.save(&slice).unwrap();
        in_memory.save(&slice).unwrap();
        for (name, key) in (0..48).map(|n| (["a", "ab", "b"][n % 3], format!("k{}", n / 3))) {
            prop_assert_eq!(on_disk.keyed(name, &key).unwrap(), in_memory.keyed(name, &key).unwrap());
        }
        for (query, sort, start, size) in queries {
            let parsed = Query::parse(&query, &sort, start, size, false).unwrap();
            let (one, other) = (on_disk.search(&parsed).unwrap(), in_memory.search(&parsed).unwrap());
            let ids = |page: &shakedown_engine::archive::Page| {
                page.workflows.iter().map(|workflow| workflow.id).collect::<Vec<_>>()
            };
            prop_assert_eq!(one.total, other.total, "{} | {}", &query, &sort);
            prop_assert_eq!(ids(&one), ids(&other), "{} | {}", &query, &sort);
        }
    }
}

#[test]
fn a_page_beyond_everything_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let archive = SqliteArchive::open(&dir.path().join("a.archive"), "store").unwrap();
    let query = Query::parse("", "", usize::MAX, 100, false).unwrap();
    assert!(archive.search(&query).unwrap().workflows.is_empty());
}

#[tokio::test]
async fn a_damaged_workflow_is_told_and_keeps_nobody_else_from_being_served() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("engine.db");
    let engine = Engine::start(&store, 1_000_000, None);
    engine.define().await;
    let hurt = engine.start_workflow("hurt").await;
    engine.work("FAILED_WITH_TERMINAL_ERROR").await;
    let sound = engine.start_workflow("sound").await;
    engine.work("FAILED_WITH_TERMINAL_ERROR").await;
    engine.pass(2000).await;
    engine.until_in_memory(0).await;
    // One digit of one body: still JSON, and no longer what was saved.
    let file = rusqlite::Connection::open(archive_path(&store)).unwrap();
    let changed = file.execute(
        "UPDATE body SET body = CAST(replace(CAST(body AS TEXT), '\"for\":\"hurt\"', '\"for\":\"hurl\"') AS BLOB)
         WHERE n = (SELECT n FROM workflow WHERE id = ?1)",
        [&hurt],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(file);
    for (method, path) in [("GET", ""), ("POST", "/retry"), ("PUT", "/pause")] {
        let (status, body) = engine.ask(method, &format!("/api/workflow/{hurt}{path}"), Value::Null).await;
        assert_eq!(status, 500, "{method} {path}: {body}");
        assert!(body.contains("seal does not fit"), "{body}");
    }
    assert_eq!(engine.get(&format!("/api/workflow/{sound}")).await["status"], "FAILED");
    assert_eq!(engine.ask("POST", &format!("/api/workflow/{sound}/retry"), Value::Null).await.0, 204);
    engine.stop();
}
