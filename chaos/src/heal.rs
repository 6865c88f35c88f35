//! Heals what a run left behind, from its ledger: for `shakedown heal`, and for the guard of a run.

use crate::clock;
use crate::ledger::{Account, Broken, Deed, Ledger, LedgerError, Stage};
use crate::process::{self, Identity};
use crate::substrate::sweep;
use std::fmt;
use std::path::{Path, PathBuf};

/// What healing found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healing {
    /// What was hurt.
    pub target: String,
    /// Processes of the run that were still there; they were ended.
    pub ended: Vec<Identity>,
    /// What is undone now, with what shows it.
    pub healed: Vec<Step>,
    /// What isn't, with what was tried and seen instead.
    pub unhealed: Vec<Step>,
    /// Lines of the ledger that mean nothing.
    pub broken: Vec<Broken>,
}

/// One deed of a ledger, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The fault, its injection and whom it hurt: `slow disk (2) on engine`.
    pub what: String,
    /// What shows it.
    pub evidence: String,
}

impl Healing {
    /// True when nothing is left in force.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unhealed.is_empty()
    }
}

impl fmt::Display for Healing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for broken in &self.broken {
            writeln!(f, "passed over: {broken}")?;
        }
        if self.ended.is_empty() && self.healed.is_empty() && self.unhealed.is_empty() {
            return write!(f, "nothing of the run is in force on {}", self.target);
        }
        writeln!(f, "left behind on {}:", self.target)?;
        let pids: Vec<String> = self.ended.iter().map(|one| one.pid.to_string()).collect();
        if !pids.is_empty() {
            writeln!(f, "  ended      process {}", pids.join(", "))?;
        }
        for step in &self.healed {
            writeln!(f, "  healed     {}: {}", step.what, step.evidence)?;
        }
        for step in &self.unhealed {
            writeln!(f, "  NOT HEALED {}: {}", step.what, step.evidence)?;
        }
        Ok(())
    }
}

/// Why a run was not healed at all.
#[derive(Debug, thiserror::Error)]
pub enum HealError {
    /// There is no ledger to go by.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Somebody else is at it.
    #[error(
        "the run in {} goes on (process {}): it heals what it injects itself; end it with Ctrl-C, or heal by force",
        run_dir.display(), owner.pid
    )]
    GoesOn {
        /// The run.
        run_dir: PathBuf,
        /// The process that injects.
        owner: Identity,
    },
}

/// Undoes all that the ledger of a run tells of and that isn't undone yet; does no harm when there is nothing. With
/// `force` also while the run goes on, as far as that makes sense. Blocks.
///
/// # Errors
/// There is no ledger, or the run goes on.
pub fn heal(run_dir: &Path, force: bool) -> Result<Healing, HealError> {
    let account = Account::read(run_dir)?;
    let goes_on = account.owner_lives();
    if goes_on && !force {
        return Err(HealError::GoesOn { run_dir: run_dir.to_owned(), owner: account.owner });
    }
    let same_boot = account.boot == process::boot();
    // Before what they use is taken away.
    let ended = if same_boot && !goes_on { sweep::of(account.owner) } else { Vec::new() };
    let ledger = Ledger::resume(run_dir)?;
    let (target, broken) = (account.target.clone(), account.broken.clone());
    let mut healing = Healing { target, ended, healed: vec![], unhealed: vec![], broken };
    for deed in account.open().rev() {
        let (step, whole) = undo(deed, Circumstances { same_boot, goes_on });
        let stage = if whole { Stage::Healed } else { Stage::NotHealed };
        ledger.came(deed.id, stage, clock::now_ns(), &step.evidence)?;
        if whole { &mut healing.healed } else { &mut healing.unhealed }.push(step);
    }
    if !goes_on && healing.is_whole() && !account.closed {
        ledger.close()?;
    }
    Ok(healing)
}

/// Under which circumstances a deed is undone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// The machine was not restarted since.
    pub same_boot: bool,
    /// The nodes that it concerns may be running.
    pub goes_on: bool,
}

/// Undoes one deed, its last part first; tells whether all of it is undone.
pub(crate) fn undo(deed: &Deed, circumstances: Circumstances) -> (Step, bool) {
    let mut whole = true;
    let mut told = Vec::new();
    for undo in deed.undo.iter().rev() {
        let undone = match circumstances {
            Circumstances { same_boot: false, .. } if undo.ends_with_the_boot() => {
                Ok("gone with the restart of the machine".to_owned())
            }
            Circumstances { goes_on: true, .. } if !undo.suits_running_nodes() => {
                Err("can't be undone while its node runs".to_owned())
            }
            _ => undo.carry_out(),
        };
        whole &= undone.is_ok();
        told.push(undone.unwrap_or_else(|doubt| doubt));
    }
    let what = match deed.injection {
        0 => format!("{} of {}", deed.name, deed.thing),
        injection => format!("{} ({injection}) on {}", deed.name, deed.thing),
    };
    (Step { what, evidence: told.join("; ") }, whole)
}
