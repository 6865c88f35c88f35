//! The catalogue: registered definitions, and the snapshots of them that workflows run under.

use super::definition::{TaskDef, WorkflowDef};
use super::event::SnapshotNumber;
use super::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A registered definition with the instants of its registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered<T> {
    /// The definition.
    pub def: Arc<T>,
    /// First registration, epoch milliseconds.
    pub created_at: u64,
    /// Last replacement; 0 = never.
    pub updated_at: u64,
}

/// Definitions by name. It changes by events only, and can be saved and read back whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    task_defs: BTreeMap<String, Registered<TaskDef>>,
    workflow_defs: BTreeMap<String, BTreeMap<i64, Registered<WorkflowDef>>>,
    /// By name and version, the snapshot that the next start shares, until a definition changes.
    current: BTreeMap<String, BTreeMap<i64, SnapshotNumber>>,
    /// Numbers given to snapshots so far.
    snapshots: SnapshotNumber,
    /// Frames of the journal that are in this catalogue: all that have a lower position.
    pub as_of: u64,
}

impl Catalogue {
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

    /// All versions of a workflow definition, ascending.
    pub fn versions(&self, name: &str) -> impl Iterator<Item = &Registered<WorkflowDef>> {
        self.workflow_defs.get(name).into_iter().flat_map(BTreeMap::values)
    }

    /// Names of the workflow definitions.
    pub fn workflow_names(&self) -> impl Iterator<Item = &str> {
        self.workflow_defs.keys().map(String::as_str)
    }

    /// The snapshot that a start of this definition shares, if nothing changed since it was made.
    #[must_use]
    pub fn current(&self, name: &str, version: i64) -> Option<SnapshotNumber> {
        self.current.get(name)?.get(&version).copied()
    }

    /// The number that the next snapshot gets.
    #[must_use]
    pub fn next_snapshot(&self) -> SnapshotNumber {
        self.snapshots + 1
    }

    pub(super) fn save_task_defs(&mut self, at: u64, defs: &[TaskDef]) {
        for def in defs {
            save(&mut self.task_defs, def.name.clone(), def, at);
        }
        self.current.clear();
    }

    pub(super) fn save_workflow_def(&mut self, at: u64, def: &WorkflowDef) {
        let versions = self.workflow_defs.entry(def.name.clone()).or_default();
        save(versions, def.version, def, at);
        self.current.clear();
    }

    pub(super) fn remove_task_def(&mut self, name: &str) {
        self.task_defs.remove(name);
        self.current.clear();
    }

    pub(super) fn remove_workflow_def(&mut self, name: &str, version: i64) {
        if let Some(versions) = self.workflow_defs.get_mut(name) {
            versions.remove(&version);
            if versions.is_empty() {
                self.workflow_defs.remove(name);
            }
        }
        self.current.clear();
    }

    pub(super) fn keep(&mut self, number: SnapshotNumber, snapshot: &Snapshot, inline: bool) {
        self.snapshots = self.snapshots.max(number);
        if !inline {
            let def = &snapshot.def;
            self.current.entry(def.name.clone()).or_default().insert(def.version, number);
        }
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
