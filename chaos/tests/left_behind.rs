//! What can't be undone is told to who asked for it, whatever else could be: a heal that was not seen to work, a
//! group that somebody is still in, a process that does not end.

use crate::stage::{Stage, is_root, now, shell, until};
use shakedown_chaos::drill::Phase;
use shakedown_chaos::fault::Fault;
use shakedown_chaos::ledger::Account;
use shakedown_chaos::process::Identity;
use shakedown_chaos::schedule::{Planned, Trigger};
use std::fs;
use std::path::Path;
use std::time::Duration;

const CPU: Fault = Fault::Cpu { cores: 0.5 };

#[test]
fn a_heal_after_which_the_node_is_not_back_is_not_healed_though_the_ledger_undid_its_part() {
    let killed = Trigger::Event { name: "kill".to_owned(), nth_from: 1, nth_to: 1 };
    let kill = Planned { trigger: killed, ..now(Fault::Kill { restart_after_ms: None }, "engine", None) };
    let stage = Stage::new(&[now(CPU, "engine", None), kill]);
    let script = format!(
        "[ -e {0} ] && exit 3; touch {0}; echo ready; exec sleep 60",
        stage.folder.path().join("been").display()
    );
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", &script)).unwrap();
    let drill = stage.play();
    until("it is slow", || stage.phases().contains(&Phase::Applied));
    drill.feed("kill");
    until("it is killed and not back", || stage.phases().contains(&Phase::NotHealed));
    let unhealed = drill.finish();
    let cpu = unhealed.iter().find(|one| one.fault == "cpu").expect("nobody saw the node come back");
    assert!(cpu.evidence.contains("ended before it was ready"), "{}", cpu.evidence);
    assert!(cpu.evidence.contains("by the ledger: "), "{}", cpu.evidence);
    let open = Account::read(stage.folder.path()).unwrap();
    assert!(open.open().any(|deed| deed.name == "cpu"), "`shakedown heal` tries again");
}

#[test]
fn a_control_group_that_can_not_be_removed_is_told() {
    if !is_root("a control group") {
        return;
    }
    let stage = Stage::prepared_for(&[], &[now(CPU, "engine", None)]);
    // What it starts outlives it, in its group; groups have the names of their nodes.
    let pid = stage.folder.path().join("pid");
    let script = format!("sleep 63 & echo $! > {}; echo ready; wait", pid.display());
    stage.local.add_node(shell(stage.folder.path(), "grouped", "engine", &script)).unwrap();
    let child: u32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let child = Identity::of(child).unwrap();
    let left = stage.local.stop_all(Duration::ZERO);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(
        left[0].to_string().contains("of grouped is left: cannot remove the control group"),
        "{}",
        left[0]
    );
    assert!(child.signal(libc::SIGKILL).unwrap());
    for deed in Account::read(stage.folder.path()).unwrap().open() {
        deed.undo.iter().for_each(|undo| assert!(undo.carry_out().is_ok(), "{undo:?}"));
    }
}

#[test]
fn a_process_that_does_not_end_is_told_and_waited_for_no_longer_than_its_time() {
    // Version 1 keeps a frozen process from ending: it stands for one that hangs in the kernel.
    let freezer = Path::new("/sys/fs/cgroup/freezer");
    if !is_root("a freezer") || !freezer.join("tasks").exists() {
        eprintln!("skipped: nothing here keeps a process from ending");
        return;
    }
    let stage = Stage::new(&[]);
    stage
        .local
        .add_node(shell(stage.folder.path(), "engine", "engine", "echo ready; exec sleep 62"))
        .unwrap();
    let process = stage.local.process("engine").unwrap();
    let group = freezer.join(format!("shakedown-test-{}", process.pid));
    fs::create_dir(&group).unwrap();
    fs::write(group.join("cgroup.procs"), process.pid.to_string()).unwrap();
    fs::write(group.join("freezer.state"), "FROZEN").unwrap();
    let frozen = || fs::read_to_string(group.join("freezer.state")).unwrap().trim() == "FROZEN";
    until("it is frozen", frozen);
    let left = stage.local.stop_all(Duration::ZERO);
    fs::write(group.join("freezer.state"), "THAWED").unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].to_string().contains("still there"), "{}", left[0]);
    until("it is gone", || !process.is_alive());
    until("its group is empty", || fs::remove_dir(&group).is_ok());
}
