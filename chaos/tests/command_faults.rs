//! Faults by commands of the user's own, on servers that run somewhere.

use crate::stage::{now, until};
use shakedown_chaos::clock;
use shakedown_chaos::drill::{Drill, FaultEvent, Phase, Unhealed};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::heal::heal;
use shakedown_chaos::ledger::{Account, Ledger};
use shakedown_chaos::schedule::{Planned, Scope, draw};
use shakedown_chaos::substrate::local::Local;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A fault whose scripts find the run's folder in `$0`.
fn command(folder: &Path, inject: &str, heal: &str, verify: Option<&str>) -> Planned {
    let shell = |script: &str| {
        vec!["sh".to_owned(), "-c".to_owned(), script.to_owned(), folder.display().to_string()]
    };
    let verify = verify.map(shell).unwrap_or_default();
    let fault = Fault::Command { inject: shell(inject), heal: shell(heal), verify, within_s: 2 };
    Planned { name: "zone b".to_owned(), ..now(fault, "node:zone-b", Some(Duration::from_millis(20))) }
}

fn play(folder: &Path, planned: &Planned) -> (Vec<FaultEvent>, Vec<Unhealed>) {
    let injections = draw(std::slice::from_ref(planned), 1, &Scope { length: None, roles: &[] }).unwrap();
    let ledger = Arc::new(Ledger::create(folder, "http://conductor:8080/api").unwrap());
    let heard: Arc<Mutex<Vec<FaultEvent>>> = Arc::default();
    let told = Arc::clone(&heard);
    let sink = Arc::new(move |event| told.lock().unwrap().push(event));
    let nobody = Arc::new(Local::new(Arc::clone(&ledger), injections.clone(), Arc::new(|_| {})));
    let drill = Drill::start(injections, clock::now_ns(), nobody, ledger, sink).unwrap();
    until("it is over", || drill.open() == 0);
    let unhealed = drill.finish();
    let events = heard.lock().unwrap().clone();
    (events, unhealed)
}

fn phases(events: &[FaultEvent]) -> Vec<Phase> {
    events.iter().map(|event| event.phase).collect()
}

const WHOLE: [Phase; 4] = [Phase::Intended, Phase::Applied, Phase::Healing, Phase::Healed];

#[test]
fn a_command_injects_is_verified_and_heals_and_what_they_say_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    // It shows only at the third look, as with a cloud.
    let inject =
        r#"echo "cutting $SHAKEDOWN_ROLE" >&2; env | grep ^SHAKEDOWN_ | sort > $0/env; touch $0/cut"#;
    let verify = r#"[ -e $0/cut ] || exit 1; echo >> $0/looks; [ $(wc -l < $0/looks) -ge 3 ]"#;
    let planned = command(folder.path(), inject, "rm -f $0/cut; echo mended", Some(verify));
    let (events, unhealed) = play(folder.path(), &planned);
    assert_eq!((phases(&events), unhealed), (WHOLE.into(), vec![]));
    assert!(events[1].evidence.contains("cutting node:zone-b"), "{}", events[1].evidence);
    assert!(events[3].evidence.contains("mended"), "{}", events[3].evidence);
    let env = fs::read_to_string(folder.path().join("env")).unwrap();
    assert_eq!(env, "SHAKEDOWN_FAULT=zone b\nSHAKEDOWN_INJECTION=1\nSHAKEDOWN_ROLE=node:zone-b\n");
    assert!(events[1].at_ns - events[0].at_ns >= 200_000_000, "in force since the look that said so");
}

#[test]
fn nobody_else_heals_a_command_before_it_had_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut planned = command(folder.path(), "true", "true", Some("exit 1"));
    planned.fault = match planned.fault {
        Fault::Command { inject, heal, .. } => Fault::Command { inject, heal, verify: vec![], within_s: 600 },
        other => other,
    };
    play(folder.path(), &planned);
    let ledger = fs::read_to_string(folder.path().join("ledger.jsonl")).unwrap();
    let entries: Vec<serde_json::Value> =
        ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let granted_ms = |what: fn(&serde_json::Value) -> bool| {
        let entry = entries.iter().find(|entry| what(entry)).unwrap();
        (entry["expires_ns"].as_u64().unwrap() - entry["at_ns"].as_u64().unwrap()) / 1_000_000
    };
    // It and the one that verifies it have ten minutes each, when it is injected and when it is healed.
    let (lasts_ms, overtime_ms, each_ms) = (20, 30_000, 600_000);
    let intended_ms = granted_ms(|entry| entry["entry"] == "intended");
    assert_eq!(intended_ms, lasts_ms + overtime_ms + 4 * each_ms);
    let applied_ms = granted_ms(|entry| entry["entry"] == "came" && entry["to"] == "applied");
    assert_eq!(applied_ms, lasts_ms + overtime_ms + 2 * each_ms);
}

#[test]
fn a_command_that_fails_is_not_applied_and_is_healed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let planned = command(folder.path(), "echo no such pod >&2; exit 4", "touch $0/healed", None);
    let (events, unhealed) = play(folder.path(), &planned);
    assert_eq!(phases(&events), [Phase::Intended, Phase::NotApplied, Phase::Healing, Phase::Healed]);
    assert!(events[1].evidence.contains("no such pod") && unhealed.is_empty(), "{}", events[1].evidence);
    assert!(folder.path().join("healed").exists());
}

#[test]
fn a_fault_that_never_shows_is_not_applied() {
    let folder = tempfile::tempdir().unwrap();
    let mut planned = command(folder.path(), "true", "true", Some("exit 1"));
    if let Fault::Command { within_s, .. } = &mut planned.fault {
        *within_s = 1;
    }
    let (events, _) = play(folder.path(), &planned);
    assert_eq!(phases(&events), [Phase::Intended, Phase::NotApplied, Phase::Healing, Phase::Healed]);
}

#[test]
fn a_verifying_command_that_breaks_leaves_it_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let planned = command(folder.path(), "true", "true", Some("echo no route >&2; exit 7"));
    let (events, unhealed) = play(folder.path(), &planned);
    assert_eq!(phases(&events), [Phase::Intended, Phase::NotApplied, Phase::Healing, Phase::NotHealed]);
    assert!(events[1].evidence.contains("no route"));
    assert!(unhealed[0].evidence.contains("no route"), "{}", unhealed[0].evidence);
}

#[test]
fn what_can_not_be_healed_is_told_stays_open_and_can_be_healed_later() {
    let folder = tempfile::tempdir().unwrap();
    let planned = command(folder.path(), "true", "[ -e $0/network ] || { echo no network; exit 1; }", None);
    let (events, unhealed) = play(folder.path(), &planned);
    assert_eq!(phases(&events), [Phase::Intended, Phase::Applied, Phase::Healing, Phase::NotHealed]);
    assert_eq!((unhealed.len(), unhealed[0].thing.as_str()), (1, "node:zone-b"));
    assert!(unhealed[0].evidence.contains("no network"));
    assert_eq!(Account::read(folder.path()).unwrap().open().count(), 1);
    let healing = heal(folder.path(), true).unwrap();
    assert!(
        !healing.is_whole() && healing.to_string().contains("NOT HEALED zone b (1) on node:zone-b"),
        "{healing}"
    );
    fs::write(folder.path().join("network"), "").unwrap();
    assert!(heal(folder.path(), true).unwrap().is_whole());
    assert_eq!(Account::read(folder.path()).unwrap().open().count(), 0);
}

#[test]
fn what_hurts_a_process_finds_nobody_on_a_server_that_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let planned = now(Fault::Pause {}, "engine", None);
    let roles = ["engine".parse().unwrap()];
    let injections = draw(&[planned], 1, &Scope { length: None, roles: &roles }).unwrap();
    let ledger = Arc::new(Ledger::create(folder.path(), "http://conductor:8080/api").unwrap());
    let heard: Arc<Mutex<Vec<FaultEvent>>> = Arc::default();
    let told = Arc::clone(&heard);
    let sink = Arc::new(move |event| told.lock().unwrap().push(event));
    let nobody = Arc::new(Local::new(Arc::clone(&ledger), injections.clone(), Arc::new(|_| {})));
    let drill = Drill::start(injections, clock::now_ns(), nobody, ledger, sink).unwrap();
    until("it is over", || drill.open() == 0);
    drill.finish();
    let events = heard.lock().unwrap().clone();
    assert_eq!(phases(&events), [Phase::Missed]);
    assert!(events[0].evidence.contains("fault = \"command\""), "{}", events[0].evidence);
}
