//! A harness with one node that is hurt at once, and that is there to be killed.

use super::Path;
use shakedown_chaos::clock;
use shakedown_chaos::drill::{Drill, Phase};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::guard::Guard;
use shakedown_chaos::ledger::Ledger;
use shakedown_chaos::role::Role;
use shakedown_chaos::schedule::{Planned, Scope, Trigger, draw};
use shakedown_chaos::substrate::local::{Backup, Local, NodeSpec, Ready, Spec, Supervision};
use std::sync::Arc;
use std::time::Duration;

/// A backup that goes on until somebody ends it, and says in a file which process that is.
fn endless_backup(run_dir: &Path) -> Backup {
    let script = "echo $$ > \"$1/taking\"; exec tail -f /dev/null";
    let take = ["/bin/sh", "-c", script, "sh"].map(Into::into).into_iter().chain([run_dir.into()]).collect();
    Backup { folder: run_dir.join("backups"), take, put_back: vec!["false".into()] }
}

pub fn run(run_dir: &Path, fault: &str, lasts_ms: &str, guarded: bool) {
    let us = std::env::current_exe().expect("this program has a path");
    let role = Role::Engine;
    let planned = Planned {
        name: "hurt".to_owned(),
        fault: serde_json::from_str::<Fault>(fault).expect("a fault"),
        on: role.clone(),
        trigger: Trigger::At { from: Duration::ZERO, to: Duration::ZERO },
        lasts: lasts_ms.parse().ok().map(Duration::from_millis),
        every: None,
        times: 1,
    };
    let roles = [role.clone()];
    let injections = draw(&[planned], 1, &Scope { length: None, roles: &roles }).expect("a schedule");
    let ledger = Arc::new(Ledger::create(run_dir, "a node of a test").expect("a ledger"));
    let guard_args = ["guard".into(), run_dir.into()];
    let guard = guarded.then(|| Guard::start(&us, &guard_args, &run_dir.join("guard.log")).expect("a guard"));
    let local = Arc::new(Local::new(Arc::clone(&ledger), injections.clone(), Arc::new(|_| ())));
    let data = run_dir.join("data");
    let node = NodeSpec {
        spec: Spec {
            name: "engine".to_owned(),
            program: us,
            args: vec!["node".into(), data.clone().into()],
            env: vec![],
            log: run_dir.join("engine.log"),
            ready: Some(Ready { prefix: "listening on ".to_owned(), within: Duration::from_secs(20) }),
        },
        roles: vec![role],
        supervision: Supervision::Again { after: Duration::ZERO, at_most: 3 },
        data: Some(data),
        backup: Some(endless_backup(run_dir)),
        own_processes: false,
        user: None,
        stop_signal: libc::SIGTERM,
    };
    let mut standby = node.clone();
    standby.spec.name = "standby".to_owned();
    standby.spec.log = run_dir.join("standby.log");
    let ready = local.add_node(node).expect("the node comes up");
    if fault.contains("blue_green") {
        local.prepare_standby(standby).expect("another can be made ready");
    }
    println!("node {} at {}", ready.pid, ready.text);
    let tell = Arc::new(move |event: shakedown_chaos::drill::FaultEvent| {
        if !matches!(event.phase, Phase::Intended | Phase::Healing) {
            println!("{:?} {}", event.phase, event.evidence);
        }
    });
    let substrate = Arc::clone(&local);
    let drill =
        Drill::start(injections, clock::now_ns(), substrate, Arc::clone(&ledger), tell).expect("threads");
    // Until somebody kills it, or says that it may end.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
    println!("unhealed {}", drill.finish().len());
    for left in local.stop_all(Duration::from_secs(1)) {
        println!("{left}");
    }
    ledger.close().expect("the ledger is written");
    if let Some(guard) = guard {
        guard.end().expect("the guard ends when the ledger is closed");
    }
}
