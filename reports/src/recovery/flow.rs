//! What flows through the target, told by the client alone: which tasks wait, since when, and what is completed.
//!
//! A task waits from the instant at which the completion of its last predecessor was acknowledged (or its workflow's
//! start) until the poll that handed it to the execution whose result is kept. What a worker had in hand when it was
//! killed therefore waits on until somebody takes it over.

use crate::history::{Execution, Outcome, Reported};
use crate::joined::{LevelRun, TERMINAL, WorkflowRun};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The shortest steps in which backlog and age are looked at.
const STEP_NS: u64 = 10_000_000;
/// Most steps: of a run of more than six hours they are longer.
const MOST_STEPS: u64 = 1 << 21;

/// Seconds from one instant to another.
pub(super) fn seconds(from_ns: u64, at_ns: u64) -> f64 {
    at_ns.saturating_sub(from_ns) as f64 / 1e9
}

/// Tasks that wait, and completions, of some levels.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// When the series begin.
    began_ns: u64,
    /// How far its steps are apart.
    pub(super) step_ns: u64,
    /// Tasks that wait at each step.
    backlog: Vec<u32>,
    /// How long the oldest of them has waited, nanoseconds.
    oldest_ns: Vec<u64>,
    /// Instants of accepted completions, in order.
    completions: Vec<u64>,
}

impl Waiting {
    /// Of these levels, between two instants.
    pub(crate) fn of(levels: &[&LevelRun<'_>], began_ns: u64, ended_ns: u64) -> Self {
        let workflows = || levels.iter().flat_map(|l| &l.workflows);
        let mut spans: Vec<(u64, u64)> = workflows().flat_map(|w| spans(w, ended_ns)).collect();
        spans.sort_unstable();
        let mut completions: Vec<u64> = workflows().flat_map(accepted_at).collect();
        completions.sort_unstable();
        let length_ns = ended_ns.saturating_sub(began_ns);
        let step_ns = STEP_NS.max(length_ns / MOST_STEPS);
        let (backlog, oldest_ns) = sweep(&spans, began_ns, step_ns, length_ns / step_ns + 1);
        Self { began_ns, step_ns, backlog, oldest_ns, completions }
    }

    /// Accepted completions from one instant until before another.
    pub(crate) fn completed(&self, from_ns: u64, to_ns: u64) -> u64 {
        let before = |at: u64| self.completions.partition_point(|c| *c < at);
        before(to_ns).saturating_sub(before(from_ns)) as u64
    }

    /// The first accepted completion from an instant on.
    pub(super) fn next_completion(&self, from_ns: u64) -> Option<u64> {
        self.completions.get(self.completions.partition_point(|c| *c < from_ns)).copied()
    }

    /// Most tasks that waited, and the longest that one had, between two instants.
    pub(crate) fn most(&self, from_ns: u64, to_ns: u64) -> (u64, u64) {
        let (from, to) = (self.step(from_ns), self.step(to_ns).max(self.step(from_ns) + 1));
        let to = to.min(self.backlog.len());
        let from = from.min(to);
        let backlog = self.backlog[from..to].iter().max().copied().unwrap_or(0);
        (u64::from(backlog), self.oldest_ns[from..to].iter().max().copied().unwrap_or(0))
    }

    /// Tasks that wait, and how long the oldest has, at an instant.
    pub(super) fn at(&self, at_ns: u64) -> (u64, u64) {
        let step = self.step(at_ns).min(self.backlog.len().saturating_sub(1));
        let backlog = self.backlog.get(step).copied().unwrap_or(0);
        (u64::from(backlog), self.oldest_ns.get(step).copied().unwrap_or(0))
    }

    fn step(&self, at_ns: u64) -> usize {
        (at_ns.saturating_sub(self.began_ns) / self.step_ns.max(1)) as usize
    }
}

/// Instants at which completions that count were answered. When one was answered whose worker was ended first is known
/// no better than that its work was over.
fn accepted_at(workflow: &WorkflowRun<'_>) -> Vec<u64> {
    let kept = workflow.template.tasks.iter().filter_map(|task| workflow.kept(&task.reference));
    let kept = kept.map(|e| match e.reported {
        Reported::Nothing => e.finished_ns,
        _ => e.update_done_ns,
    });
    // What a restore undid counted when it was done.
    kept.chain(undone(workflow).map(|e| e.update_done_ns)).collect()
}

/// Completions that were acknowledged before a restore, which knows nothing of them.
fn undone<'a>(workflow: &'a WorkflowRun<'_>) -> impl Iterator<Item = &'a Execution> {
    let gone_ns = workflow.rewound_ns.unwrap_or(0);
    let done = move |e: &&Execution| {
        e.reported == Reported::Completed && e.outcome == Outcome::Ok && e.update_done_ns < gone_ns
    };
    let is_kept = |e: &Execution| workflow.kept_nonce(&e.reference) == Some(e.nonce.as_str());
    workflow.executions.iter().copied().filter(done).filter(move |e| !is_kept(e))
}

/// From when to when each task of a workflow waits; what waits still does so until `ended_ns`.
fn spans(workflow: &WorkflowRun<'_>, ended_ns: u64) -> Vec<(u64, u64)> {
    let Some(start) = workflow.start.filter(|_| workflow.started()) else { return Vec::new() };
    let seen_ended = workflow.observed.filter(|o| TERMINAL.contains(&o.status.as_str())).map(|o| o.done_ns);
    let taken_away_ns = workflow.rewound_ns.filter(|_| workflow.record().is_none());
    let mut out = Vec::new();
    for task in &workflow.template.tasks {
        let done = task.after.iter().map(|before| {
            let kept = workflow.kept(before)?;
            Some(if kept.reported == Reported::Nothing { kept.finished_ns } else { kept.update_done_ns })
        });
        let before: Option<Vec<u64>> = done.collect();
        let Some(ready_ns) = before.map(|done| done.into_iter().fold(start.done_ns, u64::max)) else {
            continue;
        };
        let left_ns = match workflow.kept(&task.reference) {
            Some(kept) => kept.polled_ns,
            // It was never taken to its end: it waits until its workflow has ended, or is gone, however that was.
            None => seen_ended.or(taken_away_ns).unwrap_or(ended_ns),
        };
        // What was done, and undone by a restore, waits anew only since then.
        let first = undone(workflow).find(|e| e.reference == task.reference);
        match (first, workflow.rewound_ns) {
            (Some(first), Some(gone_ns)) if ready_ns < gone_ns => {
                out.extend([(ready_ns, first.polled_ns), (gone_ns, left_ns)]);
            }
            _ => out.push((ready_ns, left_ns)),
        }
    }
    out.retain(|(from_ns, to_ns)| to_ns > from_ns);
    out
}

/// Backlog and age of the oldest at every step, from spans in the order of their beginnings.
fn sweep(spans: &[(u64, u64)], began_ns: u64, step_ns: u64, steps: u64) -> (Vec<u32>, Vec<u64>) {
    let (mut backlog, mut oldest) = (Vec::new(), Vec::new());
    // By their ends to count, by their beginnings to find the oldest; what has left is dropped when it comes up.
    let mut by_end: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
    let mut by_begin: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut next = 0;
    for step in 0..steps {
        let at = began_ns.saturating_add(step * step_ns);
        while let Some((from, to)) = spans.get(next).filter(|(from, _)| *from <= at) {
            by_end.push(Reverse(*to));
            by_begin.push(Reverse((*from, *to)));
            next += 1;
        }
        while by_end.peek().is_some_and(|Reverse(to)| *to <= at) {
            by_end.pop();
        }
        while by_begin.peek().is_some_and(|Reverse((_, to))| *to <= at) {
            by_begin.pop();
        }
        backlog.push(u32::try_from(by_end.len()).unwrap_or(u32::MAX));
        oldest.push(by_begin.peek().map_or(0, |Reverse((from, _))| at - from));
    }
    (backlog, oldest)
}

/// Workflows whose starts were acknowledged, by the instant of that.
pub(super) fn acknowledged_at(workflow: &WorkflowRun<'_>) -> Option<u64> {
    workflow.start.filter(|s| s.outcome == Outcome::Ok).map(|s| s.done_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_and_the_oldest_ages_until_it_leaves() {
        const S: u64 = STEP_NS;
        // The second spans from step 1 to step 5, and hides behind the first until that leaves.
        let (backlog, oldest) = sweep(&[(0, 3 * S), (S, 5 * S), (2 * S, 2 * S + 1)], 0, S, 7);
        assert_eq!(backlog, [1, 2, 3, 1, 1, 0, 0]);
        assert_eq!(oldest, [0, S, 2 * S, 2 * S, 3 * S, 0, 0]);
    }
}
