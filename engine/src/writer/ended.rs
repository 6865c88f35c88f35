//! How a writer ends.

use crate::archive::ArchiveError;
use crate::store::{AppendError, StoreError};

/// Why the writer ended.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The journal can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An append did not clearly succeed: memory is ahead of the disk, and only a replay tells what is there.
    #[error("{0}; the engine stops so that a restart replays what the disk holds")]
    Append(AppendError),
    /// Another node leads: nothing that was answered is lost, and nothing more is answered from memory.
    #[error("{0}")]
    Deposed(String),
    /// The archive could not be read or written.
    #[error("{0}; the engine stops, the journal has everything that was acknowledged")]
    Archive(#[from] ArchiveError),
}

/// How a writer ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every handle is gone.
    Released,
    /// It was told that nobody may wait any more, and others share its store: it gave the lead up.
    Left,
}
