//! Zombie: the result that counts is of a hand-out older than one that was made before that result was sent.
//!
//! The token of a hand-out is its attempt and, within it, the poll: a later one fences the earlier ones off.

use super::Evidence;
use crate::history::{Execution, Reported};
use crate::joined::{Joined, WorkflowRun};

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        for task in &workflow.template.tasks {
            // Of one whose worker was killed nobody knows when it was sent.
            let kept = workflow.kept(&task.reference).filter(|e| e.reported != Reported::Nothing);
            let Some(kept) = kept else { continue };
            evidence.looked();
            if let Some(newer) = newer(workflow, kept) {
                let early_ms = (kept.update_sent_ns - newer.polled_ns) / 1_000_000;
                let what = format!(
                    "the result of {} (attempt {}, poll {}) counts, sent {early_ms} ms after the task was handed to \
                     {} (attempt {}, poll {})",
                    kept.worker, kept.attempt, kept.poll_count, newer.worker, newer.attempt, newer.poll_count
                );
                evidence.found(workflow.label(), Some(&task.reference), what);
            }
        }
    }
    evidence
}

fn newer<'a>(workflow: &WorkflowRun<'a>, kept: &Execution) -> Option<&'a Execution> {
    let token = |e: &Execution| (e.attempt, e.poll_count);
    workflow.executions.iter().copied().find(|e| {
        e.workflow_id == kept.workflow_id
            && e.reference == kept.reference
            && token(e) > token(kept)
            && e.polled_ns < kept.update_sent_ns
    })
}
