//! The archive: what ended leaves memory and reads the same, a start reads the archive and only the frames since,
//! both archives find the same, and a file that does not belong here is refused.

use crate::populations;
use crate::stage::{self, Engine, LOOKS};
use proptest::prelude::*;
use serde_json::{Value, json};
use shakedown_engine::StoreUrl;
use shakedown_engine::archive::{Archive, Query, SqliteArchive};
use shakedown_engine::store::{archive_path, encode, open};
use shakedown_engine::writer::Writer;

#[tokio::test]
async fn what_ended_leaves_memory_reads_the_same_and_can_be_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    stage::take_up_again(&StoreUrl::Sqlite(dir.path().join("engine.db"))).await;
}

#[tokio::test]
async fn a_start_reads_the_archive_and_the_frames_since() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("engine.db");
    let engine = Engine::start(&StoreUrl::Sqlite(store.clone()), 1_000_000, None);
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
    let engine = Engine::start(&StoreUrl::Sqlite(store.clone()), now, None);
    assert_eq!(views(&engine).await, before);
    let total = engine.get("/api/workflow/search?query=correlationId%3Dc*").await["totalHits"].clone();
    assert_eq!(total, json!(40));
    engine.stop();
}

#[tokio::test]
async fn what_is_too_old_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    stage::forget_the_old(&StoreUrl::Sqlite(dir.path().join("engine.db"))).await;
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn both_archives_find_the_same(picks in populations::picks(), asked in populations::asked()) {
        let dir = tempfile::tempdir().unwrap();
        let on_disk = SqliteArchive::open(&dir.path().join("a.db"), "test").unwrap();
        populations::finds_the_same(&on_disk, &picks, asked)?;
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
    let engine = Engine::start(&StoreUrl::Sqlite(store.clone()), 1_000_000, None);
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
