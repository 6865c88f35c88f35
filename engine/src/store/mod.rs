//! The seam to what keeps the journal: frames appended at positions, replayed in order.
//!
//! A frame is one batch of events, as JSON. Positions count frames from 0 without gaps.

pub mod faulty;
mod frame;
mod memory;
mod postgres;
mod sqlite;

pub use frame::{FRAME_VERSION, Frame, decode, encode, padding};
pub use memory::Memory;
pub use postgres::Postgres;
pub(crate) use postgres::{DEADLINE, LEASE, Term, check_frame, frames, is_free, new_holder, not_behind};
pub use sqlite::{Sqlite, Synchronous};
pub(crate) use sqlite::{is_full, lock};

use crate::archive::{Archive, ArchiveError, MemoryArchive, SqliteArchive};
use crate::postgres::Address;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Keeps the journal.
pub trait Store: Send {
    /// Appends one frame. When it returns `Ok`, the frame survives the loss of the process and of the machine.
    ///
    /// # Errors
    /// [`AppendError::Full`] and [`AppendError::RolledBack`]: surely not appended, and the store is usable.
    /// [`AppendError::Fenced`]: surely not appended, and never will be. [`AppendError::Broken`]: it may or may not have
    /// been appended; only a replay by a new opener tells.
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError>;

    /// Hands every frame that is kept to `apply` with its position, in order, and answers the position after the
    /// last.
    ///
    /// # Errors
    /// [`StoreError`] when the journal can't be read, has a gap, or `apply` refuses a frame.
    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError>;

    /// Frames before `position` are not needed any more. They go with later appends, a few at a time; the last
    /// frame always stays, so that the next position is known.
    fn forget(&mut self, position: u64);

    /// When it returns `Ok`, nobody else has appended anything up to now: what memory says is the present.
    ///
    /// # Errors
    /// As for [`Store::append`]; without a frame, `RolledBack` does not happen.
    fn hold(&mut self) -> Result<(), AppendError> {
        Ok(())
    }

    /// [`Store::hold`] wants to be called so often even when nobody asks; `None` = never.
    fn hold_every(&self) -> Option<Duration> {
        None
    }

    /// False when the lead wants to be proven before anything slow is begun.
    fn has_time(&self) -> bool {
        true
    }

    /// True when other engines may have the journal after this one: then nothing here needs the process to end.
    fn is_shared(&self) -> bool {
        false
    }

    /// The end in order: nobody has to wait for this one to be given up for dead.
    fn close(&mut self) {}
}

/// Takes a frame and its position, or says what is wrong with it.
pub type Apply<'a> = dyn FnMut(u64, &[u8]) -> Result<(), String> + 'a;

/// An append that did not clearly succeed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No space: rolled back.
    #[error("no space left for the journal: {0}")]
    Full(String),
    /// It did not get through, and never will: nothing of it is there.
    #[error("the journal did not take it: {0}")]
    RolledBack(String),
    /// Another engine has the journal now.
    #[error("another node has taken the lead: {0}")]
    Fenced(String),
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
    /// The archive beside it can't be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The database can't be used.
    #[error("{why}")]
    Database {
        /// What was tried, on what, and what came of it.
        why: String,
        /// A later try may succeed by itself.
        may_pass: bool,
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

/// Where the journal is kept: `sqlite:PATH`, `postgres://…` or `memory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several nodes may share.
    Postgres(Box<Address>),
    /// Nowhere: lost with the process.
    Memory,
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => {
                text.parse().map(|address| Self::Postgres(Box::new(address)))
            }
            None if text == "memory" => Ok(Self::Memory),
            _ => {
                // A text with a user in it is not repeated: it may hold a password.
                let what = if text.contains('@') { "this".to_owned() } else { format!("'{text}'") };
                Err(format!(
                    "{what} is not a store; use sqlite:PATH, postgres://USER@HOST:PORT/DATABASE or memory (lost with \
                     the process)"
                ))
            }
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
            Self::Memory => f.write_str("memory"),
        }
    }
}

/// What an engine keeps its state in: the journal, and the archive that belongs to it.
pub type Opened = (Box<dyn Store>, Arc<dyn Archive>);

/// Opens the store behind a URL, and its archive.
///
/// # Errors
/// [`StoreError`] when they can't be opened, or do not belong together.
pub fn open(url: &StoreUrl) -> Result<Opened, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => {
            let store = Sqlite::open(path, Synchronous::Full)?;
            let archive = SqliteArchive::open(&archive_path(path), store.id())?;
            (Box::new(store), Arc::new(archive))
        }
        StoreUrl::Postgres(address) => {
            let (store, archive) = Postgres::open(address, "engine")?;
            (Box::new(store), archive)
        }
        StoreUrl::Memory => (Box::new(Memory::default()), Arc::new(MemoryArchive::default())),
    })
}

/// The archive's file stands beside the journal's.
#[must_use]
pub fn archive_path(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".archive");
    name.into()
}
