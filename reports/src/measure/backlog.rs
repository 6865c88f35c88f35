//! How many tasks waited to be started, over time: what "queues bounded" is judged by.
//!
//! Read from the target's own records, on its own clock: a task waits from when it was scheduled until it was handed
//! out, or until it ended without ever being. A retry waits from when it is scheduled, its delay included.

use super::{Measure, Scale};
use crate::joined::LevelRun;
use crate::trend;
use std::collections::BTreeMap;

/// Pieces of time whose mean depth is one point of the slope.
const BINS: usize = trend::POINTS;

pub(super) fn measure(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let (depth, tasks) = depth(level);
    let method = "counted from the target's records";
    let most = depth.values().max().map(|most| *most as f64);
    out.push(Measure::plain(name("queue_depth_max"), most, tasks, method, Scale::COUNT));
    // While load was offered: afterwards a backlog can only shrink, which would flatter its slope.
    let created = || level.workflows.iter().filter_map(|w| w.record()).map(|r| r.created_ms);
    let span = created().min().zip(created().max()).filter(|(first, last)| last > first);
    let points = span.map(|span| means(&depth, span)).unwrap_or_default();
    let mean = (!points.is_empty()).then(|| points.iter().map(|(_, d)| d).sum::<f64>() / points.len() as f64);
    out.push(Measure::plain(name("queue_depth_mean"), mean, tasks, "mean over time", Scale::COUNT));
    let growth = trend::slope(&points);
    out.push(Measure::estimate(name("queue_depth_growth_per_min"), growth, Scale::PER_MIN));
}

/// The depth from each millisecond at which it changed, and how many tasks there were.
fn depth(level: &LevelRun<'_>) -> (BTreeMap<u64, i64>, u64) {
    let records = || level.workflows.iter().filter_map(|w| w.record());
    let last_ms = records().flat_map(|r| &r.tasks).map(|t| t.ended_ms.max(t.started_ms).max(t.scheduled_ms));
    let last_ms = last_ms.max().unwrap_or(0);
    let mut steps: BTreeMap<u64, i64> = BTreeMap::new();
    let mut tasks = 0;
    for task in records().flat_map(|r| &r.tasks).filter(|t| t.scheduled_ms > 0) {
        tasks += 1;
        let left_ms = [task.started_ms, task.ended_ms].into_iter().find(|ms| *ms > 0).unwrap_or(last_ms + 1);
        // One that was handed out in the millisecond in which it was scheduled never waited.
        *steps.entry(task.scheduled_ms).or_default() += 1;
        *steps.entry(left_ms.max(task.scheduled_ms)).or_default() -= 1;
    }
    let mut now = 0;
    for step in steps.values_mut() {
        now += *step;
        *step = now;
    }
    (steps, tasks)
}

/// Mean depth of each of [`BINS`] pieces of a span: (minutes since its beginning, depth).
fn means(depth: &BTreeMap<u64, i64>, (first_ms, last_ms): (u64, u64)) -> Vec<(f64, f64)> {
    let width_ms = (last_ms - first_ms) as f64 / BINS as f64;
    let mut sums = vec![0.0; BINS];
    let mut changes: Vec<(u64, i64)> = depth.iter().map(|(at, depth)| (*at, *depth)).collect();
    changes.push((last_ms, 0));
    for pair in changes.windows(2) {
        let (from, to) = (pair[0].0.clamp(first_ms, last_ms), pair[1].0.clamp(first_ms, last_ms));
        let (from, to) = ((from - first_ms) as f64, (to - first_ms) as f64);
        let mut at = from;
        while at < to {
            let bin = ((at / width_ms) as usize).min(BINS - 1);
            let next = if bin + 1 == BINS { to } else { ((bin + 1) as f64 * width_ms).min(to) };
            // A piece so short that rounding swallows it ends the loop all the same.
            let next = if next > at { next } else { to };
            sums[bin] += pair[0].1 as f64 * (next - at);
            at = next;
        }
    }
    let middle = |bin: usize| (bin as f64 + 0.5) * width_ms / 60e3;
    sums.into_iter().enumerate().map(|(bin, sum)| (middle(bin), sum / width_ms)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_weigh_depths_by_their_time() {
        // 600 ms: depth 0, then 10 from 100 to 400 ms, then 4; each bin is 10 ms.
        let depth = BTreeMap::from([(1_000, 0), (1_100, 10), (1_400, 4), (1_595, 8)]);
        let means = means(&depth, (1_000, 1_600));
        assert_eq!(means.len(), BINS);
        let at = |bin: usize| means[bin].1;
        assert!((at(0)).abs() < 1e-9 && (at(10) - 10.0).abs() < 1e-9 && (at(41) - 4.0).abs() < 1e-9);
        assert!((at(59) - 6.0).abs() < 1e-9, "half of the last bin at 4, half at 8: {}", at(59));
        assert!((means[0].0 - 5.0 / 60e3).abs() < 1e-12);
    }
}
