//! The ledger: what hurts the target right now, on disk before it is done, with what undoes it as data, so that any
//! process can heal after this one is gone. One JSON object a line, each synced before anything else happens.

mod undo;

use crate::clock;
use crate::fault::Fault;
use crate::process::{self, Identity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    /// A line means nothing.
    #[error("{}:{line}: not a line of a ledger: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
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
    file: File,
    next: AtomicU64,
}

impl Ledger {
    /// Begins the ledger of a run on `target`, in words, in its directory.
    ///
    /// # Errors
    /// There is one already, or it can't be written.
    pub fn create(run_dir: &Path, target: &str) -> Result<Self, LedgerError> {
        let path = run_dir.join(FILE);
        let opened = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = opened.map_err(|source| LedgerError::Write { path: path.clone(), source })?;
        let ledger = Self { path, file, next: AtomicU64::new(1) };
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
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.map_err(|source| LedgerError::Write { path: path.clone(), source })?;
        Ok(Self { path, file, next: AtomicU64::new(u64::MAX / 2) })
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
        self.write(&Entry::Came { id, to, at_ns, evidence: evidence.to_owned() })
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
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        // One write to a file that is appended to: a guard may write at the same time, and lines stay whole.
        (&self.file).write_all(&line).and_then(|()| self.file.sync_data()).map_err(failed)
    }
}

/// A deed as the ledger tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// Its number.
    pub id: u64,
    /// Name of the fault, or of what was made ready for one.
    pub name: String,
    /// Which injection; 0 for what was made ready before.
    pub injection: u32,
    /// The node or link.
    pub thing: String,
    /// When it is to be healed by whoever sees it.
    pub expires_ns: Option<u64>,
    /// What undoes it, in the order in which it was done.
    pub undo: Vec<Undo>,
    /// How far it came last; `None`: it was intended, and nobody knows more.
    pub stage: Option<Stage>,
}

impl Deed {
    /// True while there may be something to undo.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage != Some(Stage::Healed) && !self.undo.is_empty()
    }
}

/// A ledger as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// What is hurt.
    pub target: String,
    /// Whose it is.
    pub owner: Identity,
    /// The boot of the machine on which process ids and mounts mean something.
    pub boot: String,
    /// All deeds, in their order.
    pub deeds: Vec<Deed>,
    /// Its owner said that nothing more will be done.
    pub closed: bool,
}

impl Account {
    /// Reads the ledger of a run directory. A last line that was cut off is left out: what it would have announced
    /// was not done.
    ///
    /// # Errors
    /// It is missing, or not a ledger.
    pub fn read(run_dir: &Path) -> Result<Self, LedgerError> {
        Self::read_file(&run_dir.join(FILE))
    }

    fn read_file(path: &Path) -> Result<Self, LedgerError> {
        let path = path.to_owned();
        let bytes = fs::read(&path).map_err(|source| LedgerError::Read { path: path.clone(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().enumerate().map(|(index, line)| {
            let parsed = serde_json::from_str(line);
            parsed.map_err(|source| LedgerError::Line { path: path.clone(), line: index + 1, source })
        });
        let Some(Entry::Opened { target, owner, boot, .. }) = lines.next().transpose()? else {
            return Err(LedgerError::Headless { path: path.clone() });
        };
        let mut closed = false;
        let mut deeds = BTreeMap::new();
        for entry in lines {
            let entry = entry?;
            closed = matches!(entry, Entry::Closed { .. });
            take(&mut deeds, entry);
        }
        Ok(Self { target, owner, boot, deeds: deeds.into_values().collect(), closed })
    }

    /// True while the process that injects is there.
    #[must_use]
    pub fn owner_lives(&self) -> bool {
        self.boot == process::boot() && self.owner.is_alive()
    }

    /// What may be in force.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Deed> {
        self.deeds.iter().filter(|deed| deed.is_open())
    }
}

fn take(deeds: &mut BTreeMap<u64, Deed>, entry: Entry) {
    match entry {
        Entry::Intended { id, name, injection, thing, expires_ns, .. } => {
            let deed = Deed { id, name, injection, thing, expires_ns, undo: Vec::new(), stage: None };
            deeds.insert(id, deed);
        }
        Entry::Undo { id, undo } => {
            if let Some(deed) = deeds.get_mut(&id) {
                deed.undo.push(undo);
            }
        }
        Entry::Came { id, to, .. } => {
            if let Some(deed) = deeds.get_mut(&id) {
                deed.stage = Some(to);
            }
        }
        Entry::Opened { .. } | Entry::Closed { .. } => {}
    }
}
