//! Out of order: a task started before a predecessor had finished.
//!
//! Looked for on both clocks: the harness's, where a hand-out was read before any completion of the predecessor
//! had been sent, and the target's own, where a task was scheduled before the predecessor's record ended.

use super::Evidence;
use crate::history::{Execution, Reported};
use crate::joined::{Joined, WorkflowRun};

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        for execution in &workflow.executions {
            for before in workflow.template.predecessors(&execution.reference) {
                evidence.looked();
                if let Some(what) = by_harness(workflow, execution, before) {
                    evidence.found(workflow.label(), Some(&execution.reference), what);
                } else if never_done(workflow, execution, before) {
                    let what =
                        format!("task {} was handed out, and `{before}` was never done", execution.task_id);
                    let task = Some(execution.reference.as_str());
                    // Of a history that was cut off the completion may be what is missing.
                    match run.history.truncated {
                        true => evidence.undecided(workflow.label(), task, what),
                        false => evidence.found(workflow.label(), task, what),
                    }
                }
            }
        }
        by_target(workflow, &mut evidence);
    }
    evidence
}

fn completions<'a>(
    workflow: &'a WorkflowRun<'_>,
    execution: &'a Execution,
    before: &'a str,
) -> impl Iterator<Item = &'a Execution> {
    workflow.executions.iter().copied().filter(move |e| {
        e.workflow_id == execution.workflow_id && e.reference == before && e.reported == Reported::Completed
    })
}

fn never_done(workflow: &WorkflowRun<'_>, execution: &Execution, before: &str) -> bool {
    // A worker that was killed while it reported left no completion of its own, and the target may have taken it.
    completions(workflow, execution, before).next().is_none() && workflow.kept(before).is_none()
}

fn by_harness(workflow: &WorkflowRun<'_>, execution: &Execution, before: &str) -> Option<String> {
    if workflow.kept(before).is_some_and(|kept| kept.reported == Reported::Nothing) {
        return None;
    }
    let sent_ns = completions(workflow, execution, before).map(|e| e.update_sent_ns).min()?;
    (sent_ns > execution.polled_ns).then(|| {
        let early_ms = (sent_ns - execution.polled_ns) / 1_000_000;
        format!("task {} was handed out {early_ms} ms before `{before}` was done", execution.task_id)
    })
}

fn by_target(workflow: &WorkflowRun<'_>, evidence: &mut Evidence) {
    let Some(record) = workflow.record() else { return };
    for task in &record.tasks {
        for before in workflow.template.predecessors(&task.reference) {
            let ended = record.tasks.iter().filter(|t| t.reference == *before && t.status == "COMPLETED");
            let Some(ended_ms) = ended.map(|t| t.ended_ms).min() else { continue };
            if task.scheduled_ms > 0 && task.scheduled_ms < ended_ms {
                let early_ms = ended_ms - task.scheduled_ms;
                let what = format!(
                    "by the target's clock task {} was scheduled {early_ms} ms before `{before}` ended",
                    task.task_id
                );
                evidence.found(workflow.label(), Some(&task.reference), what);
            }
        }
    }
}
