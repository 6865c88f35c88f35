//! What came of the work: workflows and tasks that completed, attempts that failed.
//!
//! Success is judged by what was asked for: a start that was refused, or not answered and not found, is a workflow
//! that did not complete, and none of its tasks did either.

use super::Measure;
use crate::history::Outcome;
use crate::joined::{LevelRun, WorkflowRun};

/// Statuses of a task record that tell of a failed attempt.
const FAILED_ATTEMPT: [&str; 3] = ["FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT"];

pub(super) fn measure(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let attempted: Vec<&WorkflowRun<'_>> = level.workflows.iter().filter(|w| w.attempted()).collect();
    let started: Vec<&WorkflowRun<'_>> = level.workflows.iter().filter(|w| w.started()).collect();
    let completed = started.iter().filter(|w| w.completed()).count();
    let with =
        |outcome| level.workflows.iter().filter_map(|w| w.start).filter(|s| s.outcome == outcome).count();

    // A task that the plan has and the target never reached did not succeed either.
    let tasks_of = |workflows: &[&WorkflowRun<'_>]| workflows.iter().map(|w| w.template.tasks.len()).sum();
    let (wanted, tasks): (usize, usize) = (tasks_of(&attempted), tasks_of(&started));
    let last = |w: &&WorkflowRun<'_>, ok: bool| {
        let records = w.template.tasks.iter().filter_map(|t| w.last_record(&t.reference));
        records.filter(|r| (r.status == "COMPLETED") == ok).count()
    };
    let succeeded: usize = started.iter().map(|w| last(w, true)).sum();
    let failed: usize = started.iter().map(|w| last(w, false)).sum();
    let failed_attempts = started
        .iter()
        .filter_map(|w| w.record())
        .flat_map(|r| &r.tasks)
        .filter(|t| FAILED_ATTEMPT.contains(&t.status.as_str()))
        .count();

    out.push(Measure::count(name("workflows_started"), started.len()));
    out.push(Measure::count(name("workflows_completed"), completed));
    out.push(Measure::ratio(name("workflow_success"), completed, attempted.len()));
    out.push(Measure::ratio(name("task_success"), succeeded, wanted));
    out.push(counted_of(name("tasks_failed"), failed, tasks));
    out.push(counted_of(name("task_attempts_failed"), failed_attempts, tasks));
    out.push(counted_of(name("starts_failed"), with(Outcome::Failed), level.workflows.len()));
    out.push(counted_of(name("starts_unknown"), with(Outcome::Unknown), level.workflows.len()));
}

/// A count among `whole`; none among nothing is not a zero.
fn counted_of(name: String, count: usize, whole: usize) -> Measure {
    Measure { value: (whole > 0).then_some(count as f64), n: whole as u64, ..Measure::count(name, count) }
        .with_reason("nothing was started")
}
