//! Lost by SQL: what this history says a failover lost is what the databases themselves say: what the old primary has
//! and the new one has not, of what was acknowledged.

use super::{Evidence, Fate, completion_fate, start_fate};
use crate::history::{Execution, Outcome, Reported};
use crate::joined::{Joined, WorkflowRun};
use std::collections::HashSet;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    if run.history.only_there.is_empty() {
        return evidence;
    }
    let there = run.history.only_there.iter().flat_map(|mark| mark.keys.iter().map(String::as_str));
    let there: HashSet<&str> = there.collect();
    // A question that only tells workflows says nothing of completions.
    let tells_nonces = run.workflows().flat_map(completions).any(|e| there.contains(e.nonce.as_str()));
    for workflow in run.workflows() {
        let id = workflow.start.and_then(|start| start.workflow_id.as_deref());
        if let Some((fate, id)) = start_fate(workflow).zip(id) {
            compare(&mut evidence, workflow, &fate, (id, there.contains(id)));
        }
        for execution in completions(workflow).filter(|_| tells_nonces) {
            let nonce = execution.nonce.as_str();
            let fate = completion_fate(workflow, execution);
            compare(&mut evidence, workflow, &fate, (nonce, there.contains(nonce)));
        }
    }
    evidence
}

fn completions<'a>(workflow: &'a WorkflowRun<'_>) -> impl Iterator<Item = &'a Execution> {
    let acknowledged = |e: &&Execution| e.reported == Reported::Completed && e.outcome == Outcome::Ok;
    workflow.executions.iter().copied().filter(acknowledged)
}

fn compare(
    evidence: &mut Evidence,
    workflow: &WorkflowRun<'_>,
    fate: &Fate,
    (key, only_there): (&str, bool),
) {
    evidence.looked();
    match (fate, only_there) {
        (Fate::Kept, true) => {
            let what = format!("{key} counts as kept, and only the old primary has it");
            evidence.found(workflow.label(), None, what);
        }
        (Fate::Lost(what), false) => {
            let what = format!("{key} counts as lost ({what}), and the databases do not differ in it");
            evidence.found(workflow.label(), None, what);
        }
        (Fate::NotRead, _) => {
            evidence.undecided(workflow.label(), None, format!("what became of {key} was never read back"));
        }
        (Fate::Kept, false) | (Fate::Lost(_), true) => {}
    }
}
