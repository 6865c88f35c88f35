//! The state: definitions, aggregates and the indexes derived from them. It changes by events only.

use super::catalogue::Catalogue;
use super::definition::Kind;
use super::event::{Event, SnapshotNumber, TaskChange, WorkflowChange};
use super::id::{TaskId, WorkflowId, mix};
use super::index::{Entries, Indexes};
use super::polls::{Polled, Polls};
use super::rates::Rates;
use super::snapshot::Snapshot;
use super::workflow::{Task, Workflow};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that the engine knows.
#[derive(Debug, Default)]
pub struct State {
    catalogue: Catalogue,
    snapshots: BTreeMap<SnapshotNumber, Arc<Snapshot>>,
    /// Their numbers by hash: equal definitions share a snapshot.
    hashes: BTreeMap<u64, Vec<SnapshotNumber>>,
    /// Those that run, and those that ended and have not been archived yet.
    /// Boxed: half of such a map is empty room, which is small for a pointer.
    workflows: BTreeMap<WorkflowId, Box<Workflow>>,
    /// Workflows by the client's name for them, oldest first.
    correlated: BTreeMap<Arc<str>, BTreeSet<WorkflowId>>,
    /// Workflows by name and idempotency key, oldest first.
    keyed: BTreeMap<(String, Arc<str>), BTreeSet<WorkflowId>>,
    /// Workflows that were removed and may still be in the archive.
    removed: BTreeSet<WorkflowId>,
    indexes: Indexes,
    /// Queues that got a task since they were last asked for.
    touched: BTreeSet<Arc<str>>,
    /// Who polls.
    polls: Polls,
    rates: Rates,
    last_at: u64,
    /// Workflows that have not ended.
    in_flight: usize,
    /// Position of the frame that the next events belong to.
    frame: u64,
}

impl State {
    /// Registered definitions.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// A workflow.
    #[must_use]
    pub fn workflow(&self, id: WorkflowId) -> Option<&Workflow> {
        self.workflows.get(&id).map(Box::as_ref)
    }

    /// How many workflows have not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many workflows are in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.workflows.len()
    }

    /// All workflows, oldest first.
    pub fn workflows(&self) -> impl Iterator<Item = &Workflow> {
        self.workflows.values().map(Box::as_ref)
    }

    /// The workflows of a definition that carry a correlation id, oldest first.
    pub fn correlated<'s>(
        &'s self,
        name: &'s str,
        correlation_id: &str,
    ) -> impl Iterator<Item = &'s Workflow> {
        let ids = self.correlated.get(correlation_id).into_iter().flatten();
        ids.filter_map(|id| self.workflow(*id)).filter(move |workflow| workflow.snapshot.def.name == name)
    }

    /// The newest workflow in memory that started under this name with this idempotency key.
    #[must_use]
    pub fn keyed(&self, name: &str, key: &str) -> Option<&Workflow> {
        let ids = self.keyed.get(&(name.to_owned(), Arc::from(key)))?;
        self.workflow(*ids.last()?)
    }

    /// An id that no workflow in memory has. Seeds are as good as random, so the loop is for certainty's sake.
    #[must_use]
    pub fn unused_id(&self, now: u64, seed: u64) -> WorkflowId {
        let mut seed = seed;
        loop {
            let id = WorkflowId::new(now, seed);
            if self.workflow(id).is_none() {
                return id;
            }
            seed = mix(seed);
        }
    }

    /// A task record with its workflow.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<(&Workflow, &Arc<Task>)> {
        let workflow = self.workflow(id.workflow)?;
        Some((workflow, workflow.task(id.sequence)?))
    }

    /// Queues and timers.
    #[must_use]
    pub fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    /// Who polls.
    #[must_use]
    pub fn polls(&self) -> &Polls {
        &self.polls
    }

    /// Notes a poll. This is no event: nothing of it outlives the process.
    pub fn note_poll(&mut self, queue: &Arc<str>, polled: Polled) {
        self.polls.note(queue, polled);
    }

    /// When the next task of a queue can be handed out; `None` = not before something else happens.
    #[must_use]
    pub fn next_hand_out(&self, queue: &str, now: u64) -> Option<u64> {
        let (ready_at, kind) = self.indexes.next_ready(queue)?;
        let Some(registered) = self.catalogue.task_def(kind) else { return Some(ready_at) };
        let limit = registered.def.concurrency();
        let full = limit.is_some_and(|limit| self.indexes.in_progress(kind) >= limit);
        (!full).then(|| ready_at.max(self.rates.free_at(&registered.def, now)))
    }

    /// How many tasks of a queue the limits of its type let out at `now`.
    #[must_use]
    pub fn room(&self, queue: &str, now: u64) -> usize {
        let kind = self.indexes.next_ready(queue).map(|(_, kind)| kind);
        let Some((kind, registered)) = kind.and_then(|kind| Some((kind, self.catalogue.task_def(kind)?)))
        else {
            return usize::MAX;
        };
        let limit = registered.def.concurrency().unwrap_or(usize::MAX);
        limit.saturating_sub(self.indexes.in_progress(kind)).min(self.rates.room(&registered.def, now))
    }

    /// All snapshots, by number.
    #[must_use]
    pub fn snapshots(&self) -> &BTreeMap<SnapshotNumber, Arc<Snapshot>> {
        &self.snapshots
    }

    /// The snapshot that equals `wanted`, if there is one.
    #[must_use]
    pub fn snapshot_like(&self, wanted: &Snapshot) -> Option<(SnapshotNumber, &Arc<Snapshot>)> {
        let numbers = self.hashes.get(&wanted.hash)?.iter();
        let alike = numbers.filter_map(|number| Some((*number, self.snapshot(*number)?)));
        alike.into_iter().find(|(_, snapshot)| snapshot.as_ref() == wanted)
    }

    /// A snapshot by number.
    #[must_use]
    pub fn snapshot(&self, number: SnapshotNumber) -> Option<&Arc<Snapshot>> {
        self.snapshots.get(&number)
    }

    /// The latest instant that an event carries, epoch milliseconds; 0 when there was none.
    #[must_use]
    pub fn last_at(&self) -> u64 {
        self.last_at
    }

    /// Queues that got a task since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.touched)
    }

    /// Position of the frame that the next events belong to.
    #[must_use]
    pub fn frame(&self) -> u64 {
        self.frame
    }

    /// Says which frame of the journal the next events belong to.
    pub fn begin_frame(&mut self, position: u64) {
        self.frame = position;
    }

    /// Takes over what was saved: definitions, the snapshots of them, and the latest instant seen.
    pub fn recover(
        &mut self,
        catalogue: Catalogue,
        snapshots: BTreeMap<SnapshotNumber, Arc<Snapshot>>,
        last_at: u64,
    ) {
        self.catalogue = catalogue;
        snapshots.into_iter().for_each(|(number, snapshot)| self.keep(number, snapshot));
        self.last_at = last_at;
    }

    /// Workflows that were removed; what the archive says of them does not count.
    #[must_use]
    pub fn removed(&self) -> &BTreeSet<WorkflowId> {
        &self.removed
    }

    /// The archive has them no more.
    pub fn forget_removed(&mut self, ids: &[WorkflowId]) {
        for id in ids {
            self.removed.remove(id);
        }
    }

    /// Puts a workflow in that was saved, or has just started.
    pub fn restore(&mut self, workflow: Workflow) {
        if let Some(correlation_id) = &workflow.start.correlation_id {
            self.correlated.entry(Arc::clone(correlation_id)).or_default().insert(workflow.id);
        }
        if let Some(key) = &workflow.start.idempotency_key {
            let key = (workflow.snapshot.def.name.clone(), Arc::clone(key));
            self.keyed.entry(key).or_default().insert(workflow.id);
        }
        self.last_at = self.last_at.max(workflow.updated_at);
        self.insert(Entries::of_workflow(&workflow));
        self.in_flight += usize::from(!workflow.status.is_terminal());
        self.workflows.insert(workflow.id, Box::new(workflow));
    }

    /// Takes a workflow out that was saved.
    pub fn evict(&mut self, id: WorkflowId) -> Option<Workflow> {
        let workflow = *self.workflows.remove(&id)?;
        self.in_flight -= usize::from(!workflow.status.is_terminal());
        self.indexes.remove(&Entries::of_workflow(&workflow));
        if let Some(correlation_id) = &workflow.start.correlation_id
            && let Some(ids) = self.correlated.get_mut(correlation_id)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.correlated.remove(correlation_id);
            }
        }
        if let Some(key) = &workflow.start.idempotency_key {
            let key = (workflow.snapshot.def.name.clone(), Arc::clone(key));
            if let Some(ids) = self.keyed.get_mut(&key) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.keyed.remove(&key);
                }
            }
        }
        Some(workflow)
    }

    fn keep(&mut self, number: SnapshotNumber, snapshot: Arc<Snapshot>) {
        let alike = self.hashes.entry(snapshot.hash).or_default();
        if !alike.contains(&number) {
            alike.push(number);
        }
        self.snapshots.insert(number, snapshot);
    }

    /// Changes a workflow, and what follows from it with it.
    fn change(&mut self, id: WorkflowId, change: impl FnOnce(&mut Workflow)) {
        let Some(workflow) = self.workflows.get_mut(&id) else { return };
        let before = Entries::of_workflow(workflow);
        self.in_flight -= usize::from(!workflow.status.is_terminal());
        change(workflow);
        self.in_flight += usize::from(!workflow.status.is_terminal());
        let after = Entries::of_workflow(workflow);
        self.replace(&before, after);
    }

    /// Applies one event.
    pub fn evolve(&mut self, event: &Event) {
        self.last_at = self.last_at.max(event.at());
        let as_of = self.frame + 1;
        match event {
            Event::TaskDefsSaved { .. }
            | Event::WorkflowDefSaved { .. }
            | Event::TaskDefRemoved { .. }
            | Event::WorkflowDefRemoved { .. }
            | Event::DefinitionsKept { .. } => self.evolve_definitions(event, as_of),
            Event::WorkflowStarted { at, id, snapshot, start } => {
                let Some(definitions) = self.snapshots.get(snapshot) else { return };
                let start = (**start).clone();
                let mut workflow = Workflow::started(*at, *id, *snapshot, Arc::clone(definitions), start);
                workflow.as_of = as_of;
                self.restore(workflow);
            }
            Event::WorkflowRestarted { at, id, snapshot, start } => {
                let Some(definitions) = self.snapshots.get(snapshot).cloned() else { return };
                let Some(old) = self.evict(*id) else { return };
                let mut anew = old.restarted(*at, *snapshot, definitions, (**start).clone());
                anew.as_of = as_of;
                self.restore(anew);
            }
            Event::WorkflowRemoved { id, .. } => {
                self.evict(*id);
                self.removed.insert(*id);
            }
            Event::Workflow { at, id, change: change @ WorkflowChange::Relabeled { .. } } => {
                let Some(mut workflow) = self.evict(*id) else { return };
                workflow.change(*at, change);
                workflow.as_of = as_of;
                self.restore(workflow);
            }
            Event::Workflow { at, id, change } => self.change(*id, |workflow| {
                workflow.change(*at, change);
                workflow.as_of = as_of;
            }),
            Event::Task { at, id, seq, change } => {
                let Some(workflow) = self.workflows.get_mut(id) else { return };
                if let (TaskChange::Started { .. }, Some(task)) = (change, workflow.task(*seq))
                    && workflow.node(task).kind == Kind::Simple
                    && let Some(registered) = self.catalogue.task_def(&workflow.node(task).task.name)
                {
                    self.rates.note(&registered.def, *at);
                }
                let before = Entries::of_task(workflow, *seq);
                workflow.change_task(*at, *seq, change);
                workflow.as_of = as_of;
                let after = Entries::of_task(workflow, *seq);
                self.replace(&before, after);
            }
        }
    }

    /// Applies an event that changes definitions.
    fn evolve_definitions(&mut self, event: &Event, as_of: u64) {
        self.catalogue.as_of = as_of;
        match event {
            Event::TaskDefsSaved { at, defs } => {
                self.catalogue.save_task_defs(*at, defs);
            }
            Event::WorkflowDefSaved { at, def } => {
                self.catalogue.save_workflow_def(*at, def);
            }
            Event::TaskDefRemoved { name, .. } => {
                self.catalogue.remove_task_def(name);
            }
            Event::WorkflowDefRemoved { name, version, .. } => {
                self.catalogue.remove_workflow_def(name, *version);
            }
            Event::DefinitionsKept { number, def, task_defs, inline } => {
                let snapshot = Snapshot::new((**def).clone(), task_defs.clone());
                self.catalogue.keep(*number, &snapshot, *inline);
                self.keep(*number, Arc::new(snapshot));
            }
            _ => {}
        }
    }

    /// The indexes as the aggregates alone give them. They must equal [`State::indexes`] at all times.
    #[must_use]
    pub fn rebuilt_indexes(&self) -> Indexes {
        let mut indexes = Indexes::default();
        for workflow in self.workflows.values() {
            indexes.insert(Entries::of_workflow(workflow));
        }
        indexes
    }

    fn replace(&mut self, before: &Entries, after: Entries) {
        if *before != after {
            self.indexes.remove(before);
            self.insert(after);
        }
    }

    fn insert(&mut self, entries: Entries) {
        self.touched.extend(entries.queues().cloned());
        self.indexes.insert(entries);
    }
}
