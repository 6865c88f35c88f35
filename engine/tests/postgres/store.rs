//! The laws of the journal in PostgreSQL: in order, fenced, and certain whatever becomes of an answer.

use crate::cluster::{Cluster, address, shared};
use shakedown_engine::StoreUrl;
use shakedown_engine::postgres::Address;
use shakedown_engine::store::{AppendError, Postgres, Store, StoreError, open};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn opened(address: &Address) -> Postgres {
    // The node is named after its schema, so that a test ends no sessions but its own.
    Postgres::open(address, address.schema()).unwrap().0
}

fn replayed(store: &mut Postgres) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    store
        .replay(&mut |position, frame| {
            frames.push((position, frame.to_vec()));
            Ok(())
        })
        .unwrap();
    frames
}

#[test]
fn frames_come_back_in_order_after_reopening() {
    let Some((cluster, schema)) = shared() else { return };
    let address = cluster.address(&schema);
    let mut store = opened(&address);
    for (position, frame) in ["a", "b", "c"].into_iter().enumerate() {
        store.append(position as u64, frame.as_bytes()).unwrap();
    }
    store.append(3, &vec![b' '; 9 << 20]).unwrap();
    store.close();
    let mut store = opened(&address);
    let frames = replayed(&mut store);
    assert_eq!(frames[..3], [(0, b"a".to_vec()), (1, b"b".to_vec()), (2, b"c".to_vec())]);
    assert_eq!(frames[3].1.len(), 9 << 20);
}

#[test]
fn what_is_not_needed_goes_and_the_last_frames_stay() {
    let Some((cluster, schema)) = shared() else { return };
    let mut store = opened(&cluster.address(&schema));
    for position in 0..1200 {
        store.append(position, b"[]").unwrap();
        store.forget(position);
    }
    let first = cluster.sql(&format!("SELECT min(position), count(*) FROM {schema}.frame"));
    assert_eq!(first, "175|1025", "the last 1024 frames before the newest are kept for followers");
    assert_eq!(replayed(&mut store)[0].0, 175);
}

#[test]
fn a_gap_a_newer_frame_a_newer_schema_and_foreign_tables_are_refused() {
    let Some((cluster, schema)) = shared() else { return };
    let address = cluster.address(&schema);
    let mut store = opened(&address);
    (0..4).for_each(|position| store.append(position, b"[]").unwrap());
    let refusal = |store: &mut Postgres| store.replay(&mut |_, _| Ok(())).unwrap_err();
    cluster.sql(&format!("DELETE FROM {schema}.frame WHERE position = 2"));
    let refused = refusal(&mut store).to_string();
    assert!(refused.contains("frame 2 is missing, the next one is 3"), "{refused}");
    cluster.sql(&format!("DELETE FROM {schema}.frame WHERE position = 3"));
    let refused = refusal(&mut store).to_string();
    assert!(refused.contains("ends before frame 2, the head row says 4"), "{refused}");
    cluster.sql(&format!("UPDATE {schema}.frame SET version = 99 WHERE position = 1"));
    assert!(matches!(refusal(&mut store), StoreError::Newer { found: 99, .. }));
    store.close();
    cluster.sql(&format!("UPDATE {schema}.head SET version = 99"));
    let refused = Postgres::open(&address, "test").err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
    cluster.sql("CREATE SCHEMA foreigner; CREATE TABLE foreigner.head (id int)");
    let refused = Postgres::open(&cluster.address("foreigner"), "test").err().unwrap().to_string();
    assert!(refused.contains("tables of another program") && refused.contains("?schema=NAME"), "{refused}");
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'foreigner'"), "1");
}

#[test]
fn who_lost_the_lead_appends_nothing_more() {
    let Some((cluster, schema)) = shared() else { return };
    let address = cluster.address(&schema);
    let mut old = opened(&address);
    old.append(0, b"old").unwrap();
    old.hold().unwrap();
    // The lease runs out: nobody moves the head for a second.
    let mut new = opened(&address);
    assert_eq!(replayed(&mut new).len(), 1);
    assert!(matches!(old.append(1, b"late"), Err(AppendError::Fenced(_))));
    assert!(matches!(old.hold(), Err(AppendError::Fenced(_))), "nor does it answer from memory");
    new.append(1, b"new").unwrap();
    assert!(matches!(old.append(1, b"late"), Err(AppendError::Fenced(_))));
    assert_eq!(replayed(&mut new), [(0, b"old".to_vec()), (1, b"new".to_vec())]);
}

#[test]
fn a_leader_that_lives_is_left_alone() {
    let Some((cluster, schema)) = shared() else { return };
    let address = cluster.address(&schema);
    let mut leader = opened(&address);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let refused = Postgres::open(&address, "other").err().map(|error| error.to_string());
            done.store(true, Ordering::SeqCst);
            refused
        });
        while !done.load(Ordering::SeqCst) {
            leader.hold().unwrap();
        }
        let refused = other.join().unwrap().unwrap();
        assert!(refused.contains("which lives; stop it"), "{refused}");
    });
    leader.append(0, b"[]").unwrap();
}

/// Whatever becomes of the connection at whatever moment, each append ends up as what its answer said.
#[test]
fn connections_that_are_cut_in_the_middle_leave_no_doubt() {
    let Some((cluster, schema)) = shared() else { return };
    let mut store = opened(&cluster.address(&schema));
    let done = AtomicBool::new(false);
    let (mut kept, mut gone) = (Vec::new(), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let kill = format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE application_name = 'shakedown {schema}' AND query LIKE '%INSERT INTO frame%'"
            );
            while !done.load(Ordering::SeqCst) {
                cluster.sql(&kill);
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            let frame = format!("frame {}", kept.len() + gone).into_bytes();
            match store.append(kept.len() as u64, &frame) {
                Ok(()) => kept.push((kept.len() as u64, frame)),
                Err(AppendError::RolledBack(_)) => gone += 1,
                Err(other) => panic!("{other}"),
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    println!("{} kept, {gone} rolled back", kept.len());
    assert!(kept.len() > 20 && gone > 0, "{} kept, {gone} gone", kept.len());
    assert_eq!(replayed(&mut store), kept, "{gone} were rolled back");
}

/// A pair whose primary waits for its standby with every commit.
pub fn pair() -> Option<(Cluster, Cluster)> {
    let primary = Cluster::start("wal_level = replica")?;
    let standby = primary.standby("second", "");
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'second'");
    primary.sql("SELECT pg_reload_conf()");
    let waits = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    let begun = Instant::now();
    while primary.sql(waits) != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the standby does not follow");
    }
    Some((primary, standby))
}

#[test]
fn a_commit_that_did_not_wait_for_its_standby_is_not_taken_for_one() {
    let Some((primary, mut standby)) = pair() else { return };
    let address = address(&[primary.port, standby.port], "test");
    let mut store = opened(&address);
    store.append(0, b"safe").unwrap();
    standby.kill();
    thread::scope(|scope| {
        let append = scope.spawn(|| {
            let begun = Instant::now();
            (store.append(1, b"unsafe"), begun.elapsed())
        });
        // An operator who ends the wait makes a commit that a failover may undo.
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
             WHERE application_name = 'shakedown test' AND wait_event = 'SyncRep'";
        let begun = Instant::now();
        while primary.sql(cancel) == "0" {
            assert!(begun.elapsed() < Duration::from_secs(10), "the append does not wait for the standby");
        }
        let (appended, took) = append.join().unwrap();
        assert!(matches!(appended, Err(AppendError::Broken(_))), "{appended:?}");
        assert!(took < Duration::from_secs(15), "it waited {took:?} for a standby that is gone");
    });
    // With the standby back the same row is certain, and only then it is told.
    standby.restart();
    let mut store = opened(&address);
    assert_eq!(replayed(&mut store).last().unwrap(), &(1, b"unsafe".to_vec()));
    store.append(2, b"safe again").unwrap();
}

#[test]
fn a_promoted_standby_is_found_and_has_everything() {
    let Some((mut primary, standby)) = pair() else { return };
    let mut store = opened(&address(&[primary.port, standby.port], "test"));
    let frames: Vec<_> = (0..50_u64).map(|n| (n, format!("frame {n}").into_bytes())).collect();
    for (position, frame) in &frames {
        store.append(*position, frame).unwrap();
    }
    primary.kill();
    let appended = thread::scope(|scope| {
        let append = scope.spawn(|| store.append(50, b"after"));
        standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
        standby.promote();
        append.join().unwrap()
    });
    match appended {
        Ok(()) => {}
        Err(AppendError::RolledBack(_)) => store.append(50, b"after").unwrap(),
        Err(other) => panic!("{other}"),
    }
    let now = replayed(&mut store);
    assert_eq!(now[..50], frames);
    assert_eq!(now[50].1, b"after");
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let Some(cluster) = Cluster::start("") else { return };
    let mut store = opened(&cluster.address("test"));
    store.append(0, b"[]").unwrap();
    // A lock of somebody else on the head row: nothing can move.
    thread::scope(|scope| {
        scope.spawn(|| {
            cluster.sql("BEGIN; SELECT * FROM test.head FOR UPDATE; SELECT pg_sleep(4)");
        });
        let locked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        let begun = Instant::now();
        while cluster.sql(locked) == "0" {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        let begun = Instant::now();
        let appended = store.append(1, b"[]");
        assert!(matches!(appended, Err(AppendError::RolledBack(_))), "{appended:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
    store.append(1, b"[]").unwrap();
    assert_eq!(replayed(&mut store).len(), 2);
}

#[test]
fn who_loses_the_lead_while_it_reads_back_is_told_that_and_not_of_damage() {
    let Some((cluster, schema)) = shared() else { return };
    let mut store = opened(&cluster.address(&schema));
    for position in 0..3 {
        store.append(position, b"[]").unwrap();
    }
    let mut stolen = false;
    let read = store.replay(&mut |position, _| {
        if position == 2 && !std::mem::replace(&mut stolen, true) {
            // Another node takes the lead and writes, and the frame is not read any more.
            cluster.sql(&format!(
                "UPDATE {schema}.head SET holder = 'another', node = 'two', epoch = epoch + 1, position = position + 1"
            ));
        }
        Ok(())
    });
    assert!(
        matches!(&read, Err(StoreError::Database { why, may_pass: true }) if why.contains("two")),
        "{read:?}"
    );
}

#[test]
fn the_seam_opens_it_by_its_url() {
    let Some((cluster, schema)) = shared() else { return };
    let url = StoreUrl::Postgres(Box::new(cluster.address(&schema)));
    let (mut store, archive) = open(&url).unwrap();
    store.append(0, b"[]").unwrap();
    assert_eq!(archive.prune(0, 1).unwrap(), 0);
    assert!(!url.to_string().contains("s3cret"), "{url}");
}
