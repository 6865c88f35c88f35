//! The seam to what keeps the journal: frames appended at positions, replayed in order.
//!
//! A frame is one batch of events, as JSON. Positions count frames from 0 without gaps.

mod frame;
mod memory;
mod sqlite;

pub use frame::{FRAME_VERSION, Frame, decode, encode, padding};
pub use memory::Memory;
pub use sqlite::{Sqlite, Synchronous};

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Keeps the journal.
pub trait Store: Send {
    /// Appends one frame. When it returns `Ok`, the frame survives the loss of the process and of the machine.
    ///
    /// # Errors
    /// [`AppendError::Full`]: surely not appended, and the store is usable. [`AppendError::Broken`]: it may or
    /// may not have been appended; only a replay by a new opener tells.
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError>;

    /// Hands every frame to `apply`, in order, and answers the position after the last.
    ///
    /// # Errors
    /// [`StoreError`] when the journal can't be read, has a gap, or `apply` refuses a frame.
    fn replay(&mut self, apply: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<u64, StoreError>;
}

/// An append that did not clearly succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No space: rolled back.
    #[error("no space left for the journal: {0}")]
    Full(String),
    /// Anything else: what is on the disk is unknown.
    #[error("the journal could not be appended to: {0}")]
    Broken(String),
}

/// A journal that can't be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{path} is in use by another engine; stop it, or give this one a store of its own")]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// It can't be opened.
    #[error("cannot open the store {path}: {why}; check that the folder exists and can be written")]
    Open {
        /// The store.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is not a journal, or damaged.
    #[error(
        "the store {path} is damaged or not a journal: {why}; nothing was changed, restore it from a backup or give another path"
    )]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A newer engine wrote it.
    #[error(
        "the store {path} has schema version {found}, this engine knows up to {known}; use the newer engine"
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The highest version known.
        known: i64,
    },
}

/// Where the journal is kept: `sqlite:PATH` or `memory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// Nowhere: lost with the process.
    Memory,
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            None if text == "memory" => Ok(Self::Memory),
            _ => Err(format!(
                "'{text}' is not a store; use sqlite:PATH (durable) or memory (lost with the process)"
            )),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory"),
        }
    }
}

/// Opens the store behind a URL.
///
/// # Errors
/// [`StoreError`] when it can't be opened.
pub fn open(url: &StoreUrl) -> Result<Box<dyn Store>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(Sqlite::open(path, Synchronous::Full)?),
        StoreUrl::Memory => Box::new(Memory::default()),
    })
}
