//! When a task was handed out to a worker that read the answer late.
//!
//! A worker that hangs reads what was sent to it when it goes on: its reading then tells nothing of the hand-out, from
//! which the target counts the lease. The target's own start of the task does, on the target's clock. How that clock lies
//! to the harness's is known from every start: the target created the workflow between the sending of the request and
//! the reading of its answer (Cristian, "Probabilistic clock synchronization", 1989, of one exchange; here the bounds of
//! all of them are joined). Where they contradict each other the target's clock was moved, and nothing is settled.

use crate::history::{History, Outcome};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A reading that is later than this is one of a worker that hung; what is less is the way of the answer.
const LATE_NS: i128 = 250_000_000;
const MS: i128 = 1_000_000;

/// The history, with the instant of the hand-out in place of the reading where a worker read it late.
pub fn settled(history: &History) -> Cow<'_, History> {
    let Some(ahead_ns) = least_ahead_ns(history) else { return Cow::Borrowed(history) };
    // The start is told in whole milliseconds, so it was at the end of that one at the latest.
    let latest_ns = |started_ms: u64| (i128::from(started_ms) + 1) * MS - ahead_ns;
    let late = |execution: &crate::history::Execution| {
        let at_ns = latest_ns(execution.server_started_ms);
        let is_first = execution.poll_count <= 1 && execution.server_started_ms > 0;
        (is_first && at_ns > 0 && at_ns + LATE_NS < i128::from(execution.polled_ns)).then_some(at_ns)
    };
    if history.executions.iter().all(|execution| late(execution).is_none()) {
        return Cow::Borrowed(history);
    }
    let mut settled = history.clone();
    for execution in &mut settled.executions {
        if let Some(at_ns) = late(execution).and_then(|at_ns| u64::try_from(at_ns).ok()) {
            execution.polled_ns = at_ns;
        }
    }
    Cow::Owned(settled)
}

/// The least by which the target's clock can be ahead of the harness's, nanoseconds; `None` when nothing is known of it,
/// or it was moved.
fn least_ahead_ns(history: &History) -> Option<i128> {
    let created: BTreeMap<&str, u64> = history
        .finals
        .iter()
        .filter(|told| told.found && told.created_ms > 0)
        .map(|told| (told.workflow_id.as_str(), told.created_ms))
        .collect();
    let (mut least, mut most) = (None::<i128>, None::<i128>);
    for start in history.starts.iter().filter(|start| start.outcome == Outcome::Ok) {
        let Some(created_ms) = start.workflow_id.as_deref().and_then(|id| created.get(id)) else { continue };
        let created_ns = i128::from(*created_ms) * MS;
        let from = created_ns - i128::from(start.done_ns);
        let to = created_ns + MS - i128::from(start.sent_ns);
        least = least.max(Some(from));
        most = Some(most.map_or(to, |most| most.min(to)));
    }
    least.filter(|least| most.is_some_and(|most| *least <= most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The healthy transcript.
    fn healthy() -> History {
        History::parse("history.jsonl", include_str!("../tests/histories/healthy.jsonl")).unwrap()
    }

    #[test]
    fn a_late_reading_is_settled_by_the_targets_clock_and_a_prompt_one_is_left_alone() {
        let history = healthy();
        assert!(matches!(settled(&history), Cow::Borrowed(_)));
        let mut hung = healthy();
        let prompt_ns = hung.executions[0].polled_ns;
        hung.executions[0].polled_ns += 4_000_000_000;
        let told = settled(&hung).executions[0].polled_ns;
        assert!(told.abs_diff(prompt_ns) < 250_000_000, "{told} and {prompt_ns}");
    }

    #[test]
    fn a_clock_that_was_moved_settles_nothing() {
        let mut moved = healthy();
        moved.executions[0].polled_ns += 4_000_000_000;
        let (start, told) = (moved.starts[0].clone(), moved.finals[0].clone());
        let id = "another";
        moved.starts.push(crate::history::Start { workflow_id: Some(id.into()), ..start });
        let created_ms = told.created_ms + 3_600_000;
        moved.finals.push(crate::history::FinalWorkflow { workflow_id: id.into(), created_ms, ..told });
        assert!(matches!(settled(&moved), Cow::Borrowed(_)));
    }
}
