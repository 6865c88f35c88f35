//! How fast the steps of a workflow follow each other when nobody works in between, beside the disk's own pace.

use super::{Measure, Scale, percentiles};
use crate::histogram::Distribution;
use crate::history::History;
use crate::joined::{LevelRun, WorkflowRun};

/// A durable step that is quick enough on any disk: so many milliseconds for a whole workflow.
const ALWAYS_ENOUGH_MS: f64 = 12.0;
/// Syncs that a durable step may cost: one to record the completion, one to spare.
const SYNCS_PER_TASK: f64 = 2.0;
/// What a workflow may take besides its syncs, milliseconds.
const BESIDE_SYNCS_MS: f64 = 7.0;

/// From the sending of the start to the answer of the last completion that counts, nanoseconds: all of it the
/// harness's own clock, none of it read from the target or subject to how often the end is looked for.
fn turnaround_ns(workflow: &WorkflowRun<'_>) -> Option<u64> {
    let accepted = workflow.template.tasks.iter().map(|task| workflow.accepted(&task.reference));
    let last = accepted.collect::<Option<Vec<_>>>()?.into_iter().map(|e| e.update_done_ns).max()?;
    Some(last.saturating_sub(workflow.start?.sent_ns))
}

pub(super) fn measure(level: &LevelRun<'_>, history: &History, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let turnarounds: Distribution = level.completed().filter_map(turnaround_ns).collect();
    percentiles(out, &turnarounds, &[50, 95], |p| name(&format!("turnaround_{p}_ms")), Scale::HARNESS_MS);
    let Some(sync) = sync_ns(history).filter(|_| !level.is_mixed()) else { return };
    let median = turnarounds.percentile(0.5);
    let allowed_ms = allowed_ms(level.template.tasks.len(), sync);
    let scale = Scale { factor: 1e-6 / allowed_ms, ..Scale::RATIO };
    out.push(Measure::estimate(name("turnaround_vs_disk"), median, scale));
}

/// The disk's own pace, when the run measured it.
pub(super) fn disk(history: &History, out: &mut Vec<Measure>) {
    let syncs = syncs(history);
    if syncs.n() > 0 {
        percentiles(out, &syncs, &[50, 95], |p| format!("disk_sync_{p}_ms"), Scale::HARNESS_MS);
    }
}

fn syncs(history: &History) -> Distribution {
    history.disk_syncs.iter().flat_map(|probe| probe.took_ns.iter().copied()).collect()
}

/// Median time of an append and its sync, nanoseconds.
fn sync_ns(history: &History) -> Option<f64> {
    syncs(history).percentile(0.5).value
}

/// What a workflow of `tasks` steps in sequence may take: 12 ms, or on a slow disk two syncs a step and 7 ms.
fn allowed_ms(tasks: usize, sync_ns: f64) -> f64 {
    let by_disk = SYNCS_PER_TASK * tasks as f64 * sync_ns / 1e6 + BESIDE_SYNCS_MS;
    by_disk.max(ALWAYS_ENOUGH_MS)
}

#[cfg(test)]
mod tests {
    use super::allowed_ms;

    #[test]
    fn a_fast_disk_allows_12_ms_and_a_slow_one_two_syncs_a_step() {
        assert!((allowed_ms(22, 50_000.0) - 12.0).abs() < 1e-9);
        assert!((allowed_ms(22, 1_000_000.0) - 51.0).abs() < 1e-9);
    }
}
