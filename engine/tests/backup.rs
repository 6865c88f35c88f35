//! Backups: taken from an engine that works, they hold everything acknowledged before, fit together, and are refused
//! when they are damaged or would overwrite something.

use crate::stage::Engine;
use serde_json::{Value, json};
use shakedown_engine::StoreUrl;
use shakedown_engine::backup::{BackupError, Manifest, backup, restore};
use std::path::{Path, PathBuf};

fn sqlite(path: &Path) -> StoreUrl {
    StoreUrl::Sqlite(path.to_owned())
}

/// Takes a backup beside the runtime's threads, as the command does from another process.
async fn taken(store: &Path, to: &Path) -> Manifest {
    let (store, to) = (store.to_owned(), to.to_owned());
    tokio::task::spawn_blocking(move || backup(&store, &to).unwrap()).await.unwrap()
}

/// A store with some workflows, and a backup of it.
async fn one(folder: &Path) -> (PathBuf, PathBuf) {
    let (store, to) = (folder.join("engine.db"), folder.join("backup"));
    let engine = Engine::start(&sqlite(&store), 1_000_000, None);
    engine.define().await;
    for round in 0..20 {
        engine.start_workflow(&format!("c{round}")).await;
    }
    engine.stop();
    taken(&store, &to).await;
    (store, to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_an_engine_that_works_hold_what_was_acknowledged_and_fit_together() {
    const BACKUPS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("engine.db");
    let engine = Engine::start(&sqlite(&store), 1_000_000, None);
    engine.define().await;
    let mut acknowledged = Vec::new();
    let mut backups = Vec::new();
    for number in 0..BACKUPS {
        let before = acknowledged.len();
        let to = folder.path().join(format!("backup {number}"));
        let copying = tokio::spawn({
            let (store, to) = (store.clone(), to.clone());
            async move { taken(&store, &to).await }
        });
        // The engine starts, ends, archives and forgets while it is copied.
        loop {
            let name = format!("c{}", acknowledged.len());
            let id = engine.start_workflow(&name).await;
            if acknowledged.len() % 3 > 0 {
                engine.work("COMPLETED").await;
            }
            engine.pass(150).await;
            acknowledged.push((id, name));
            if copying.is_finished() && acknowledged.len() >= before + 40 {
                break;
            }
        }
        copying.await.unwrap();
        backups.push((to, before));
    }
    let now = engine.stop();
    for (number, (from, before)) in backups.into_iter().enumerate() {
        let store = folder.path().join(format!("restored {number}.db"));
        restore(&from, &store).unwrap();
        let engine = Engine::start(&sqlite(&store), now, None);
        for (id, name) in &acknowledged[..before] {
            assert_eq!(engine.get(&format!("/api/workflow/{id}")).await["correlationId"], **name);
        }
        let found = engine.get("/api/workflow/search?query=correlationId%3Dc*&size=1").await;
        let total = found["totalHits"].as_u64().unwrap() as usize;
        assert!(
            (before..=acknowledged.len()).contains(&total),
            "{total} workflows, {before} before it began"
        );
        // It works on: what was handed out is lost with the rest, what waits is handed out.
        let id = engine.start_workflow("after").await;
        assert_eq!(engine.get(&format!("/api/workflow/{id}")).await["status"], "RUNNING");
        engine.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, from) = one(folder.path()).await;
    let target = folder.path().join("restored.db");
    for file in ["engine.db", "engine.db.archive"] {
        let path = from.join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut hurt = whole.clone();
        let middle = hurt.len() / 2;
        hurt[middle] ^= 1;
        for wrong in [&hurt, &whole[..whole.len() - 4096].to_vec()] {
            std::fs::write(&path, wrong).unwrap();
            let refused = restore(&from, &target).unwrap_err();
            assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");
            assert!(refused.to_string().contains(file), "{refused}");
            assert!(!target.exists());
        }
        std::fs::write(&path, whole).unwrap();
    }
    let manifest = from.join("backup.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let refused = restore(&from, &target).unwrap_err().to_string();
    assert!(refused.contains("use the newer engine"), "{refused}");
    std::fs::remove_file(&manifest).unwrap();
    let refused = restore(&from, &target).unwrap_err().to_string();
    assert!(refused.contains("not a whole one"), "{refused}");
    std::fs::write(&manifest, text).unwrap();
    restore(&from, &target).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_there_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (store, from) = one(folder.path()).await;
    let refused = backup(&store, &from).unwrap_err();
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
    let refused = restore(&from, &store).unwrap_err();
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
    let engine = Engine::start(&sqlite(&store), 2_000_000, None);
    let refused = restore(&from, &store).unwrap_err();
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
    let found: Value = engine.get("/api/workflow/search?query=correlationId%3Dc*").await;
    assert_eq!(found["totalHits"], json!(20));
    engine.stop();
    let nothing = folder.path().join("nothing.db");
    let refused = backup(&nothing, &folder.path().join("new")).unwrap_err().to_string();
    assert!(refused.contains("nothing.db"), "{refused}");
    assert!(!nothing.exists() && !folder.path().join("new").exists());
}
