//! The lease of a hand-out: when it has run out, a task may be handed out again though nobody answered.

use crate::history::{Execution, Outcome, Reported};

/// The target counts a lease from its own hand-out, which is earlier than the worker's reading of the answer, so
/// seen from here it can end early by that much.
const HAND_OUT_NS: u64 = 250_000_000;

/// True when the lease of `execution`, counted from its hand-out, can have run out at `at_ns`.
pub(super) fn expired(execution: &Execution, at_ns: u64) -> bool {
    let lease_ns = (execution.lease_s * 1e9) as u64;
    let ends_ns = execution.polled_ns.saturating_add(lease_ns);
    execution.lease_s > 0.0 && at_ns.saturating_add(HAND_OUT_NS.min(lease_ns / 4)) >= ends_ns
}

/// True when the worker gave the task back with a callback before `at_ns`, so that it was to be handed out again.
///
/// An update that was not answered may have been taken, so it counts.
pub(super) fn handed_back(execution: &Execution, at_ns: u64) -> bool {
    execution.reported == Reported::InProgress
        && execution.outcome != Outcome::Failed
        && execution.update_sent_ns <= at_ns
}
