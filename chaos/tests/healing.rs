//! What is left when the harness is killed in the middle of a fault, and that it is healed: by a fresh process from
//! the ledger, and by the guard.

use crate::stage::{DUMMY, is_root, until};
use shakedown_chaos::clock;
use shakedown_chaos::heal::{HealError, heal};
use shakedown_chaos::ledger::{Account, Ledger, Stage as Came, Undo};
use shakedown_chaos::process::Identity;
use shakedown_chaos::substrate::sweep;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A harness of its own process, whose one node is hurt.
struct Harness {
    folder: TempDir,
    child: Child,
    stdin: ChildStdin,
    said: BufReader<ChildStdout>,
    node: Identity,
}

impl Harness {
    fn start(fault: &str, lasts_ms: &str, guarded: bool) -> Self {
        Self::start_with(fault, lasts_ms, guarded, b"")
    }

    /// One whose node finds a journal.
    fn start_with(fault: &str, lasts_ms: &str, guarded: bool, journal: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        if !journal.is_empty() {
            fs::write(folder.path().join("data/journal"), journal).unwrap();
        }
        let mut command = Command::new(DUMMY);
        command.arg("harness").arg(folder.path()).arg(fault).arg(lasts_ms);
        if guarded {
            command.arg("guarded");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let node = line(&mut said);
        let pid = node.split(' ').nth(1).unwrap().parse().unwrap();
        let stdin = child.stdin.take().unwrap();
        Self { folder, stdin, said, child, node: Identity::of(pid).unwrap() }
    }

    fn hears(&mut self) -> String {
        line(&mut self.said)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn open(&self) -> usize {
        Account::read(self.folder.path()).unwrap().open().count()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for file in ["ledger.jsonl", "guard.log", "engine.log"] {
                eprintln!(
                    "{file}:\n{}",
                    fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
                );
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(said: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

const PAUSE: &str = r#"{"fault":"pause"}"#;

#[test]
fn nothing_of_a_killed_harness_is_left() {
    let mut harness = Harness::start(PAUSE, "none", false);
    assert!(harness.hears().starts_with("Applied"));
    assert_eq!(harness.node.state(), Some('T'));
    harness.kill();
    until("its node is gone, paused as it was", || !harness.node.is_alive());
}

#[test]
fn a_backup_that_is_being_taken_ends_with_its_harness() {
    let mut harness = Harness::start(r#"{"fault":"backup"}"#, "none", false);
    let said = harness.folder.path().join("taking");
    let taking = || Identity::of(fs::read_to_string(&said).ok()?.trim().parse().ok()?);
    until("it is being taken", || taking().is_some());
    let taking = taking().unwrap();
    assert!(taking.is_alive());
    harness.kill();
    until("nobody takes it any more", || !taking.is_alive());
    let healing = heal(harness.folder.path(), false).unwrap();
    assert!(healing.is_whole(), "{healing}");
}

#[test]
fn heal_refuses_while_the_run_goes_on_and_heals_by_force() {
    let mut harness = Harness::start(PAUSE, "none", false);
    assert!(harness.hears().starts_with("Applied"));
    let error = heal(harness.folder.path(), false).unwrap_err();
    assert!(matches!(error, HealError::GoesOn { .. }), "{error}");
    assert!(error.to_string().contains(&harness.child.id().to_string()), "{error}");
    assert_eq!(harness.node.state(), Some('T'));
    let healing = heal(harness.folder.path(), true).unwrap();
    assert!(healing.is_whole() && healing.healed.len() == 1 && healing.ended.is_empty(), "{healing}");
    assert_ne!(harness.node.state(), Some('T'));
    assert!(harness.node.is_alive());
}

#[test]
fn heal_tells_what_it_found_and_the_second_time_that_there_is_nothing() {
    let mut harness = Harness::start(PAUSE, "none", false);
    assert!(harness.hears().starts_with("Applied"));
    harness.kill();
    let healing = heal(harness.folder.path(), false).unwrap();
    assert!(healing.is_whole(), "{healing}");
    assert_eq!(healing.healed[0].what, "hurt (1) on engine");
    let again = heal(harness.folder.path(), false).unwrap();
    assert_eq!(again.to_string(), "nothing of the run is in force on a node of a test");
    assert!(Account::read(harness.folder.path()).unwrap().closed);
}

/// Starts a harness whose node is hurt, kills it, and heals from a fresh process: ours.
fn killed_and_healed(fault: &str) -> (Harness, String) {
    let mut harness = Harness::start(fault, "none", false);
    let said = harness.hears();
    assert!(said.starts_with("Applied"), "{said}");
    assert!(harness.open() >= 1);
    harness.kill();
    let healing = heal(harness.folder.path(), false).unwrap();
    assert!(healing.is_whole(), "{healing}");
    assert_eq!(harness.open(), 0);
    (harness, healing.to_string())
}

#[test]
fn a_fresh_process_frees_and_unmounts_a_full_disk() {
    if !is_root("a small disk") {
        return;
    }
    let (harness, healing) = killed_and_healed(r#"{"fault":"disk_full","disk_mib":16}"#);
    assert!(
        healing.contains(".shakedown-ballast is removed") && healing.contains("is unmounted"),
        "{healing}"
    );
    let data = harness.folder.path().join("data");
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&*data.to_string_lossy()));
}

#[test]
fn a_fresh_process_removes_control_groups() {
    if !is_root("a control group") {
        return;
    }
    for fault in [r#"{"fault":"memory","limit_mib":64}"#, r#"{"fault":"cpu","cores":0.5}"#] {
        let (harness, healing) = killed_and_healed(fault);
        assert!(healing.contains("control group") && healing.contains("is removed"), "{healing}");
        let folder = healing.split("the control group ").nth(1).unwrap().split(" is removed").next().unwrap();
        assert!(folder.contains(&format!("shakedown-{}-", harness.child.id())), "{folder}");
        assert!(!std::path::Path::new(folder).exists());
    }
}

#[test]
fn a_fresh_process_puts_bytes_back() {
    let mut harness =
        Harness::start_with(r#"{"fault":"corrupt","file":"journal","bytes":3}"#, "none", false, b"ooo\n");
    assert!(harness.hears().starts_with("Applied"));
    let journal = harness.folder.path().join("data/journal");
    assert_ne!(fs::read(&journal).unwrap(), b"ooo\n");
    harness.kill();
    let healing = heal(harness.folder.path(), false).unwrap();
    assert!(healing.is_whole() && healing.to_string().contains("as they were"), "{healing}");
    assert_eq!(fs::read(&journal).unwrap(), b"ooo\n");
}

#[test]
fn a_guard_heals_at_once_when_the_harness_is_killed_and_ends() {
    let mut harness = Harness::start(PAUSE, "none", true);
    assert!(harness.hears().starts_with("Applied"));
    assert_eq!(harness.open(), 1);
    harness.kill();
    let closed = || Account::read(harness.folder.path()).unwrap().closed;
    until("the guard has healed and closed", closed);
    assert_eq!(harness.open(), 0);
    let log = || fs::read_to_string(harness.folder.path().join("guard.log")).unwrap();
    until("the guard has said so", || log().contains("healed     hurt (1) on engine"));
}

#[test]
fn a_guard_heals_what_a_hung_harness_does_not() {
    // In force for a millisecond, and then overtime; the harness hangs all the while.
    let mut harness = Harness::start(PAUSE, "1", true);
    let hung = Identity::of(harness.child.id()).unwrap();
    // The fault is over as soon as it began unless the harness hangs: a ledger written by hand stands for one that did.
    while !harness.hears().starts_with("Healed") {}
    let ledger = Ledger::resume(harness.folder.path()).unwrap();
    assert!(hung.signal(libc::SIGSTOP).unwrap());
    assert!(harness.node.signal(libc::SIGSTOP).unwrap());
    // Being applied it has an hour, in force a millisecond.
    let id = ledger.intend("late", 1, "engine", None, Some(Duration::from_secs(3600))).unwrap();
    ledger.undo(id, &Undo::Continue { processes: vec![harness.node] }).unwrap();
    ledger.applied(id, clock::now_ns(), "seen", Some(Duration::from_millis(1))).unwrap();
    until("the guard lets it go on", || harness.node.state().is_some_and(|state| state != 'T'));
    until("and says so", || harness.open() == 0);
    assert!(hung.signal(libc::SIGCONT).unwrap());
    writeln!(harness.stdin).unwrap();
    assert_eq!(harness.hears(), "unhealed 0");
    until("the harness ends, and its guard before it", || harness.child.try_wait().unwrap().is_some());
    assert!(harness.child.wait().unwrap().success());
}

#[test]
fn what_a_gone_harness_left_is_swept_and_nothing_else() {
    let shell = |mark: String| {
        let mut command = Command::new("sleep");
        command.arg("63").env(shakedown_chaos::substrate::MARK, mark);
        command.spawn().unwrap()
    };
    let us = Identity::ours();
    let gone = Identity { start_ticks: us.start_ticks - 1, ..us };
    let mut ours = shell(sweep::mark(us));
    let mut left = shell(sweep::mark(gone));
    // From a host, whoever runs in a container seems to be gone: its id means somebody else here.
    let mut elsewhere = shell(format!("{}:{}:7", gone.pid, gone.start_ticks));
    let process = Identity::of(left.id()).unwrap();
    assert!(sweep::abandoned().contains(&process), "whoever had our id before us is gone");
    assert!(!left.wait().unwrap().success());
    assert!(ours.try_wait().unwrap().is_none(), "what has an owner is left alone");
    assert!(elsewhere.try_wait().unwrap().is_none(), "what belongs to another namespace is left alone");
    for mut one in [ours, elsewhere] {
        one.kill().unwrap();
        one.wait().unwrap();
    }
}

#[test]
fn a_line_that_was_cut_off_was_not_done_swallows_no_other_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::create(folder.path(), "t").unwrap();
    let id = ledger.intend("a", 1, "engine", None, None).unwrap();
    ledger.undo(id, &Undo::Remove { file: folder.path().join("x") }).unwrap();
    ledger.came(id, Came::Applied, 5, "seen").unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(ledger.path()).unwrap();
    file.write_all(br#"{"entry":"intended","id":2,"#).unwrap();
    let account = Account::read(folder.path()).unwrap();
    assert_eq!(account.open().map(|deed| deed.id).collect::<Vec<_>>(), [id]);
    assert_eq!(account.deeds[0].stage, Some(Came::Applied));
    // The next line is not swallowed by it, whoever writes that.
    ledger.came(id, Came::NotHealed, 6, "stuck").unwrap();
    let account = Account::read(folder.path()).unwrap();
    assert_eq!(account.deeds[0].stage, Some(Came::NotHealed));
    assert_eq!(account.broken.iter().map(|broken| broken.line).collect::<Vec<_>>(), [5]);
    let healing = heal(folder.path(), true).unwrap();
    assert!(healing.is_whole() && healing.healed.len() == 1, "{healing}");
    assert!(healing.to_string().starts_with("passed over: line 5 of the ledger means nothing"), "{healing}");
    assert!(Ledger::create(folder.path(), "t").is_err(), "a run never writes over the ledger of another one");
}

#[test]
fn nothing_of_a_killed_harness_is_left_when_others_had_taken_over() {
    let mut harness = Harness::start(r#"{"fault":"blue_green"}"#, "none", false);
    assert!(harness.hears().starts_with("Applied"));
    let healed = harness.hears();
    assert!(healed.starts_with("Healed") && healed.ends_with("serving: standby"), "{healed}");
    assert!(!harness.node.is_alive(), "it stands by");
    let nodes = children_of(harness.child.id());
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    harness.kill();
    until("the one that took over is gone", || nodes.iter().all(|node| !node.is_alive()));
    let healing = heal(harness.folder.path(), false).unwrap();
    assert!(healing.is_whole() && healing.healed.is_empty(), "{healing}");
}

fn children_of(parent: u32) -> Vec<Identity> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        of == Some(parent)
    };
    ids.filter(is_child).filter_map(Identity::of).collect()
}
