//! At rest: of a workflow that has ended, nothing is left open.

use super::Evidence;
use crate::joined::{Joined, TERMINAL};

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        let Some(record) = workflow.record().filter(|r| TERMINAL.contains(&r.status.as_str())) else {
            continue;
        };
        evidence.looked();
        for task in record.tasks.iter().filter(|t| matches!(t.status.as_str(), "SCHEDULED" | "IN_PROGRESS")) {
            let what =
                format!("task {} is {} in a workflow that is {}", task.task_id, task.status, record.status);
            evidence.found(workflow.label(), Some(&task.reference), what);
        }
    }
    evidence
}
