//! The state: definitions, aggregates and the indexes derived from them. It changes by events only.

use super::definition::{TaskDef, WorkflowDef};
use super::event::{Event, SnapshotNumber};
use super::id::{TaskId, WorkflowId};
use super::index::{Entries, Indexes};
use super::snapshot::Snapshot;
use super::workflow::{Task, Workflow};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A registered definition with the instants of its registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered<T> {
    /// The definition.
    pub def: Arc<T>,
    /// First registration, epoch milliseconds.
    pub created_at: u64,
    /// Last replacement; 0 = never.
    pub updated_at: u64,
}

/// Everything that the engine knows.
#[derive(Debug, Default)]
pub struct State {
    task_defs: BTreeMap<String, Registered<TaskDef>>,
    workflow_defs: BTreeMap<String, BTreeMap<i64, Registered<WorkflowDef>>>,
    snapshots: BTreeMap<SnapshotNumber, Arc<Snapshot>>,
    /// The snapshot that the next start of a definition shares, until a definition changes.
    current: BTreeMap<(String, i64), SnapshotNumber>,
    workflows: BTreeMap<WorkflowId, Workflow>,
    /// Workflows by the client's name for them, oldest first.
    correlated: BTreeMap<Arc<str>, Vec<WorkflowId>>,
    indexes: Indexes,
    /// Queues that got a task since they were last asked for.
    touched: BTreeSet<String>,
    last_at: u64,
}

impl State {
    /// A registered task definition.
    #[must_use]
    pub fn task_def(&self, name: &str) -> Option<&Registered<TaskDef>> {
        self.task_defs.get(name)
    }

    /// All registered task definitions, by name.
    pub fn task_defs(&self) -> impl Iterator<Item = &Registered<TaskDef>> {
        self.task_defs.values()
    }

    /// A workflow definition; without a version the highest.
    #[must_use]
    pub fn workflow_def(&self, name: &str, version: Option<i64>) -> Option<&Registered<WorkflowDef>> {
        let versions = self.workflow_defs.get(name)?;
        match version {
            Some(version) => versions.get(&version),
            None => versions.last_key_value().map(|(_, def)| def),
        }
    }

    /// All workflow definitions, by name and version.
    pub fn workflow_defs(&self) -> impl Iterator<Item = &Registered<WorkflowDef>> {
        self.workflow_defs.values().flat_map(BTreeMap::values)
    }

    /// A workflow.
    #[must_use]
    pub fn workflow(&self, id: WorkflowId) -> Option<&Workflow> {
        self.workflows.get(&id)
    }

    /// All workflows, oldest first.
    pub fn workflows(&self) -> impl Iterator<Item = &Workflow> {
        self.workflows.values()
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

    /// The snapshot that a start of this definition shares, if nothing changed since it was made.
    #[must_use]
    pub fn current_snapshot(&self, name: &str, version: i64) -> Option<SnapshotNumber> {
        self.current.get(&(name.to_owned(), version)).copied()
    }

    /// A snapshot by number.
    #[must_use]
    pub fn snapshot(&self, number: SnapshotNumber) -> Option<&Arc<Snapshot>> {
        self.snapshots.get(&number)
    }

    /// The number that the next snapshot gets.
    #[must_use]
    pub fn next_snapshot(&self) -> SnapshotNumber {
        self.snapshots.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The latest instant that an event carries, epoch milliseconds; 0 when there was none.
    #[must_use]
    pub fn last_at(&self) -> u64 {
        self.last_at
    }

    /// Queues that got a task since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.touched)
    }

    /// Applies one event.
    pub fn evolve(&mut self, event: &Event) {
        self.last_at = self.last_at.max(event.at());
        match event {
            Event::TaskDefsSaved { at, defs } => {
                for def in defs {
                    save(&mut self.task_defs, def.name.clone(), def, *at);
                }
                self.current.clear();
            }
            Event::WorkflowDefSaved { at, def } => {
                let versions = self.workflow_defs.entry(def.name.clone()).or_default();
                save(versions, def.version, def, *at);
                self.current.clear();
            }
            Event::DefinitionsKept { number, def, task_defs, inline } => {
                if !inline {
                    self.current.insert((def.name.clone(), def.version), *number);
                }
                let snapshot = Snapshot::new((**def).clone(), task_defs.clone());
                self.snapshots.insert(*number, Arc::new(snapshot));
            }
            Event::WorkflowStarted { at, id, snapshot, start } => {
                let Some(definitions) = self.snapshots.get(snapshot) else { return };
                let workflow =
                    Workflow::started(*at, *id, *snapshot, Arc::clone(definitions), (**start).clone());
                if let Some(correlation_id) = &start.correlation_id {
                    self.correlated.entry(Arc::clone(correlation_id)).or_default().push(*id);
                }
                self.insert(Entries::of_workflow(&workflow));
                self.workflows.insert(*id, workflow);
            }
            Event::Workflow { at, id, change } => {
                let Some(workflow) = self.workflows.get_mut(id) else { return };
                let before = Entries::of_workflow(workflow);
                workflow.change(*at, change);
                let after = Entries::of_workflow(workflow);
                self.replace(&before, after);
            }
            Event::Task { at, id, seq, change } => {
                let Some(workflow) = self.workflows.get_mut(id) else { return };
                let before = Entries::of_task(workflow, *seq);
                workflow.change_task(*at, *seq, change);
                let after = Entries::of_task(workflow, *seq);
                self.replace(&before, after);
            }
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
        self.touched.extend(entries.queues().map(str::to_owned));
        self.indexes.insert(entries);
    }
}

fn save<K: Ord, T: Clone>(map: &mut BTreeMap<K, Registered<T>>, key: K, def: &T, at: u64) {
    let def = Arc::new(def.clone());
    map.entry(key)
        .and_modify(|old| {
            old.def = Arc::clone(&def);
            old.updated_at = at;
        })
        .or_insert(Registered { def, created_at: at, updated_at: 0 });
}
