//! Undead: activity after a terminal state, or a status that went back.

use super::Evidence;
use crate::history::FinalWorkflow;
use crate::joined::{Joined, TERMINAL, WorkflowRun};
use std::collections::BTreeSet;

/// A hand-out can have left the target before the workflow ended and be read after it was seen ended; by the
/// harness's clock only what is later than this is certain.
const IN_FLIGHT_NS: u64 = 1_000_000_000;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        if let Some(record) = workflow.record() {
            went_back(workflow, record, &mut evidence);
        }
        let ids: BTreeSet<&str> = workflow.finals.iter().map(|f| f.workflow_id.as_str()).collect();
        let told = ids.into_iter().filter_map(|id| workflow.record_under(id));
        for record in told.filter(|r| TERMINAL.contains(&r.status.as_str())) {
            evidence.looked();
            records(workflow, record, &mut evidence);
            hand_outs(workflow, record, &mut evidence);
        }
    }
    evidence
}

fn went_back(workflow: &WorkflowRun<'_>, record: &FinalWorkflow, evidence: &mut Evidence) {
    let Some(observed) = workflow.observed else { return };
    if TERMINAL.contains(&observed.status.as_str()) && observed.status != record.status {
        let what = format!("it was {} and afterwards {}", observed.status, record.status);
        evidence.found(workflow.label(), None, what);
    }
}

fn records(workflow: &WorkflowRun<'_>, record: &FinalWorkflow, evidence: &mut Evidence) {
    for task in &record.tasks {
        if task.status == "COMPLETED" && record.ended_ms > 0 && task.ended_ms > record.ended_ms {
            let late_ms = task.ended_ms - record.ended_ms;
            let what = format!("task {} was accepted {late_ms} ms after the workflow's end", task.task_id);
            evidence.found(workflow.label(), Some(&task.reference), what);
        }
    }
}

fn hand_outs(workflow: &WorkflowRun<'_>, record: &FinalWorkflow, evidence: &mut Evidence) {
    for execution in workflow.executions.iter().filter(|e| e.workflow_id == record.workflow_id) {
        let by_target =
            record.ended_ms > 0 && execution.poll_count <= 1 && execution.server_started_ms > record.ended_ms;
        let seen_ended = workflow
            .observed
            .filter(|o| TERMINAL.contains(&o.status.as_str()) && o.workflow_id == execution.workflow_id);
        let by_harness =
            seen_ended.is_some_and(|o| execution.polled_ns > o.done_ns.saturating_add(IN_FLIGHT_NS));
        if by_target || by_harness {
            let what = format!("task {} was handed out after the workflow's end", execution.task_id);
            evidence.found(workflow.label(), Some(&execution.reference), what);
        }
    }
}
