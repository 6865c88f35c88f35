//! Two PostgreSQL databases on this machine that fail over: a primary, its standby, and a manager that promotes the
//! standby when the primary takes no writes any more. It exists so that every machine can drill a failover; a target
//! elsewhere brings its own manager (docs/database-pair.md).

pub mod binaries;
mod cluster;
mod config;
mod event;
mod front;
mod keeper;
mod links;
mod manager;
mod pair;
mod place;
mod ports;
mod power;
mod settings;
mod sql;
mod vault;

pub use event::{Event, Finding, LateWrites, News, Phase, Sink};
pub use front::{Database, Paused};
pub use place::remove_abandoned;
pub use settings::{Fence, Rejoin, Replication, Settings, Timer};
pub use sql::{Door, Session, SqlError};

use super::link::LinkError;
use super::{NodeError, NotRun};
use crate::proxy::client::ControlError;
use std::io;
use std::path::{Path, PathBuf};

/// One of the two databases, whatever its role is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// `db-1`, the primary at the beginning.
    First,
    /// `db-2`.
    Second,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Its node's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "db-1",
            Self::Second => "db-2",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }
}

/// Why something was not done to a pair.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// This machine can't.
    #[error(transparent)]
    NotRun(#[from] NotRun),
    /// What was asked for makes no sense.
    #[error("the settings of the database pair: {0}")]
    Settings(String),
    /// A process.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// One of PostgreSQL's tools.
    #[error("{tool} for {on} failed: {why}")]
    Tool {
        /// The tool.
        tool: &'static str,
        /// The database.
        on: String,
        /// What it said.
        why: String,
    },
    /// A file.
    #[error("cannot {what} {}: {source}; is the folder writable, and its disk not full?", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A statement.
    #[error(transparent)]
    Sql(#[from] sql::SqlError),
    /// A link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Its disk is full.
    #[error("{} bytes are free at {}, which is too little to begin", free, path.display())]
    NoRoom {
        /// Bytes.
        free: u64,
        /// Where.
        path: PathBuf,
    },
    /// It can't be done as things are.
    #[error("{0}")]
    State(String),
}

impl DatabaseError {
    fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }

    fn proxy(error: ControlError) -> Self {
        Self::Link(LinkError::from(error))
    }
}
