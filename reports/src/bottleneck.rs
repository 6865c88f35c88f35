//! Which pool of workers is short, when waiting for one is material.

use crate::joined::LevelRun;
use crate::measure::{busy_share, wait_ns};
use crate::plan::Template;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Slots with which no task would ever wait: all that the pool's tasks can run at once.
    pub enough_slots: u32,
    /// All of it in one sentence.
    pub sentence: String,
}

/// The pool whose tasks waited longest in the mean, if that is material.
pub fn find(level: &LevelRun<'_>, speed: f64) -> Option<Bottleneck> {
    let mut waits: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for execution in level.executions() {
        if let Some(ns) = wait_ns(execution) {
            let entry = waits.entry(&execution.pool).or_default();
            *entry = (entry.0.saturating_add(ns), entry.1 + 1);
        }
    }
    let mean_s = |(sum, n): (u64, u64)| sum as f64 / 1e9 / n as f64 * speed;
    // A pool with slots for all that can run at once isn't short, whatever its tasks wait for.
    let widest = |pool: &str| level.templates.iter().map(|t| widest(t, pool)).max().unwrap_or(0);
    let enough = |pool: &str| level.level.concurrency.saturating_mul(widest(pool));
    let short = waits.into_iter().filter_map(|(pool, wait)| {
        let (slots, enough_slots) = (*level.slots().get(pool)?, enough(pool));
        (slots < enough_slots && was_full(level, pool, slots))
            .then(|| (pool, mean_s(wait), slots, enough_slots))
    });
    let (pool, wait_mean_s, slots, enough_slots) = short.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let longest_s = level.templates.iter().map(|t| t.critical_path_s).fold(0.0, f64::max);
    if wait_mean_s < MATERIAL_SHARE * longest_s {
        return None;
    }
    let utilisation = busy_share(level, pool, slots)?;
    let busy = busy(&work(level, pool), in_flight(level, speed));
    let suggested_slots = suggested(busy, enough_slots).max(slots + 1);
    let sentence = format!(
        "pool `{pool}` is short: its {slots} slots were {:.0} % busy and its tasks waited {} of workflow time \
         in the mean; {suggested_slots} slots would be at most {:.0} % busy, and with {enough_slots} none would \
         ever wait",
        utilisation * 100.0,
        crate::render::units::value(wait_mean_s, "s"),
        TARGET_UTILISATION * 100.0
    );
    Some(Bottleneck {
        pool: pool.to_owned(),
        slots,
        utilisation,
        wait_mean_s,
        suggested_slots,
        enough_slots,
        sentence,
    })
}

/// Whether all slots were ever taken at once. Closed load is steady, so its waits tell; of open load a burst makes tasks
/// wait to be handed out, though slots were free.
fn was_full(level: &LevelRun<'_>, pool: &str, slots: u32) -> bool {
    if level.level.open.is_none() {
        return true;
    }
    let of_pool = level.executions().filter(|e| e.pool == pool);
    // A slot is held until the report is answered.
    let mut steps: Vec<(u64, i64)> =
        of_pool.flat_map(|e| [(e.started_ns, 1), (e.update_done_ns, -1)]).collect();
    steps.sort_unstable();
    let busy = steps.iter().scan(0, |now, (_, step)| {
        *now += step;
        Some(*now)
    });
    busy.max().unwrap_or(0) >= i64::from(slots)
}

/// Workflows that would be in flight if nothing waited: closed load keeps so many, and of open load it is the mean
/// over its stages, by Little's law.
fn in_flight(level: &LevelRun<'_>, speed: f64) -> f64 {
    let Some(open) = &level.level.open else { return f64::from(level.level.concurrency) };
    let served_s: f64 = level.workflows.iter().map(|w| w.template.critical_path_s / speed).sum();
    served_s / open.length_s().max(f64::MIN_POSITIVE)
}

/// Of every template: its weight, the work that it has for the pool and its length, workflow seconds.
fn work(level: &LevelRun<'_>, pool: &str) -> Vec<(f64, f64, f64)> {
    let weight =
        |t: &Template| level.level.mix.iter().find(|p| p.template == t.name).map_or(1.0, |p| p.weight);
    let of_pool = |t: &Template| t.tasks.iter().filter(|t| t.pool == pool).map(|t| t.nominal_s).sum();
    level.templates.iter().map(|t| (weight(t), of_pool(t), t.critical_path_s)).collect()
}

/// Slots that are busy on average with so many workflows that never wait: the pool's work per workflow over the
/// workflow's length, by Little's law.
fn busy(work: &[(f64, f64, f64)], in_flight: f64) -> f64 {
    let (work_s, length_s) = work
        .iter()
        .fold((0.0, 0.0), |(w, l), (weight, work_s, length_s)| (w + weight * work_s, l + weight * length_s));
    in_flight * work_s / length_s.max(f64::MIN_POSITIVE)
}

/// Slots that so many busy ones keep at the share that they should be, and not more than help.
fn suggested(busy: f64, most: u32) -> u32 {
    ((busy / TARGET_UTILISATION).ceil() as u32).min(most)
}

/// Most tasks of a pool that can run at once in one workflow, however long each takes: of its tasks the largest
/// set in which none comes before another. By Dilworth's theorem (*Annals of Mathematics* 51, 1950) that is their
/// number less the size of a largest matching of earlier with later ones.
fn widest(template: &Template, pool: &str) -> u32 {
    let tasks: Vec<&str> =
        template.tasks.iter().filter(|t| t.pool == pool).map(|t| t.reference.as_str()).collect();
    let before: Vec<BTreeSet<&str>> = tasks.iter().map(|t| template.ancestors(t)).collect();
    let later = |i: usize| (0..tasks.len()).filter(|j| before[*j].contains(tasks[i])).collect();
    let later: Vec<Vec<usize>> = (0..tasks.len()).map(later).collect();
    let mut partner = vec![None; tasks.len()];
    let matched =
        (0..tasks.len()).filter(|i| matches(*i, &later, &mut partner, &mut BTreeSet::new())).count();
    (tasks.len() - matched) as u32
}

/// Finds a later task for `i`, moving earlier pairs aside where they can be (Kuhn's algorithm).
fn matches(
    i: usize,
    later: &[Vec<usize>],
    partner: &mut [Option<usize>],
    tried: &mut BTreeSet<usize>,
) -> bool {
    for j in &later[i] {
        if tried.insert(*j) && partner[*j].is_none_or(|other| matches(other, later, partner, tried)) {
            partner[*j] = Some(i);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::TemplateTask;

    /// `a`, then `b` and `c` at once, then `d`: 100 s each, all in one pool but `a`.
    fn diamond() -> Template {
        let task = |reference: &str, pool: &str, after: &[&str]| TemplateTask {
            reference: reference.into(),
            task_type: reference.into(),
            title: reference.into(),
            pool: pool.into(),
            nominal_s: 100.0,
            after: after.iter().map(|r| (*r).to_owned()).collect(),
            steps_s: BTreeMap::new(),
            carries: Vec::new(),
        };
        let tasks = vec![
            task("a", "other", &[]),
            task("b", "dev", &["a"]),
            task("c", "dev", &["a"]),
            task("d", "dev", &["b", "c"]),
        ];
        Template { name: "diamond".into(), tasks, critical_path_s: 300.0 }
    }

    #[test]
    fn slots_follow_from_work_and_width() {
        assert_eq!(widest(&diamond(), "dev"), 2);
        assert_eq!(widest(&diamond(), "other"), 1);
        let mut late = diamond();
        late.tasks[3].after = vec!["b".into()];
        assert_eq!(
            widest(&late, "dev"),
            2,
            "`c` may be so long that `d` runs beside it, but `b` is over then"
        );
        late.tasks[3].after = vec!["a".into()];
        assert_eq!(widest(&late, "dev"), 3);
        // `a` before `c` and `d`, `b` before `c`: two at once, which a first match of `a` with `c` would miss.
        let mut crossed = diamond();
        for (task, after) in crossed.tasks.iter_mut().zip([vec![], vec![], vec!["a", "b"], vec!["a"]]) {
            task.pool = "dev".into();
            task.after = after.into_iter().map(str::to_owned).collect();
        }
        assert_eq!(widest(&crossed, "dev"), 2);
        // Ten workflows keep 10 × 300 / 300 = 10 slots busy; 10 / 0.7 rounds up to 15.
        let busy = |in_flight| busy(&[(1.0, 300.0, 300.0)], in_flight);
        assert_eq!(suggested(busy(10.0), 20), 15);
        assert_eq!(suggested(busy(1.0), 2), 2, "more slots than tasks at once help nobody: 1.4");
        assert_eq!(suggested(busy(10.0), 12), 12);
    }

    #[test]
    fn templates_of_a_mix_count_by_their_weight() {
        // Three parts of 10 s work in 100 s and one of 90 s in 100 s: of 8 in flight, (3×10 + 90) / 400 are busy.
        assert!((busy(&[(3.0, 10.0, 100.0), (1.0, 90.0, 100.0)], 8.0) - 2.4).abs() < 1e-9);
    }
}
