//! Restores from a backup: what each may have undone.
//!
//! A restore goes back in time: of what was acknowledged after the backup nobody can expect that it is there, and work
//! that was handed out since is handed out again. So a history with a restore is looked at from both of its sides: as it
//! would be without what the restore may have undone, and as it was until the data was gone. What is wrong on either side
//! is wrong; what only shows when the two are laid side by side is the restore's doing.

use crate::history::{Execution, FaultMark, FaultPhase, History, Observed, Start};
use crate::plan::Plan;
use crate::plan::drill::Injection;

/// Kind of a fault that destroys data and puts a backup in its place.
const RESTORE: &str = "restore";
/// Kind of one that takes a backup.
const BACKUP: &str = "backup";

/// True of an injection that only takes a backup: it takes nothing away.
pub(crate) fn is_backup(what: &str) -> bool {
    what == BACKUP
}

/// A restore, and how far back it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rewind {
    /// When the backup was begun: what was acknowledged before is in it.
    from_ns: u64,
    /// t₀: the data is gone.
    gone_ns: u64,
    /// Since when the restored one serves: what is acknowledged from then on has to last.
    until_ns: u64,
}

impl Rewind {
    /// Its acknowledgement may have been undone.
    fn undoes_start(&self, start: &Start) -> bool {
        start.sent_ns < self.gone_ns && (self.from_ns..self.until_ns).contains(&start.done_ns)
    }

    /// It was handed out by what is gone, and was not over when the backup was begun: what was restored knows nothing of
    /// it, or of how long its worker was granted.
    fn undoes_execution(&self, execution: &Execution) -> bool {
        let over_ns = execution.update_done_ns.max(execution.finished_ns);
        execution.polled_ns < self.until_ns && over_ns >= self.from_ns
    }

    fn undoes_end(&self, observed: &Observed) -> bool {
        (self.from_ns..self.until_ns).contains(&observed.done_ns)
    }

    /// t₀, when it may have gone back to before the end of a workflow, or to before its start.
    pub(crate) fn met(&self, start: &Start, ended_ns: Option<u64>) -> Option<u64> {
        let met = start.sent_ns < self.gone_ns && ended_ns.is_none_or(|ended_ns| ended_ns >= self.from_ns);
        met.then_some(self.gone_ns)
    }
}

/// The restores of a run, in the order in which they struck. One that nobody knows to have struck, or that had no whole
/// backup of the same role before it, excuses nothing.
pub(crate) fn all(plan: &Plan, history: &History) -> Vec<Rewind> {
    let of_kind = |what: &'static str| plan.injections.iter().filter(move |i| i.what == what);
    let at = |injection: &Injection, phase: FaultPhase| {
        let own = |m: &&FaultMark| m.fault == injection.fault && m.injection == injection.injection;
        history.faults.iter().filter(own).find(|m| m.phase == phase).map(|m| m.at_ns)
    };
    let backups: Vec<(&Injection, u64, u64)> = of_kind(BACKUP)
        .filter_map(|i| Some((i, at(i, FaultPhase::Applied)?, at(i, FaultPhase::Healed)?)))
        .collect();
    let rewind = |restore: &Injection| {
        let gone_ns = at(restore, FaultPhase::Applied)?;
        let usable =
            |(backup, _, whole_ns): &&(&Injection, u64, u64)| backup.on == restore.on && *whole_ns <= gone_ns;
        let from_ns = backups.iter().filter(usable).map(|(_, begun_ns, _)| *begun_ns).max()?;
        let until_ns = at(restore, FaultPhase::Healed).unwrap_or(gone_ns);
        Some(Rewind { from_ns, gone_ns, until_ns })
    };
    let mut rewinds: Vec<Rewind> = of_kind(RESTORE).filter_map(rewind).collect();
    rewinds.sort_by_key(|rewind| rewind.gone_ns);
    rewinds
}

/// The history without what the restores may have undone.
pub(crate) fn after(history: &History, rewinds: &[Rewind]) -> History {
    let mut left = history.clone();
    let any = |undoes: &dyn Fn(&Rewind) -> bool| rewinds.iter().any(undoes);
    left.starts.retain(|start| !any(&|rewind| rewind.undoes_start(start)));
    left.executions.retain(|execution| !any(&|rewind| rewind.undoes_execution(execution)));
    left.observed.retain(|observed| !any(&|rewind| rewind.undoes_end(observed)));
    left
}

/// What was done between one restore and the next; what the target told afterwards says nothing of that.
pub(crate) fn before(history: &History, rewinds: &[Rewind]) -> Vec<History> {
    let since = [0].into_iter().chain(rewinds.iter().map(|rewind| rewind.until_ns));
    let sides = since.zip(rewinds).map(|(from_ns, rewind)| {
        let mut side = history.clone();
        side.executions.retain(|execution| (from_ns..rewind.gone_ns).contains(&execution.polled_ns));
        side.finals.clear();
        side
    });
    sides.collect()
}
