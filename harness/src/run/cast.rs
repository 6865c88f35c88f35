//! The processes of a run that are its own: kept running by their supervisors, hurt by faults, told of in the history.

use super::directory::Directory;
use super::usage::Watcher;
use crate::clock;
use crate::failure::{Blame, Result};
use crate::journal::Journal;
use crate::program;
use anyhow::Context as _;
use shakedown_chaos::guard::Guard;
use shakedown_chaos::ledger::Ledger;
use shakedown_chaos::lock::Lock;
use shakedown_chaos::role::Role;
use shakedown_chaos::schedule::Injection;
use shakedown_chaos::substrate::local::{
    self, Backup, Left, Local, NodeEvent, NodeSpec, Readiness, Spec, Supervision,
};
use shakedown_reports::history::{Begun, FaultMark, FaultPhase, NodeChange, NodeMark, Record};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is told as not healed when something of a node is left after the run.
const LEFT_BEHIND: &str = "left-behind";
/// How often in a row a node that faults may hit is started again before it is given up.
const STARTS_AT_MOST: u32 = 200;
/// How long after its end: what systemd waits unless it is told otherwise (`RestartSec=`).
const START_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The folder of a node's data and, where that can be backed up, how.
type Kept = Option<(PathBuf, Option<Backup>)>;

/// The nodes of a run.
pub struct Cast {
    local: Arc<Local>,
    seen: Arc<Seen>,
    /// Whether a node that ends unasked is started again: only where faults end it is that what a run expects.
    supervision: Supervision,
    /// Nobody else may hurt a target that we hurt.
    lock: Option<Lock>,
    /// Heals when we can't.
    guard: Option<Guard>,
}

impl std::fmt::Debug for Cast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cast").field("supervision", &self.supervision).finish_non_exhaustive()
    }
}

/// What is known of what became of nodes.
struct Seen {
    journal: Journal,
    watcher: Watcher,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The node that was given up.
    given_up: Option<String>,
    ended: Vec<NodeEvent>,
}

impl Cast {
    /// A cast without nodes yet, for a run with these injections.
    pub fn new(ledger: Ledger, injections: Vec<Injection>, journal: Journal, watcher: Watcher) -> Self {
        let supervision = match injections.is_empty() {
            true => Supervision::Never,
            false => Supervision::Again { after: START_AGAIN_AFTER, at_most: STARTS_AT_MOST },
        };
        let seen = Arc::new(Seen { journal, watcher, state: Mutex::default() });
        let told = Arc::clone(&seen);
        let sink: local::Sink = Arc::new(move |event| told.take(event));
        let local = Arc::new(Local::new(Arc::new(ledger), injections, sink));
        Self { local, seen, supervision, lock: None, guard: None }
    }

    /// Makes sure that nobody else hurts `target`, where it is somebody else's too, and that what is in force is healed
    /// when this process is gone. For runs with faults.
    ///
    /// # Errors
    /// Another run hurts the target, or left it hurt; the guard can't be started.
    pub fn secure(&mut self, target: Option<&str>, directory: &Directory) -> Result<()> {
        if let Some(target) = target {
            self.lock = Some(Lock::take(&std::env::temp_dir(), target, &directory.path).blame_input()?);
        }
        let program = program::path().context("cannot find out which program this is, to start its guard")?;
        let args = ["heal".into(), "--guard".into(), directory.path.clone().into_os_string()];
        let guard = Guard::start(&program, &args, &directory.logs().join("guard.log"));
        self.guard = Some(guard.context("the guard of the run can't be started")?);
        Ok(())
    }

    /// Ends all nodes in order, and then the guard, when nothing is left in force.
    ///
    /// # Errors
    /// The ledger can't be closed, or the guard does not end.
    pub async fn close(mut self, grace: Duration) -> anyhow::Result<()> {
        self.end("", grace).await?;
        self.local.ledger().close().context("the ledger of faults can't be closed")?;
        if let Some(guard) = self.guard.take() {
            tokio::task::spawn_blocking(move || guard.end()).await?.context("the guard of the run")?;
        }
        drop(self.lock.take());
        Ok(())
    }

    /// What faults are injected into.
    pub fn local(&self) -> Arc<Local> {
        Arc::clone(&self.local)
    }

    /// Starts a node and returns when it is ready. `kept`: the folder of its data, and how that is backed up.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn add(&self, spec: Spec, roles: Vec<Role>, kept: Kept) -> anyhow::Result<Readiness> {
        let (node, local) = (self.node(spec, roles, kept), self.local());
        Ok(tokio::task::spawn_blocking(move || local.add_node(node)).await??)
    }

    /// Makes a node ready that stands by.
    ///
    /// # Errors
    /// There is one of its name.
    pub async fn add_standby(&self, spec: Spec, roles: Vec<Role>, kept: Kept) -> anyhow::Result<()> {
        let (node, local) = (self.node(spec, roles, kept), self.local());
        tokio::task::spawn_blocking(move || local.prepare_standby(node).map(drop)).await??;
        Ok(())
    }

    fn node(&self, spec: Spec, roles: Vec<Role>, kept: Kept) -> NodeSpec {
        let (supervision, stop_signal) = (self.supervision, libc::SIGTERM);
        let (data, backup) = kept.unzip();
        let backup = backup.flatten();
        NodeSpec { spec, roles, supervision, data, backup, own_processes: false, user: None, stop_signal }
    }

    /// Why a node is no longer there, when its supervisor gave it up.
    pub fn lost(&self) -> Option<String> {
        let state = self.seen.state();
        let name = state.given_up.as_ref()?;
        let how = state.ended.iter().rev().find(|event| event.node == *name).map(|event| event.text.as_str());
        let tail = self.local.log_tail(name);
        Some(format!(
            "the {name} ended ({}); the end of its log:\n{tail}",
            how.unwrap_or("it did not come up")
        ))
    }

    /// Ends the nodes whose names begin with `prefix`, in order. What is left of one is told as a fault that is not
    /// healed: somebody has to look after it.
    ///
    /// # Errors
    /// The task that waits for them panicked.
    pub async fn end(&self, prefix: &str, grace: Duration) -> anyhow::Result<()> {
        let local = self.local();
        let prefix = prefix.to_owned();
        let end = move || local.retire(&|name: &str| name.starts_with(&prefix), grace);
        for left in tokio::task::spawn_blocking(end).await? {
            eprintln!("shakedown: {left}; `shakedown heal` with this run directory tries again");
            self.seen.journal.write(Record::Fault(left_behind(left)));
        }
        Ok(())
    }

    /// When the worker process that began a piece of work ended, as far as is known.
    pub fn ended_ns(&self, begun: &Begun) -> Option<u64> {
        let state = self.seen.state();
        let did_it = |event: &&NodeEvent| begun.worker.contains(&format!("-{}-{}-", event.node, event.pid));
        state.ended.iter().find(did_it).map(|event| event.at_ns)
    }
}

/// A mark of what was made ready for faults and could not be taken away: no injection, so it has the number 0.
fn left_behind(left: Left) -> FaultMark {
    FaultMark {
        fault: LEFT_BEHIND.to_owned(),
        injection: 0,
        phase: FaultPhase::NotHealed,
        at_ns: clock::now_ns(),
        node: Some(left.node),
        evidence: left.evidence,
    }
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: NodeEvent) {
        let change = match event.change {
            local::NodeChange::Started => NodeChange::Started,
            local::NodeChange::Ready => NodeChange::Ready,
            local::NodeChange::Ended => NodeChange::Ended,
            local::NodeChange::GivenUp => NodeChange::GivenUp,
            local::NodeChange::StandsBy => NodeChange::StandsBy,
        };
        self.journal.write(Record::Node(NodeMark {
            node: event.node.clone(),
            change,
            at_ns: event.at_ns,
            pid: event.pid,
            text: event.text.clone(),
        }));
        match event.change {
            local::NodeChange::Started => self.watcher.watch(&event.node, event.pid),
            local::NodeChange::Ready | local::NodeChange::StandsBy => {}
            local::NodeChange::Ended => self.state().ended.push(event),
            local::NodeChange::GivenUp => {
                self.state().given_up.get_or_insert(event.node);
            }
        }
    }
}
