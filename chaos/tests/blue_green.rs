//! Blue-green on real processes: there and back, new nodes that do not come up, and what is left of all of them.

use crate::stage::{Stage, now, shell, until};
use shakedown_chaos::drill::{FaultEvent, Phase};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::process::Identity;
use shakedown_chaos::role::Role;
use shakedown_chaos::schedule::{Planned, ScheduleError, Scope, draw};
use shakedown_chaos::substrate::local::{NodeChange, NodeError, NodeEvent};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const SLEEPER: &str = "echo ready; exec sleep 60";
const WHOLE: [Phase; 4] = [Phase::Intended, Phase::Applied, Phase::Healing, Phase::Healed];
const NOTHING: [Phase; 4] = [Phase::Intended, Phase::NotApplied, Phase::Healing, Phase::Healed];
const GRACE: Duration = Duration::from_secs(5);

fn blue_green() -> Fault {
    Fault::BlueGreen { grace_ms: 5_000 }
}

fn called(name: &str) -> Planned {
    Planned { name: name.to_owned(), ..now(blue_green(), "engine", None) }
}

/// Two blue nodes that run, and two green ones that stand by and are this program.
fn two_and_two(planned: &[Planned], green: &str) -> Stage {
    let stage = Stage::new(planned);
    for name in ["blue-1", "blue-2"] {
        stage.local.add_node(shell(stage.folder.path(), name, "engine", SLEEPER)).unwrap();
    }
    for name in ["green-1", "green-2"] {
        stage.local.prepare_standby(shell(stage.folder.path(), name, "engine", green)).unwrap();
    }
    stage
}

fn running(stage: &Stage) -> Vec<&'static str> {
    let all = ["blue-1", "blue-2", "green-1", "green-2"];
    all.into_iter().filter(|name| stage.local.process(name).is_some()).collect()
}

/// What became of nodes, in its order, from the `from`th event.
fn changes(stage: &Stage, from: usize) -> Vec<(String, NodeChange)> {
    let nodes: Vec<NodeEvent> = stage.nodes.lock().unwrap().clone();
    nodes.into_iter().skip(from).map(|event| (event.node, event.change)).collect()
}

#[test]
fn the_new_ones_serve_before_an_old_one_is_ended() {
    let stage = two_and_two(&[called("switch")], SLEEPER);
    assert_eq!(running(&stage), ["blue-1", "blue-2"]);
    let before = stage.nodes.lock().unwrap().len();
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), WHOLE);
    assert_eq!(running(&stage), ["green-1", "green-2"]);
    let told = changes(&stage, before);
    let at = |node: &str, change| told.iter().position(|one| *one == (node.to_owned(), change)).unwrap();
    for (green, blue) in
        [("green-1", "blue-1"), ("green-1", "blue-2"), ("green-2", "blue-1"), ("green-2", "blue-2")]
    {
        assert!(at(green, NodeChange::Ready) < at(blue, NodeChange::Ended), "{told:?}");
    }
    assert!(
        at("blue-2", NodeChange::Ended) < at("blue-1", NodeChange::Ended),
        "the last one first: {told:?}"
    );
    assert!(told.contains(&("blue-1".to_owned(), NodeChange::StandsBy)), "{told:?}");
    let (applied, healed) = (stage.fault(Phase::Applied), stage.fault(Phase::Healed));
    assert_eq!(applied.node.as_deref(), Some("blue-1, blue-2, green-1, green-2"));
    assert!(applied.evidence.contains("green-1, green-2 serve"), "{}", applied.evidence);
    assert!(healed.evidence.contains("blue-1: process") && healed.evidence.contains("SIGTERM"));
    let ended = |event: &&NodeEvent| event.change == NodeChange::Ended;
    let nodes = stage.nodes.lock().unwrap();
    let first = nodes.iter().find(ended).unwrap();
    assert!(applied.at_ns <= first.at_ns, "what an end does to users comes after t₀");
    assert!(nodes.iter().filter(ended).all(|event| event.at_ns <= healed.at_ns));
}

#[test]
fn done_twice_it_is_the_way_back_and_the_second_waits_for_the_first() {
    let stage = two_and_two(&[called("switch"), called("rollback")], SLEEPER);
    let before: Vec<Identity> = ["blue-1", "blue-2"].map(|name| stage.local.process(name).unwrap()).into();
    // Both are due at once.
    assert_eq!(stage.play_through(), []);
    assert_eq!(running(&stage), ["blue-1", "blue-2"]);
    assert!(before.iter().all(|old| !old.is_alive()), "they were away, and came back");
    let faults = stage.faults.lock().unwrap();
    let at = |phase| faults.iter().filter(move |event| event.phase == phase).map(|event| event.at_ns);
    assert_eq!((at(Phase::Applied).count(), at(Phase::Healed).count()), (2, 2), "{faults:#?}");
    let (first_healed, last_intended) =
        (at(Phase::Healed).min().unwrap(), at(Phase::Intended).max().unwrap());
    assert!(first_healed <= last_intended, "{faults:#?}");
}

/// Plays a switch that must not happen; the evidence.
#[track_caller]
fn refused(stage: &Stage) -> FaultEvent {
    let before: Vec<Identity> = ["blue-1", "blue-2"].map(|name| stage.local.process(name).unwrap()).into();
    assert_eq!(stage.play_through(), [], "nothing is left to heal");
    assert_eq!(stage.phases(), NOTHING);
    assert_eq!(running(stage), ["blue-1", "blue-2"]);
    let after: Vec<Identity> = ["blue-1", "blue-2"].map(|name| stage.local.process(name).unwrap()).into();
    assert_eq!(before, after, "they were never away");
    stage.fault(Phase::NotApplied)
}

#[test]
fn new_ones_that_do_not_come_up_end_nobody() {
    let stage = two_and_two(&[called("switch")], "echo 'schema version 9 is too new' >&2; exit 5");
    let evidence = refused(&stage).evidence;
    assert!(evidence.contains("nobody was ended") && evidence.contains("schema version 9"), "{evidence}");
    let stage = Stage::new(&[called("switch")]);
    for name in ["blue-1", "blue-2"] {
        stage.local.add_node(shell(stage.folder.path(), name, "engine", SLEEPER)).unwrap();
    }
    let mut nothing = shell(stage.folder.path(), "green-1", "engine", "");
    nothing.spec.program = "/no/such/program".into();
    stage.local.prepare_standby(nothing).unwrap();
    let evidence = refused(&stage).evidence;
    assert!(evidence.contains("/no/such/program"), "{evidence}");
}

#[test]
fn a_new_one_that_says_that_it_is_ready_and_then_falls_ends_nobody() {
    let stage =
        two_and_two(&[called("switch")], "echo ready; echo 'frame 7 is too new' >&2; sleep 0.05; exit 5");
    let looks = AtomicU32::new(0);
    stage.local.find("green-1").unwrap().proven_by(Box::new(move |_| {
        looks.fetch_add(1, Ordering::SeqCst);
        Err("it reads the journal".to_owned())
    }));
    let evidence = refused(&stage).evidence;
    assert!(evidence.contains("ended after it was ready (exit code 5)"), "{evidence}");
    assert!(evidence.contains("frame 7 is too new"), "{evidence}");
}

#[test]
fn a_new_one_serves_when_it_is_proven_to() {
    let stage = two_and_two(&[called("switch")], SLEEPER);
    let looks = AtomicU32::new(0);
    stage.local.find("green-2").unwrap().proven_by(Box::new(move |_| {
        match looks.fetch_add(1, Ordering::SeqCst) {
            0..3 => Err("it reads the journal".to_owned()),
            _ => Ok(()),
        }
    }));
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), WHOLE);
}

#[test]
fn who_stands_by_is_hurt_by_nothing_and_misses_nothing() {
    let kill = now(Fault::Kill { restart_after_ms: None }, "engine", None);
    let stage = two_and_two(&[kill], SLEEPER);
    for name in ["blue-1", "blue-2"] {
        stage.local.find(name).unwrap().stand_by(GRACE).unwrap();
    }
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), [Phase::Missed], "nobody serves");
    // What a stop kept away is not missed when others took over meanwhile.
    let node = stage.local.find("blue-1").unwrap();
    node.await_ready(node.take_over(), GRACE).unwrap();
    node.end(GRACE).unwrap();
    assert!(node.stand_by(GRACE).unwrap().is_none(), "it did not run");
    let error = node.await_ready(node.let_back(), GRACE).unwrap_err();
    assert!(matches!(error, NodeError::StandsBy { .. }), "{error}");
    assert_eq!(stage.local.process("blue-1"), None);
}

#[test]
fn without_anybody_who_stands_by_it_is_not_applied() {
    let stage = Stage::new(&[called("switch")]);
    stage.local.add_node(shell(stage.folder.path(), "engine", "engine", SLEEPER)).unwrap();
    assert_eq!(stage.play_through(), []);
    assert_eq!(stage.phases(), NOTHING);
    assert!(stage.fault(Phase::NotApplied).evidence.contains("stands by"));
    assert!(stage.local.process("engine").is_some());
}

#[test]
fn the_end_of_a_run_finds_all_of_them() {
    let stage = two_and_two(&[called("switch")], SLEEPER);
    assert_eq!(stage.play_through(), []);
    let green = ["green-1", "green-2"].map(|name| stage.local.process(name).unwrap());
    assert_eq!(stage.local.stop_all(GRACE), []);
    assert!(green.iter().all(|node| !node.is_alive()));
    until("all are told of", || {
        let nodes = stage.nodes.lock().unwrap();
        let count = |change| nodes.iter().filter(|event| event.change == change).count();
        count(NodeChange::Started) == count(NodeChange::Ended)
    });
}

#[test]
fn a_switch_of_what_is_none_and_one_that_lasts_are_refused() {
    let roles: Vec<Role> = ["engine", "worker:1"].iter().map(|role| role.parse().unwrap()).collect();
    let scope = Scope { length: None, roles: &roles };
    let on_workers = Planned { on: "worker:1".parse().unwrap(), ..called("switch") };
    let refused = draw(&[on_workers], 1, &scope).unwrap_err();
    assert!(matches!(refused, ScheduleError::WrongKind { wants: "engine", .. }), "{refused}");
    let lasting = Planned { lasts: Some(GRACE), ..called("switch") };
    let refused = draw(&[lasting], 1, &scope).unwrap_err().to_string();
    assert!(refused.contains("over by itself"), "{refused}");
    let twice = Planned { times: 2, every: Some(GRACE), ..called("switch") };
    assert_eq!(draw(&[twice], 1, &scope).unwrap().len(), 2);
}
