//! The archive: saved aggregates. It is the checkpoint of what runs, the home of what ended, and what search reads.
//!
//! The journal says what happened; the archive holds what came of it, up to a position of its own for each workflow
//! ([`Workflow::as_of`]). A frame of the journal is needed until everything that it changed is saved durably; a
//! workflow that ended leaves memory when it is saved. At a start, what runs is read from here, and the journal's
//! frames bring each workflow from its own position to the present.

mod memory;
mod postgres;
pub mod query;
mod saved;
mod sqlite;
pub mod tasks;

pub use memory::MemoryArchive;
pub use postgres::PostgresArchive;
pub(crate) use postgres::SNAPSHOT;
pub use query::{Page, Query};
pub use sqlite::SqliteArchive;
pub(crate) use sqlite::meta as archive_meta;

use crate::machine::event::SnapshotNumber;
use crate::machine::id::WorkflowId;
use crate::machine::snapshot::Snapshot;
use crate::machine::workflow::Workflow;
use crate::machine::{Catalogue, State};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where saved aggregates are kept. One thread saves; any thread reads.
pub trait Archive: Send + Sync {
    /// Saves a slice, all or nothing. When it returns, readers see it; a loss of power may still undo it.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing of the slice was saved.
    fn save(&self, slice: &Slice) -> Result<(), ArchiveError>;

    /// When it returns, everything saved before survives a loss of power.
    ///
    /// # Errors
    /// [`ArchiveError`]; what was saved may or may not be durable.
    fn sync(&self) -> Result<(), ArchiveError>;

    /// Forgets workflows that ended before an instant (epoch milliseconds), at most so many; answers how many.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing was forgotten.
    fn prune(&self, ended_before: u64, at_most: usize) -> Result<usize, ArchiveError>;

    /// A workflow, with its definitions.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    fn load(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError>;

    /// The same for who only looks, and may be one of many: the writer does not wait for them.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    fn look(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        self.load(id)
    }

    /// For each name and idempotency key, in order, the newest workflow of that name that started with that key.
    ///
    /// # Errors
    /// [`ArchiveError`] when they can't be read.
    fn keyed(&self, asked: &[(&str, &str)]) -> Result<Vec<Option<WorkflowId>>, ArchiveError>;

    /// Everything but what ended: each workflow that runs goes to `running`.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    fn recover(&self, running: &mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError>;

    /// Workflows that match, in order, one page of them.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    fn search(&self, query: &Query) -> Result<Page, ArchiveError>;
}

/// What is saved in one go.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// Aggregates as they are after the frame before `position`.
    pub workflows: Vec<Workflow>,
    /// Workflows that are no more.
    pub removed: Vec<WorkflowId>,
    /// Snapshots that were not saved before.
    pub snapshots: Vec<(SnapshotNumber, Arc<Snapshot>)>,
    /// The definitions, when they changed.
    pub catalogue: Option<Catalogue>,
    /// With this slice saved, no frame of a lower position is needed any more.
    pub low_water: u64,
    /// The latest instant that the state has seen, epoch milliseconds.
    pub last_at: u64,
}

impl Slice {
    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workflows.is_empty()
            && self.removed.is_empty()
            && self.snapshots.is_empty()
            && self.catalogue.is_none()
    }
}

/// What the archive knows besides workflows.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The definitions.
    pub catalogue: Catalogue,
    /// Their snapshots.
    pub snapshots: BTreeMap<SnapshotNumber, Arc<Snapshot>>,
    /// No frame of a lower position is needed.
    pub low_water: u64,
    /// The latest instant that the state had seen.
    pub last_at: u64,
}

/// Reads the state that the archive alone gives; the journal's frames come on top of it.
///
/// # Errors
/// [`ArchiveError`] when it can't be read.
pub fn recover(archive: &dyn Archive) -> Result<(State, u64), ArchiveError> {
    recover_by(|running| archive.recover(running))
}

/// The same, where somebody else does the reading.
///
/// # Errors
/// [`ArchiveError`] when it can't be read.
pub(crate) fn recover_by(
    read: impl FnOnce(&mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError>,
) -> Result<(State, u64), ArchiveError> {
    let mut state = State::default();
    let Recovered { catalogue, snapshots, low_water, last_at } =
        read(&mut |workflow| state.restore(workflow))?;
    state.recover(catalogue, snapshots, last_at);
    Ok((state, low_water))
}

/// The archive could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// No space. Nothing was changed.
    #[error("no space left for the archive {path}: {why}")]
    Full {
        /// The archive.
        path: String,
        /// What the system said.
        why: String,
    },
    /// It can't be reached at the moment. What was asked of it may be asked again: saving twice is saving once.
    #[error("the archive {path} cannot be reached: {why}")]
    Away {
        /// The archive.
        path: String,
        /// What was tried.
        why: String,
    },
    /// Another node saves now.
    #[error("another node has taken the lead, and saves to the archive {path} from now on")]
    Deposed {
        /// The archive.
        path: String,
    },
    /// It can't be opened, read or written.
    #[error(
        "the archive {path} cannot be used: {why}; check its disk, or restore store and archive from a backup"
    )]
    Broken {
        /// The archive.
        path: String,
        /// What the system said.
        why: String,
    },
    /// It does not belong to the journal beside it.
    #[error("the archive {path} does not belong to its journal: {why}; put the file back that was there")]
    Mismatch {
        /// The archive.
        path: String,
        /// What doesn't fit.
        why: String,
    },
}
