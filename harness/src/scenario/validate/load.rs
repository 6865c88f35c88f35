//! What the load of a level must fulfil: one mode, all that it needs, and no more than a machine can hold.

use super::{Finding, refuse};
use crate::scenario::load::{Mode, Stage};
use crate::scenario::read::nearest;
use crate::scenario::{Level, Scenario};
use shakedown_reports::plan;

/// Workflows of a level: the plan of a run is held in memory.
const MOST_WORKFLOWS: u64 = 200_000;
/// Bytes of one input: Conductor's own limit for a payload is less.
const MOST_INPUT_BYTES: f64 = 16_777_216.0;
/// By how much a duration may be drawn longer than the table's.
const MOST_FACTOR: f64 = 100.0;

/// The first thing that is wrong with the load of `level`.
pub fn check(scenario: &Scenario, level: &Level) -> Result<(), Finding> {
    workflows(scenario, level)?;
    match level.mode {
        Mode::Closed => closed(level)?,
        Mode::Open => open(level)?,
    }
    if let Some(most) = level.input_bytes.map(|bytes| bytes.most()).filter(|most| *most > MOST_INPUT_BYTES) {
        let problem = format!(
            "level {:?}: inputs of up to {most} bytes: accepted is up to {MOST_INPUT_BYTES}",
            level.name
        );
        return refuse("input_bytes", "", problem);
    }
    if level.drain.seconds() <= 0.0 {
        let problem = format!("level {:?}: drain leaves no time", level.name);
        return refuse("drain", "", problem);
    }
    Ok(())
}

/// The scenario's factor of durations.
pub fn check_factor(scenario: &Scenario) -> Result<(), Finding> {
    let Some(factor) = scenario.duration_factor else { return Ok(()) };
    if scenario.spread != 0.0 {
        let problem =
            "spread and duration_factor both say how durations are drawn: keep one of them".to_owned();
        return refuse("duration_factor", "", problem);
    }
    if factor.most() > MOST_FACTOR {
        let problem = format!("duration_factor of up to {}: accepted is up to {MOST_FACTOR}", factor.most());
        return refuse("duration_factor", "", problem);
    }
    Ok(())
}

fn workflows(scenario: &Scenario, level: &Level) -> Result<(), Finding> {
    let name = &level.name;
    match (&level.workflow, level.mix.is_empty()) {
        (None, true) => {
            let problem = format!("level {name:?} starts nothing: say workflow = \"…\", or mix = [ … ]");
            return refuse("name", name, problem);
        }
        (Some(workflow), false) => {
            let problem = format!("level {name:?} has a workflow and a mix: keep one of them");
            return refuse("workflow", workflow, problem);
        }
        _ => {}
    }
    if let Some(part) = level.mix.iter().find(|part| !(part.weight >= 0.0 && part.weight <= 1e6)) {
        let problem = format!(
            "level {name:?}: the weight {} of {:?}: accepted is 0 to 1000000",
            part.weight, part.workflow
        );
        return refuse("weight", part.weight, problem);
    }
    if !level.mix.is_empty() && level.mix.iter().map(|part| part.weight).sum::<f64>() <= 0.0 {
        return refuse(
            "mix",
            "",
            format!("level {name:?}: the weights of its mix sum to 0: nothing would start"),
        );
    }
    for (at, workflow) in level.workflows().enumerate() {
        if level.workflows().take(at).any(|earlier| earlier == workflow) {
            return refuse("workflow", workflow, format!("level {name:?}: {workflow:?} is in its mix twice"));
        }
        known(scenario, level, workflow)?;
    }
    Ok(())
}

fn known(scenario: &Scenario, level: &Level, workflow: &str) -> Result<(), Finding> {
    if scenario.workflow.contains_key(workflow) {
        return Ok(());
    }
    let known: Vec<&str> = scenario.workflow.keys().map(String::as_str).collect();
    let near = nearest(workflow, known.iter().copied())
        .map(|near| format!(". Did you mean {near:?}?"))
        .unwrap_or_default();
    let problem = format!(
        "level {:?} starts the workflow {workflow:?}, which the scenario has not; it has {}{near}",
        level.name,
        known.join(", ")
    );
    refuse("workflow", workflow, problem)
}

fn closed(level: &Level) -> Result<(), Finding> {
    let name = &level.name;
    let of_open = [
        ("stages", !level.stages.is_empty()),
        ("in_flight_cap", level.in_flight_cap.is_some()),
        ("arrivals", level.arrivals.is_some()),
        ("may_shed", level.may_shed),
    ];
    if let Some((key, _)) = of_open.into_iter().find(|(_, given)| *given) {
        let problem = format!(
            "level {name:?} is closed load, which has no {key}; add mode = \"open\" to offer arrivals"
        );
        return refuse(key, "", problem);
    }
    // Bounds that keep a slip of the finger from filling the machine.
    for (key, number, most) in [("concurrency", level.concurrency, 10_000), ("waves", level.waves, 100_000)] {
        let Some(number) = number else {
            let problem = format!("level {name:?} has no {key}, which closed load needs: 1 to {most}");
            return refuse("name", name, problem);
        };
        if !(1..=most).contains(&number) {
            let problem = format!("level {name:?}: {key} = {number}: accepted is 1 to {most}");
            return refuse(key, number, problem);
        }
    }
    let (concurrency, waves) = (level.concurrency.unwrap_or(0), level.waves.unwrap_or(0));
    let workflows = u64::from(concurrency) * u64::from(waves);
    if workflows > MOST_WORKFLOWS {
        let problem = format!(
            "level {name:?}: {concurrency} in flight × {waves} waves = {workflows} workflows: accepted is up to {MOST_WORKFLOWS}"
        );
        return refuse("waves", waves, problem);
    }
    Ok(())
}

fn open(level: &Level) -> Result<(), Finding> {
    let name = &level.name;
    for (key, number) in [("concurrency", level.concurrency), ("waves", level.waves)] {
        if let Some(number) = number {
            let problem = format!(
                "level {name:?} is open load, which has no {key}: stages say when workflows arrive, and in_flight_cap \
                 how many there may be at once"
            );
            return refuse(key, number, problem);
        }
    }
    match level.in_flight_cap {
        Some(1..=100_000) => {}
        Some(cap) => {
            let problem = format!("level {name:?}: in_flight_cap = {cap}: accepted is 1 to 100000");
            return refuse("in_flight_cap", cap, problem);
        }
        None => {
            let problem = format!(
                "level {name:?} has no in_flight_cap, which open load needs: past so many workflows in flight arrivals \
                 are shed, so that a target that stands still does not fill the driver"
            );
            return refuse("name", name, problem);
        }
    }
    if level.stages.is_empty() {
        let problem = format!(
            "level {name:?} has no stages, which open load needs: stages = [{{ rate_per_s = 50, for = \"30 s\" }}]"
        );
        return refuse("name", name, problem);
    }
    let stages: Result<Vec<plan::Stage>, _> = level.stages.iter().map(Stage::resolve).collect();
    let stages = match stages {
        Ok(stages) => stages,
        Err((key, value, problem)) => return refuse(key, value, format!("level {name:?}: {problem}")),
    };
    let arrivals: f64 = stages.iter().map(expected).sum();
    #[expect(clippy::cast_precision_loss, reason = "the bound is far below 2^53")]
    if arrivals > MOST_WORKFLOWS as f64 {
        let problem = format!(
            "level {name:?}: its stages bring {arrivals:.0} workflows: accepted is up to {MOST_WORKFLOWS}"
        );
        return refuse("stages", "", problem);
    }
    if arrivals < 1.0 {
        return refuse("stages", "", format!("level {name:?}: its stages bring less than one workflow"));
    }
    Ok(())
}

/// Arrivals that a stage brings in the mean.
#[expect(clippy::cast_precision_loss, reason = "a burst is a u32")]
fn expected(stage: &plan::Stage) -> f64 {
    match stage {
        plan::Stage::Rate { from_per_s, to_per_s, length_s } => {
            f64::midpoint(*from_per_s, *to_per_s) * length_s
        }
        plan::Stage::Burst { count } => *count as f64,
        plan::Stage::Pause { .. } => 0.0,
    }
}
