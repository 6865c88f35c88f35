//! The harness measured by itself: how late it was, and what it took of the machine.

use super::{Measure, Scale, percentiles, resource};
use crate::histogram::Distribution;
use crate::history::{History, Reported};
use crate::joined::LevelRun;

pub(super) fn measure(level: &LevelRun<'_>, history: &History, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    percentiles(out, &lags(level), &[50, 99], |p| name(&format!("driver_lag_{p}_ms")), Scale::HARNESS_MS);
    let overruns = overruns(level);
    percentiles(out, &overruns, &[50, 99], |p| name(&format!("worker_overrun_{p}_ms")), Scale::HARNESS_MS);

    let cpu_ns = level.window_ns().and_then(|window| resource::harness_cpu_ns(history, window));
    let share = || Some(cpu_ns? / 1e9 / level.window_s()? / cores(history)?);
    let method = "CPU time / (window × cores)";
    out.push(Measure::plain(name("driver_cpu_share"), share(), 1, method, Scale::RATIO));
}

/// How late each start was sent, nanoseconds.
pub(crate) fn lags(level: &LevelRun<'_>) -> Distribution {
    level.workflows.iter().filter_map(|w| w.start).map(|s| s.sent_ns.saturating_sub(s.due_ns)).collect()
}

/// By how much each piece of work took longer than planned, nanoseconds. What a fault may have held up is left out.
pub(crate) fn overruns(level: &LevelRun<'_>) -> Distribution {
    level
        .executions()
        .filter(|e| e.reported != Reported::Nothing && !level.is_disturbed(e.started_ns, e.finished_ns))
        .map(|e| e.finished_ns.saturating_sub(e.started_ns).saturating_sub(e.planned_ns))
        .collect()
}

/// Cores of the machine that drove the load, when the header tells.
pub(crate) fn cores(history: &History) -> Option<f64> {
    history.header.machine.get("cores")?.parse().ok().filter(|c| *c > 0.0)
}
