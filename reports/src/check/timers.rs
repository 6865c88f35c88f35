//! Timers: a lease or a retry delay never fires early, and not for ever late.
//!
//! Early is told by the harness's clock: another attempt was read before the lease of the one before it can have run
//! out, with no word from its worker, or before the delay after a failure was over. Late is told by the target's own
//! clock, on which the next attempt was scheduled, so that a busy worker pool is not held against it; what a fault was in
//! force for is taken off.

use super::{Evidence, lease};
use crate::history::{Execution, Outcome, Reported};
use crate::joined::{Joined, LevelRun, WorkflowRun};
use std::collections::BTreeMap;

/// Most by which a lease may end late: Conductor looks at every running workflow about twice a minute.
const LATE_S: f64 = 60.0;
/// What two clocks' ticks may make of a delay, nanoseconds.
const TICK_NS: u64 = 50_000_000;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for level in &run.levels {
        for workflow in &level.workflows {
            for (before, again) in next_attempts(workflow) {
                let delay_s = run.plan.rules(&before.task_type).map(|r| r.retry_delay_s);
                let Some(fired) = fired(level, before, again, delay_s) else { continue };
                evidence.looked();
                if let Some(what) = fired {
                    evidence.found(workflow.label(), Some(&again.reference), what);
                }
            }
        }
    }
    evidence
}

/// The hand-outs of each task that made up an attempt after another, with the last hand-out of the one before.
fn next_attempts<'a>(workflow: &WorkflowRun<'a>) -> Vec<(&'a Execution, &'a Execution)> {
    let mut by_task: BTreeMap<(&str, &str), Vec<&Execution>> = BTreeMap::new();
    for execution in &workflow.executions {
        by_task.entry((&execution.workflow_id, &execution.reference)).or_default().push(execution);
    }
    let mut out = Vec::new();
    for mut hand_outs in by_task.into_values() {
        hand_outs.sort_by_key(|e| (e.attempt, e.polled_ns));
        out.extend(hand_outs.windows(2).filter(|p| p[1].attempt > p[0].attempt).map(|p| (p[0], p[1])));
    }
    out
}

/// `None` when no timer stood between the two; else what is wrong with when it fired, if anything is.
fn fired(
    level: &LevelRun<'_>,
    before: &Execution,
    again: &Execution,
    delay_s: Option<f64>,
) -> Option<Option<String>> {
    let failed = matches!(before.reported, Reported::Failed | Reported::FailedTerminally);
    let may_be_taken = before.outcome != Outcome::Failed && before.update_sent_ns <= again.polled_ns;
    if failed && may_be_taken {
        let due_ns = before.update_sent_ns.saturating_add((delay_s? * 1e9) as u64);
        let early_ns = due_ns.saturating_sub(again.polled_ns);
        return Some((early_ns > TICK_NS).then(|| {
            format!(
                "attempt {} was handed out {} ms before the delay of {} s after the failure was over",
                again.attempt + 1,
                early_ns / 1_000_000,
                delay_s.unwrap_or(0.0)
            )
        }));
    }
    // A completion that was acknowledged and is run again was lost: no timer of this attempt is at fault.
    let completed = before.reported == Reported::Completed && before.outcome == Outcome::Ok;
    if before.lease_s <= 0.0 || (completed && before.update_sent_ns <= again.polled_ns) {
        return None;
    }
    if !lease::expired(before, again.polled_ns) {
        let what = format!(
            "attempt {} was handed out {} ms after the one before, which had not failed and whose lease is {} s",
            again.attempt + 1,
            again.polled_ns.saturating_sub(before.polled_ns) / 1_000_000,
            before.lease_s
        );
        return Some(Some(what));
    }
    let late_s = again.scheduled_ms.saturating_sub(before.server_started_ms) as f64 / 1e3 - before.lease_s;
    let in_force_s = overlap_s(level, before.polled_ns, again.polled_ns);
    Some((late_s - in_force_s > LATE_S).then(|| {
        format!(
            "its lease of {} s ran out and attempt {} was scheduled {late_s:.1} s later (allowed {LATE_S} s, and what \
             faults were in force for: {in_force_s:.1} s)",
            before.lease_s,
            again.attempt + 1
        )
    }))
}

/// How long faults were in force between two instants, seconds; where several were, the sum.
fn overlap_s(level: &LevelRun<'_>, from_ns: u64, to_ns: u64) -> f64 {
    let of = |(from, to): &(u64, u64)| to_ns.min(*to).saturating_sub(from_ns.max(*from));
    level.disturbed.iter().map(of).fold(0, u64::saturating_add) as f64 / 1e9
}
