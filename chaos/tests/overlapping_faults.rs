//! Faults that meet on one node: none of them undoes what another one does, and none spoils the other's healing.

use crate::stage::{Stage, now, shell, until};
use shakedown_chaos::drill::{FaultEvent, Phase};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::schedule::{Planned, Trigger};
use shakedown_chaos::substrate::local::NodeChange;
use std::time::Duration;

const SLEEPER: &str = "echo ready; exec sleep 60";
const MS: Duration = Duration::from_millis(1);

fn by(name: &str, fault: Fault, trigger: Trigger, lasts: Option<Duration>) -> Planned {
    Planned { name: name.to_owned(), trigger, ..now(fault, "engine", lasts) }
}

fn event(name: &str) -> Trigger {
    Trigger::Event { name: name.to_owned(), nth_from: 1, nth_to: 1 }
}

fn told(stage: &Stage, fault: &str, phase: Phase) -> Option<FaultEvent> {
    let faults = stage.faults.lock().unwrap();
    faults.iter().find(|event| event.fault == fault && event.phase == phase).cloned()
}

#[test]
fn a_kill_that_hits_during_the_recovery_from_another_leaves_both_healed() {
    let kill = Fault::Kill { restart_after_ms: None };
    let marker = Trigger::Marker { on: "engine".parse().unwrap(), text: "recovering".to_owned(), nth: 1 };
    let second = by("second", kill.clone(), marker, None);
    let stage = Stage::new(&[Planned { name: "first".to_owned(), ..now(kill, "engine", None) }, second]);
    // Its second life is never ready: it recovers until it is killed.
    let lives = stage.folder.path().join("lives");
    let script = format!(
        "echo >> {0}; [ $(wc -l < {0}) -eq 2 ] && {{ echo recovering; exec sleep 60; }}; {SLEEPER}",
        lives.display()
    );
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", &script)).unwrap();
    assert_eq!(stage.play_through(), []);
    let healed = |fault| told(&stage, fault, Phase::Healed).unwrap();
    assert_eq!(healed("first").at_ns, healed("second").at_ns, "both by the third life");
    let ready = stage.nodes.lock().unwrap().iter().filter(|one| one.change == NodeChange::Ready).count();
    assert_eq!(ready, 2, "the first life and the third");
}

#[test]
fn one_thing_has_one_fault_of_a_kind_at_a_time() {
    let pause = |name: &str| by(name, Fault::Pause {}, event(name), None);
    let stage = Stage::new(&[pause("first"), pause("second")]);
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", SLEEPER)).unwrap();
    let node = stage.local.process("engine").unwrap();
    let drill = stage.play();
    drill.feed("first");
    until("it is paused", || told(&stage, "first", Phase::Applied).is_some());
    drill.feed("second");
    until("the second is refused", || told(&stage, "second", Phase::NotApplied).is_some());
    let refused = told(&stage, "second", Phase::NotApplied).unwrap();
    assert!(
        refused.evidence.contains("first (1), a pause too, is in force on engine"),
        "{}",
        refused.evidence
    );
    assert_eq!(node.state(), Some('T'), "the first goes on");
    assert_eq!(drill.finish(), []);
    assert!(told(&stage, "second", Phase::Healing).is_none(), "nothing was done, nothing is undone");
}

#[test]
fn a_fault_that_begins_when_the_one_before_is_to_end_waits_for_its_healing() {
    let pause = Planned { every: Some(60 * MS), times: 4, ..now(Fault::Pause {}, "engine", Some(60 * MS)) };
    let stage = Stage::new(&[pause]);
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", SLEEPER)).unwrap();
    assert_eq!(stage.play_through(), []);
    let whole = [Phase::Intended, Phase::Applied, Phase::Healing, Phase::Healed];
    assert_eq!(stage.phases(), whole.repeat(4), "one after another, all of them");
}

#[test]
fn what_a_stop_keeps_away_is_not_started_by_the_healing_of_something_else() {
    let cpu = by("slow", Fault::Cpu { cores: 0.5 }, event("go"), Some(100 * MS));
    let stop = by("stopped", Fault::Stop { grace_ms: 5_000 }, event("stop"), Some(500 * MS));
    let stage = Stage::new(&[cpu, stop]);
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", SLEEPER)).unwrap();
    let drill = stage.play();
    drill.feed("go");
    until("it is slow", || told(&stage, "slow", Phase::Applied).is_some());
    drill.feed("stop");
    until("both are over", || drill.open() == 0);
    assert_eq!(drill.finish(), []);
    let undone = told(&stage, "slow", Phase::Healing).unwrap().at_ns;
    let let_back = told(&stage, "stopped", Phase::Healing).unwrap().at_ns;
    assert!(undone < let_back, "the one is healed while the other is in force");
    let nodes = stage.nodes.lock().unwrap().clone();
    let started: Vec<u64> =
        nodes.iter().filter(|one| one.change == NodeChange::Started).map(|one| one.at_ns).collect();
    assert_eq!(started.len(), 2);
    assert!(started[1] >= let_back, "it stayed away as long as the stop lasted");
}
