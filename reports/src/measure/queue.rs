//! Waiting: from scheduled to started, over a level and by pool, and how busy the pools were.

use super::{Measure, Scale, percentiles};
use crate::histogram::Distribution;
use crate::history::Execution;
use crate::joined::LevelRun;

pub(super) fn measure(level: &LevelRun<'_>, speed: f64, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let scale = Scale::workflow(speed);
    let waits: Distribution = level.executions().filter_map(wait_ns).collect();
    percentiles(out, &waits, &[50, 95, 99], |p| name(&format!("queue_wait_{p}_s")), scale);
    let most = waits.most().map(|ns| ns as f64);
    out.push(Measure::plain(name("queue_wait_max_s"), most, waits.n(), "all of n", scale));

    for (pool, slots) in level.slots() {
        let of_pool = || level.executions().filter(|e| e.pool == *pool);
        let waits: Distribution = of_pool().filter_map(wait_ns).collect();
        let (n, busy) = (of_pool().count() as u64, busy_share(level, pool, *slots));
        out.push(Measure::plain(
            name(&format!("pool_utilisation.{pool}")),
            busy,
            n,
            "sum of run times / (slots × window)",
            Scale::RATIO,
        ));
        percentiles(out, &waits, &[99], |p| name(&format!("pool_wait_{p}_s.{pool}")), scale);
        let mean =
            Measure::plain(name(&format!("pool_wait_mean_s.{pool}")), waits.mean(), n, "mean of n", scale);
        out.push(Measure { n: waits.n(), ..mean });
    }
}

/// How long a task waited to be started, real nanoseconds: in the target's queue by the target's clock, then in
/// the worker's hands by the harness's.
///
/// The target tells its part in whole milliseconds, so a wait is known to 1 ms of real time, which is `speed`
/// milliseconds of workflow time.
///
/// Only the first hand-out of a first attempt waits for nothing but its turn: a later attempt also waits for
/// its retry delay, and a later hand-out for a callback or a lease.
pub(crate) fn wait_ns(execution: &Execution) -> Option<u64> {
    let first = execution.attempt == 0 && execution.poll_count <= 1 && execution.scheduled_ms > 0;
    first.then(|| {
        let queued_ms = execution.server_started_ms.saturating_sub(execution.scheduled_ms);
        let held_ns = execution.started_ns.saturating_sub(execution.polled_ns);
        queued_ms.saturating_mul(1_000_000).saturating_add(held_ns)
    })
}

/// Share of the pool's slots that were at work over the level.
pub(crate) fn busy_share(level: &LevelRun<'_>, pool: &str, slots: u32) -> Option<f64> {
    let (began, ended) = level.window_ns()?;
    let busy: u64 = level
        .executions()
        .filter(|e| e.pool == pool)
        .map(|e| e.finished_ns.min(ended).saturating_sub(e.started_ns.max(began)))
        .sum();
    (slots > 0).then(|| busy as f64 / (f64::from(slots) * (ended - began) as f64))
}
