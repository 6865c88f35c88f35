//! Duplicated: an attempt handed out again for no reason, or one task that counts twice.

use super::{Evidence, lease};
use crate::history::{Execution, FinalTask};
use crate::joined::{Joined, WorkflowRun};
use std::collections::BTreeMap;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        handed_out_again(workflow, &mut evidence);
        counted_twice(workflow, &mut evidence);
    }
    evidence
}

/// The hand-outs of one task id, in the order in which they were read: each but the first needs a reason.
fn handed_out_again(workflow: &WorkflowRun<'_>, evidence: &mut Evidence) {
    let mut by_task: BTreeMap<&str, Vec<&Execution>> = BTreeMap::new();
    for execution in &workflow.executions {
        by_task.entry(&execution.task_id).or_default().push(execution);
    }
    for (task_id, mut hand_outs) in by_task {
        evidence.looked();
        hand_outs.sort_by_key(|e| e.polled_ns);
        for pair in hand_outs.windows(2) {
            let (before, again) = (pair[0], pair[1]);
            if lease::handed_back(before, again.polled_ns) || lease::expired(before, again.polled_ns) {
                continue;
            }
            let after_ms = (again.polled_ns - before.polled_ns) / 1_000_000;
            let what = format!(
                "task {task_id} was handed out to {} and {after_ms} ms later to {}, with no callback between \
                 and a lease of {} s",
                before.worker, again.worker, before.lease_s
            );
            evidence.found(workflow.label(), Some(&again.reference), what);
        }
    }
}

/// In the target's own records no attempt and no completion of a task is there twice.
fn counted_twice(workflow: &WorkflowRun<'_>, evidence: &mut Evidence) {
    let Some(record) = workflow.record() else { return };
    let mut seen: BTreeMap<(&str, u32), &FinalTask> = BTreeMap::new();
    let mut completed: BTreeMap<&str, &FinalTask> = BTreeMap::new();
    for task in &record.tasks {
        if let Some(first) = seen.insert((&task.reference, task.attempt), task) {
            let what =
                format!("attempt {} is there twice: {} and {}", task.attempt, first.task_id, task.task_id);
            evidence.found(workflow.label(), Some(&task.reference), what);
        }
        if task.status != "COMPLETED" {
            continue;
        }
        if let Some(first) = completed.insert(&task.reference, task) {
            let what = format!("completed twice: as {} and as {}", first.task_id, task.task_id);
            evidence.found(workflow.label(), Some(&task.reference), what);
        }
    }
}
