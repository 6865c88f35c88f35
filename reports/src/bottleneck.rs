//! Which pool of workers is short, when waiting for one is material.

use crate::joined::LevelRun;
use crate::measure::{busy_share, wait_ns};
use crate::plan::Template;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Least mean wait of a pool that is material, as a share of the template's critical path.
const MATERIAL_SHARE: f64 = 0.01;
/// How busy a pool may be planned to be: past this, waits grow steeply.
const TARGET_UTILISATION: f64 = 0.70;

/// The pool that is short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// Name of the pool.
    pub pool: String,
    /// Its slots in the level.
    pub slots: u32,
    /// Share of them that were at work.
    pub utilisation: f64,
    /// Mean wait of its tasks, workflow seconds.
    pub wait_mean_s: f64,
    /// Slots that would keep it at most 70 % busy if nothing waited.
    pub suggested_slots: u32,
    /// All of it in one sentence.
    pub sentence: String,
}

/// The pool whose tasks waited longest in the mean, if that is material.
pub fn find(level: &LevelRun<'_>, speed: f64) -> Option<Bottleneck> {
    let mut waits: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for execution in level.executions() {
        if let Some(ns) = wait_ns(execution) {
            let entry = waits.entry(&execution.pool).or_default();
            *entry = (entry.0 + ns, entry.1 + 1);
        }
    }
    let mean_s = |(sum, n): (u64, u64)| sum as f64 / 1e9 / n as f64 * speed;
    let (pool, wait_mean_s) =
        waits.into_iter().map(|(p, w)| (p, mean_s(w))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    if wait_mean_s < MATERIAL_SHARE * level.template.critical_path_s {
        return None;
    }
    let slots = *level.slots().get(pool)?;
    let utilisation = busy_share(level, pool, slots)?;
    let suggested_slots = suggested(level.template, pool, level.level.concurrency).max(slots + 1);
    let sentence = format!(
        "pool `{pool}` is short: its {slots} slots were {:.0} % busy and its tasks waited {} of workflow time \
         in the mean; {suggested_slots} slots would be at most {:.0} % busy",
        utilisation * 100.0,
        crate::render::units::value(wait_mean_s, "s"),
        TARGET_UTILISATION * 100.0
    );
    Some(Bottleneck { pool: pool.to_owned(), slots, utilisation, wait_mean_s, suggested_slots, sentence })
}

/// Slots for `concurrency` workflows that never wait: the pool's work per workflow over the workflow's length is
/// what is busy on average, and no more than all its parallel tasks can ever be.
fn suggested(template: &Template, pool: &str, concurrency: u32) -> u32 {
    let of_pool = || template.tasks.iter().filter(|t| t.pool == pool);
    let work_s: f64 = of_pool().map(|t| t.nominal_s).sum();
    let busy = f64::from(concurrency) * work_s / template.critical_path_s.max(f64::MIN_POSITIVE);
    let most = concurrency.saturating_mul(widest(template, pool));
    ((busy / TARGET_UTILISATION).ceil() as u32).min(most)
}

/// Most tasks of a pool that run at once in one workflow in which nothing waits.
fn widest(template: &Template, pool: &str) -> u32 {
    let mut ends: BTreeMap<&str, f64> = BTreeMap::new();
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for task in &template.tasks {
        let before = task.after.iter().filter_map(|r| ends.get(r.as_str()).copied());
        let start = before.fold(0.0, f64::max);
        ends.insert(&task.reference, start + task.nominal_s);
        if task.pool == pool {
            spans.push((start, start + task.nominal_s));
        }
    }
    let at_once = |at: f64| spans.iter().filter(|(start, end)| *start <= at && at < *end).count() as u32;
    spans.iter().map(|(start, _)| at_once(*start)).max().unwrap_or(0)
}
