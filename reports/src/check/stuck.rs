//! Stuck: a workflow that isn't terminal after the drain time and waits for nothing that would end.

use super::{Evidence, lease};
use crate::history::FinalTask;
use crate::joined::{Joined, LevelRun, TERMINAL, WorkflowRun};

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    // A run that was stopped gave nobody the time to drain.
    let whole = run.history.footer.as_ref().is_some_and(|f| f.complete);
    let when = if whole { "after the drain time" } else { "when the run was stopped" };
    for level in &run.levels {
        for workflow in level.workflows.iter().filter(|w| w.started()) {
            evidence.looked();
            look(level, workflow, when, &mut evidence);
        }
    }
    if !whole {
        evidence.undecided.append(&mut evidence.findings);
    }
    evidence
}

fn look(level: &LevelRun<'_>, workflow: &WorkflowRun<'_>, when: &str, evidence: &mut Evidence) {
    let Some(record) = workflow.record() else {
        // Known lost, or never read back: `lost_start` tells which.
        if workflow.finals.is_empty() {
            evidence.undecided(workflow.label(), None, "it was never read back".into());
        }
        return;
    };
    let gave_up = workflow.observed.is_some_and(|o| !TERMINAL.contains(&o.status.as_str()));
    if TERMINAL.contains(&record.status.as_str()) {
        if gave_up {
            let what = format!("still running {} s after the last start, ended later", level.level.drain_s);
            evidence.found(workflow.label(), None, what);
        }
        return;
    }
    let open: Vec<&FinalTask> =
        record.tasks.iter().filter(|t| matches!(t.status.as_str(), "SCHEDULED" | "IN_PROGRESS")).collect();
    let waits: Vec<String> =
        open.iter().map(|t| format!("`{}` {} ({})", t.reference, t.status, t.task_id)).collect();
    let waits = if waits.is_empty() { "no open task".to_owned() } else { waits.join(", ") };
    let what = format!("{} {when}, with {waits}", record.status);
    if open.iter().any(|t| under_lease(level, workflow, t)) {
        evidence.undecided(workflow.label(), None, format!("{what}, whose lease runs on past the run"));
    } else {
        evidence.found(workflow.label(), None, what);
    }
}

/// The target may rightly wait for a worker that went away until its lease is over.
fn under_lease(level: &LevelRun<'_>, workflow: &WorkflowRun<'_>, task: &FinalTask) -> bool {
    let Some(ended) = level.ended else { return false };
    let last = workflow.executions.iter().filter(|e| e.task_id == task.task_id).max_by_key(|e| e.polled_ns);
    task.status == "IN_PROGRESS" && last.is_some_and(|e| !lease::expired(e, ended.at_ns))
}
