//! Overlapped: two executions of one task at the same time.
//!
//! A worker that works on after its lease has run out can't be stopped by any orchestrator, so its overlap with
//! the next one is no breach.

use super::{Evidence, lease};
use crate::history::Execution;
use crate::joined::Joined;
use std::collections::BTreeMap;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        let mut by_task: BTreeMap<(&str, &str), Vec<&Execution>> = BTreeMap::new();
        for execution in &workflow.executions {
            by_task.entry((&execution.workflow_id, &execution.reference)).or_default().push(execution);
        }
        for ((_, reference), mut executions) in by_task {
            evidence.looked();
            executions.sort_by_key(|e| e.polled_ns);
            for (i, first) in executions.iter().enumerate() {
                let beside = executions[i + 1..].iter().filter(|e| at_once(first, e));
                for second in beside.filter(|e| !lease::expired(first, e.polled_ns)) {
                    let both_ms = overlap_ns(first, second) / 1_000_000;
                    let what = format!(
                        "{} (task {}) and {} (task {}) worked on it at once for {both_ms} ms",
                        first.worker, first.task_id, second.worker, second.task_id
                    );
                    evidence.found(workflow.label(), Some(reference), what);
                }
            }
        }
    }
    evidence
}

fn at_once(a: &Execution, b: &Execution) -> bool {
    overlap_ns(a, b) > 0
}

fn overlap_ns(a: &Execution, b: &Execution) -> u64 {
    a.finished_ns.min(b.finished_ns).saturating_sub(a.started_ns.max(b.started_ns))
}
