//! Whether things get worse while nothing changes: slopes over a level, with their intervals.

use super::{Measure, Scale, api};
use crate::histogram::Distribution;
use crate::joined::{LevelRun, WorkflowRun};
use crate::statistics::{Estimate, least_samples};
use crate::trend;

/// Pieces of a level whose p99 is one point of its slope.
const BINS: usize = 30;

pub(super) fn measure(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let makespans = relative_slope(&makespans(level));
    out.push(Measure::estimate(name("makespan_drift_per_min"), makespans, Scale::PER_MIN));
    let p99 = relative_slope(&api_p99s(level));
    let needed = trend::LEAST_POINTS as u64 * least_samples(0.99);
    let p99 = Measure::estimate(name("api_p99_drift_per_min"), p99, Scale::PER_MIN);
    out.push(p99.with_reason(&format!("needs {needed} requests")));
}

/// Each completed workflow's makespan over what its drawn durations alone would take: the draws are not drift.
fn makespans(level: &LevelRun<'_>) -> Vec<(f64, f64)> {
    let created = || level.completed().filter_map(WorkflowRun::record).map(|r| r.created_ms);
    let Some(first_ms) = created().min() else { return Vec::new() };
    let planned = |w: &WorkflowRun<'_>| {
        let drawn = &w.planned.durations_s;
        w.template.critical_path(|task| drawn.get(&task.reference).copied().unwrap_or(task.nominal_s))
    };
    let point = |w: &WorkflowRun<'_>| {
        let length_s = planned(w);
        // Work that takes no time leaves the orchestrator's own.
        let whole = if length_s > 0.0 { length_s } else { 1.0 };
        Some(((w.record()?.created_ms - first_ms) as f64 / 60e3, w.makespan_s()? / whole))
    };
    level.completed().filter_map(point).collect()
}

/// The p99 of the answers in each of up to [`BINS`] pieces with enough of them.
fn api_p99s(level: &LevelRun<'_>) -> Vec<(f64, f64)> {
    let Some((began_ns, _)) = level.window_ns() else { return Vec::new() };
    let mut samples: Vec<(u64, u64)> =
        api::samples(level).iter().map(|s| (s.done_ns.saturating_sub(began_ns), s.took_ns)).collect();
    samples.sort_unstable();
    let each = (samples.len() / BINS).max(least_samples(0.99) as usize);
    let point = |piece: &[(u64, u64)]| {
        let took: Distribution = piece.iter().map(|(_, took)| *took).collect();
        let middle = piece.get(piece.len() / 2)?.0;
        Some((middle as f64 / 60e9, took.percentile(0.99).value?))
    };
    samples.chunks_exact(each).filter_map(point).collect()
}

/// The slope as a share of the middle value.
fn relative_slope(points: &[(f64, f64)]) -> Estimate {
    let mut values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().filter(|m| *m > 0.0).unwrap_or(1.0);
    let scaled: Vec<(f64, f64)> = points.iter().map(|(at, value)| (*at, value / middle)).collect();
    trend::slope(&scaled)
}
