//! The archive in PostgreSQL does what the others do, and nothing any more for who lost the lead.

use crate::cluster::{Cluster, shared};
use crate::populations::{self, asked, picks, population};
use crate::process::until;
use crate::stage::{self, Engine};
use proptest::prelude::*;
use serde_json::{Value, json};
use shakedown_engine::StoreUrl;
use shakedown_engine::archive::{ArchiveError, Query, Slice};
use shakedown_engine::store::open;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_leaves_memory_reads_the_same_and_can_be_taken_up_again() {
    let Some((cluster, schema)) = shared() else { return };
    stage::take_up_again(&StoreUrl::Postgres(Box::new(cluster.address(&schema)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_forgotten() {
    let Some((cluster, schema)) = shared() else { return };
    stage::forget_the_old(&StoreUrl::Postgres(Box::new(cluster.address(&schema)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_reads_the_archive_and_the_frames_since() {
    let Some((cluster, schema)) = shared() else { return };
    let store = StoreUrl::Postgres(Box::new(cluster.address(&schema)));
    let engine = Engine::start(&store, 1_000_000, None);
    engine.define().await;
    let mut before = Vec::new();
    for round in 0..30 {
        let id = engine.start_workflow(&format!("c{round}")).await;
        if round % 3 > 0 {
            engine.work(if round % 3 == 1 { "COMPLETED" } else { "FAILED" }).await;
        }
        engine.pass(700).await;
        before.push(id);
    }
    let mut views = Vec::new();
    for id in &before {
        views.push(engine.get(&format!("/api/workflow/{id}")).await);
    }
    let now = engine.stop();
    let engine = Engine::start(&store, now, None);
    for (id, view) in before.iter().zip(&views) {
        assert_eq!(&engine.get(&format!("/api/workflow/{id}")).await, view);
    }
    let total = engine.get("/api/workflow/search?query=correlationId%3Dc*").await["totalHits"].clone();
    assert_eq!(total, json!(30));
    engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_may_send_can_be_saved_and_found() {
    let Some((cluster, schema)) = shared() else { return };
    let engine = Engine::start(&StoreUrl::Postgres(Box::new(cluster.address(&schema))), 1_000_000, None);
    engine.define().await;
    // PostgreSQL's text holds no NUL, and its indexes no long entry.
    let odd = ["nul \0 in it".to_owned(), "ünï".to_owned(), "long ".repeat(2000), "100%_\\".to_owned()];
    for name in &odd {
        engine.start_workflow(name).await;
        engine.work("COMPLETED").await;
    }
    engine.pass(2000).await;
    engine.until_in_memory(0).await;
    for name in &odd {
        let query = Query::of_correlation("w", name);
        let archive = engine.archive();
        let found = tokio::task::spawn_blocking(move || archive.search(&query).unwrap()).await.unwrap();
        assert_eq!(found.total, 1, "{name}");
        assert_eq!(found.workflows[0].start.correlation_id.as_deref(), Some(name.as_str()));
    }
    let hits = engine.get("/api/workflow/search?query=correlationId%3D100%25_*").await["totalHits"].clone();
    assert_eq!(hits, json!(1), "what means something in LIKE means itself");
    let hits = engine.get("/api/workflow/search?query=correlationId%3D1__%25*").await["totalHits"].clone();
    assert_eq!(hits, json!(0));
    engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_workflow_is_told() {
    let Some((cluster, schema)) = shared() else { return };
    let engine = Engine::start(&StoreUrl::Postgres(Box::new(cluster.address(&schema))), 1_000_000, None);
    engine.define().await;
    let hurt = engine.start_workflow("hurt").await;
    engine.work("FAILED_WITH_TERMINAL_ERROR").await;
    engine.pass(2000).await;
    engine.until_in_memory(0).await;
    cluster.sql(&format!(
        "UPDATE {schema}.workflow SET body = convert_to(replace(convert_from(body, 'UTF8'), \
         '\"for\":\"hurt\"', '\"for\":\"hurl\"'), 'UTF8')"
    ));
    let (status, body) = engine.ask("GET", &format!("/api/workflow/{hurt}"), Value::Null).await;
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("seal does not fit"), "{body}");
    engine.stop();
}

#[test]
fn who_lost_the_lead_saves_nothing_more() {
    let Some((cluster, schema)) = shared() else { return };
    let url = StoreUrl::Postgres(Box::new(cluster.address(&schema)));
    let (old_journal, old) = open(&url).unwrap();
    let one = population(&[(1, 1, 1)]);
    old.save(&one).unwrap();
    let (mut journal, new) = open(&url).unwrap();
    assert!(matches!(old.save(&population(&[(2, 2, 2); 3])), Err(ArchiveError::Deposed { .. })));
    assert_eq!(old.prune(u64::MAX, 100).unwrap(), 0);
    new.save(&Slice { low_water: 7, ..one }).unwrap();
    journal.hold().unwrap();
    let all = Query::parse("", "", 0, 100, false).unwrap();
    assert_eq!(new.search(&all).unwrap().total, 1);
    assert_eq!(cluster.sql(&format!("SELECT saves, low_water FROM {schema}.archive")), "2|7");
    drop(old_journal);
}

#[test]
fn the_writer_waits_for_nobody_who_only_looks() {
    let Some(cluster) = Cluster::start("") else { return };
    let url = StoreUrl::Postgres(Box::new(cluster.address("looks")));
    let (mut journal, archive) = open(&url).unwrap();
    let one = population(&[(1, 1, 1)]);
    archive.save(&one).unwrap();
    let id = one.workflows[0].id;
    journal.close();
    drop((journal, archive));
    // Opened anew it has no definitions at hand, and reads them for each look.
    let (_journal, archive) = open(&url).unwrap();
    let looked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            cluster.sql("BEGIN; LOCK TABLE looks.snapshot IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(6)");
        });
        let waiting = |what: &str| -> u32 {
            cluster
                .sql(&format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event{what}"))
                .parse()
                .unwrap()
        };
        until("the definitions are locked", || waiting(" = 'PgSleep'") == 1);
        for _ in 0..40 {
            scope.spawn(|| {
                let _ = archive.look(id);
                looked.fetch_add(1, Ordering::SeqCst);
            });
        }
        until("lookers wait in the database", || waiting("_type = 'Lock'") >= 12);
        assert_eq!(archive.keyed(&[("w", "nobody")]).unwrap(), [None]);
        assert_eq!(looked.load(Ordering::SeqCst), 0, "it came first");
    });
}

#[test]
fn who_reads_in_bursts_opens_no_new_sessions_for_each() {
    let Some(cluster) = Cluster::start("") else { return };
    let (_journal, archive) = open(&StoreUrl::Postgres(Box::new(cluster.address("bursts")))).unwrap();
    let none = Query::of_correlation("w", "nobody");
    let burst = || {
        let together = Barrier::new(12);
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    together.wait();
                    for _ in 0..20 {
                        archive.search(&none).unwrap();
                    }
                });
            }
        });
        let sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'shakedown %'";
        cluster.sql(sql).lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (first, second) = (burst(), burst());
    assert!(first.len() > 8, "so many at once: {first:?}");
    assert!(second.is_superset(&first), "{first:?} became {second:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn it_finds_what_the_archive_in_memory_finds(picks in picks(), asked in asked()) {
        if let Some((cluster, schema)) = shared() {
            let (_journal, archive) = open(&StoreUrl::Postgres(Box::new(cluster.address(&schema)))).unwrap();
            populations::finds_the_same(archive.as_ref(), &picks, asked)?;
        }
    }
}
