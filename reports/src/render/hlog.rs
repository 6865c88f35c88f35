//! Interval logs (`*.hlog`): one histogram a second and series, for HdrHistogram's own viewers.

use crate::histogram::{IntervalLog, LogError};
use crate::joined::{Joined, LevelRun, WorkflowRun};
use crate::measure;

/// The logs of a run: file name and content. Series are named `LEVEL.op` or `LEVEL.pool`; values are real
/// nanoseconds.
///
/// # Errors
/// [`LogError`], see [`IntervalLog::write`].
pub fn render(run: &Joined<'_>) -> Result<Vec<(&'static str, Vec<u8>)>, LogError> {
    let began_ns = run.history.header.started_ns;
    let since = |ns: u64| ns.saturating_sub(began_ns);
    let (mut api, mut response, mut wait) =
        (IntervalLog::default(), IntervalLog::default(), IntervalLog::default());
    for level in &run.levels {
        for sample in measure::api_samples(level) {
            api.record(&series(level, sample.op), since(sample.done_ns), sample.took_ns);
        }
        for (done_ns, took_ns) in level.completed().filter_map(seen) {
            response.record(&series(level, "response"), since(done_ns), took_ns);
        }
        for execution in level.executions() {
            if let Some(ns) = measure::wait_ns(execution) {
                wait.record(&series(level, &execution.pool), since(execution.started_ns), ns);
            }
        }
    }
    let started_ms = run.history.header.started_ms;
    Ok(vec![
        ("api.hlog", api.write(started_ms, "service time of answered requests, ns")?),
        ("response.hlog", response.write(started_ms, "due to observed end of completed workflows, ns")?),
        ("queue_wait.hlog", wait.write(started_ms, "scheduled to started, first hand-outs, real ns")?),
    ])
}

fn seen(workflow: &WorkflowRun<'_>) -> Option<(u64, u64)> {
    let done_ns = workflow.observed?.done_ns;
    Some((done_ns, done_ns.saturating_sub(workflow.start?.due_ns)))
}

/// A tag holds no comma, space or line end.
fn series(level: &LevelRun<'_>, of: &str) -> String {
    format!("{}.{of}", level.level.name).replace([',', ' ', '\n', '\r'], "_")
}
