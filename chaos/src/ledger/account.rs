//! A ledger as it is read: its deeds, how far each has come, and what is left in force.

use super::{Entry, FILE, LedgerError, Stage, Undo};
use crate::process::{self, Identity};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

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
    /// Lines that mean nothing. What could not be written whole was not done either.
    pub broken: Vec<Broken>,
}

/// A line of a ledger that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the ledger means nothing: {}", self.line, self.why)
    }
}

impl Account {
    /// Reads the ledger of a run directory. A last line that was cut off is left out: what it would have announced
    /// was not done. A line within that means nothing is [told](Account::broken).
    ///
    /// # Errors
    /// It is missing, or not a ledger.
    pub fn read(run_dir: &Path) -> Result<Self, LedgerError> {
        Self::read_file(&run_dir.join(FILE))
    }

    pub(super) fn read_file(path: &Path) -> Result<Self, LedgerError> {
        let path = path.to_owned();
        let bytes = fs::read(&path).map_err(|source| LedgerError::Read { path: path.clone(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut broken = Vec::new();
        let mut entries = Vec::new();
        for (index, line) in whole.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_str(line) {
                Ok(entry) => entries.push(entry),
                Err(error) => broken.push(Broken { line: index + 1, why: error.to_string() }),
            }
        }
        let mut entries = entries.into_iter();
        let Some(Entry::Opened { target, owner, boot, .. }) = entries.next() else {
            return Err(LedgerError::Headless { path });
        };
        let mut closed = false;
        let mut deeds = BTreeMap::new();
        for entry in entries {
            closed = matches!(entry, Entry::Closed { .. });
            take(&mut deeds, entry);
        }
        Ok(Self { target, owner, boot, deeds: deeds.into_values().collect(), closed, broken })
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
        Entry::Came { id, to, expires_ns, .. } => {
            if let Some(deed) = deeds.get_mut(&id) {
                deed.stage = Some(to);
                if to == Stage::Applied {
                    deed.expires_ns = expires_ns;
                }
            }
        }
        Entry::Opened { .. } | Entry::Closed { .. } => {}
    }
}
