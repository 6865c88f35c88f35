//! Nodes as child processes of this one, links through a fault proxy that is one of them.

mod asked;
mod backups;
mod capability;
pub mod kit;
mod left;
mod life;
mod links;
mod lives;
mod standby;
mod supervisor;

pub use super::node::{Node, NodeError, Ready, Spec};
pub use backups::{Backup, Backups};
pub use capability::{Capability, capabilities};
pub use left::Left;
pub use life::{Brought, Ended, Readiness};
pub use standby::Proof;
pub use supervisor::Supervised;

use super::{Aimed, Substrate, Unaimed, sweep};
use crate::draw;
use crate::fault::Fault;
use crate::inject;
use crate::ledger::Ledger;
use crate::process::Identity;
use crate::role::{Role, Which};
use crate::schedule::Injection;
use kit::Kit;
use links::Links;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much longer than its own time a node has to be ready again: its supervisor has to get round to it.
const SLACK: Duration = Duration::from_secs(5);

/// A node that is kept running.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its program, arguments, log and how it says that it is ready. Its name is that of the node.
    pub spec: Spec,
    /// What it is: faults are aimed at roles. `node:NAME` is understood without being in here.
    pub roles: Vec<Role>,
    /// What happens when it ends unasked.
    pub supervision: Supervision,
    /// The folder of its data, if it has one: there files are corrupted, and a small disk is put there for the fault
    /// that fills it.
    pub data: Option<PathBuf>,
    /// How its data is backed up, if anybody knows.
    pub backup: Option<Backup>,
    /// It starts processes of its own, which have to end with it. See [`own_processes`](super::Cage::own_processes).
    pub own_processes: bool,
    /// User and group that it runs as; needs root.
    pub user: Option<(u32, u32)>,
    /// The signal that tells it to end in order: SIGTERM, unless the program means something else by that.
    pub stop_signal: i32,
}

/// What happens when a node ends unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervision {
    /// It stays away.
    Never,
    /// It is started again.
    Again {
        /// How long after its end.
        after: Duration,
        /// How often in a row, without having been ready for a minute; then it is given up.
        at_most: u32,
    },
    /// It stays away until somebody who keeps its data in order lets it start: a failover manager.
    Manager,
}

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeChange {
    /// Its process runs.
    Started,
    /// It says that it is ready.
    Ready,
    /// Its process is gone.
    Ended,
    /// Its supervisor gives it up.
    GivenUp,
    /// It stands by: it runs when it takes over from others, and not before.
    StandsBy,
}

/// Something became of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEvent {
    /// The node.
    pub node: String,
    /// What became of it.
    pub change: NodeChange,
    /// Its process.
    pub pid: u32,
    /// CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// What it said when it was ready; how it ended: `signal 9`.
    pub text: String,
}

/// Is told what becomes of nodes, from several threads; must return soon.
pub type Sink = Arc<dyn Fn(NodeEvent) + Send + Sync>;

/// Nodes as child processes of this one. Its verbs block: call them from threads that may wait. Dropping it ends all
/// nodes.
pub struct Local {
    ledger: Arc<Ledger>,
    planned: Vec<Injection>,
    sink: Sink,
    nodes: Mutex<Vec<Arc<Supervised>>>,
    links: Mutex<Links>,
    castings: Mutex<Vec<Casting>>,
    asked: asked::Asked,
}

/// Says which node or link a role stands for at the moment; `None`: it knows nothing of that role.
pub type Casting = Arc<dyn Fn(&Role) -> Option<Role> + Send + Sync>;

impl Local {
    /// One without nodes yet. `planned` is all that will be injected: some faults need something of a node before it
    /// starts (a disk of its own, a control group, a clock that can be moved).
    /// Processes that a run before left behind (its own process is gone) are ended first.
    pub fn new(ledger: Arc<Ledger>, planned: Vec<Injection>, sink: Sink) -> Self {
        for left in sweep::abandoned() {
            tracing::warn!("{left} was left behind by a run that is gone; it is ended");
        }
        Self {
            ledger,
            planned,
            sink,
            nodes: Mutex::default(),
            links: Mutex::default(),
            castings: Mutex::default(),
            asked: asked::Asked::default(),
        }
    }

    /// The ledger that it writes.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// What will be injected.
    #[must_use]
    pub fn planned(&self) -> &[Injection] {
        &self.planned
    }

    /// Starts a node and keeps it running; returns what it said when it was ready. Blocks until then.
    ///
    /// # Errors
    /// It doesn't come up; nothing of it is left then.
    pub fn add_node(&self, spec: NodeSpec) -> Result<Readiness, NodeError> {
        let within = spec.spec.ready.as_ref().map_or(Duration::ZERO, |ready| ready.within);
        let supervised = self.prepare_node(spec)?;
        supervised.want();
        let ready = supervised.await_first(within + SLACK);
        if ready.is_err() {
            let name = supervised.spec().spec.name.clone();
            for left in self.retire(&|node| node == name, Duration::ZERO) {
                tracing::warn!("{left}");
            }
        }
        ready
    }

    /// Makes everything ready for a node, so that its data can be put in place; it runs as soon as it is
    /// [wanted](Supervised::want). Blocks.
    ///
    /// # Errors
    /// There is one of its name, or no thread to be had.
    pub fn prepare_node(&self, spec: NodeSpec) -> Result<Arc<Supervised>, NodeError> {
        let name = spec.spec.name.clone();
        if self.find(&name).is_some() {
            return Err(NodeError::Twice { name });
        }
        let planned = self.planned.iter().filter(|injection| has_role(&spec, &injection.on));
        let faults: Vec<&Fault> = planned.map(|injection| &injection.fault).collect();
        let run_dir = self.ledger.path().parent().unwrap_or(Path::new("."));
        let kit = Kit::make(&spec, &faults, run_dir, &self.ledger);
        let program = spec.spec.program.display().to_string();
        let supervised = Supervised::new(spec, kit, Arc::clone(&self.sink))
            .map_err(|source| NodeError::Start { name, program, source })?;
        let supervised = Arc::new(supervised);
        self.nodes().push(Arc::clone(&supervised));
        Ok(supervised)
    }

    /// A node by its name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Supervised>> {
        self.nodes().iter().find(|node| node.spec().spec.name == name).cloned()
    }

    /// The process of a node, while it runs.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<Identity> {
        self.find(name)?.running()
    }

    /// The nodes of a role, in the order in which they were added.
    #[must_use]
    pub fn of_role(&self, role: &Role) -> Vec<Arc<Supervised>> {
        let role = self.cast(role);
        self.nodes().iter().filter(|node| has_role(node.spec(), &role)).cloned().collect()
    }

    /// From now on some roles stand for whom `casting` says, asked each time that a fault is due.
    pub fn add_casting(&self, casting: Casting) {
        self.castings.lock().unwrap_or_else(PoisonError::into_inner).push(casting);
    }

    /// Whom a role stands for at the moment: itself, unless somebody says otherwise.
    fn cast(&self, role: &Role) -> Role {
        let castings = self.castings.lock().unwrap_or_else(PoisonError::into_inner);
        castings.iter().find_map(|casting| casting(role)).unwrap_or_else(|| role.clone())
    }

    /// Ends all nodes, the last one first: SIGTERM, then SIGKILL after `grace`; and takes away what was made ready for
    /// faults. Returns what is left, which stays open in the ledger. Blocks.
    #[must_use = "what is left has to be told: somebody has to look after it"]
    pub fn stop_all(&self, grace: Duration) -> Vec<Left> {
        self.retire(&|_| true, grace)
    }

    fn take_down(&self, node: &Supervised, grace: Duration) -> Vec<Left> {
        let gone = node.retire(grace);
        let left = node.kit().clear(&self.ledger);
        let told = gone.err().map(|error| error.to_string()).into_iter().chain(left);
        told.map(|evidence| Left { node: node.spec().spec.name.clone(), evidence }).collect()
    }

    /// The last lines of a node's log, for messages.
    #[must_use]
    pub fn log_tail(&self, name: &str) -> String {
        self.find(name).map(|node| super::log_tail::of(&node.spec().spec.log)).unwrap_or_default()
    }

    /// Ends the nodes of some names, the last one first, as [`Local::stop_all`] does all of them. Blocks.
    #[must_use = "what is left has to be told: somebody has to look after it"]
    pub fn retire(&self, which: &dyn Fn(&str) -> bool, grace: Duration) -> Vec<Left> {
        let (gone, left) = self.nodes().drain(..).partition(|node| which(&node.spec().spec.name));
        *self.nodes() = left;
        let gone: Vec<Arc<Supervised>> = gone;
        gone.iter().rev().flat_map(|node| self.take_down(node, grace)).collect()
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Arc<Supervised>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those whom an injection hurts: all of the role, or the one that its seed draws.
    fn victims(&self, injection: &Injection) -> Result<Vec<Arc<Supervised>>, Unaimed> {
        let mut nodes = self.of_role(&injection.on);
        // Who stands by is nobody to hurt, and needed for the fault that changes that.
        let takes_over = matches!(injection.fault, Fault::BlueGreen { .. });
        nodes.retain(|node| takes_over || !node.stands_by());
        if nodes.is_empty() {
            return Err(Unaimed::Nobody(format!(
                "there is no {} now that a {} could hurt; name a role that the run has; on servers of your own give \
                 commands that inject and heal it (fault = \"command\")",
                injection.on,
                injection.fault.kind()
            )));
        }
        if !injection.fault.takes_all() {
            let last = u64::try_from(nodes.len()).unwrap_or(u64::MAX) - 1;
            let index = draw::between(injection.seed, "which", 0, last);
            nodes = vec![nodes.swap_remove(usize::try_from(index).unwrap_or(0))];
        }
        Ok(nodes)
    }
}

impl Substrate for Local {
    fn aim(&self, injection: &Injection) -> Result<Aimed, Unaimed> {
        if let Some(aimed) = inject::command(injection) {
            return Ok(aimed);
        }
        if let Some(aimed) = self.ask(injection)? {
            return Ok(aimed);
        }
        match self.cast(&injection.on) {
            Role::Link(name) => Ok(inject::link(injection, self.parts_of(&name)?)),
            _ => Ok(inject::local(injection, self.victims(injection)?)?),
        }
    }

    fn logs(&self, role: &Role) -> Vec<PathBuf> {
        self.of_role(role).iter().map(|node| node.spec().spec.log.clone()).collect()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        for left in self.stop_all(Duration::ZERO) {
            tracing::warn!("{left}");
        }
    }
}

fn has_role(node: &NodeSpec, role: &Role) -> bool {
    let any_worker = |role: &Role| matches!(role, Role::Worker(_));
    node.roles.contains(role)
        || matches!(role, Role::Node(name) if *name == node.spec.name)
        || *role == Role::Worker(Which::Any) && node.roles.iter().any(any_worker)
}

/// How long a node has to be ready again.
pub(crate) fn ready_within(node: &Supervised) -> Duration {
    node.spec().spec.ready.as_ref().map_or(Duration::ZERO, |ready| ready.within) + SLACK
}
