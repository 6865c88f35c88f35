//! Attempts: no task is tried more often than its definition allows.

use super::Evidence;
use crate::joined::Joined;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        for task in &workflow.template.tasks {
            let Some(rules) = run.plan.rules(&task.task_type) else { continue };
            let handed_out =
                workflow.executions.iter().filter(|e| e.reference == task.reference).map(|e| e.attempt);
            let told = workflow.record().into_iter().flat_map(|r| &r.tasks);
            let told = told.filter(|t| t.reference == task.reference).map(|t| t.attempt);
            let Some(last) = handed_out.chain(told).max() else { continue };
            evidence.looked();
            if last > rules.retry_count {
                let what = format!(
                    "attempt {} was made, and the definition allows {} (retryCount {})",
                    last + 1,
                    rules.retry_count + 1,
                    rules.retry_count
                );
                evidence.found(workflow.label(), Some(&task.reference), what);
            }
        }
    }
    evidence
}
