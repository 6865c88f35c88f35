//! From a scenario to everything that a run needs: definitions, templates, speed. Reads files, starts nothing.

use super::inputs::Inputs;
use crate::plan;
use crate::scenario::catalogue::{self, Origin};
use crate::scenario::speed::Speed;
use crate::scenario::{Scenario, WorkflowSource};
use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use shakedown_reports::definition;
use shakedown_reports::durations::Durations;
use shakedown_reports::plan::Template;
use std::collections::BTreeMap;

/// One workflow of a scenario, read and checked.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The Conductor definition.
    pub definition: Value,
    /// Its version.
    pub version: u64,
    /// What it says, with durations.
    pub template: Template,
    /// Names of the steps inside tasks in their order, by reference name.
    pub step_order: BTreeMap<String, Vec<String>>,
    /// Task definitions that belong to it.
    pub task_definitions: Vec<Value>,
}

/// A scenario that is ready to run.
#[derive(Debug, Clone)]
pub struct Order {
    /// The scenario, its speed and seed resolved.
    pub scenario: Scenario,
    /// Workflow seconds per real second.
    pub speed: f64,
    /// Its workflows, by the scenario's name for them.
    pub workflows: BTreeMap<String, Prepared>,
    /// The files that it names, as the run directory will hold them.
    pub inputs: Inputs,
    /// Arguments of `shakedown` that make the same order again.
    pub again: Vec<String>,
}

impl Order {
    /// The same load without its faults, and without the gates on them.
    pub fn without_faults(&self) -> Self {
        let mut calm = self.clone();
        let of_fault = |measure: &str| {
            let prefix = measure.split_once('/').map(|(prefix, _)| prefix);
            self.scenario.fault.iter().any(|fault| Some(fault.name.as_str()) == prefix)
        };
        calm.scenario.gate.retain(|gate| !of_fault(&gate.measure));
        calm.scenario.fault.clear();
        calm
    }

    /// The templates, by the scenario's name for them.
    pub fn templates(&self) -> BTreeMap<String, Template> {
        self.workflows.iter().map(|(name, one)| (name.clone(), one.template.clone())).collect()
    }

    /// The workflow whose definition has this name.
    pub fn by_definition(&self, name: &str) -> Option<&Prepared> {
        self.workflows.values().find(|one| one.template.name == name)
    }
}

/// Real seconds that one workflow may take: a week. More is a slip in the table or the speed.
const LONGEST_S: f64 = 7.0 * 86_400.0;

/// Reads the files that `scenario` names.
///
/// # Errors
/// A file is missing or contradicts another one; the message names both.
pub fn prepare(scenario: Scenario, origin: &Origin) -> anyhow::Result<Order> {
    let mut workflows = BTreeMap::new();
    for (name, source) in &scenario.workflow {
        let one = workflow(source, origin)
            .with_context(|| format!("workflow {name:?} of {origin} can't be used"))?;
        workflows.insert(name.clone(), one);
    }
    let names: Vec<&str> = workflows.values().map(|one| one.template.name.as_str()).collect();
    if let Some(twice) = names.iter().find(|name| names.iter().filter(|other| other == name).count() > 1) {
        bail!("{origin}: two workflows have definitions called {twice:?}; give one of them another name");
    }
    let first = scenario.level.first().and_then(|level| level.workflows().next());
    let slowest = first.and_then(|name| workflows.get(name));
    let speed = scenario.speed.resolve(slowest.map_or(0.0, |one| one.template.critical_path_s));
    let longest_s = workflows.values().map(|one| one.template.critical_path_s).fold(0.0, f64::max) / speed;
    if longest_s > LONGEST_S {
        bail!(
            "{origin}: at speed {speed} one workflow would take {longest_s:.0} s of real time, more than a week; raise --speed"
        );
    }
    let mut inputs = Inputs::default();
    let mut kept = BTreeMap::new();
    for (name, source) in &scenario.workflow {
        kept.insert(name.clone(), inputs.keep(source, origin)?);
    }
    let scenario = Scenario { speed: Speed::Factor(speed), workflow: kept, ..scenario };
    let order = Order { scenario, speed, workflows, inputs, again: Vec::new() };
    // Drawn again under the run's name; what can't be drawn is refused here, before anything is made.
    plan::draw(&order.scenario, &order.templates(), order.scenario.seed, "")
        .map_err(|error| anyhow!("{origin}: {error}"))?;
    Ok(order)
}

fn workflow(source: &WorkflowSource, origin: &Origin) -> anyhow::Result<Prepared> {
    let (Some(definition_name), Some(durations_name)) = (&source.definition, &source.durations) else {
        bail!("it needs a definition and durations: give --workflow FILE.json and --durations TABLE.csv");
    };
    let text = catalogue::named_by(origin, definition_name)?;
    let definition: Value = serde_json::from_str(&text)
        .with_context(|| format!("{definition_name} is not JSON; expected is one workflow definition"))?;
    let table = catalogue::named_by(origin, durations_name)?;
    let column = match &source.column {
        Some(column) => column.clone(),
        None => first_duration_column(&table).with_context(|| {
            format!("{durations_name} has no column whose name ends in _s; name one with --duration-column")
        })?,
    };
    let mut durations = Durations::parse(&table, &column, source.after_column.as_deref())
        .with_context(|| format!("{durations_name} is refused"))?;
    let mut step_order = BTreeMap::new();
    for (reference, name) in &source.steps {
        let steps = catalogue::named_by(origin, name)?;
        durations =
            durations.with_steps(reference, &steps, &column).with_context(|| format!("{name} is refused"))?;
        step_order.insert(reference.clone(), first_fields(&steps));
    }
    let template = definition::template(&definition, &durations)
        .with_context(|| format!("{definition_name} and {durations_name} don't go together"))?;
    let task_definitions = match &source.task_definitions {
        Some(name) => task_definitions(name, &catalogue::named_by(origin, name)?)?,
        None => vec![],
    };
    let version = definition.get("version").and_then(Value::as_u64).unwrap_or(1);
    Ok(Prepared { definition, version, template, step_order, task_definitions })
}

/// Reads task definitions: a JSON array of objects with names.
///
/// # Errors
/// It is something else.
fn task_definitions(name: &str, text: &str) -> anyhow::Result<Vec<Value>> {
    let read: Vec<Value> = serde_json::from_str(text)
        .with_context(|| format!("{name} is not a JSON array of task definitions"))?;
    match read.iter().position(|one| one.get("name").and_then(Value::as_str).is_none()) {
        Some(at) => Err(anyhow!("{name}: task definition number {} has no name", at + 1)),
        None => Ok(read),
    }
}

fn first_duration_column(table: &str) -> Option<String> {
    let header = table.lines().next()?;
    header.split(',').map(str::trim).find(|column| column.ends_with("_s")).map(str::to_owned)
}

/// The first field of every line but the header: the steps in the order of the file.
fn first_fields(table: &str) -> Vec<String> {
    table.lines().skip(1).filter_map(|line| Some(line.split(',').next()?.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::read;

    #[test]
    fn every_scenario_that_is_compiled_in_can_be_prepared() {
        for name in catalogue::scenario_names() {
            let (origin, scenario) = read::named(name).unwrap();
            let given = scenario.workflow.values().all(|source| source.definition.is_some());
            assert_eq!(prepare(scenario, &origin).is_ok(), given, "{name}");
        }
    }

    #[test]
    fn the_steps_keep_the_order_of_their_file() {
        assert_eq!(first_fields("step,a\nparse,1\ngenerate,2\n"), ["parse", "generate"]);
        assert_eq!(first_duration_column("ref,task,x_s,y_s\n").as_deref(), Some("x_s"));
    }
}
