//! The plan: everything that a run is going to do, drawn from scenario and seed before anything is started.
//!
//! Pure. Durations depend on the seed, the workflow's index and the task's name, not on the level, so that the
//! levels 1x, 3x and 10x run the same workflows and their ratio is paired.

use crate::draw;
use crate::scenario::Scenario;
use shakedown_reports::plan::{Level, Line, Model, Template, Workflow};
use std::collections::{BTreeMap, BTreeSet};

/// A drawn plan, in the order of `plan.jsonl`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Every template that a level starts.
    pub templates: Vec<Template>,
    /// Every level, in the order in which they run.
    pub levels: Vec<Level>,
    /// Every workflow, level by level, by index.
    pub workflows: Vec<Workflow>,
}

/// Slots and pools that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("level {level:?} {what} the pool {pool:?}; the pools that do tasks of {template:?} are {pools}")]
pub struct PoolMismatch {
    level: String,
    what: &'static str,
    pool: String,
    template: String,
    pools: String,
}

/// Draws the plan of `scenario`; `templates` are its workflows by the scenario's name for them.
///
/// # Errors
/// A level gives no slots to a pool that it needs, or some to one that there isn't.
pub fn draw(
    scenario: &Scenario,
    templates: &BTreeMap<String, Template>,
    seed: u64,
    run: &str,
) -> Result<Plan, PoolMismatch> {
    let mut plan =
        Plan { templates: templates.values().cloned().collect(), levels: vec![], workflows: vec![] };
    for asked in &scenario.level {
        let Some(template) = templates.get(&asked.workflow) else { continue };
        let pools: BTreeSet<&str> = template.tasks.iter().map(|task| task.pool.as_str()).collect();
        let mismatch = |what, pool| PoolMismatch {
            level: asked.name.clone(),
            what,
            pool,
            template: template.name.clone(),
            pools: pools.iter().copied().collect::<Vec<_>>().join(", "),
        };
        if let Some(pool) = asked.slots.stranger(&pools) {
            return Err(mismatch("has slots for", pool.to_owned()));
        }
        let slots = asked.slots.resolve(pools.iter().copied(), asked.concurrency);
        let slots = slots.map_err(|pool| mismatch("has no slots for", pool))?;
        plan.levels.push(Level {
            name: asked.name.clone(),
            template: template.name.clone(),
            model: Model::Closed,
            concurrency: asked.concurrency,
            waves: asked.waves,
            slots,
            drain_s: asked.drain.seconds(),
        });
        for index in 0..u64::from(asked.concurrency) * u64::from(asked.waves) {
            plan.workflows.push(Workflow {
                level: asked.name.clone(),
                index,
                correlation_id: format!("{run}/{}/{index}", asked.name),
                durations_s: durations(template, scenario.spread, seed, index),
            });
        }
    }
    Ok(plan)
}

/// Durations of one workflow: the table's is the ceiling, `spread` below it the floor, most of them in between.
fn durations(template: &Template, spread: f64, seed: u64, index: u64) -> BTreeMap<String, f64> {
    let of = |task: &shakedown_reports::plan::TemplateTask| {
        let share = 1.0 - spread * draw::triangular(seed, &format!("duration/{index}/{}", task.reference));
        (task.reference.clone(), task.nominal_s * share)
    };
    template.tasks.iter().map(of).collect()
}

/// Length of the longest path through `template` with these durations, workflow seconds.
pub fn critical_path_s(template: &Template, durations_s: &BTreeMap<String, f64>) -> f64 {
    template.critical_path(|task| durations_s.get(&task.reference).copied().unwrap_or(task.nominal_s))
}

impl Plan {
    /// The lines of `plan.jsonl`.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let templates = self.templates.iter().cloned().map(Line::Template);
        let levels = self.levels.iter().cloned().map(Line::Level);
        let workflows = self.workflows.iter().cloned().map(Line::Workflow);
        templates.chain(levels).chain(workflows)
    }

    /// The template that `level` starts.
    pub fn template_of(&self, level: &Level) -> Option<&Template> {
        self.templates.iter().find(|template| template.name == level.template)
    }

    /// The workflows of a level, by index.
    pub fn of_level<'p>(&'p self, level: &'p str) -> impl Iterator<Item = &'p Workflow> {
        self.workflows.iter().filter(move |workflow| workflow.level == level)
    }

    /// Real seconds that the load takes when nothing waits.
    pub fn length_s(&self, speed: f64) -> f64 {
        self.levels
            .iter()
            .filter_map(|level| {
                Some(f64::from(level.waves) * self.template_of(level)?.critical_path_s / speed)
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{catalogue, read};
    use shakedown_reports::plan::TemplateTask;

    fn task(reference: &str, nominal_s: f64, after: &[&str]) -> TemplateTask {
        TemplateTask {
            reference: reference.to_owned(),
            task_type: format!("type_{reference}"),
            title: reference.to_owned(),
            pool: "codegen".to_owned(),
            nominal_s,
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            steps_s: BTreeMap::new(),
            carries: vec![],
        }
    }

    fn diamond() -> Template {
        let tasks = vec![
            task("a", 10.0, &[]),
            task("b", 20.0, &["a"]),
            task("c", 5.0, &["a"]),
            task("d", 1.0, &["b", "c"]),
        ];
        Template { name: "diamond".to_owned(), tasks, critical_path_s: 31.0 }
    }

    fn drawn(seed: u64) -> Plan {
        let (_, text) = catalogue::scenario("smoke").unwrap();
        let scenario = read::parse("smoke", &text).unwrap();
        let templates = BTreeMap::from([("full_22_optimized".to_owned(), diamond())]);
        draw(&scenario, &templates, seed, "run").unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_does_not() {
        let bytes =
            |seed| drawn(seed).lines().map(|line| serde_json::to_string(&line).unwrap()).collect::<String>();
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn an_index_has_the_same_durations_at_every_level() {
        let plan = drawn(1);
        let first = |level: &str| plan.of_level(level).next().unwrap().durations_s.clone();
        assert_eq!(first("1x"), first("3x"));
    }

    #[test]
    fn the_table_is_the_ceiling_and_the_spread_the_floor() {
        for workflow in &drawn(1).workflows {
            let share = workflow.durations_s["b"] / 20.0;
            assert!((0.95..=1.0).contains(&share), "{share}");
        }
    }

    #[test]
    fn the_critical_path_goes_through_the_longer_branch() {
        assert!((critical_path_s(&diamond(), &BTreeMap::new()) - 31.0).abs() < 1e-9);
        let slow_c = BTreeMap::from([("c".to_owned(), 50.0)]);
        assert!((critical_path_s(&diamond(), &slow_c) - 61.0).abs() < 1e-9);
    }
}
