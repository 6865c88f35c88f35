//! Drills on a real pair of PostgreSQL databases: planned changes of roles, losses that are counted, a standby that
//! dies, faults that are aimed at roles, and an owner that is killed.

use crate::pairs::{Act, Writer};
use crate::stage::{DUMMY, is_root, now, until};
use serde_json::json;
use shakedown_chaos::drill::Phase as Step;
use shakedown_chaos::fault::Fault;
use shakedown_chaos::process::Identity;
use shakedown_chaos::proxy::client::{Control, Stream, Toxic};
use shakedown_chaos::role::Seat;
use shakedown_chaos::schedule::{Scope, draw};
use shakedown_chaos::substrate::database::{Database, Phase, Replication, Settings, Side, remove_abandoned};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn the_roles_change_there_and_back_without_loss() {
    let Some(act) = Act::new(Settings::default()) else { return };
    act.table();
    let writer = Writer::start(act.db.url());
    until("rows are written", || act.rows(Side::First).len() > 50);
    for new in [Side::Second, Side::First] {
        let before = act.db.events().len();
        act.db.switch_over().unwrap();
        let fenced = act.await_phase(Phase::Fenced, before);
        assert!(fenced.text.contains("has its log to the end"), "{fenced}");
        act.await_phase(Phase::RedundancyRestored, before);
        assert_eq!(act.db.seated(Seat::Primary), new);
        let count = act.rows(new).len();
        until("rows are written after", || act.rows(new).len() > count + 20);
    }
    let account = writer.end();
    let rows = act.agree();
    assert_eq!(account.lost(&rows), Vec::<i64>::new(), "of {} acknowledged", account.acknowledged.len());
    let troubles = act.db.events().iter().filter(|event| event.phase == Phase::Trouble).count();
    assert_eq!(troubles, 0);
}

/// What lags is the link: the standby has not received what the primary has acknowledged.
#[test]
fn an_asynchronous_failover_loses_exactly_what_both_sides_say() {
    let lagging =
        Settings { replication: Replication::Asynchronous, cut_at_kill: true, ..Settings::default() };
    let Some(act) = Act::new(lagging) else { return };
    act.table();
    // Or the standby would not know the table yet.
    act.await_table(Side::Second);
    let lag = Toxic::new("lag", "latency", Stream::Downstream, &[("latency", json!(1_000))]);
    let control = Control::new(&act.stage.local.proxy_control().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(control.set_toxic("db-1.replication", &lag)).unwrap();
    let writer = Writer::start(act.db.url());
    until("the standby has some of many rows", || {
        let (first, second) = (act.rows(Side::First).len(), act.rows(Side::Second).len());
        second > 10 && first > second + 20
    });
    let account = writer.end();
    let had = act.rows(Side::First);
    act.db.kill(Seat::Primary).unwrap();
    act.await_phase(Phase::Writable, 0);
    let has = act.rows(Side::Second);
    let lost = account.lost(&has);
    let said: Vec<i64> = had.difference(&has).copied().filter(|n| !account.unknown.contains(n)).collect();
    eprintln!("{} lost of {} acknowledged", lost.len(), account.acknowledged.len());
    assert_eq!(lost, said);
    assert!(!lost.is_empty(), "a lag of a second loses something");
    let rejoined = act.await_phase(Phase::Rejoined, 0);
    assert_eq!(rejoined.text, "by pg_rewind", "what only the old one had is taken back");
    assert_eq!(act.agree(), has);
}

#[test]
fn commits_go_on_without_a_standby_that_hangs_and_wait_again_when_it_is_back() {
    let Some(act) = Act::new(Settings::default()) else { return };
    act.table();
    let writer = Writer::start(act.db.url());
    until("rows are written", || act.rows(Side::First).len() > 20);
    let paused = act.db.pause(Seat::Standby).unwrap();
    let degraded = act.await_phase(Phase::Degraded, 0);
    let took = Duration::from_nanos(degraded.at_ns - paused.at_ns);
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(6), "degraded after {took:?}");
    assert!(!act.db.is_redundant());
    let count = act.rows(Side::First).len();
    until("rows are written without it", || act.rows(Side::First).len() > count + 20);
    drop(paused);
    act.await_phase(Phase::RedundancyRestored, 0);
    assert!(act.db.is_redundant());
    let before = act.db.events().len();
    act.db.kill(Seat::Standby).unwrap();
    let rejoined = act.await_phase(Phase::Rejoined, before);
    assert_eq!((rejoined.side, rejoined.text.as_str()), (Side::Second, "started again as it was"));
    let account = writer.end();
    assert_eq!(account.lost(&act.agree()), Vec::<i64>::new());
    assert_eq!(act.db.seated(Seat::Primary), Side::First, "nobody was promoted");
}

/// A fault's role is resolved when it is due: the second kill hits whom the first one made the primary.
#[test]
fn faults_hit_whoever_is_the_primary() {
    let kill = now(Fault::Kill { restart_after_ms: None }, "db.primary", None);
    let Some(act) = Act::planned(Settings::default(), &[kill]) else { return };
    for hit in [Side::First, Side::Second] {
        let before = act.db.events().len();
        act.stage.faults.lock().unwrap().clear();
        assert!(act.stage.play_through().is_empty(), "all is healed");
        assert_eq!(act.stage.fault(Step::Applied).node.as_deref(), Some(hit.name()));
        assert!(act.stage.fault(Step::Healed).evidence.contains(hit.name()));
        act.await_phase(Phase::RedundancyRestored, before);
        assert_eq!(act.db.seated(Seat::Standby), hit);
    }
}

#[test]
fn a_planned_change_of_roles_is_a_fault_that_is_over_when_the_next_would_be_possible() {
    let switchover = now(Fault::Switchover {}, "db.primary", None);
    let Some(act) = Act::planned(Settings::default(), &[switchover]) else { return };
    assert!(act.stage.play_through().is_empty(), "all is healed");
    assert!(act.stage.fault(Step::Applied).evidence.contains("switchover_begun"));
    assert!(act.stage.fault(Step::Healed).evidence.contains("redundancy_restored"));
    assert_eq!(act.db.seated(Seat::Primary), Side::Second);
    let engine = now(Fault::Switchover {}, "engine", None);
    let roles = ["engine".parse().unwrap()];
    let error = draw(&[engine], 1, &Scope { length: None, roles: &roles }).unwrap_err().to_string();
    assert!(error.contains("switchover hurts db.primary"), "{error}");
}

#[test]
fn a_full_disk_of_the_primary_makes_the_standby_take_over() {
    if !is_root("a small disk") {
        return;
    }
    let full = now(Fault::DiskFull { disk_mib: 256 }, "db.primary", Some(Duration::from_secs(6)));
    let small = [("wal_keep_size", "64MB"), ("max_wal_size", "128MB")];
    let config = small.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let Some(act) = Act::planned(Settings { config, ..Settings::default() }, &[full]) else { return };
    act.table();
    let writer = Writer::start(act.db.url());
    until("rows are written", || act.rows(Side::First).len() > 20);
    let drill = act.stage.play();
    until("the disk is full", || act.stage.phases().contains(&Step::Applied));
    // More than is left of the files of the log that it has already.
    let fill =
        "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) FROM generate_series(1, 60)";
    assert!(act.try_run(Side::First, fill).is_err(), "there is no room for 60 MB more");
    act.await_phase(Phase::Writable, 0);
    until("the drill is over", || drill.open() == 0);
    assert!(drill.finish().is_empty(), "{:#?}", act.stage.faults.lock().unwrap());
    let rejoined = act.await_phase(Phase::Rejoined, 0);
    assert_eq!(rejoined.text, "by pg_rewind", "what it has is kept until there is room");
    act.await_phase(Phase::RedundancyRestored, 0);
    let account = writer.end();
    assert_eq!(account.lost(&act.agree()), Vec::<i64>::new());
}

#[test]
fn nothing_is_left_of_a_pair_whose_owner_is_killed() {
    if let Err(not_run) = Database::can_run() {
        eprintln!("not run: {not_run}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    // One that the databases' user can't reach: their files go elsewhere.
    let run_dir = folder.path().join("run");
    DirBuilder::new().mode(0o700).create(&run_dir).unwrap();
    let mut command = Command::new(DUMMY);
    command.arg("databases").arg(&run_dir).env("TMPDIR", folder.path());
    let mut owner = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut words = line.trim().splitn(4, ' ');
    let roots: Vec<Identity> =
        words.by_ref().take(3).map(|pid| Identity::of(pid.parse().unwrap()).unwrap()).collect();
    let all: Vec<Identity> = roots.iter().flat_map(Identity::tree).collect();
    let files = std::path::PathBuf::from(words.next().unwrap());
    assert!(all.len() > 12 && files.exists(), "{all:?} {files:?}");
    owner.kill().unwrap();
    owner.wait().unwrap();
    until("every process is gone", || !all.iter().any(Identity::is_alive));
    if files.starts_with(&run_dir) {
        return;
    }
    remove_abandoned(folder.path());
    assert!(!files.exists(), "{files:?} is the files of a pair whose owner is gone");
}
