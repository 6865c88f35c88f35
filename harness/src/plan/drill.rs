//! Probes and faults of a plan: drawn like the load, from scenario and seed.

use super::{PROBES, Plan, durations};
use crate::load::pacer;
use crate::scenario::Scenario;
use crate::scenario::drill::Probes;
use crate::scenario::fault::FaultEntry;
use crate::scenario::load::Arrivals;
use crate::scenario::validate::drill::{length, roles};
use shakedown_chaos::schedule::{self, Due, Scope};
use shakedown_reports::plan::drill::{Injection, Terms};
use shakedown_reports::plan::{Level, Model, Open, Stage, Template, Workflow};
use std::collections::BTreeMap;

/// Probes run beside the only level, for as long as it offers load, evenly spaced.
pub fn add_probes(
    plan: &mut Plan,
    scenario: &Scenario,
    probes: &Probes,
    templates: &BTreeMap<String, Template>,
    run: &str,
) {
    let (Some(level), Some(template)) = (plan.levels.first(), templates.get(&probes.workflow)) else {
        return;
    };
    let length_s = level.open.as_ref().map_or(0.0, Open::length_s);
    let stage = Stage::Rate { from_per_s: probes.rate_per_s, to_per_s: probes.rate_per_s, length_s };
    let pools = template.tasks.iter().map(|task| (task.pool.clone(), probes.slots));
    let beside = level.name.clone();
    let due = pacer::schedule(&[stage], Arrivals::Even, scenario.seed, "arrival/probes");
    plan.levels.push(Level {
        name: PROBES.to_owned(),
        template: template.name.clone(),
        mix: vec![],
        model: Model::Open,
        // Nobody holds a probe back: when it is due it is sent.
        concurrency: u32::try_from(due.len()).unwrap_or(u32::MAX).max(1),
        waves: 0,
        open: Some(Open { stages: vec![stage], may_shed: false }),
        probes: true,
        beside: Some(beside),
        slots: pools.collect(),
        drain_s: level.drain_s,
    });
    plan.workflows.extend((0..).zip(due).map(|(index, due_ns)| Workflow {
        level: PROBES.to_owned(),
        index,
        correlation_id: format!("{run}/{PROBES}/{index}"),
        template: None,
        due_ns: Some(due_ns),
        input_bytes: None,
        durations_s: durations(template, scenario, scenario.seed, index),
    }));
}

/// Everything that will be injected, and by what its recovery is measured. What can't be was refused when the scenario
/// was read.
pub fn add_faults(plan: &mut Plan, scenario: &Scenario, seed: u64) {
    let Some(level) = scenario.level.first().filter(|_| scenario.probes.is_some()) else { return };
    let planned: Vec<_> = scenario.fault.iter().filter_map(|fault| fault.planned().ok()).collect();
    let roles = roles(scenario);
    let scope = Scope { length: Some(length(level)), roles: &roles };
    plan.schedule = schedule::draw(&planned, seed, &scope).unwrap_or_default();
    plan.terms = Some(terms(scenario));
    plan.injections = plan
        .schedule
        .iter()
        .filter_map(|drawn| {
            let entry = scenario.fault.iter().find(|entry| entry.name == drawn.name)?;
            Some(injection(drawn, entry, &level.name))
        })
        .collect();
}

fn terms(scenario: &Scenario) -> Terms {
    let recovery = scenario.recovery.unwrap_or_default();
    Terms {
        baseline_s: recovery.baseline.seconds(),
        settle_s: recovery.settle.seconds(),
        probe_deadline_s: scenario.probes.as_ref().map_or(0.0, |probes| probes.deadline.seconds()),
        throughput_band: recovery.throughput_band,
        compares: scenario.database.as_ref().is_some_and(|database| database.compare.is_some()),
    }
}

fn injection(drawn: &schedule::Injection, entry: &FaultEntry, level: &str) -> Injection {
    Injection {
        fault: drawn.name.clone(),
        injection: drawn.injection,
        level: level.to_owned(),
        what: drawn.fault.kind().to_owned(),
        on: drawn.on.to_string(),
        trigger: drawn.due.to_string(),
        at_s: match &drawn.due {
            Due::At(at) => Some(at.as_secs_f64()),
            _ => None,
        },
        lasts_s: drawn.lasts.map(|lasts| lasts.as_secs_f64()),
        details: serde_json::to_value(&drawn.fault).unwrap_or_default(),
        allow: entry.allow.planned(),
        timers: entry.configured_timers(),
    }
}
