//! Those who wait for a workflow: for its end, for the end of one of its tasks, or until it waits for somebody.

use super::handle::{Failure, Seen, Unavailable};
use crate::machine::State;
use crate::machine::definition::Kind;
use crate::machine::id::WorkflowId;
use crate::machine::workflow::Workflow;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// Somebody who waits, and the instant at which it is answered anyway, epoch milliseconds.
pub(super) struct Watcher {
    pub id: WorkflowId,
    /// Reference names of tasks whose end is enough.
    pub tasks: Vec<String>,
    pub until: u64,
    pub to: oneshot::Sender<Result<Seen, Failure>>,
    /// Position of the frame that its command is in, if it made one.
    frame: u64,
}

impl Watcher {
    pub fn new(
        id: WorkflowId,
        tasks: Vec<String>,
        until: u64,
        to: oneshot::Sender<Result<Seen, Failure>>,
    ) -> Self {
        Self { id, tasks, until, to, frame: 0 }
    }
}

/// One who has waited long enough.
pub(super) struct Due {
    pub to: oneshot::Sender<Result<Seen, Failure>>,
    pub seen: Seen,
    /// Its command is in an earlier frame: whatever becomes of this one, it stands.
    pub stands: bool,
}

/// All who wait, by workflow.
#[derive(Default)]
pub(super) struct Watching {
    watchers: BTreeMap<WorkflowId, Vec<Watcher>>,
    /// Nobody's time is over before this.
    pub soonest: Option<u64>,
    /// Position of the frame that is being written.
    frame: u64,
}

impl Watching {
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// From now on commands are in the frame at this position.
    pub fn begin_frame(&mut self, position: u64) {
        self.frame = position;
    }

    pub fn add(&mut self, mut watcher: Watcher) {
        watcher.frame = self.frame;
        self.soonest = Some(self.soonest.map_or(watcher.until, |soonest| soonest.min(watcher.until)));
        self.watchers.entry(watcher.id).or_default().push(watcher);
    }

    /// Ends everybody's time.
    pub fn drain(&mut self) {
        self.soonest = Some(0);
        self.watchers.values_mut().flatten().for_each(|watcher| watcher.until = 0);
    }

    /// The frame that was being written was rolled back: those whose command was in it are told, the others wait on.
    pub fn take_back(&mut self, why: &Unavailable) {
        let frame = self.frame;
        self.watchers.retain(|_, watchers| {
            let (gone, still): (Vec<_>, Vec<_>) =
                std::mem::take(watchers).into_iter().partition(|watcher| watcher.frame >= frame);
            gone.into_iter().for_each(|watcher| drop(watcher.to.send(Err(why.clone().into()))));
            *watchers = still;
            !watchers.is_empty()
        });
    }

    /// Tells everybody that nobody waits any longer.
    pub fn refuse(&mut self, why: &Unavailable) {
        self.soonest = None;
        for watcher in std::mem::take(&mut self.watchers).into_values().flatten() {
            let _ = watcher.to.send(Err(why.clone().into()));
        }
    }

    /// Takes out those who have what they wait for, of the workflows that changed and what is above them.
    pub fn served(&mut self, state: &State, changed: &[WorkflowId]) -> Vec<Due> {
        let above = |id: &WorkflowId| Some(state.workflow(*id)?.start.parent?.workflow);
        let with_above = |id: &WorkflowId| std::iter::successors(Some(*id), above);
        // Each once: many children that change in one batch have one parent, and looking at it means looking at all of them.
        let asked: BTreeSet<WorkflowId> = changed.iter().flat_map(with_above).collect();
        let mut served = Vec::new();
        for id in asked {
            let Some(watchers) = self.watchers.remove(&id) else { continue };
            for watcher in watchers {
                match seen(state, id, &watcher.tasks) {
                    Some(seen) => {
                        served.push(Due { stands: watcher.frame < self.frame, to: watcher.to, seen })
                    }
                    None => self.watchers.entry(id).or_default().push(watcher),
                }
            }
        }
        served
    }

    /// Takes out those whose time is over or who have gone.
    pub fn expired(&mut self, state: &State, now: u64) -> Vec<Due> {
        let (mut expired, frame) = (Vec::new(), self.frame);
        if self.soonest.is_none_or(|soonest| now < soonest) {
            return expired;
        }
        self.watchers.retain(|id, watchers| {
            let (over, still): (Vec<_>, Vec<_>) = std::mem::take(watchers)
                .into_iter()
                .partition(|watcher| watcher.until <= now || watcher.to.is_closed());
            let workflow = state.workflow(*id);
            let seen = || Seen { id: *id, workflow: workflow.cloned().map(Box::new), timed_out: true };
            let due = |watcher: Watcher| Due { stands: watcher.frame < frame, to: watcher.to, seen: seen() };
            expired.extend(over.into_iter().map(due));
            *watchers = still;
            !watchers.is_empty()
        });
        self.soonest = self.watchers.values().flatten().map(|watcher| watcher.until).min();
        expired
    }
}

/// What the watch waits for, if it is there. A workflow that is not in memory has ended.
pub(super) fn seen(state: &State, id: WorkflowId, tasks: &[String]) -> Option<Seen> {
    let Some(workflow) = state.workflow(id) else {
        return Some(Seen { id, workflow: None, timed_out: false });
    };
    let ended = |name: &String| {
        let task = workflow.snapshot.find(name).and_then(|node| workflow.latest(node));
        task.is_some_and(|task| task.status.is_terminal())
    };
    let is_there =
        workflow.status.is_terminal() || tasks.iter().any(ended) || waits_for_somebody(state, workflow);
    is_there.then(|| Seen { id, workflow: Some(Box::new(workflow.clone())), timed_out: false })
}

/// True when a WAIT without a time is open, here or in a workflow below.
fn waits_for_somebody(state: &State, workflow: &Workflow) -> bool {
    workflow.open_tasks().any(|task| match workflow.node(task).kind {
        Kind::Wait => task.wakes_at().is_none(),
        Kind::SubWorkflow => {
            let child = task.child.and_then(|child| state.workflow(child.id));
            child.is_some_and(|child| waits_for_somebody(state, child))
        }
        _ => false,
    })
}
