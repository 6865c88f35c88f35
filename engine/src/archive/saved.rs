//! How aggregates and definitions are written into an archive: JSON, sealed with its CRC-32.

use crate::machine::definition::{TaskDef, WorkflowDef};
use crate::machine::event::SnapshotNumber;
use crate::machine::snapshot::Snapshot;
use crate::seal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A snapshot as it is saved.
#[derive(Serialize, Deserialize)]
struct SavedSnapshot<'a> {
    def: Cow<'a, WorkflowDef>,
    task_defs: Cow<'a, BTreeMap<String, TaskDef>>,
}

/// Sealed JSON.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(value).map(seal::sealed)
}

/// Definitions as sealed JSON.
pub(super) fn snapshot_json(snapshot: &Snapshot) -> Result<Vec<u8>, serde_json::Error> {
    json(&SavedSnapshot { def: Cow::Borrowed(&snapshot.def), task_defs: Cow::Borrowed(&snapshot.task_defs) })
}

/// What sealed JSON says of `what`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn unsealed<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, String> {
    let damaged = |why: String| format!("{what}: {why}");
    serde_json::from_slice(seal::unsealed(body).map_err(damaged)?).map_err(|error| damaged(error.to_string()))
}

/// Definitions out of sealed JSON.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_snapshot(body: &[u8]) -> Result<Snapshot, String> {
    let saved: SavedSnapshot = unsealed("definitions", body)?;
    Ok(Snapshot::new(saved.def.into_owned(), saved.task_defs.into_owned()))
}

/// Definitions of the workflows that were read; shared with those in memory.
#[derive(Default)]
pub(super) struct Snapshots {
    known: RwLock<BTreeMap<SnapshotNumber, Arc<Snapshot>>>,
}

impl Snapshots {
    pub fn get(&self, number: SnapshotNumber) -> Option<Arc<Snapshot>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    pub fn add(&self, more: impl IntoIterator<Item = (SnapshotNumber, Arc<Snapshot>)>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).extend(more);
    }
}
