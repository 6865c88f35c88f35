//! Faults of processes, on real ones: what each does is seen from outside, and so is that it was undone.

use crate::stage::{LIMIT, Stage, is_root, now, shell, until};
use shakedown_chaos::clock;
use shakedown_chaos::drill::Phase;
use shakedown_chaos::fault::Fault;
use shakedown_chaos::ledger::Account;
use shakedown_chaos::process::Identity;
use shakedown_chaos::schedule::{Planned, Trigger};
use shakedown_chaos::substrate::local::{NodeChange, Supervision};
use std::sync::Arc;
use std::time::Duration;

const SLEEPER: &str = "echo ready; exec sleep 60";
const MS: Duration = Duration::from_millis(1);
const WHOLE: [Phase; 4] = [Phase::Intended, Phase::Applied, Phase::Healing, Phase::Healed];

#[test]
fn a_killed_node_is_gone_when_it_is_told_and_comes_back_by_its_supervisor() {
    let stage = Stage::new(&[now(Fault::Kill { restart_after_ms: None }, "engine", None)]);
    let ready = stage.local.add_node(shell(stage.folder.path(), "engine", "engine", SLEEPER)).unwrap();
    let before = stage.local.process("engine").unwrap();
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), WHOLE);
    assert!(!before.is_alive());
    let after = stage.local.process("engine").unwrap();
    assert_ne!(after, before);
    let (applied, healed) = (stage.fault(Phase::Applied), stage.fault(Phase::Healed));
    assert!(applied.evidence.contains("signal 9"), "{}", applied.evidence);
    let nodes = stage.nodes.lock().unwrap().clone();
    let changes: Vec<NodeChange> = nodes.iter().map(|event| event.change).collect();
    use NodeChange::{Ended, Ready, Started};
    assert_eq!(changes, [Started, Ready, Ended, Started, Ready]);
    assert_eq!((nodes[2].at_ns, nodes[2].pid), (applied.at_ns, ready.pid), "one instant for one end");
    assert_eq!(nodes[4].at_ns, healed.at_ns);
    assert!(healed.at_ns - applied.at_ns >= 10_000_000, "the supervisor waits 10 ms");
}

#[test]
fn a_kill_may_say_when_the_node_comes_back() {
    let kill = Fault::Kill { restart_after_ms: Some(120) };
    let stage = Stage::new(&[now(kill, "worker:1", None)]);
    let mut spec = shell(stage.folder.path(), "worker-1", "worker:1", SLEEPER);
    spec.supervision = Supervision::Never;
    stage.local.add_node(spec).unwrap();
    assert_eq!(stage.play_through(), []);
    let away = stage.fault(Phase::Healed).at_ns - stage.fault(Phase::Applied).at_ns;
    assert!((120_000_000..2_000_000_000).contains(&away), "{away} ns");
}

#[test]
fn a_kill_of_a_node_that_nobody_starts_again_is_not_run_and_says_why() {
    let stage = Stage::new(&[now(Fault::Kill { restart_after_ms: None }, "engine", None)]);
    let mut spec = shell(stage.folder.path(), "engine", "engine", SLEEPER);
    spec.supervision = Supervision::Never;
    stage.local.add_node(spec).unwrap();
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), [Phase::NotRun]);
    assert!(stage.fault(Phase::NotRun).evidence.contains("restart_after_ms"));
    assert!(stage.local.process("engine").unwrap().is_alive());
}

#[test]
fn a_node_that_is_started_only_to_be_asked_is_not_back() {
    let stage = Stage::new(&[now(Fault::Kill { restart_after_ms: None }, "engine", None)]);
    let mut spec = shell(stage.folder.path(), "engine", "engine", SLEEPER);
    spec.supervision = Supervision::Manager;
    let node = stage.local.prepare_node(spec).unwrap();
    let first = node.release();
    node.want();
    node.await_unhindered(first, LIMIT).unwrap();
    let drill = stage.play();
    until("it is to come back", || stage.phases().contains(&Phase::Healing) && node.waits_for_release());
    let alone = node.release_alone();
    let asked = node.await_alone(alone, LIMIT).unwrap();
    assert!(asked.alone && Some(asked.pid) == node.running().map(|identity| identity.pid));
    assert!(node.hold(libc::SIGKILL, Duration::ZERO).unwrap().is_some());
    let back = node.await_unhindered(node.release(), LIMIT).unwrap();
    until("it is healed", || drill.open() == 0);
    assert_eq!(drill.finish(), []);
    assert_eq!(stage.phases(), WHOLE);
    assert_eq!(stage.fault(Phase::Healed).at_ns, back.at_ns);
    assert!(back.at_ns > asked.at_ns);
    let nodes = stage.nodes.lock().unwrap().clone();
    assert!(nodes.iter().all(|event| event.pid != asked.pid), "nobody is told of it: {nodes:?}");
    let told: Vec<NodeChange> = nodes.iter().map(|event| event.change).collect();
    let life = [NodeChange::Started, NodeChange::Ready, NodeChange::Ended];
    assert_eq!(told, [&life[..], &life[..2]].concat());
}

#[test]
fn a_managed_node_that_is_to_stay_away_for_a_while_waits_for_nobody_meanwhile() {
    let stage = Stage::new(&[]);
    let mut spec = shell(stage.folder.path(), "engine", "engine", SLEEPER);
    spec.supervision = Supervision::Manager;
    let node = stage.local.prepare_node(spec).unwrap();
    node.want();
    for _ in 0..30 {
        node.await_unhindered(node.release(), LIMIT).unwrap();
        let killed_ns = clock::now_ns();
        let killer = Arc::clone(&node);
        let kill = std::thread::spawn(move || killer.kill(Some(10 * MS)).unwrap());
        // Without a pause: the moment in which it could be wrong is a short one.
        while !node.waits_for_release() && clock::now_ns() - killed_ns < 10_000_000_000 {
            std::hint::spin_loop();
        }
        let waits_ns = clock::now_ns();
        let ended_ns = kill.join().unwrap().ended.at_ns;
        assert!(waits_ns - ended_ns >= 10_000_000, "it was to be away for 10 ms");
    }
}

#[test]
fn a_stopped_node_stays_away_as_long_as_the_fault_lasts() {
    let stage = Stage::new(&[now(Fault::Stop { grace_ms: 5_000 }, "engine", Some(150 * MS))]);
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", script)).unwrap();
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), WHOLE);
    let applied = stage.fault(Phase::Applied);
    assert!(applied.evidence.contains("exit code 7"), "it was asked first: {}", applied.evidence);
    assert!(stage.fault(Phase::Healed).at_ns - applied.at_ns >= 150_000_000);
    assert!(stage.local.process("engine").unwrap().is_alive());
}

#[test]
fn a_paused_node_and_its_children_stand_still_and_go_on() {
    let stage = Stage::new(&[now(Fault::Pause {}, "engine", None)]);
    let script = "sleep 60 & echo ready; wait";
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", script)).unwrap();
    let node = stage.local.process("engine").unwrap();
    let drill = stage.play();
    until("it is paused", || stage.phases().contains(&Phase::Applied));
    let tree = node.tree();
    assert!(tree.len() >= 2, "the shell and its sleep");
    assert!(tree.iter().all(|one| one.state() == Some('T')), "every process stands still");
    let account = Account::read(stage.folder.path()).unwrap();
    assert_eq!(account.open().count(), 1, "in force, and in the ledger");
    assert_eq!(drill.finish(), []);
    assert_eq!(stage.phases(), WHOLE);
    assert!(tree.iter().all(|one| one.state().is_some_and(|state| state != 'T')));
    assert_eq!(Account::read(stage.folder.path()).unwrap().open().count(), 0);
}

#[test]
fn a_rolling_restart_has_one_node_away_at_a_time() {
    let rolling = Fault::RollingRestart { grace_ms: 5_000, between_ms: 20 };
    let stage = Stage::new(&[now(rolling, "engine", None)]);
    for name in ["engine-1", "engine-2", "engine-3"] {
        stage.local.add_node(shell(stage.folder.path(), name, "engine", SLEEPER)).unwrap();
    }
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.fault(Phase::Applied).node.as_deref(), Some("engine-1, engine-2, engine-3"));
    let nodes = stage.nodes.lock().unwrap().clone();
    let told =
        |change| nodes[6..].iter().filter(move |event| event.change == change).map(|event| &event.node);
    assert!(told(NodeChange::Ended).eq(["engine-1", "engine-2", "engine-3"].iter()));
    assert!(told(NodeChange::Ready).eq(["engine-1", "engine-2", "engine-3"].iter()));
    let order: Vec<NodeChange> = nodes[6..].iter().map(|event| event.change).collect();
    use NodeChange::{Ended, Ready, Started};
    assert_eq!(order, [Ended, Started, Ready].repeat(3), "the next one only when the last one is ready");
}

#[test]
fn a_node_that_keeps_ending_is_given_up() {
    let stage = Stage::new(&[]);
    let node = shell(stage.folder.path(), "engine", "engine", "echo ready; sleep 0.02; exit 3");
    stage.local.add_node(node).unwrap();
    let changes = || stage.nodes.lock().unwrap().iter().map(|event| event.change).collect::<Vec<_>>();
    until("it is given up", || changes().contains(&NodeChange::GivenUp));
    let ends = changes().iter().filter(|change| **change == NodeChange::Ended).count();
    assert_eq!(ends, 4, "the first life and three more");
    assert_eq!(stage.nodes.lock().unwrap().last().unwrap().text, "it ended");
}

#[test]
fn faults_wait_for_the_nth_event_and_for_a_line_in_a_log() {
    let event = Trigger::Event { name: "start".to_owned(), nth_from: 3, nth_to: 3 };
    let marker = Trigger::Marker { on: "engine".parse().unwrap(), text: "recovering".to_owned(), nth: 1 };
    let by = |name: &str, trigger, on| Planned {
        name: name.to_owned(),
        trigger,
        ..now(Fault::Kill { restart_after_ms: None }, on, None)
    };
    let never = Trigger::Event { name: "end".to_owned(), nth_from: 1, nth_to: 1 };
    let stage = Stage::new(&[
        by("third start", event, "engine"),
        by("while it recovers", marker, "worker:1"),
        by("never", never, "engine"),
    ]);
    let path = stage.folder.path();
    // Only its second life has something to recover.
    let script = format!(
        "echo ready; [ -e {0} ] && echo recovering 7; touch {0}; exec sleep 60",
        path.join("been").display()
    );
    stage.local.add_node(shell(path, "engine", "engine", &script)).unwrap();
    stage.local.add_node(shell(path, "worker-1", "worker:1", SLEEPER)).unwrap();
    let drill = stage.play();
    drill.feed("start");
    drill.feed("other");
    drill.feed("start");
    assert_eq!(stage.phases(), [], "two starts are not three");
    drill.feed("start");
    until("both are over", || drill.open() == 1);
    assert_eq!(drill.finish(), []);
    let faults = stage.faults.lock().unwrap();
    let applied: Vec<&str> = faults
        .iter()
        .filter(|event| event.phase == Phase::Applied)
        .map(|event| event.fault.as_str())
        .collect();
    assert_eq!(
        applied,
        ["third start", "while it recovers"],
        "a double fault: the second while the first heals"
    );
    let never = faults.iter().find(|event| event.fault == "never").unwrap();
    assert_eq!(never.phase, Phase::Missed, "not for want of anything that the machine lacks");
    assert!(never.evidence.contains("end number 1"), "{}", never.evidence);
}

#[test]
fn nothing_is_left_of_a_node_with_processes_of_its_own_when_it_is_killed() {
    if !is_root("a namespace of processes") {
        return;
    }
    let stage = Stage::new(&[now(Fault::Kill { restart_after_ms: Some(10_000) }, "engine", None)]);
    // setsid takes the grandchild out of the process group, as PostgreSQL does with its backends.
    let mut spec = shell(stage.folder.path(), "engine", "engine", "setsid sleep 61 & echo ready; wait");
    spec.own_processes = true;
    stage.local.add_node(spec).unwrap();
    let node = stage.local.process("engine").unwrap();
    until("its child is there", || node.tree().len() >= 2);
    let tree: Vec<Identity> = node.tree();
    let drill = stage.play();
    until("it is killed", || stage.phases().contains(&Phase::Applied));
    until("all of it is gone", || tree.iter().all(|one| !one.is_alive()));
    assert_eq!(stage.local.stop_all(Duration::ZERO), []);
    assert_eq!(drill.finish().len(), 1, "a node that is ended for good does not come back");
}
