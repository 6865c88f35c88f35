//! A real pair of PostgreSQL databases: it comes up, fails over from a primary that is dead or hangs, and nothing of it
//! is left.

use crate::pairs::{self, Act, Writer};
use crate::stage::until;
use shakedown_chaos::process;
use shakedown_chaos::proxy::client::Control;
use shakedown_chaos::role::Seat;
use shakedown_chaos::substrate::database::{Fence, Phase, Settings, Side};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a busy machine may add to a timer.
const SLACK: Duration = Duration::from_millis(500);

#[test]
fn a_pair_comes_up_follows_and_goes() {
    let Some(act) = Act::new(Settings::default()) else { return };
    act.table();
    act.run(Side::First, "INSERT INTO written VALUES (1)");
    assert_eq!(act.agree().len(), 1);
    let processes: Vec<_> = [Side::First, Side::Second].map(|side| act.db.process(side).unwrap()).to_vec();
    let all: Vec<_> = processes.iter().flat_map(process::Identity::tree).collect();
    assert!(all.len() > 8, "a database is many processes: {all:?}");
    let folder = act.db.folder().to_owned();
    act.db.stop(Duration::from_secs(10));
    until("every process of the databases is gone", || !all.iter().any(process::Identity::is_alive));
    drop(act);
    assert!(!folder.exists(), "what was put outside of the run's folder is removed");
}

#[test]
fn a_killed_primary_is_followed_without_loss_and_comes_back() {
    let Some(act) = Act::new(Settings::default()) else { return };
    act.table();
    let writer = Writer::start(act.db.url());
    until("rows are written", || act.rows(Side::First).len() > 50);
    let killed = act.db.kill(Seat::Primary).unwrap();
    act.await_phase(Phase::Writable, 0);
    act.await_phase(Phase::RedundancyRestored, 0);
    let count = act.rows(Side::Second).len();
    until("rows are written after", || act.rows(Side::Second).len() > count + 50);
    let account = writer.end();
    let rows = act.agree();
    assert_eq!(account.lost(&rows), Vec::<i64>::new(), "of {} acknowledged", account.acknowledged.len());
    let first = account.first_after(killed.ended.at_ns) - killed.ended.at_ns;
    eprintln!(
        "first write {:.0} ms after the kill, {} acknowledged",
        first as f64 / 1e6,
        account.acknowledged.len()
    );
    assert!(first < 3_000_000_000, "first write {first} ns after the kill");
    assert_eq!(act.db.seated(Seat::Primary), Side::Second);
    let late = act.await_phase(Phase::LateWrites, 0);
    assert!(late.text.starts_with("10 refused, 0 accepted, 0 unknown"), "{late}");
    let rejoined = act.await_phase(Phase::Rejoined, 0);
    assert_eq!(rejoined.text, "by pg_rewind");
}

/// A primary that hangs is found as one that is dead is, and cut off; when it goes on, it refuses what is written to it.
#[test]
fn a_hung_primary_that_comes_back_refuses_late_writes() {
    let fenced = Settings { fence: Fence::Link, ..Settings::default() };
    let Some(act) = Act::new(fenced) else { return };
    act.table();
    let writer = Writer::start(act.db.url());
    until("rows are written", || act.rows(Side::First).len() > 50);
    let paused = act.db.pause(Seat::Primary).unwrap();
    let hung_ns = paused.at_ns;
    let detected = act.await_phase(Phase::Detected, 0);
    let took = Duration::from_nanos(detected.at_ns - hung_ns);
    assert!(took <= act.db.settings().detect_at_most() + SLACK, "detected after {took:?}");
    act.await_phase(Phase::Writable, 0);
    assert!(act.db.process(Side::First).unwrap().state() == Some('T'), "it is there, and hangs");
    drop(paused);
    let late = act.await_phase(Phase::LateWrites, 0);
    // On a busy machine one may get no answer in time: that is unknown, and no row of it is anywhere (below).
    let refused: u32 = late.text.split(' ').next().unwrap().parse().unwrap();
    assert!(refused > 0 && late.text.contains(", 0 accepted,"), "{late}");
    assert!(late.text.contains("read-only transaction"), "by itself, not by a port that is closed: {late}");
    act.await_phase(Phase::RedundancyRestored, 0);
    let account = writer.end();
    let rows = act.agree();
    assert_eq!(account.lost(&rows), Vec::<i64>::new(), "of {} acknowledged", account.acknowledged.len());
    let first = account.first_after(hung_ns) - hung_ns;
    assert!(first < 3_000_000_000, "first write {first} ns after it hung");
    let seats = [Side::First, Side::Second].map(|side| late_rows(&act, side));
    assert_eq!(seats, [0, 0], "no late write is anywhere");
}

/// The fence by links alone holds though a fault had cut one of them before, and is healed while it is up.
#[test]
fn a_link_that_a_fault_heals_stays_closed_as_long_as_the_fence_is_up() {
    let fenced = Settings { fence: Fence::Link, ..Settings::default() };
    let Some(act) = Act::new(fenced) else { return };
    let control = Control::new(&act.stage.local.proxy_control().unwrap()).unwrap();
    let runtime = pairs::runtime();
    let cut = |is_cut: bool| runtime.block_on(control.set_enabled("db-1", !is_cut)).unwrap();
    let address: SocketAddr = runtime.block_on(control.proxy("db-1")).unwrap().listen.parse().unwrap();
    // A server answers this in one byte before it knows who asks; one that is stopped says nothing, nor does its system
    // close the connection.
    let asked = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47])?;
        stream.read(&mut [0])
    };
    assert_eq!(asked().unwrap(), 1, "it leads to the primary");
    cut(true);
    let paused = act.db.pause(Seat::Primary).unwrap();
    act.await_phase(Phase::Writable, 0);
    cut(false);
    let is_closed = match asked() {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(is_closed, "whoever connects is sent away, and does not wait for the old primary to go on");
    drop(paused);
    act.await_phase(Phase::RedundancyRestored, 0);
    assert_eq!(asked().unwrap(), 1, "it leads to the new standby");
}

/// The usual fence: the whole of it is killed though it is stopped.
#[test]
fn a_hung_primary_is_killed_and_rejoins() {
    let Some(act) = Act::new(Settings::default()) else { return };
    act.table();
    act.run(Side::First, "INSERT INTO written VALUES (1)");
    let server = act.db.process(Side::First).unwrap();
    let all = server.tree();
    let paused = act.db.pause(Seat::Primary).unwrap();
    let fenced = act.await_phase(Phase::Fenced, 0);
    assert!(fenced.text.contains("signal 9"), "{fenced}");
    assert!(!all.iter().any(process::Identity::is_alive), "all of it is gone");
    drop(paused);
    let late = act.await_phase(Phase::LateWrites, 0);
    assert!(late.text.starts_with("10 refused, 0 accepted, 0 unknown"), "{late}");
    act.await_phase(Phase::RedundancyRestored, 0);
    assert_eq!(act.agree().len(), 1);
}

/// The manager heals its own cuts and nobody else's: what a fault has cut, that fault heals.
#[test]
fn a_link_that_a_fault_has_cut_stays_cut_though_the_manager_would_have_it_open() {
    let Some(act) = Act::new(Settings::default()) else { return };
    let control = Control::new(&act.stage.local.proxy_control().unwrap()).unwrap();
    let runtime = pairs::runtime();
    let cut = |is_cut: bool| runtime.block_on(control.set_enabled("db-1.replication", !is_cut)).unwrap();
    let is_open = || runtime.block_on(control.proxy("db-1.replication")).unwrap().enabled;
    cut(true);
    act.await_phase(Phase::Degraded, 0);
    // Nobody is promoted that is behind, so it is started again, and its links are opened.
    act.db.kill(Seat::Primary).unwrap();
    act.await_phase(Phase::Restarted, 0);
    assert!(!is_open(), "the fault is still in force");
    cut(false);
    act.await_phase(Phase::RedundancyRestored, 0);
    assert!(is_open());
}

fn late_rows(act: &Act, side: Side) -> i64 {
    act.one_in_postgres(side, "SELECT count(*) FROM shakedown_late")
}
