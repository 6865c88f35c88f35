//! The ledger: what hurts the target right now, on disk before it is done, with what undoes it as data, so that any
//! process can heal after this one is gone. One JSON object a line, each synced before anything else happens.

mod account;
mod undo;

use crate::clock;
use crate::fault::Fault;
use crate::process::{self, Identity};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use account::{Account, Broken, Deed};
pub use undo::{Patch, Undo};

/// Name of the ledger's file in a run directory.
pub const FILE: &str = "ledger.jsonl";

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The first line: whose it is.
    Opened {
        /// What is hurt, in words: a URL, or that the run has its own.
        target: String,
        /// The process that injects.
        owner: Identity,
        /// The boot of the machine on which process ids and mounts mean something.
        boot: String,
        /// CLOCK_MONOTONIC.
        at_ns: u64,
    },
    /// Something is about to be done.
    Intended {
        /// Number of this deed in the ledger.
        id: u64,
        /// Name of the fault, or of what is made ready for one.
        name: String,
        /// Which injection, from 1; 0 for what is made ready before.
        injection: u32,
        /// The node or link.
        thing: String,
        /// What is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
        /// CLOCK_MONOTONIC.
        at_ns: u64,
        /// When it is healed by whoever sees it, if it was not healed before; `None`: when its owner is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ns: Option<u64>,
    },
    /// What undoes a part of it; written before that part is done. Undone from the last to the first.
    Undo {
        /// The deed.
        id: u64,
        /// What undoes it.
        undo: Undo,
    },
    /// How far it has come.
    Came {
        /// The deed.
        id: u64,
        /// How far.
        to: Stage,
        /// CLOCK_MONOTONIC.
        at_ns: u64,
        /// What shows it.
        evidence: String,
        /// Of one that is in force: when it is healed by whoever sees it; `None`: when its owner is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ns: Option<u64>,
    },
    /// The last line: nothing more will be done.
    Closed {
        /// CLOCK_MONOTONIC.
        at_ns: u64,
    },
}

/// How far a deed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is in force.
    Applied,
    /// Nobody can say that it is in force.
    NotApplied,
    /// It is undone.
    Healed,
    /// Nobody can say that it is undone.
    NotHealed,
}

/// Why the ledger could not be used. Nothing is done that is not in it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It can't be written.
    #[error("cannot write the ledger {}: {source}; without it nothing is injected", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It can't be read.
    #[error("cannot read the ledger {}: {source}; is it a run directory?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has no first line.
    #[error("the ledger {} does not say whose it is: its first line is missing", path.display())]
    Headless {
        /// The file.
        path: PathBuf,
    },
}

/// A ledger that is being written.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
    next: AtomicU64,
}

impl Ledger {
    /// Begins the ledger of a run on `target`, in words, in its directory.
    ///
    /// # Errors
    /// There is one already, or it can't be written.
    pub fn create(run_dir: &Path, target: &str) -> Result<Self, LedgerError> {
        let path = run_dir.join(FILE);
        let opened = OpenOptions::new().create_new(true).read(true).append(true).open(&path);
        let file = opened.map_err(|source| LedgerError::Write { path: path.clone(), source })?;
        let ledger = Self { path, file: Mutex::new(file), next: AtomicU64::new(1) };
        ledger.write(&Entry::Opened {
            target: target.to_owned(),
            owner: Identity::ours(),
            boot: process::boot(),
            at_ns: clock::now_ns(),
        })?;
        // The file's name must survive a crash of the machine too.
        let folder = File::open(run_dir).and_then(|folder| folder.sync_all());
        folder.map_err(|source| LedgerError::Write { path: ledger.path.clone(), source })?;
        Ok(ledger)
    }

    /// Goes on writing the ledger of a run that somebody else began.
    ///
    /// # Errors
    /// It can't be written.
    pub fn resume(run_dir: &Path) -> Result<Self, LedgerError> {
        let path = run_dir.join(FILE);
        let opened = OpenOptions::new().read(true).append(true).open(&path);
        let file = opened.map_err(|source| LedgerError::Write { path: path.clone(), source })?;
        Ok(Self { path, file: Mutex::new(file), next: AtomicU64::new(u64::MAX / 2) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it tells so far.
    ///
    /// # Errors
    /// It can't be read.
    pub fn account(&self) -> Result<Account, LedgerError> {
        Account::read_file(&self.path)
    }

    /// Writes that something is about to be done, and returns its number. It is on disk when this returns.
    ///
    /// # Errors
    /// It can't be written; then it must not be done.
    pub fn intend(
        &self,
        name: &str,
        injection: u32,
        thing: &str,
        fault: Option<&Fault>,
        within: Option<Duration>,
    ) -> Result<u64, LedgerError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let at_ns = clock::now_ns();
        self.write(&Entry::Intended {
            id,
            name: name.to_owned(),
            injection,
            thing: thing.to_owned(),
            fault: fault.cloned(),
            at_ns,
            expires_ns: within.map(|within| at_ns.saturating_add(clock::nanos(within))),
        })?;
        Ok(id)
    }

    /// Writes what undoes the part of a deed that is done next. It is on disk when this returns.
    ///
    /// # Errors
    /// It can't be written; then it must not be done.
    pub fn undo(&self, id: u64, undo: &Undo) -> Result<(), LedgerError> {
        self.write(&Entry::Undo { id, undo: undo.clone() })
    }

    /// Writes how far a deed has come.
    ///
    /// # Errors
    /// It can't be written.
    pub fn came(&self, id: u64, to: Stage, at_ns: u64, evidence: &str) -> Result<(), LedgerError> {
        self.write(&Entry::Came { id, to, at_ns, evidence: evidence.to_owned(), expires_ns: None })
    }

    /// Writes that a deed is in force, and how long at most it may be before whoever sees it heals it; `None`: until its
    /// owner is gone. What [`intend`](Self::intend) said about that counts no longer.
    ///
    /// # Errors
    /// It can't be written.
    pub fn applied(
        &self,
        id: u64,
        at_ns: u64,
        evidence: &str,
        within: Option<Duration>,
    ) -> Result<(), LedgerError> {
        let expires_ns = within.map(|within| at_ns.saturating_add(clock::nanos(within)));
        self.write(&Entry::Came { id, to: Stage::Applied, at_ns, evidence: evidence.to_owned(), expires_ns })
    }

    /// Writes that nothing more will be done.
    ///
    /// # Errors
    /// It can't be written.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.write(&Entry::Closed { at_ns: clock::now_ns() })
    }

    fn write(&self, entry: &Entry) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::Write { path: self.path.clone(), source };
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        // A line that could be written in part only (ours, or a guard's) must not swallow this one.
        if is_torn(&file).map_err(failed)? {
            line.insert(0, b'\n');
        }
        line.push(b'\n');
        // One write to a file that is appended to: a guard may write at the same time, and lines stay whole.
        (&*file).write_all(&line).and_then(|()| file.sync_data()).map_err(failed)
    }
}

/// True when the last line of a file has no end.
fn is_torn(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}
