//! Concurrency: never more of a task in hand than its definition allows at once.
//!
//! By the harness's clock, from the reading of a hand-out to the sending of the answer (or the end of the lease): both
//! lie inside of what the target counts, so what is too much here is too much there.

use super::Evidence;
use crate::history::Execution;
use crate::joined::{Joined, WorkflowRun};
use std::collections::BTreeMap;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    let mut by_type: BTreeMap<&str, Vec<(&WorkflowRun<'_>, &Execution)>> = BTreeMap::new();
    for workflow in run.workflows() {
        for execution in &workflow.executions {
            by_type.entry(&execution.task_type).or_default().push((workflow, execution));
        }
    }
    for (task_type, mut executions) in by_type {
        let Some(limit) = run.plan.rules(task_type).and_then(|r| r.concurrent_limit) else { continue };
        executions.sort_by_key(|(_, e)| e.polled_ns);
        let mut in_hand: Vec<u64> = Vec::new();
        for (workflow, execution) in executions {
            evidence.looked();
            in_hand.retain(|until| *until > execution.polled_ns);
            in_hand.push(until_ns(execution));
            if in_hand.len() > limit as usize {
                let what = format!(
                    "task {} was handed out as number {} of `{task_type}` at once, and its definition allows {limit}",
                    execution.task_id,
                    in_hand.len()
                );
                evidence.found(workflow.label(), Some(&execution.reference), what);
            }
        }
    }
    evidence
}

fn until_ns(execution: &Execution) -> u64 {
    let answered_ns = execution.update_sent_ns.max(execution.polled_ns);
    if execution.lease_s <= 0.0 {
        return answered_ns;
    }
    answered_ns.min(execution.polled_ns.saturating_add((execution.lease_s * 1e9) as u64))
}
