//! Backups and restores of nodes and of a real pair of PostgreSQL databases: what is there afterwards, and what is refused.

use crate::pairs::{Act, Writer};
use crate::stage::{Asked, Stage, dummy, now, shell, until};
use shakedown_chaos::drill::Phase as Step;
use shakedown_chaos::fault::Fault;
use shakedown_chaos::process::Identity;
use shakedown_chaos::role::Seat;
use shakedown_chaos::schedule::{Planned, Scope, Trigger, draw};
use shakedown_chaos::substrate::database::{Phase, Settings, Side};
use shakedown_chaos::substrate::local::{Backup, NodeSpec};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A backup at once, and a restore when a file comes into being.
fn planned(on: &str, clients: &[&str], restore_at: &Path) -> [Planned; 2] {
    let clients = clients.iter().map(|role| role.parse().unwrap()).collect();
    let trigger = Trigger::File { path: restore_at.to_owned() };
    [now(Fault::Backup {}, on, None), Planned { trigger, ..now(Fault::Restore { clients }, on, None) }]
}

/// A node whose backup is a copy of its folder.
fn backed_up(folder: &Path, take: &str, put_back: &str) -> NodeSpec {
    let mut node = dummy(folder, "engine", "engine");
    let data = node.data.clone().unwrap();
    let script = |script: &str| {
        ["/bin/sh", "-c", script, "sh", data.to_str().unwrap()].map(std::ffi::OsString::from).to_vec()
    };
    node.backup =
        Some(Backup { folder: folder.join("backups"), take: script(take), put_back: script(put_back) });
    node
}

const COPY: &str = r#"cp -R "$1" "$2" && echo copied"#;
const COPY_BACK: &str = r#"cp -R "$2"/. "$1""#;

fn journal(folder: &Path) -> u64 {
    fs::metadata(folder.join("engine-data/journal")).map_or(0, |file| file.len())
}

#[test]
fn a_node_has_after_a_restore_what_it_had_at_the_backup_and_its_clients_were_away_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let stage = Stage::new(&planned("engine", &["worker:1"], &go));
    let at = stage.local.add_node(backed_up(stage.folder.path(), COPY, COPY_BACK)).unwrap().text;
    // It says what it found of the engine when it started.
    let client = "ls engine-data/journal && echo ready; exec tail -f /dev/null";
    let script = format!("cd '{}' && {client}", stage.folder.path().display());
    Asked::at(&at).ask("write 3");
    stage.local.add_node(shell(stage.folder.path(), "client", "worker:1", &script)).unwrap();
    let drill = stage.play();
    until("the backup is whole", || stage.phases().contains(&Step::Healed));
    assert_eq!(Asked::at(&at).ask("write 4"), "ok");
    assert_eq!(journal(stage.folder.path()), 7 * 60);
    fs::write(&go, "").unwrap();
    until("every injection is over", || drill.open() == 0);
    assert!(drill.finish().is_empty(), "{:#?}", stage.faults.lock().unwrap());
    assert_eq!(journal(stage.folder.path()), 3 * 60, "what was written since is lost, and nothing else");
    let told = |name: &str, phase: Step| {
        let faults = stage.faults.lock().unwrap();
        faults.iter().find(|event| event.fault == name && event.phase == phase).unwrap().clone()
    };
    let backup = told("backup", Step::Applied);
    assert!(backup.evidence.starts_with("engine: 1 files, 0.0 MiB in"), "{backup:?}");
    assert!(backup.evidence.contains("backups/engine-1; copied"), "{backup:?}");
    assert!(backup.at_ns <= told("backup", Step::Healed).at_ns);
    let gone = told("restore", Step::Applied);
    assert!(gone.evidence.contains("signal 9") && gone.evidence.contains("its data is removed"), "{gone:?}");
    let back = told("restore", Step::Healed);
    assert!(back.evidence.contains("engine is") || back.evidence.contains("engine was restored"), "{back:?}");
    assert!(back.evidence.contains("client is ready again"), "{back:?}");
    assert_eq!(stage.local.find("client").unwrap().life(), 2);
    assert!(back.at_ns > gone.at_ns);
}

#[test]
fn a_backup_that_fails_is_not_applied_and_nothing_is_destroyed_then() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    for (take, why) in [("echo no room; exit 3", "no room"), ("true", "made nothing")] {
        let stage = Stage::new(&planned("engine", &[], &go));
        let at = stage.local.add_node(backed_up(stage.folder.path(), take, COPY_BACK)).unwrap().text;
        Asked::at(&at).ask("write 3");
        let drill = stage.play();
        until("the backup is over", || stage.phases().contains(&Step::Healed));
        fs::write(&go, "").unwrap();
        until("every injection is over", || drill.open() == 0);
        assert!(drill.finish().is_empty(), "nothing was touched");
        let faults = stage.faults.lock().unwrap();
        let doubts: Vec<&str> = faults
            .iter()
            .filter(|event| event.phase == Step::NotApplied)
            .map(|event| event.evidence.as_str())
            .collect();
        assert!(doubts[0].contains(why), "{doubts:?}");
        assert!(doubts[1].contains("there is no backup of engine yet; nothing was destroyed"), "{doubts:?}");
        assert_eq!(Asked::at(&at).ask("write 1"), "ok", "it runs on");
        fs::remove_file(&go).unwrap();
    }
}

/// On nothing it would start, and serve as if there never had been anything.
#[test]
fn a_node_whose_data_cannot_be_put_back_is_not_healed_and_stays_away() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let stage = Stage::new(&planned("engine", &[], &go));
    stage.local.add_node(backed_up(stage.folder.path(), COPY, "echo unreadable; exit 4")).unwrap();
    let drill = stage.play();
    until("the backup is whole", || stage.phases().contains(&Step::Healed));
    fs::write(&go, "").unwrap();
    until("every injection is over", || drill.open() == 0);
    let unhealed = drill.finish();
    assert!(unhealed[0].evidence.contains("unreadable"), "{unhealed:?}");
    assert!(stage.local.process("engine").is_none());
}

#[test]
fn what_cannot_be_restored_is_refused_before_anything_starts() {
    let refused = |planned: &[Planned]| {
        let roles = ["engine", "worker:1", "db.primary"].map(|role| role.parse().unwrap());
        draw(planned, 1, &Scope { length: None, roles: &roles }).unwrap_err().to_string()
    };
    let restore = |clients: &[&str], from_s: u64| {
        let clients = clients.iter().map(|role| role.parse().unwrap()).collect();
        let at = Duration::from_secs(from_s);
        Planned {
            trigger: Trigger::At { from: at, to: at },
            ..now(Fault::Restore { clients }, "engine", None)
        }
    };
    let none = "no backup of engine is taken before; plan a fault { fault = \"backup\" } on engine";
    assert!(refused(&[restore(&[], 5)]).contains(none));
    assert!(refused(&[now(Fault::Backup {}, "db.primary", None), restore(&[], 5)]).contains(none));
    assert!(refused(&[now(Fault::Backup {}, "engine", None), restore(&[], 0)]).contains(none), "not earlier");
    let strange = [now(Fault::Backup {}, "engine", None), restore(&["worker:2"], 5)];
    assert!(refused(&strange).contains("hurts worker:2, and there is none"));
    let stage = Stage::new(&[now(Fault::Backup {}, "engine", None)]);
    stage.local.add_node(dummy(stage.folder.path(), "engine", "engine")).unwrap();
    stage.play_through();
    let told = stage.fault(Step::NotRun).evidence;
    assert!(told.contains("nobody knows how the data of engine is backed up"), "{told}");
}

/// SQL on the restored pair says what is there: all that was acknowledged before the backup, all that came into the archive
/// since, nothing that nobody wrote, and of what is missing nothing is older than the archive's time-out allows.
#[test]
fn a_restored_pair_has_everything_up_to_the_last_archived_log() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let Some(act) = Act::planned(Settings::default(), &planned("db.primary", &[], &go)) else { return };
    act.table();
    let writer = Writer::start(act.db.url());
    until("rows are written", || act.rows(Side::First).len() > 50);
    let drill = act.stage.play();
    until("the backup is whole", || act.stage.phases().contains(&Step::Healed));
    let at_backup = act.rows(Side::First).len();
    until("many more rows are written", || act.rows(Side::First).len() > at_backup + 2_000);
    fs::write(&go, "").unwrap();
    let gone = act.await_phase(Phase::Destroyed, 0);
    assert!(gone.text.contains("pieces of the log are archived, the newest"), "{gone}");
    until("every injection is over", || drill.open() == 0);
    assert!(drill.finish().is_empty(), "{:#?}", act.stage.faults.lock().unwrap());
    act.await_phase(Phase::RedundancyRestored, 0);
    assert!(act.db.is_redundant());
    assert_eq!(act.db.seated(Seat::Primary), Side::First);
    let count = act.rows(Side::First).len();
    until("rows are written after", || act.rows(Side::First).len() > count + 20);
    let account = writer.end();
    let rows = act.agree();
    let lost = account.lost(&rows);
    let oldest = lost.first().map(|n| account.acknowledged.iter().find(|(one, _)| one == n).unwrap().1);
    let age = Duration::from_nanos(gone.at_ns.saturating_sub(oldest.unwrap_or(gone.at_ns)));
    eprintln!("{} lost of {} acknowledged, the oldest {age:?} old", lost.len(), account.acknowledged.len());
    assert!(age < Duration::from_secs(4), "archive_timeout is a second: {age:?}");
    // One stretch right before the disaster.
    let (first, last) = (lost.first().copied().unwrap_or(0), lost.last().copied().unwrap_or(0));
    assert!(rows.iter().all(|n| !(first..=last).contains(n)), "the log has no holes");
    assert!(
        lost.first().is_none_or(|n| *n > i64::try_from(at_backup).unwrap()),
        "the backup has what it had"
    );
    let tried: std::collections::BTreeSet<i64> =
        account.acknowledged.iter().map(|(n, _)| *n).chain(account.unknown.iter().copied()).collect();
    assert!(rows.is_subset(&tried));
    let rejoined = act.db.events().into_iter().rfind(|event| event.phase == Phase::Rejoined).unwrap();
    assert_eq!((rejoined.side, rejoined.text.as_str()), (Side::Second, "copied anew"));
    // The next disaster finds the archive on another timeline, and a failover works as ever.
    act.db.kill(Seat::Primary).unwrap();
    act.await_phase(Phase::Promoted, 0);
}

/// What the old primary had not archived when it was killed, the standby has: a backup from before a failover is restored to
/// after it, and no hole in the log ends the way there.
#[test]
fn a_backup_from_before_a_failover_is_restored_to_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let Some(act) = Act::planned(Settings::default(), &planned("db.primary", &[], &go)) else { return };
    act.table();
    let writer = Writer::start(act.db.url());
    let drill = act.stage.play();
    until("the backup is whole", || act.stage.phases().contains(&Step::Healed));
    // Whole pieces of the log that the primary does not archive any more.
    let is_archiver = |one: &&Identity| {
        fs::read_to_string(format!("/proc/{}/cmdline", one.pid)).is_ok_and(|told| told.contains("archiver"))
    };
    let tree = act.db.process(Side::First).unwrap().tree();
    assert!(tree.iter().find(is_archiver).unwrap().signal(libc::SIGSTOP).unwrap());
    for _ in 0..3 {
        let count = act.rows(Side::First).len();
        until("rows are written", || act.rows(Side::First).len() > count + 20);
        act.one_in_postgres(Side::First, "SELECT (pg_switch_wal() - '0/0')::bigint");
    }
    let killed_ns = act.db.kill(Seat::Primary).unwrap().sent_ns;
    act.await_phase(Phase::RedundancyRestored, 0);
    let count = act.rows(Side::Second).len();
    until("rows are written after", || act.rows(Side::Second).len() > count + 1_000);
    let failures = "SELECT failed_count FROM pg_stat_archiver";
    let failed = [Side::First, Side::Second].map(|side| act.one_in_postgres(side, failures));
    assert_eq!(failed, [0, 0], "both archive the same pieces, and neither is in the other's way");
    fs::write(&go, "").unwrap();
    let gone = act.await_phase(Phase::Destroyed, 0);
    until("every injection is over", || drill.open() == 0);
    assert!(drill.finish().is_empty(), "{:#?}", act.stage.faults.lock().unwrap());
    let account = writer.end();
    let lost = account.lost(&act.agree());
    let oldest = lost.first().map(|n| account.acknowledged.iter().find(|(one, _)| one == n).unwrap().1);
    let oldest_ns = oldest.unwrap_or(gone.at_ns);
    eprintln!("{} lost of {} acknowledged", lost.len(), account.acknowledged.len());
    assert!(oldest_ns > killed_ns, "everything from before the failover is there");
    let age = Duration::from_nanos(gone.at_ns.saturating_sub(oldest_ns));
    assert!(age < Duration::from_secs(4), "archive_timeout is a second: {age:?}");
}
