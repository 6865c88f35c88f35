//! Faults of what a node lives on: memory, CPU, disk, clock, its own data. Each on a real process, seen from outside.

use crate::stage::{Asked, Stage, dummy, is_root, now, until};
use shakedown_chaos::clock;
use shakedown_chaos::drill::{Drill, Phase};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::ledger::Account;
use shakedown_chaos::substrate::local::NodeChange;
use std::fs;
use std::time::Duration;

/// A stage with one node, hurt from now on, and a connection to the node.
fn hurt(stage: &Stage) -> (Drill, Asked) {
    let ready = stage.local.add_node(dummy(stage.folder.path(), "engine", "engine")).unwrap();
    let asked = Asked::at(&ready.text);
    let drill = stage.play();
    in_force(stage);
    (drill, asked)
}

fn in_force(stage: &Stage) {
    let over = [Phase::Applied, Phase::NotApplied, Phase::NotRun];
    until("it is tried", || stage.phases().iter().any(|phase| over.contains(phase)));
    stage.fault(Phase::Applied);
}

fn ended(stage: &Stage) -> Vec<String> {
    let nodes = stage.nodes.lock().unwrap();
    nodes.iter().filter(|event| event.change == NodeChange::Ended).map(|event| event.text.clone()).collect()
}

/// Share of a core that a process takes while it spins.
fn share_while_spinning(pid: u32, asked: &mut Asked) -> f64 {
    let used_s = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        // User and system time, in the ticks of which a second has 100 on every Linux.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    };
    let (begun_ns, before_s) = (clock::now_ns(), used_s());
    assert!(asked.ask("spin 1000").parse::<u64>().unwrap() > 0);
    let took = Duration::from_nanos(clock::now_ns() - begun_ns);
    (used_s() - before_s) / took.as_secs_f64()
}

const HEADROOM: Fault = Fault::Memory { limit_mib: None, headroom_mib: Some(16) };

#[test]
fn a_node_beyond_its_memory_is_killed_by_the_kernel_and_comes_back() {
    if !is_root("a limit by control group") {
        return;
    }
    let stage = Stage::new(&[now(HEADROOM, "engine", None)]);
    let (drill, mut asked) = hurt(&stage);
    assert_eq!(asked.ask("take 4"), "holds 4", "within its headroom it lives");
    assert_eq!(asked.ask("take 64"), "", "beyond it doesn't");
    until("it is killed", || ended(&stage) == ["signal 9"]);
    until("it is back", || stage.local.process("engine").is_some());
    assert_eq!(drill.finish(), []);
    let healed = stage.fault(Phase::Healed).evidence;
    assert!(healed.contains("killed 1 of its processes") && healed.contains("signal 9"), "{healed}");
    assert!(stage.fault(Phase::Applied).evidence.contains("cgroup"));
    let mut asked = Asked::at(&stage.nodes.lock().unwrap().last().unwrap().text);
    assert_eq!(asked.ask("take 64"), "holds 64", "the limit is lifted");
    assert_eq!(stage.local.stop_all(Duration::ZERO), []);
    assert_eq!(Account::read(stage.folder.path()).unwrap().open().count(), 0, "the group is removed");
}

#[test]
fn without_a_control_group_the_address_space_is_limited_and_the_evidence_says_so() {
    let stage = Stage::prepared_for(&[now(HEADROOM, "engine", None)], &[]);
    let (drill, mut asked) = hurt(&stage);
    let applied = stage.fault(Phase::Applied).evidence;
    assert!(applied.contains("RLIMIT_AS"), "{applied}");
    assert_eq!(asked.ask("take 256"), "");
    until("it has aborted", || ended(&stage) == ["signal 6"]);
    assert_eq!(drill.finish(), []);
    assert!(stage.fault(Phase::Healed).evidence.contains("signal 6"));
}

#[test]
fn a_node_with_a_tenth_of_a_core_takes_no_more() {
    if !is_root("a quota by control group") {
        return;
    }
    let stage = Stage::new(&[now(Fault::Cpu { cores: 0.1 }, "engine", None)]);
    let (drill, mut asked) = hurt(&stage);
    let pid = stage.local.process("engine").unwrap().pid;
    let share = share_while_spinning(pid, &mut asked);
    assert!(share < 0.2, "it took {share:.2} cores");
    assert_eq!(drill.finish(), []);
    let healed = stage.fault(Phase::Healed).evidence;
    assert!(healed.contains("throttled in") && !healed.contains("in 0 periods"), "{healed}");
    let quota = healed.contains("\"-1\"") || healed.contains("\"max 100000\"");
    assert!(quota, "there is no quota any more: {healed}");
}

#[test]
fn without_a_control_group_a_node_is_stopped_most_of_the_time_and_the_evidence_says_so() {
    let machine = std::thread::available_parallelism().unwrap().get();
    #[expect(clippy::cast_precision_loss, reason = "a machine has fewer cores than that")]
    let cpu = Fault::Cpu { cores: 0.1 * machine as f64 };
    let stage = Stage::prepared_for(&[now(cpu, "engine", None)], &[]);
    let (drill, mut asked) = hurt(&stage);
    let pid = stage.local.process("engine").unwrap().pid;
    let share = share_while_spinning(pid, &mut asked);
    assert!(share < 0.3, "it took {share:.2} cores");
    assert!(stage.fault(Phase::Applied).evidence.contains("SIGSTOP"));
    assert_eq!(drill.finish(), []);
    assert_ne!(stage.local.process("engine").unwrap().state(), Some('T'), "it is left going");
    assert!(stage.fault(Phase::Healed).evidence.contains("it was stopped"));
}

#[test]
fn a_full_disk_refuses_writes_and_takes_them_again_when_space_is_back() {
    if !is_root("a small disk") {
        return;
    }
    let stage = Stage::new(&[now(Fault::DiskFull { disk_mib: 16 }, "engine", None)]);
    let (drill, mut asked) = hurt(&stage);
    // What is left of the journal's last block takes a few records more.
    until("writes are refused", || asked.ask("write 40") == "error 28");
    let applied = stage.fault(Phase::Applied).evidence;
    assert!(applied.contains("no byte is free") && applied.contains("No space left"), "{applied}");
    // Space that comes free while the fault is in force is taken as well.
    let data = stage.folder.path().join("engine-data");
    let ballast = data.join(".shakedown-ballast");
    fs::OpenOptions::new().write(true).open(&ballast).unwrap().set_len(1 << 20).unwrap();
    until("it is full again", || asked.ask("write 400") == "error 28");
    assert_eq!(drill.finish(), []);
    assert_eq!(asked.ask("write 1"), "ok");
    assert!(!ballast.exists());
    let journal = data.join("journal");
    let kept = fs::read(&journal).unwrap();
    assert!(kept.len() >= 60);
    assert_eq!(stage.local.stop_all(Duration::ZERO), []);
    assert_eq!(fs::read(&journal).unwrap(), kept, "what was on the small disk is in the folder");
    assert!(!mounts().contains(&*data.to_string_lossy()), "and the disk is gone");
    assert_eq!(Account::read(stage.folder.path()).unwrap().open().count(), 0);
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

#[test]
fn a_disk_of_a_node_without_data_is_not_run_and_says_why() {
    let stage = Stage::new(&[now(Fault::DiskFull { disk_mib: 16 }, "engine", None)]);
    let mut node = dummy(stage.folder.path(), "engine", "engine");
    node.data = None;
    stage.local.add_node(node).unwrap();
    assert_eq!(stage.play_through(), []);
    let not_run = stage.fault(Phase::NotRun).evidence;
    assert!(not_run.contains("give the node a folder"), "{not_run}");
}

#[test]
fn a_skewed_clock_is_wrong_for_the_node_alone_and_right_again_after() {
    let skew = Fault::ClockSkew { offset_s: 3600.0 };
    let stage = Stage::new(&[now(skew, "engine", None)]);
    let ready = stage.local.add_node(dummy(stage.folder.path(), "engine", "engine")).unwrap();
    let mut asked = Asked::at(&ready.text);
    let off_s = |asked: &mut Asked| asked.ask("time").parse::<f64>().unwrap() - clock::wall_s();
    assert!(off_s(&mut asked).abs() < 1.0, "right before");
    let drill = stage.play();
    until("it is tried", || !stage.phases().is_empty());
    if stage.phases() == [Phase::NotRun] {
        let why = stage.fault(Phase::NotRun).evidence;
        assert!(why.contains("apt-get install libfaketime"), "{why}");
        eprintln!("skipped: {why}");
        return;
    }
    in_force(&stage);
    assert!((off_s(&mut asked) - 3600.0).abs() < 1.0, "the node that runs is an hour ahead");
    let begun_ns = clock::now_ns();
    asked.ask("spin 50");
    let took = Duration::from_nanos(clock::now_ns() - begun_ns);
    assert!(took < Duration::from_secs(5), "its monotonic clock is not moved: {took:?}");
    assert_eq!(drill.finish(), []);
    assert!(off_s(&mut asked).abs() < 1.0, "right after");
    assert!(stage.fault(Phase::Applied).evidence.contains("+3600.0 s"));
}

#[test]
fn damaged_data_is_damaged_for_the_node_and_put_back_after() {
    let corrupt = Fault::Corrupt { file: "jour*".to_owned(), bytes: 4 };
    let stage = Stage::new(&[now(corrupt, "engine", None)]);
    let ready = stage.local.add_node(dummy(stage.folder.path(), "engine", "engine")).unwrap();
    assert_eq!(Asked::at(&ready.text).ask("write 100"), "ok");
    let path = stage.folder.path().join("engine-data/journal");
    let before = fs::read(&path).unwrap();
    let drill = stage.play();
    in_force(&stage);
    let differ = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a != b).count();
    let damaged = fs::read(&path).unwrap();
    assert_eq!((damaged.len(), differ(&damaged, &before)), (before.len(), 4));
    let given_up = || stage.nodes.lock().unwrap().iter().any(|event| event.change == NodeChange::GivenUp);
    until("the node has refused its data, again and again", given_up);
    let log = fs::read_to_string(stage.folder.path().join("engine.log")).unwrap();
    assert!(log.contains("the journal is damaged"), "{log}");
    assert_eq!(drill.finish(), []);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(stage.local.process("engine").is_some(), "it runs on its old data");
    let healed = stage.fault(Phase::Healed).evidence;
    assert!(healed.contains("4 bytes") && healed.contains("ready again"), "{healed}");
}

#[test]
fn a_file_that_is_not_there_can_not_be_damaged_and_the_node_comes_back() {
    let corrupt = Fault::Corrupt { file: "nothing".to_owned(), bytes: 4 };
    let stage = Stage::new(&[now(corrupt, "engine", None)]);
    stage.local.add_node(dummy(stage.folder.path(), "engine", "engine")).unwrap();
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), [Phase::Intended, Phase::NotApplied, Phase::Healing, Phase::Healed]);
    assert!(stage.fault(Phase::NotApplied).evidence.contains("\"nothing\""));
    assert!(stage.local.process("engine").is_some());
}
