//! Substrates: what hosts nodes and links, and how each can be hurt there. A node is one process (with all that it
//! starts) of a target or of the harness; a link is a connection that goes through a fault proxy.

mod cage;
pub mod database;
mod errand;
pub(crate) mod files;
pub mod link;
pub mod local;
mod log_tail;
mod node;
mod spawner;
pub mod sweep;

pub use cage::{Cage, MARK};
pub use node::{Node, NodeError, Ready, Spec};

use crate::ledger::{Ledger, LedgerError, Undo};
use crate::role::Role;
use crate::schedule::Injection;
use std::path::PathBuf;
use std::time::Duration;

/// What hosts nodes and links.
pub trait Substrate: Send + Sync {
    /// Finds whom an injection hurts, now, and how. Nothing is done yet.
    ///
    /// # Errors
    /// This can't be done here, or there is nobody to do it to.
    fn aim(&self, injection: &Injection) -> Result<Aimed, Unaimed>;

    /// Logs of the nodes of a role, in which markers are looked for.
    fn logs(&self, role: &Role) -> Vec<PathBuf>;
}

/// Somebody whom a fault is about to hurt.
pub struct Aimed {
    /// The nodes or links.
    pub things: Vec<String>,
    /// What hurts it.
    pub force: Box<dyn Force>,
}

/// One fault on one thing. Every verb blocks, and returns in bounded time.
pub trait Force: Send {
    /// Does it, and looks whether it is done: from the side of whom it hurts, not from its own. Before each part it
    /// writes what undoes that part.
    ///
    /// # Errors
    /// Nobody can say that it is in force. A part of it may be.
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt>;

    /// Keeps it in force; called again after the time that it returns, or never when that is `None`.
    fn hold(&mut self) -> Option<Duration> {
        None
    }

    /// Undoes it, also when it was only partly done, and looks whether it is undone.
    ///
    /// # Errors
    /// Nobody can say that it is undone.
    fn heal(&mut self) -> Result<Known, Doubt>;
}

/// Something that is known, since when, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// CLOCK_MONOTONIC: the instant from which it is known.
    pub at_ns: u64,
    /// What shows it.
    pub evidence: String,
}

/// Why nobody can say that a fault is in force, or undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What was tried, and what was seen instead.
    pub evidence: String,
}

impl Doubt {
    /// A doubt, in words.
    pub fn new(evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into() }
    }
}

impl From<LedgerError> for Doubt {
    fn from(error: LedgerError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<NodeError> for Doubt {
    fn from(error: NodeError) -> Self {
        Self::new(error.to_string())
    }
}

/// A fault that can't be done here. It is never a pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct NotRun {
    /// What is missing.
    pub reason: String,
    /// How to get it.
    pub remedy: String,
}

impl NotRun {
    /// Why, and how it could.
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }
}

/// Why an injection hurts nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unaimed {
    /// This machine can't do it.
    #[error(transparent)]
    NotRun(#[from] NotRun),
    /// Nobody has the role now: the run did not come to what was planned.
    #[error("{0}")]
    Nobody(String),
}

/// With it a force writes into the ledger what undoes what it does next.
#[derive(Debug, Clone, Copy)]
pub struct Pen<'l> {
    ledger: &'l Ledger,
    id: u64,
}

impl<'l> Pen<'l> {
    /// One for a deed of a ledger.
    #[must_use]
    pub fn new(ledger: &'l Ledger, id: u64) -> Self {
        Self { ledger, id }
    }

    /// Writes what undoes what is done next. It is on disk when this returns.
    ///
    /// # Errors
    /// It isn't: then it must not be done.
    pub fn write(&self, undo: &Undo) -> Result<(), LedgerError> {
        self.ledger.undo(self.id, undo)
    }
}
