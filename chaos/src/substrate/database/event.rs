//! What becomes of a pair, step by step, each with its instant.

use super::Side;
use crate::clock;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// A probing write failed, the first one after one that went through.
    FailedFirstProbe,
    /// As many failed in a row as it takes: the primary counts as lost.
    Detected,
    /// The operator asked for the roles to change.
    SwitchoverBegun,
    /// It can't be done now, or could not be brought to its end; the primary is who it was.
    SwitchoverRefused,
    /// The old primary can't write any more, as far as anybody gets at it.
    Fenced,
    /// The standby is no standby any more.
    Promoted,
    /// A probing write on the new primary went through.
    Writable,
    /// Clients and faults on `db.primary` are led to it.
    Repointed,
    /// Writes were tried on the fenced one, and counted.
    LateWrites,
    /// An old primary was asked, alone, what it has that the new one has not.
    Compared,
    /// A primary without a standby that could take over was started again where it was.
    Restarted,
    /// The other one streams from the primary (again).
    Rejoined,
    /// Commits don't wait for the standby any more: it was silent for too long.
    Degraded,
    /// The standby has everything (and commits wait for it, when they are to): the next failover is possible.
    RedundancyRestored,
    /// Both are killed, and nothing is left of their data: an operator's disaster.
    Destroyed,
    /// The latest backup is where the data was.
    PutBack,
    /// It has the log from the archive to its end, and is in recovery no more.
    Replayed,
    /// A step failed; it, or another way, is tried again.
    Trouble,
}

impl Phase {
    /// Its name, as reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FailedFirstProbe => "failed_first_probe",
            Self::Detected => "detected",
            Self::SwitchoverBegun => "switchover_begun",
            Self::SwitchoverRefused => "switchover_refused",
            Self::Fenced => "fenced",
            Self::Promoted => "promoted",
            Self::Writable => "writable",
            Self::Repointed => "repointed",
            Self::LateWrites => "late_writes",
            Self::Compared => "compared",
            Self::Restarted => "restarted",
            Self::Rejoined => "rejoined",
            Self::Degraded => "degraded",
            Self::RedundancyRestored => "redundancy_restored",
            Self::Destroyed => "destroyed",
            Self::PutBack => "put_back",
            Self::Replayed => "replayed",
            Self::Trouble => "trouble",
        }
    }
}

/// A step of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub phase: Phase,
    /// CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// The database that it concerns.
    pub side: Side,
    /// What shows it, in words.
    pub text: String,
    /// What it found out, for those who count.
    pub finding: Finding,
}

/// What a step found out, beyond that it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Finding {
    /// Nothing more.
    #[default]
    Nothing,
    /// What became of writes that were tried on a fenced database.
    LateWrites(LateWrites),
    /// The answers to `compare` that only the old primary gave: what the failover lost.
    OnlyThere(Vec<String>),
}

/// How many writes were tried on a fenced database, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LateWrites {
    /// It said no, or took no connection.
    pub refused: u32,
    /// It said yes: the fence did not hold.
    pub accepted: u32,
    /// Nobody can say.
    pub unknown: u32,
}

/// What a step showed: in words, and in what it found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// In words.
    pub text: String,
    /// What it found out.
    pub finding: Finding,
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self { text, finding: Finding::Nothing }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.phase.name(), self.side.name())?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// Is told of every step, from the manager's thread; must return soon.
pub type Sink = Arc<dyn Fn(&Event) + Send + Sync>;

/// All steps so far, for those who wait for one.
pub struct News {
    all: Mutex<Vec<Event>>,
    more: Condvar,
    sink: Sink,
}

impl News {
    /// None yet; `sink` is told of each.
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        Self { all: Mutex::default(), more: Condvar::new(), sink }
    }

    /// Tells one.
    pub(super) fn tell(&self, event: Event) {
        (self.sink)(&event);
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        self.more.notify_all();
    }

    /// All so far.
    #[must_use]
    pub fn all(&self) -> Vec<Event> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Number of the first event of a phase from the `after`th event on, or `after` when there is none.
    #[must_use]
    pub fn first(&self, phase: Phase, after: usize) -> usize {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().skip(after).position(|event| event.phase == phase).map_or(after, |at| after + at)
    }

    /// Waits for the first event of a phase from the `after`th event on; `None` when it doesn't come within `limit`.
    /// Blocks.
    #[must_use]
    pub fn await_phase(&self, phase: Phase, after: usize, limit: Duration) -> Option<Event> {
        let deadline = clock::after(limit);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = all.iter().skip(after).find(|event| event.phase == phase) {
                return Some(found.clone());
            }
            let left = clock::until(deadline);
            if left.is_zero() {
                return None;
            }
            all = match self.more.wait_timeout(all, left) {
                Ok((all, _)) => all,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}
