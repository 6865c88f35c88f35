//! The lease of a hand-out: when it has run out, a task may be handed out again though nobody answered.

use crate::history::{Execution, Outcome, Reported};

/// The target counts a lease from its own hand-out, which is earlier than the worker's reading of the answer, so
/// seen from here it can end early by that much.
pub(super) const HAND_OUT_NS: u64 = 250_000_000;

/// True when the lease of `execution`, counted from its hand-out or from the last sign of life that the target
/// acknowledged before `at_ns`, can have run out at `at_ns`.
pub(super) fn expired(execution: &Execution, at_ns: u64) -> bool {
    let lease_ns = (execution.lease_s * 1e9) as u64;
    let extended_ns = execution.extended_ns.filter(|extended| *extended <= at_ns).unwrap_or(0);
    let ends_ns = execution.polled_ns.max(extended_ns).saturating_add(lease_ns);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Record;

    const SECOND: u64 = 1_000_000_000;

    /// The hand-out of `a` in the healthy transcript, with this lease.
    fn hand_out(lease_s: f64) -> Execution {
        let lines = include_str!("../../tests/histories/healthy.jsonl").lines();
        let mut executions = lines.filter_map(|l| match serde_json::from_str(l) {
            Ok(Record::Execution(e)) => Some(e),
            _ => None,
        });
        Execution { lease_s, ..executions.next().unwrap() }
    }

    #[test]
    fn a_lease_may_end_early_by_what_the_hand_out_took_and_no_more() {
        let e = hand_out(10.0);
        assert!(!expired(&e, e.polled_ns + 9 * SECOND));
        assert!(expired(&e, e.polled_ns + 10 * SECOND - HAND_OUT_NS));
        assert!(expired(&e, e.polled_ns + 11 * SECOND));
        // Of a lease of 0.2 s the allowance would be more than the whole.
        let short = hand_out(0.2);
        assert!(!expired(&short, short.polled_ns + SECOND / 10));
        assert!(expired(&short, short.polled_ns + SECOND / 5));
        assert!(!expired(&hand_out(0.0), u64::MAX), "no lease never runs out");
    }

    #[test]
    fn an_acknowledged_sign_of_life_begins_the_lease_anew() {
        let e = hand_out(2.0);
        let e = Execution { extended_ns: Some(e.polled_ns + 16 * SECOND / 10), ..e };
        assert!(!expired(&e, e.polled_ns + 2 * SECOND), "handed out again then, it was taken away early");
        assert!(expired(&e, e.polled_ns + 36 * SECOND / 10));
        assert!(!expired(&e, e.polled_ns + SECOND));
    }

    #[test]
    fn only_a_callback_that_may_have_been_taken_hands_a_task_back() {
        let back = Execution { reported: Reported::InProgress, ..hand_out(60.0) };
        let sent = back.update_sent_ns;
        assert!(handed_back(&back, sent) && !handed_back(&back, sent - 1));
        assert!(handed_back(&Execution { outcome: Outcome::Unknown, ..back.clone() }, sent));
        assert!(!handed_back(&Execution { outcome: Outcome::Failed, ..back.clone() }, sent));
        assert!(!handed_back(&Execution { reported: Reported::Failed, ..back }, sent));
    }
}
