//! How long workflows and tasks took, and how much of it the orchestrator added.

use super::{Clock, Measure, Scale, percentiles};
use crate::histogram::Distribution;
use crate::joined::{LevelRun, WorkflowRun};
use crate::plan::Template;

pub(super) fn measure(level: &LevelRun<'_>, speed: f64, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let makespans: Distribution =
        level.completed().filter_map(WorkflowRun::makespan_s).map(|s| (s * 1e9) as u64).collect();
    // The target's clock, brought to workflow seconds.
    let scale = Scale::workflow(speed);
    percentiles(out, &makespans, &[50, 95], |p| name(&format!("makespan_{p}_s")), scale);
    extremes(out, &makespans, name("makespan_min_s"), name("makespan_max_s"), scale);

    let responses: Distribution =
        level.completed().filter_map(|w| Some(w.observed?.done_ns.saturating_sub(w.start?.due_ns))).collect();
    percentiles(out, &responses, &[50, 95, 99], |p| name(&format!("response_{p}_s")), Scale::HARNESS_S);

    // Templates of a mix may share names of tasks; the measures `TEMPLATE:…` tell them apart.
    let tasks = level.template.tasks.iter().filter(|_| !level.is_mixed());
    for task in tasks {
        let runs = task_runs(level, level.template, &task.reference);
        let named = |p: &str| name(&format!("task_run_{p}_s.{}", task.reference));
        percentiles(out, &runs, &[50, 95], named, scale);
    }
    overhead(level, out);
}

fn extremes(out: &mut Vec<Measure>, samples: &Distribution, min: String, max: String, scale: Scale) {
    let (least, most) = (samples.least().map(|v| v as f64), samples.most().map(|v| v as f64));
    out.push(Measure::plain(min, least, samples.n(), "all of n", scale));
    out.push(Measure::plain(max, most, samples.n(), "all of n", scale));
}

/// Work times of the executions of one task that count, real nanoseconds.
pub(super) fn task_runs(level: &LevelRun<'_>, template: &Template, reference: &str) -> Distribution {
    level
        .workflows
        .iter()
        .filter(|w| w.template.name == template.name)
        .filter_map(|w| w.accepted(reference))
        .map(|e| e.finished_ns.saturating_sub(e.started_ns))
        .collect()
}

/// Makespan less the longest path through the run times that really were; both in real time.
///
/// A workflow with a retried task is left out: its second attempt and the delay before it are on the path too.
fn overhead(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let pairs: Vec<(f64, f64)> = level
        .completed()
        .filter(|w| !w.retried())
        .filter_map(|w| {
            let makespan = w.makespan_s()?;
            Some((makespan, (makespan - critical_path_s(w)?).max(0.0)))
        })
        .collect();
    let overheads: Distribution = pairs.iter().map(|(_, o)| (o * 1e9) as u64).collect();
    let scale = Scale { clock: Clock::Harness, unit: "ms", factor: 1e-6 };
    percentiles(out, &overheads, &[50], |p| name(&format!("overhead_{p}_ms")), scale);
    let most = overheads.most().map(|ns| ns as f64);
    out.push(Measure::plain(name("overhead_max_ms"), most, overheads.n(), "all of n", scale));
    let ratios = pairs.iter().filter(|(makespan, _)| *makespan > 0.0).map(|(makespan, o)| o / makespan);
    let worst = ratios.reduce(f64::max);
    out.push(Measure::plain(name("overhead_max_ratio"), worst, overheads.n(), "all of n", Scale::RATIO));
}

/// The longest path through a workflow's real run times, real seconds; `None` when one of them isn't known.
fn critical_path_s(workflow: &WorkflowRun<'_>) -> Option<f64> {
    let known = workflow.template.tasks.iter().all(|t| workflow.accepted(&t.reference).is_some());
    known.then(|| {
        workflow.template.critical_path(|task| {
            let run = workflow.accepted(&task.reference);
            run.map_or(0.0, |e| e.finished_ns.saturating_sub(e.started_ns) as f64 / 1e9)
        })
    })
}
