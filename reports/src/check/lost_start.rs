//! Lost start: the target acknowledged it and does not know it afterwards.

use super::Evidence;
use crate::history::Outcome;
use crate::joined::Joined;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        let Some(start) = workflow.start.filter(|s| s.outcome == Outcome::Ok) else { continue };
        evidence.looked();
        let id = start.workflow_id.as_deref().unwrap_or("no id");
        let read: Vec<_> = workflow.finals.iter().filter(|f| f.workflow_id == id).collect();
        if read.iter().any(|f| f.found) {
            continue;
        }
        if read.is_empty() {
            evidence.undecided(workflow.label(), None, format!("workflow {id} was never read back"));
        } else {
            let what = format!("the start was acknowledged with id {id}, which the target does not know");
            evidence.found(workflow.label(), None, what);
        }
    }
    evidence
}
