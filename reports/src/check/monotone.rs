//! Monotone: what ended stays as it ended. The target is read twice, and the second reading may only add.

use super::Evidence;
use crate::history::{FinalTask, FinalWorkflow};
use crate::joined::{Joined, TERMINAL, WorkflowRun};
use std::collections::BTreeMap;

/// Statuses of a task record from which it does not move.
const OPEN: [&str; 2] = ["SCHEDULED", "IN_PROGRESS"];

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        let mut by_id: BTreeMap<&str, Vec<&FinalWorkflow>> = BTreeMap::new();
        for reading in &workflow.finals {
            by_id.entry(&reading.workflow_id).or_default().push(reading);
        }
        let read_again = workflow.finals.iter().map(|f| f.reading).max().unwrap_or(0);
        for (id, mut readings) in by_id {
            readings.sort_by_key(|r| r.reading);
            // A search by correlation id tells of what is there, so what went is not in it.
            if let Some(last) = readings.last().filter(|last| last.found && last.reading < read_again) {
                evidence.looked();
                let what =
                    format!("workflow {id} was there at reading {} and is gone at the next", last.reading);
                evidence.found(workflow.label(), None, what);
            }
            for pair in readings.windows(2).filter(|pair| pair[0].reading < pair[1].reading) {
                evidence.looked();
                compare(workflow, pair[0], pair[1], &mut evidence);
            }
        }
    }
    evidence
}

fn compare(
    workflow: &WorkflowRun<'_>,
    first: &FinalWorkflow,
    second: &FinalWorkflow,
    evidence: &mut Evidence,
) {
    let id = &first.workflow_id;
    if first.found != second.found {
        let (was, is) = if first.found { ("there", "gone") } else { ("not there", "there") };
        let what = format!("workflow {id} was {was} at the first reading and is {is} at the second");
        evidence.found(workflow.label(), None, what);
        return;
    }
    if TERMINAL.contains(&first.status.as_str()) && first.status != second.status {
        let what = format!(
            "workflow {id} was {} at the first reading and is {} at the second",
            first.status, second.status
        );
        evidence.found(workflow.label(), None, what);
    }
    for task in &first.tasks {
        let again = second.tasks.iter().find(|t| t.task_id == task.task_id);
        if let Some(what) = moved(task, again) {
            evidence.found(workflow.label(), Some(&task.reference), what);
        }
    }
}

fn moved(first: &FinalTask, second: Option<&FinalTask>) -> Option<String> {
    let id = &first.task_id;
    match second {
        None => Some(format!(
            "task {id} was {} at the first reading and has no record at the second",
            first.status
        )),
        Some(second) if !OPEN.contains(&first.status.as_str()) && first.status != second.status => {
            Some(format!(
                "task {id} was {} at the first reading and is {} at the second",
                first.status, second.status
            ))
        }
        Some(_) => None,
    }
}
