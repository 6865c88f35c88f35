//! Measures that span levels: the same workflows at another load, before and after, pooled by template.

use super::{Measure, Scale, duration, percentiles};
use crate::histogram::Distribution;
use crate::joined::{Joined, LevelRun};
use crate::plan::Template;
use crate::statistics::{median, median_growth};
use std::collections::BTreeMap;

/// The level that others are compared with.
const REFERENCE: &str = "1x";
/// The level that runs the workflow as it was before optimisation.
const BASELINE: &str = "baseline-1x";

pub(super) fn measure(run: &Joined<'_>, out: &mut Vec<Measure>) {
    if let Some(reference) = run.level(REFERENCE) {
        if let Some(baseline) = run.level(BASELINE) {
            out.push(saving(baseline, reference));
        }
        let others = run.levels.iter().filter(|l| l.level.name != REFERENCE && !l.is_mixed());
        let alike = |l: &&LevelRun<'_>| !reference.is_mixed() && l.template.name == reference.template.name;
        for other in others.filter(alike) {
            let growth = median_growth(&pairs(reference, other));
            out.push(Measure::estimate(format!("slowdown_{}", other.level.name), growth, Scale::RATIO));
        }
    }
    pooled_by_template(run, out);
}

/// By which share of the baseline the optimised workflow is shorter, taking the pair that flatters least.
fn saving(baseline: &LevelRun<'_>, optimized: &LevelRun<'_>) -> Measure {
    let of = |level: &LevelRun<'_>| makespans(level).into_values().collect::<Vec<f64>>();
    let (before, after) = (of(baseline), of(optimized));
    let least = before.iter().copied().reduce(f64::min).filter(|b| *b > 0.0);
    let most = after.iter().copied().reduce(f64::max);
    let value = least.zip(most).map(|(before, after)| 1.0 - after / before);
    let n = (before.len() + after.len()) as u64;
    Measure::plain("saving_vs_baseline".into(), value, n, "longest after / shortest before", Scale::RATIO)
}

/// Makespans of one index at both levels, real seconds: the same workflow with the same drawn durations.
fn pairs(reference: &LevelRun<'_>, other: &LevelRun<'_>) -> Vec<(f64, f64)> {
    let at_other = makespans(other);
    makespans(reference).iter().filter_map(|(index, s)| Some((*s, *at_other.get(index)?))).collect()
}

fn makespans(level: &LevelRun<'_>) -> BTreeMap<u64, f64> {
    level.completed().filter_map(|w| Some((w.planned.index, w.makespan_s()?))).collect()
}

/// How long one step inside a task took in the executions that count, workflow seconds.
fn steps(levels: &[&LevelRun<'_>], template: &Template, reference: &str, step: &str) -> Vec<f64> {
    let workflows = levels.iter().flat_map(|l| &l.workflows).filter(|w| w.template.name == template.name);
    let accepted = workflows.filter_map(|w| w.accepted(reference));
    accepted.filter_map(|e| e.steps_s.get(step).copied()).collect()
}

/// `TEMPLATE:name/task_run_p95_s.ref` and `TEMPLATE:name/step_run_p50_s.ref.step`: run times of one
/// task, and of the steps inside it, over all levels of its template.
///
/// A task works for the same time whatever the load, so levels can be pooled where one has too few samples.
fn pooled_by_template(run: &Joined<'_>, out: &mut Vec<Measure>) {
    let mut templates: Vec<&Template> = Vec::new();
    for level in &run.levels {
        for template in &level.templates {
            if templates.iter().all(|t| t.name != template.name) {
                templates.push(template);
            }
        }
    }
    for template in templates {
        let levels: Vec<&LevelRun<'_>> =
            run.levels.iter().filter(|l| l.templates.iter().any(|t| t.name == template.name)).collect();
        for task in &template.tasks {
            let mut pooled = Distribution::default();
            levels.iter().for_each(|l| pooled.merge(&duration::task_runs(l, template, &task.reference)));
            let name = |p: &str| format!("TEMPLATE:{}/task_run_{p}_s.{}", template.name, task.reference);
            percentiles(out, &pooled, &[50, 95], name, Scale::workflow(run.speed));
            for step in task.steps_s.keys() {
                let name = format!("TEMPLATE:{}/step_run_p50_s.{}.{step}", template.name, task.reference);
                // Workers tell steps in workflow seconds already.
                let scale = Scale { factor: 1.0, ..Scale::workflow(run.speed) };
                let steps = steps(&levels, template, &task.reference, step);
                out.push(Measure::estimate(name, median(&steps), scale));
            }
        }
    }
}
