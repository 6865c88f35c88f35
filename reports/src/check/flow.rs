//! Flow: a task is given the very results that its predecessors were accepted with.

use super::Evidence;
use crate::joined::Joined;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        for execution in &workflow.executions {
            let record = workflow.record_under(&execution.workflow_id);
            let carries = workflow.template.task(&execution.reference).map_or(&[][..], |t| &t.carries);
            for before in carries {
                let accepted = record
                    .and_then(|r| r.tasks.iter().find(|t| t.reference == *before && t.status == "COMPLETED"))
                    .and_then(|t| t.nonce.as_deref());
                evidence.looked();
                let given = execution.after.get(before).map(String::as_str);
                let task = Some(execution.reference.as_str());
                match (given, accepted) {
                    (_, None) if record.is_none() => {
                        evidence.undecided(
                            workflow.label(),
                            task,
                            "there is no record of the workflow".into(),
                        );
                    }
                    (Some(given), Some(accepted)) if given == accepted => {}
                    (given, accepted) => {
                        let what = format!(
                            "task {} was given {} of `{before}`, whose accepted result is {}",
                            execution.task_id,
                            given.unwrap_or("nothing"),
                            accepted.unwrap_or("none")
                        );
                        evidence.found(workflow.label(), task, what);
                    }
                }
            }
        }
    }
    evidence
}
