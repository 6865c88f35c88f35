//! Every answer that changes something waits for a sync of the disk. Counted below the engine, in SQLite's VFS:
//! a killed process keeps the page cache, so killing alone would never show a missing sync.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use rusqlite::ffi;
use serde_json::{Value, json};
use shakedown_engine::api::{Api, routes};
use shakedown_engine::archive::{Archive, MemoryArchive, Slice, SqliteArchive};
use shakedown_engine::clock;
use shakedown_engine::store::{Sqlite, Synchronous};
use shakedown_engine::writer::{Handle, Writer};
use std::ffi::c_int;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use tower::ServiceExt;

static SYNCS: AtomicU64 = AtomicU64::new(0);
type SyncMethod = unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int;
static ORIGINAL_SYNC: OnceLock<SyncMethod> = OnceLock::new();
static ORIGINAL: OnceLock<Original> = OnceLock::new();
/// The count is of the whole process, so the cases take turns.
static TURN: Mutex<()> = Mutex::new(());

/// The default VFS, whose `xOpen` the counting one wraps.
struct Original(*mut ffi::sqlite3_vfs);
// SAFETY: SQLite's VFS objects are static and made for use from any thread; this one is only read.
unsafe impl Send for Original {}
// SAFETY: as above.
unsafe impl Sync for Original {}

/// Counts, then syncs as the original does.
unsafe extern "C" fn counting_sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    SYNCS.fetch_add(1, Ordering::SeqCst);
    let sync = ORIGINAL_SYNC.get().expect("a file is opened before it is synced");
    // SAFETY: `file` was opened by the VFS that this function belongs to.
    unsafe { sync(file, flags) }
}

/// Opens as the original does, and gives the file a table of methods whose sync counts.
unsafe extern "C" fn counting_open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let original = ORIGINAL.get().unwrap().0;
    // SAFETY: the arguments are SQLite's own, handed on to the VFS that they are meant for; after a successful
    // open `pMethods` points to a static table, of which a copy that lives for ever replaces it.
    unsafe {
        let code = (*original).xOpen.unwrap()(original, name, file, flags, out_flags);
        if code == ffi::SQLITE_OK && !(*file).pMethods.is_null() {
            let mut methods = *(*file).pMethods;
            ORIGINAL_SYNC.get_or_init(|| methods.xSync.unwrap());
            methods.xSync = Some(counting_sync);
            (*file).pMethods = Box::leak(Box::new(methods));
        }
        code
    }
}

/// Makes the counting VFS the default of this process.
fn count_syncs() {
    ORIGINAL.get_or_init(|| {
        // SAFETY: finding and registering a VFS is allowed at any time; the copy lives for ever.
        unsafe {
            let original = ffi::sqlite3_vfs_find(std::ptr::null());
            let mut counting = *original;
            counting.zName = c"counting".as_ptr();
            counting.xOpen = Some(counting_open);
            counting.pNext = std::ptr::null_mut();
            assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(counting)), 1), ffi::SQLITE_OK);
            Original(original)
        }
    });
}

struct Engine {
    routes: axum::Router,
}

impl Engine {
    fn start(path: &Path, synchronous: Synchronous) -> Self {
        let store = Sqlite::open(path, synchronous).unwrap();
        // The archive is in memory, so that only the journal's syncs are counted.
        let archive = Arc::new(MemoryArchive::default());
        let writer = Writer::open((Box::new(store), archive.clone()), Box::new(clock::now_ms), None).unwrap();
        let metrics = writer.metrics();
        let (handle, requests) = Handle::channel();
        std::thread::spawn(move || writer.run(&requests).unwrap());
        Self { routes: routes(Api { writer: handle, archive, metrics }) }
    }

    /// One request; answers its body and the syncs between sending and answer.
    async fn ask(&self, method: &str, path: &str, body: Value) -> (String, u64) {
        let before = SYNCS.load(Ordering::SeqCst);
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_string())).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let syncs = SYNCS.load(Ordering::SeqCst) - before;
        (String::from_utf8(bytes.to_vec()).unwrap(), syncs)
    }
}

/// Runs workflows one request at a time; names every answer to a change that came without a sync.
async fn answers_without_a_sync(synchronous: Synchronous) -> Vec<String> {
    count_syncs();
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(&dir.path().join("journal.db"), synchronous);
    let mut unsynced = Vec::new();
    let mut note = |what: &str, syncs: u64| {
        if syncs == 0 {
            unsynced.push(what.to_owned());
        }
    };
    let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}, {"name": "a", "taskReferenceName": "t2"}]});
    note("register", engine.ask("POST", "/api/metadata/workflow", def).await.1);
    for _ in 0..20 {
        let (id, syncs) = engine.ask("POST", "/api/workflow", json!({"name": "w"})).await;
        note("start", syncs);
        for _ in 0..2 {
            let (tasks, syncs) = engine.ask("GET", "/api/tasks/poll/batch/a?timeout=0", Value::Null).await;
            note("poll", syncs);
            let tasks: Value = serde_json::from_str(&tasks).unwrap();
            let update =
                json!({"workflowInstanceId": id, "taskId": tasks[0]["taskId"], "status": "COMPLETED"});
            note("update", engine.ask("POST", "/api/tasks", update).await.1);
        }
    }
    unsynced
}

#[tokio::test]
async fn every_acknowledged_change_was_synced_before_its_answer() {
    let _turn = TURN.lock();
    assert_eq!(answers_without_a_sync(Synchronous::Full).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_does_not_sync_is_found_out() {
    let _turn = TURN.lock();
    let unsynced = answers_without_a_sync(Synchronous::Off).await;
    // 20 × (start, 2 polls, 2 updates) and the registration.
    assert_eq!(unsynced.len(), 101, "{unsynced:?}");
}

/// The journal forgets frames after a sync of the archive: without one a loss of power would take both.
#[test]
fn a_reader_does_not_keep_the_archive_from_being_synced() {
    let _turn = TURN.lock();
    count_syncs();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db.archive");
    let archive = SqliteArchive::open(&path, "store").unwrap();
    let save = |last_at| archive.save(&Slice { last_at, ..Slice::default() }).unwrap();
    save(1);
    archive.sync().unwrap();
    // A search that takes its time: it sees the file as it is now, and nothing newer can be copied there.
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM meta;").unwrap();
    for last_at in 2..5 {
        save(last_at);
        let before = SYNCS.load(Ordering::SeqCst);
        archive.sync().unwrap();
        assert!(SYNCS.load(Ordering::SeqCst) > before, "what was saved last ({last_at}) is not on the disk");
    }
}
