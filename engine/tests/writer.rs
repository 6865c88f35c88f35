//! What the writer does when the disk does not: a full disk changes nothing and is told, a broken one ends it
//! before anybody was answered.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shakedown_engine::api::problem::NOT_LEADING;
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::{Archive, MemoryArchive};
use shakedown_engine::store::{AppendError, Apply, Memory, Sqlite, Store, StoreError, Synchronous};
use shakedown_engine::writer::{Handle, Writer, WriterError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use tower::ServiceExt;

const WELL: u8 = 0;
const FULL: u8 = 1;
const BROKEN: u8 = 2;
/// Another engine has the journal.
const TAKEN: u8 = 3;
/// Nothing is taken, and nothing can be read back.
const AWAY: u8 = 4;
/// It is not known who has the journal.
const SILENT: u8 = 5;

/// A journal whose disk is well, full or broken, as the test says, or that another engine has taken.
struct Moody {
    journal: Memory,
    mood: Arc<AtomicU8>,
}

impl Store for Moody {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        match self.mood.load(Ordering::SeqCst) {
            WELL => self.journal.append(position, frame),
            FULL => Err(AppendError::Full("planted".into())),
            TAKEN => Err(AppendError::Fenced("planted".into())),
            AWAY => Err(AppendError::RolledBack("planted".into())),
            _ => Err(AppendError::Broken("planted".into())),
        }
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        if self.mood.load(Ordering::SeqCst) == AWAY {
            return Err(StoreError::Database { why: "planted".into(), may_pass: true });
        }
        self.journal.replay(apply)
    }

    fn forget(&mut self, position: u64) {
        self.journal.forget(position);
    }

    fn hold(&mut self) -> Result<(), AppendError> {
        match self.mood.load(Ordering::SeqCst) {
            TAKEN => Err(AppendError::Fenced("planted".into())),
            SILENT => Err(AppendError::Broken("planted".into())),
            _ => Ok(()),
        }
    }

    fn is_shared(&self) -> bool {
        self.mood.load(Ordering::SeqCst) >= TAKEN
    }
}

struct Stage {
    routes: axum::Router,
    mood: Arc<AtomicU8>,
    clock: Arc<AtomicU64>,
    writer: JoinHandle<Result<(), WriterError>>,
}

impl Stage {
    fn new() -> Self {
        let mood = Arc::new(AtomicU8::new(WELL));
        let store = Moody { journal: Memory::default(), mood: Arc::clone(&mood) };
        Self::on(Box::new(store), mood, 1_000_000)
    }

    fn on(store: Box<dyn Store>, mood: Arc<AtomicU8>, now: u64) -> Self {
        Self::with((store, Arc::new(MemoryArchive::default())), mood, now)
    }

    fn with((store, archive): (Box<dyn Store>, Arc<dyn Archive>), mood: Arc<AtomicU8>, now: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(now));
        let time = Arc::clone(&clock);
        let read = Box::new(move || time.load(Ordering::SeqCst));
        let writer = Writer::open((store, archive.clone()), read, None).unwrap();
        let metrics = writer.metrics();
        let (handle, requests) = Handle::channel();
        let writer = std::thread::spawn(move || writer.run(&requests));
        Self { routes: routes(Api { writer: handle, archive, metrics }), mood, clock, writer }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, _, body) = self.answer(method, path, body).await;
        (status, body)
    }

    /// Status, whether another node may be asked the same, and body.
    async fn answer(&self, method: &str, path: &str, body: Value) -> (u16, bool, String) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let (status, elsewhere) = (answer.status().as_u16(), answer.headers().contains_key(NOT_LEADING));
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, elsewhere, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn with_workflow() -> (Self, String) {
        let stage = Self::new();
        let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
        assert_eq!(stage.ask("POST", "/api/metadata/workflow", def).await.0, 200);
        let (status, id) = stage.start().await;
        assert_eq!(status, 200);
        (stage, id)
    }

    async fn start(&self) -> (u16, String) {
        self.ask("POST", "/api/workflow", json!({"name": "w"})).await
    }
}

#[tokio::test]
async fn a_full_disk_is_told_changes_nothing_and_passes() {
    let (stage, id) = Stage::with_workflow().await;
    stage.mood.store(FULL, Ordering::SeqCst);
    for _ in 0..3 {
        let (status, body) = stage.start().await;
        assert_eq!(status, 507, "{body}");
        assert!(body.contains("free space and try again"), "{body}");
    }
    let poll = "/api/tasks/poll/batch/a?timeout=0";
    assert_eq!(stage.ask("GET", poll, Value::Null).await.0, 507);
    assert_eq!(stage.ask("GET", "/health", Value::Null).await.0, 503);
    // What is durable can be read, and shows nothing of what was refused.
    let (status, workflow) = stage.ask("GET", &format!("/api/workflow/{id}"), Value::Null).await;
    assert_eq!(status, 200);
    let workflow: Value = serde_json::from_str(&workflow).unwrap();
    assert_eq!(workflow["tasks"][0]["status"], "SCHEDULED");
    assert_eq!(stage.ask("GET", "/api/tasks/queue/size?taskType=a", Value::Null).await.1, "1");

    stage.mood.store(WELL, Ordering::SeqCst);
    stage.clock.fetch_add(250, Ordering::SeqCst);
    assert_eq!(stage.start().await.0, 200);
    assert_eq!(stage.ask("GET", "/health", Value::Null).await.0, 200);
    assert_eq!(stage.ask("GET", "/api/tasks/queue/size?taskType=a", Value::Null).await.1, "2");
}

#[tokio::test]
async fn a_broken_disk_ends_the_writer_and_nobody_is_told_that_it_worked() {
    let (stage, _) = Stage::with_workflow().await;
    stage.mood.store(BROKEN, Ordering::SeqCst);
    let (status, body) = stage.start().await;
    // Not 503: clients take that for a refusal, and nobody knows whether this was done.
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("may or may not have been carried out"), "{body}");
    let error = stage.writer.join().unwrap().unwrap_err();
    assert!(matches!(error, WriterError::Append(_)), "{error}");
}

#[tokio::test]
async fn a_search_that_waits_when_the_lead_is_lost_may_be_asked_of_another() {
    let (stage, _) = Stage::with_workflow().await;
    stage.mood.store(TAKEN, Ordering::SeqCst);
    let search = "/api/workflow/search?query=workflowType%3Dw";
    for _ in 0..2 {
        // First while it waits for the writer, then when that is gone.
        let (status, elsewhere, body) = stage.answer("GET", search, Value::Null).await;
        assert_eq!((status, elsewhere), (503, true), "{body}");
        assert!(body.contains("nothing was changed, try again"), "{body}");
    }
    let error = stage.writer.join().unwrap().unwrap_err();
    assert!(matches!(error, WriterError::Deposed(_)), "{error}");
}

#[tokio::test]
async fn who_only_looks_while_nobody_knows_who_leads_may_ask_another() {
    let (stage, id) = Stage::with_workflow().await;
    stage.mood.store(SILENT, Ordering::SeqCst);
    let (status, elsewhere, body) = stage.answer("GET", &format!("/api/workflow/{id}"), Value::Null).await;
    assert_eq!((status, elsewhere), (503, true), "nothing of it can have happened: {body}");
}

#[tokio::test]
async fn what_was_surely_rolled_back_is_told_as_that_though_nothing_can_be_read_any_more() {
    let (stage, _) = Stage::with_workflow().await;
    stage.mood.store(AWAY, Ordering::SeqCst);
    let (status, body) = stage.start().await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("nothing was changed"), "{body}");
    assert!(stage.writer.join().unwrap().is_err());
}

#[tokio::test]
async fn health_appends_when_nothing_else_has_for_a_while() {
    let (stage, _) = Stage::with_workflow().await;
    stage.mood.store(FULL, Ordering::SeqCst);
    assert_eq!(stage.ask("GET", "/health", Value::Null).await.0, 200, "an append was just seen to work");
    stage.clock.fetch_add(5000, Ordering::SeqCst);
    assert_eq!(
        stage.ask("GET", "/health", Value::Null).await.0,
        503,
        "nobody wrote, and it is full all the same"
    );
}

/// A journal in `folder`, opened at `now`; dropping the stage's routes and joining its writer closes it.
fn at(folder: &std::path::Path, now: u64) -> Stage {
    let store = Sqlite::open(&folder.join("journal.db"), Synchronous::Off).unwrap();
    Stage::on(Box::new(store), Arc::new(AtomicU8::new(WELL)), now)
}

fn close(stage: Stage) {
    drop(stage.routes);
    stage.writer.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_restart_goes_on_from_the_journals_time_and_gives_workers_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let stage = at(folder.path(), 1_000_000);
    let task = json!([{"name": "a", "responseTimeoutSeconds": 10, "retryDelaySeconds": 0}]);
    assert_eq!(stage.ask("POST", "/api/metadata/taskdefs", task).await.0, 200);
    let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]});
    assert_eq!(stage.ask("POST", "/api/metadata/workflow", def).await.0, 200);
    let (_, id) = stage.start().await;
    let poll = "/api/tasks/poll/batch/a?timeout=0";
    assert!(stage.ask("GET", poll, Value::Null).await.1.contains("IN_PROGRESS"));
    close(stage);

    // An hour away: the lease is long over, but its worker gets a second to come back.
    let stage = at(folder.path(), 4_600_000);
    let workflow = format!("/api/workflow/{id}");
    assert!(!stage.ask("GET", &workflow, Value::Null).await.1.contains("TIMED_OUT"));
    stage.clock.fetch_add(1000, Ordering::SeqCst);
    assert!(stage.ask("GET", &workflow, Value::Null).await.1.contains("TIMED_OUT"));
    close(stage);

    // The wall clock was set back meanwhile: time goes on from where the journal is.
    let stage = at(folder.path(), 500_000);
    let (_, later) = stage.start().await;
    let text = stage.ask("GET", &format!("/api/workflow/{later}"), Value::Null).await.1;
    let created = serde_json::from_str::<Value>(&text).unwrap()["createTime"].as_u64().unwrap();
    assert!(created >= 4_601_000, "{created}");
    close(stage);
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_take_time_back() {
    let (stage, id) = Stage::with_workflow().await;
    stage.clock.store(500_000, Ordering::SeqCst);
    let (_, later) = stage.start().await;
    let created =
        |text: String| serde_json::from_str::<Value>(&text).unwrap()["createTime"].as_u64().unwrap();
    let first = created(stage.ask("GET", &format!("/api/workflow/{id}"), Value::Null).await.1);
    let second = created(stage.ask("GET", &format!("/api/workflow/{later}"), Value::Null).await.1);
    assert!(second >= first, "{second} < {first}");
}
