//! Unexpected: the target has a workflow whose start it refused, or that nobody asked for.

use super::Evidence;
use crate::history::Outcome;
use crate::joined::Joined;
use std::collections::BTreeSet;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        // Of several tries an earlier one may have been taken that was not answered.
        let refused = workflow.start.is_none_or(|s| s.outcome == Outcome::Failed && s.tries == 1);
        // One that nobody looked for afterwards tells nothing.
        if !refused || workflow.finals.is_empty() {
            continue;
        }
        evidence.looked();
        let mut told = BTreeSet::new();
        // Once each, whichever reading showed it first.
        for found in workflow.finals.iter().filter(|f| f.found) {
            if !told.insert(found.workflow_id.as_str()) {
                continue;
            }
            let what = match workflow.start.and_then(|s| s.error.as_deref()) {
                Some(error) => {
                    format!("its start was refused ({error}), and it is there as {}", found.workflow_id)
                }
                None if workflow.start.is_some() => {
                    format!("its start was refused, and it is there as {}", found.workflow_id)
                }
                None => format!("nobody asked for it, and it is there as {}", found.workflow_id),
            };
            evidence.found(workflow.label(), None, what);
        }
    }
    evidence
}
