//! Somebody else's worker: tasks of this run that were completed, and by none of its workers.
//!
//! Then another worker or another run polls the same server, or the target made the completion up. Either way
//! what was measured is not what this run did.

use crate::gate::Verdict;
use crate::history::{FinalTask, FinalWorkflow, History};
use crate::joined::{Joined, WorkflowRun};
use crate::validity::SelfCheck;
use std::collections::{BTreeMap, BTreeSet};

/// What the run's own workers have in their hands: task ids, and nonces that only they made.
struct Ours<'a> {
    task_ids: BTreeSet<&'a str>,
    nonces: BTreeSet<&'a str>,
}

impl<'a> Ours<'a> {
    fn new(history: &'a History) -> Self {
        let of = |field: fn(&'a crate::history::Execution) -> &'a str| {
            history.executions.iter().map(field).collect()
        };
        let mut ours = Self { task_ids: of(|e| &e.task_id), nonces: of(|e| &e.nonce) };
        // A worker that was killed told of what it began, and perhaps not of what it reported.
        ours.task_ids.extend(history.begun.iter().map(|b| b.task_id.as_str()));
        ours.nonces.extend(history.begun.iter().map(|b| b.nonce.as_str()));
        ours
    }

    /// A completion without a nonce by a worker of this run is not a stranger's: the target lost its output.
    fn did(&self, task: &FinalTask) -> bool {
        let nonce = task.nonce.as_deref();
        self.task_ids.contains(task.task_id.as_str()) && nonce.is_none_or(|n| self.nonces.contains(n))
    }
}

/// Looks at every completed record of a task of the templates; what the target does itself is left out.
pub(crate) fn check(run: &Joined<'_>) -> SelfCheck {
    let ours = Ours::new(run.history);
    let completed: Vec<(&WorkflowRun<'_>, &FinalTask)> = run
        .workflows()
        .flat_map(|w| last_readings(w).into_iter().flat_map(|f| &f.tasks).map(move |t| (w, t)))
        .filter(|(w, t)| t.status == "COMPLETED" && w.template.task(&t.reference).is_some())
        .collect();
    let foreign: Vec<_> = completed.iter().filter(|(_, task)| !ours.did(task)).collect();
    let stopped = !run.history.footer.as_ref().is_some_and(|f| f.complete);
    let (verdict, text) = match foreign.first() {
        None if completed.is_empty() => (Verdict::Unknown, "no task of ours was completed".to_owned()),
        None => {
            let text =
                format!("all {} completed tasks of ours were done by workers of this run", completed.len());
            (Verdict::Pass, text)
        }
        // What the workers had in hand at that moment may have been taken and never written down.
        Some(_) if stopped => {
            let text = format!(
                "of {} completed tasks of ours {} are in no record of a worker of this run, which was stopped",
                completed.len(),
                foreign.len()
            );
            (Verdict::Unknown, text)
        }
        Some((workflow, task)) => (Verdict::Fail, accusation(foreign.len(), workflow, task)),
    };
    SelfCheck { name: "own_workers".to_owned(), level: None, verdict, text }
}

/// The last reading of each workflow that the start made: of one that was read twice, the first says the same.
fn last_readings<'a>(workflow: &WorkflowRun<'a>) -> Vec<&'a FinalWorkflow> {
    let mut last: BTreeMap<&str, &FinalWorkflow> = BTreeMap::new();
    let mut readings = workflow.finals.clone();
    readings.sort_by_key(|f| f.reading);
    for reading in readings.into_iter().filter(|f| f.found) {
        last.insert(&reading.workflow_id, reading);
    }
    last.into_values().collect()
}

fn accusation(count: usize, workflow: &WorkflowRun<'_>, task: &FinalTask) -> String {
    let were = if count == 1 { "task of ours was" } else { "tasks of ours were" };
    format!(
        "{count} {were} completed by somebody who is not a worker of this run, e.g. `{}` of {} (task {}); does \
         another worker or run poll the same server?",
        task.reference,
        workflow.label(),
        task.task_id
    )
}
