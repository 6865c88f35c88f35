//! Lost by SQL: what this history says a failover lost is what the databases themselves say: what the old primary has
//! and the new one has not, of what was acknowledged.

use super::{Evidence, Fate, completion_fate, start_fate};
use crate::history::{Execution, OnlyThereMark, Outcome, Reported};
use crate::joined::{Joined, WorkflowRun};
use std::collections::HashMap;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    not_asked(&mut evidence, run);
    if run.history.only_there.is_empty() {
        return evidence;
    }
    let there = only_there(run);
    // A question that only tells workflows says nothing of completions.
    let tells_nonces = run.workflows().flat_map(completions).any(|e| there.contains_key(e.nonce.as_str()));
    for workflow in run.workflows() {
        if let Some(start) = workflow.start
            && let Some((fate, id)) = start_fate(workflow).zip(start.workflow_id.as_deref())
        {
            compare(&mut evidence, workflow, &fate, (id, start.done_ns), &there);
        }
        for execution in completions(workflow).filter(|_| tells_nonces) {
            let fate = completion_fate(workflow, execution);
            let key = (execution.nonce.as_str(), execution.update_done_ns);
            compare(&mut evidence, workflow, &fate, key, &there);
        }
    }
    evidence
}

/// When a standby was promoted, as far as the history tells.
fn promotions(run: &Joined<'_>) -> Vec<u64> {
    let promoted = run.history.steps.iter().filter(|step| step.who == "database" && step.step == "promoted");
    promoted.map(|step| step.at_ns).collect()
}

/// A question that was to be asked and was not: the old primary did not come back for it, or gave no answer.
fn not_asked(evidence: &mut Evidence, run: &Joined<'_>) {
    if !run.plan.terms.as_ref().is_some_and(|terms| terms.compares) {
        return;
    }
    let asked = run.history.only_there.len();
    for _ in asked..promotions(run).len() {
        let what = "the databases were to be asked what a failover lost, and were not".to_owned();
        evidence.undecided("db.primary".to_owned(), None, what);
    }
}

/// What only an old primary has, each with the instant from which on another one acknowledged.
fn only_there<'a>(run: &Joined<'a>) -> HashMap<&'a str, u64> {
    let promotions = promotions(run);
    let with_promotion = |mark: &'a OnlyThereMark| {
        let before = promotions.iter().copied().filter(|at_ns| *at_ns <= mark.at_ns);
        let since_ns = before.max().unwrap_or(u64::MAX);
        mark.keys.iter().map(move |key| (key.as_str(), since_ns))
    };
    run.history.only_there.iter().flat_map(with_promotion).collect()
}

fn completions<'a>(workflow: &'a WorkflowRun<'_>) -> impl Iterator<Item = &'a Execution> {
    let acknowledged = |e: &&Execution| e.reported == Reported::Completed && e.outcome == Outcome::Ok;
    workflow.executions.iter().copied().filter(acknowledged)
}

fn compare(
    evidence: &mut Evidence,
    workflow: &WorkflowRun<'_>,
    fate: &Fate,
    (key, done_ns): (&str, u64),
    there: &HashMap<&str, u64>,
) {
    evidence.looked();
    match (fate, there.get(key)) {
        // What was in doubt at the failover was asked for again: it is the new primary that said yes.
        (Fate::Kept, Some(since_ns)) if done_ns < *since_ns => {
            let what = format!("{key} counts as kept, and only the old primary has it");
            evidence.found(workflow.label(), None, what);
        }
        (Fate::Lost(what), None) => {
            let what = format!("{key} counts as lost ({what}), and the databases do not differ in it");
            evidence.found(workflow.label(), None, what);
        }
        (Fate::NotRead, _) => {
            evidence.undecided(workflow.label(), None, format!("what became of {key} was never read back"));
        }
        (Fate::Kept, _) | (Fate::Lost(_), Some(_)) => {}
    }
}
