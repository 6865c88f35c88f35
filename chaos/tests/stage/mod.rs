//! What tests of drills share: a folder with a ledger, nodes that are small shell programs, and what was told.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use shakedown_chaos::clock;
use shakedown_chaos::drill::{Drill, FaultEvent, Phase, Unhealed};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::ledger::Ledger;
use shakedown_chaos::role::Role;
use shakedown_chaos::schedule::{self, Injection, Planned, Scope, Trigger};
use shakedown_chaos::substrate::local::{Local, NodeEvent, NodeSpec, Ready, Spec, Supervision};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// The program that tests start as node, harness and guard.
pub const DUMMY: &str = env!("CARGO_BIN_EXE_chaos-dummy");

/// How long anything may take before a test gives up.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct Stage {
    pub folder: TempDir,
    pub local: Arc<Local>,
    pub injections: Vec<Injection>,
    pub nodes: Arc<Mutex<Vec<NodeEvent>>>,
    pub faults: Arc<Mutex<Vec<FaultEvent>>>,
}

impl Stage {
    /// One for a schedule, without nodes yet.
    pub fn new(planned: &[Planned]) -> Self {
        Self::prepared_for(planned, planned)
    }

    /// One for a schedule whose nodes are only made ready for another one.
    pub fn prepared_for(planned: &[Planned], ready_for: &[Planned]) -> Self {
        let roles: Vec<Role> =
            ["engine", "worker:1", "worker:2", "link:clients", "link:clients.2", "db.primary", "db.standby"]
                .iter()
                .map(|role| role.parse().unwrap())
                .collect();
        let scope = Scope { length: None, roles: &roles };
        let injections = schedule::draw(planned, 7, &scope).unwrap();
        let ready_for = schedule::draw(ready_for, 7, &scope).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::create(folder.path(), "nodes of a test").unwrap());
        let nodes: Arc<Mutex<Vec<NodeEvent>>> = Arc::default();
        let heard = Arc::clone(&nodes);
        let sink = Arc::new(move |event| heard.lock().unwrap().push(event));
        let local = Arc::new(Local::new(ledger, ready_for, sink));
        Self { folder, local, injections, nodes, faults: Arc::default() }
    }

    /// Begins to play.
    pub fn play(&self) -> Drill {
        let heard = Arc::clone(&self.faults);
        let sink = Arc::new(move |event| heard.lock().unwrap().push(event));
        let ledger = Arc::clone(self.local.ledger());
        let local = Arc::clone(&self.local);
        Drill::start(self.injections.clone(), clock::now_ns(), local, ledger, sink).unwrap()
    }

    /// Plays until every injection is over by itself.
    pub fn play_through(&self) -> Vec<Unhealed> {
        let drill = self.play();
        until("every injection is over", || drill.open() == 0);
        drill.finish()
    }

    pub fn phases(&self) -> Vec<Phase> {
        self.faults.lock().unwrap().iter().map(|event| event.phase).collect()
    }

    pub fn fault(&self, phase: Phase) -> FaultEvent {
        let faults = self.faults.lock().unwrap();
        let found = faults.iter().find(|event| event.phase == phase);
        found.unwrap_or_else(|| panic!("no {phase:?} in {faults:#?}")).clone()
    }
}

/// A fault that is due at once.
pub fn now(fault: Fault, on: &str, lasts: Option<Duration>) -> Planned {
    let (name, on) = (fault.kind().to_owned(), on.parse().unwrap());
    let trigger = Trigger::At { from: Duration::ZERO, to: Duration::ZERO };
    Planned { name, fault, on, trigger, lasts, every: None, times: 1 }
}

/// A node that can be asked, with a folder of data.
pub fn dummy(folder: &Path, name: &str, role: &str) -> NodeSpec {
    let data = folder.join(format!("{name}-data"));
    std::fs::create_dir(&data).unwrap();
    let mut node = shell(folder, name, role, "");
    node.spec.program = DUMMY.into();
    node.spec.args = vec!["node".into(), data.clone().into()];
    node.spec.ready = Some(Ready { prefix: "listening on ".to_owned(), within: LIMIT });
    node.data = Some(data);
    node
}

/// A connection to a dummy.
pub struct Asked {
    stream: BufReader<TcpStream>,
}

impl Asked {
    pub fn at(address: &str) -> Self {
        let stream = TcpStream::connect(address.trim()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// What it answers; empty when it is gone.
    pub fn ask(&mut self, line: &str) -> String {
        let mut answer = String::new();
        if writeln!(self.stream.get_mut(), "{line}").is_ok() {
            let _ = self.stream.read_line(&mut answer);
        }
        answer.trim_end().to_owned()
    }
}

/// True as root; a test that needs it says what it does without.
pub fn is_root(what: &str) -> bool {
    // SAFETY: no arguments, no effect.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("skipped: {what} needs root");
    }
    root
}

/// A node that is a shell program, which says `ready` when it is.
pub fn shell(folder: &Path, name: &str, role: &str, script: &str) -> NodeSpec {
    NodeSpec {
        spec: Spec {
            name: name.to_owned(),
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![],
            log: folder.join(format!("{name}.log")),
            ready: Some(Ready { prefix: "ready".to_owned(), within: LIMIT }),
        },
        roles: vec![role.parse().unwrap()],
        supervision: Supervision::Again { after: Duration::from_millis(10), at_most: 3 },
        data: None,
        backup: None,
        own_processes: false,
        user: None,
        stop_signal: libc::SIGTERM,
    }
}

/// Waits for a condition, within [`LIMIT`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = clock::after(LIMIT);
    while !condition() {
        assert!(!clock::until(deadline).is_zero(), "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
