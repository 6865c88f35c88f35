//! Those who wait for a workflow: for its end, for the end of one of its tasks, or until it waits for somebody.

use super::handle::{Failure, Seen, Unavailable};
use crate::machine::State;
use crate::machine::definition::Kind;
use crate::machine::id::WorkflowId;
use crate::machine::workflow::Workflow;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Somebody who waits, and the instant at which it is answered anyway, epoch milliseconds.
pub(super) struct Watcher {
    pub id: WorkflowId,
    /// Reference names of tasks whose end is enough.
    pub tasks: Vec<String>,
    pub until: u64,
    pub to: oneshot::Sender<Result<Seen, Failure>>,
}

/// All who wait, by workflow.
#[derive(Default)]
pub(super) struct Watching {
    watchers: BTreeMap<WorkflowId, Vec<Watcher>>,
    /// Nobody's time is over before this.
    pub soonest: Option<u64>,
}

impl Watching {
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    pub fn add(&mut self, watcher: Watcher) {
        self.soonest = Some(self.soonest.map_or(watcher.until, |soonest| soonest.min(watcher.until)));
        self.watchers.entry(watcher.id).or_default().push(watcher);
    }

    /// Ends everybody's time.
    pub fn drain(&mut self) {
        self.soonest = Some(0);
        self.watchers.values_mut().flatten().for_each(|watcher| watcher.until = 0);
    }

    /// Tells everybody that the disk is full: what they wait for may have been rolled back.
    pub fn refuse(&mut self, why: &Unavailable) {
        self.soonest = None;
        for watcher in std::mem::take(&mut self.watchers).into_values().flatten() {
            let _ = watcher.to.send(Err(why.clone().into()));
        }
    }

    /// Takes out those who have what they wait for, of the workflows that changed and what is above them.
    pub fn served(
        &mut self,
        state: &State,
        changed: &[WorkflowId],
    ) -> Vec<(oneshot::Sender<Result<Seen, Failure>>, Seen)> {
        let mut served = Vec::new();
        for id in changed {
            let above = |id: &WorkflowId| Some(state.workflow(*id)?.start.parent?.workflow);
            for id in std::iter::successors(Some(*id), above) {
                let Some(watchers) = self.watchers.remove(&id) else { continue };
                for watcher in watchers {
                    match seen(state, id, &watcher.tasks) {
                        Some(seen) => served.push((watcher.to, seen)),
                        None => self.watchers.entry(id).or_default().push(watcher),
                    }
                }
            }
        }
        served
    }

    /// Takes out those whose time is over or who have gone.
    pub fn expired(
        &mut self,
        state: &State,
        now: u64,
    ) -> Vec<(oneshot::Sender<Result<Seen, Failure>>, Seen)> {
        let mut expired = Vec::new();
        if self.soonest.is_none_or(|soonest| now < soonest) {
            return expired;
        }
        self.watchers.retain(|id, watchers| {
            let (over, still): (Vec<_>, Vec<_>) = std::mem::take(watchers)
                .into_iter()
                .partition(|watcher| watcher.until <= now || watcher.to.is_closed());
            let workflow = state.workflow(*id);
            let seen = || Seen { id: *id, workflow: workflow.cloned().map(Box::new), timed_out: true };
            expired.extend(over.into_iter().map(|watcher| (watcher.to, seen())));
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
