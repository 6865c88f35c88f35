//! What became of every request of a level: starts, updates with all their tries, plain calls and polls.
//!
//! An update that was sent again tells the outcome of its last try only. The tries before it were refused or not
//! answered; the history doesn't say which, so they count as failed, or as unknown when the update ended so.
//!
//! An empty poll was answered and counts as ok. A poll that handed tasks out has no record of its own: the
//! executions with one worker, task type and instant of polling stand for it.

use super::Measure;
use crate::history::{Outcome, Reported};
use crate::joined::LevelRun;
use std::collections::BTreeSet;

/// Requests of a level, by outcome.
#[derive(Debug, Default)]
struct Counted {
    ok: usize,
    failed: usize,
    unknown: usize,
}

impl Counted {
    fn add(&mut self, outcome: Outcome, count: usize) {
        match outcome {
            Outcome::Ok => self.ok += count,
            Outcome::Failed => self.failed += count,
            Outcome::Unknown => self.unknown += count,
        }
    }
}

pub(super) fn measure(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let counted = count(level);
    let not_ok = counted.failed + counted.unknown;
    out.push(Measure::count(name("requests_failed"), counted.failed));
    out.push(Measure::count(name("requests_unknown"), counted.unknown));
    let ratio = Measure::ratio(name("error_ratio"), not_ok, counted.ok + not_ok);
    out.push(ratio.with_reason("nothing was asked"));
}

fn count(level: &LevelRun<'_>) -> Counted {
    let mut counted = Counted::default();
    for start in level.workflows.iter().filter_map(|w| w.start) {
        counted.add(start.outcome, 1);
    }
    for call in &level.calls {
        counted.add(call.outcome, 1);
    }
    for update in level.executions().filter(|e| e.reported != Reported::Nothing) {
        counted.add(update.outcome, 1);
        let before = match update.outcome {
            Outcome::Ok | Outcome::Failed => Outcome::Failed,
            Outcome::Unknown => Outcome::Unknown,
        };
        counted.add(before, update.tries.saturating_sub(1) as usize);
    }
    let polls: BTreeSet<_> = level.executions().map(|e| (&e.worker, &e.task_type, e.polled_ns)).collect();
    counted.add(Outcome::Ok, polls.len());
    counted
}
