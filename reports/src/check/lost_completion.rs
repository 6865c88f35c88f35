//! Lost completion: the target acknowledged it, and then ran the task again or never counted it.
//!
//! An answer of 200 alone proves nothing: a late update gets one too and is dropped. An acknowledged
//! completion may be dropped when its lease had run out, when another hand-out of the same attempt was answered
//! first, or when the workflow had ended already.

use super::{Evidence, Fate, lease};
use crate::history::{Execution, FinalTask, Outcome, Reported};
use crate::joined::{Joined, TERMINAL, WorkflowRun};

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        let acknowledged = workflow
            .executions
            .iter()
            .filter(|e| e.reported == Reported::Completed && e.outcome == Outcome::Ok);
        for execution in acknowledged {
            evidence.looked();
            let task = Some(execution.reference.as_str());
            match fate(workflow, execution) {
                Fate::Kept => {}
                Fate::NotRead => {
                    evidence.undecided(workflow.label(), task, "the workflow was never read back".into());
                }
                Fate::Lost(what) => {
                    let what = format!("task {} nonce {}: {what}", execution.task_id, execution.nonce);
                    evidence.found(workflow.label(), task, what);
                }
            }
        }
    }
    evidence
}

/// What became of an acknowledged completion, by the last reading.
pub(crate) fn fate(workflow: &WorkflowRun<'_>, execution: &Execution) -> Fate {
    let Some(whole) = workflow.last_reading(&execution.workflow_id) else {
        return Fate::NotRead;
    };
    if !whole.found {
        return Fate::Lost("completed, and the target does not know the workflow".into());
    }
    let Some(record) = whole.tasks.iter().find(|t| t.task_id == execution.task_id) else {
        return Fate::Lost("completed, and the target has no record of the task".into());
    };
    let kept = record.nonce.as_deref() == Some(execution.nonce.as_str());
    if kept && record.status == "COMPLETED" {
        return match run_again(workflow, execution) {
            Some(again) => Fate::Lost(format!("completed, then run again as task {}", again.task_id)),
            None => Fate::Kept,
        };
    }
    if may_be_dropped(workflow, execution, record, &whole.status) {
        return Fate::Kept;
    }
    let stored = record.nonce.as_deref().unwrap_or("none");
    Fate::Lost(format!("completed, and the record is {} with nonce {stored}", record.status))
}

/// A later hand-out of the same task, from after the answer to this completion. Where the lease had run out the two
/// answers may have crossed: the hand-out was right when it was made, and was only read later.
fn run_again<'a>(workflow: &WorkflowRun<'a>, execution: &Execution) -> Option<&'a Execution> {
    workflow.executions.iter().copied().find(|e| {
        let crossed_ns = if lease::expired(execution, e.polled_ns) { lease::HAND_OUT_NS } else { 0 };
        e.workflow_id == execution.workflow_id
            && e.reference == execution.reference
            && e.polled_ns > execution.update_done_ns.saturating_add(crossed_ns)
    })
}

fn may_be_dropped(
    workflow: &WorkflowRun<'_>,
    execution: &Execution,
    record: &FinalTask,
    workflow_status: &str,
) -> bool {
    // Sent before this one was answered, so the target may have taken it first.
    let overtaken = workflow.executions.iter().any(|e| {
        e.task_id == execution.task_id
            && e.nonce != execution.nonce
            && e.outcome != Outcome::Failed
            && e.reported != Reported::Nothing
            && e.update_sent_ns <= execution.update_done_ns
    });
    let ended = TERMINAL.contains(&workflow_status) && workflow_status != "COMPLETED";
    match record.status.as_str() {
        "TIMED_OUT" => lease::expired(execution, execution.update_done_ns),
        "CANCELED" => ended,
        _ => overtaken,
    }
}
