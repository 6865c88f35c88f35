//! Effect: a workflow that completed had each of its tasks done, by a worker of this run.
//!
//! A task that the target's policy skipped, or let complete with errors, is not required to have been done.

use super::Evidence;
use crate::history::Reported;
use crate::joined::{Joined, WorkflowRun};

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    // Of a run that was stopped the record of the work may be what is missing.
    let whole = run.history.footer.as_ref().is_some_and(|f| f.complete);
    for workflow in run.workflows().filter(|w| w.completed()) {
        for task in &workflow.template.tasks {
            evidence.looked();
            let Some(what) = without_effect(workflow, &task.reference) else { continue };
            match whole {
                true => evidence.found(workflow.label(), Some(&task.reference), what),
                false => evidence.undecided(workflow.label(), Some(&task.reference), what),
            }
        }
    }
    evidence
}

fn without_effect(workflow: &WorkflowRun<'_>, reference: &str) -> Option<String> {
    let Some(record) = workflow.last_record(reference) else {
        return Some("the workflow completed without a record of it".to_owned());
    };
    if record.status != "COMPLETED" {
        return match record.status.as_str() {
            "SCHEDULED" | "IN_PROGRESS" => {
                Some(format!("the workflow completed while it was {}", record.status))
            }
            _ => None,
        };
    }
    let done =
        workflow.executions.iter().any(|e| e.reference == reference && e.reported == Reported::Completed);
    // A worker that was killed while it reported did the work all the same.
    let began =
        || workflow.begun.iter().any(|b| b.reference == reference && Some(&b.nonce) == record.nonce.as_ref());
    let left = || workflow.kept(reference).is_some();
    (!done && !began() && !left())
        .then(|| format!("task {} is COMPLETED, and no worker of this run ever did it", record.task_id))
}
