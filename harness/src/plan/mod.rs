//! The plan: everything that a run is going to do, drawn from scenario and seed before anything is started.
//!
//! Pure. Durations depend on the seed, the workflow's index and the task's name, not on the level, so that the
//! levels 1x, 3x and 10x run the same workflows and their ratio is paired.

mod drill;

use crate::draw;
use crate::load::pacer;
use crate::scenario::load::{self, Mode};
use crate::scenario::{Level as AskedLevel, Scenario};
use shakedown_chaos::schedule;
use shakedown_reports::history::Start;
use shakedown_reports::plan::drill::{Injection, Terms};
use shakedown_reports::plan::{Level, Line, Model, Open, Part, Stage, Template, Workflow};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the level that probes are.
pub const PROBES: &str = "probes";

/// A drawn plan, in the order of `plan.jsonl`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Every template that a level starts.
    pub templates: Vec<Template>,
    /// Every level, in the order in which they run.
    pub levels: Vec<Level>,
    /// Every workflow, level by level, by index.
    pub workflows: Vec<Workflow>,
    /// By what recovery is measured, where there are probes.
    pub terms: Option<Terms>,
    /// Every injection of a fault, as the plan tells it.
    pub injections: Vec<Injection>,
    /// The same, as it is carried out.
    pub schedule: Vec<schedule::Injection>,
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
    let mut plan = Plan { templates: templates.values().cloned().collect(), ..Plan::default() };
    for asked in &scenario.level {
        let own: Vec<&Template> = asked.workflows().filter_map(|name| templates.get(name)).collect();
        let Some(first) = own.first() else { continue };
        let pools: BTreeSet<&str> =
            own.iter().flat_map(|t| &t.tasks).map(|task| task.pool.as_str()).collect();
        let mismatch = |what, pool| PoolMismatch {
            level: asked.name.clone(),
            what,
            pool,
            template: own.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", "),
            pools: pools.iter().copied().collect::<Vec<_>>().join(", "),
        };
        if let Some(pool) = asked.slots.stranger(&pools) {
            return Err(mismatch("has slots for", pool.to_owned()));
        }
        let slots = asked.slots.resolve(pools.iter().copied(), asked.in_flight());
        let slots = slots.map_err(|pool| mismatch("has no slots for", pool))?;
        plan.levels.push(Level {
            name: asked.name.clone(),
            template: first.name.clone(),
            mix: mix(asked, &own),
            model: if asked.mode == Mode::Open { Model::Open } else { Model::Closed },
            concurrency: asked.in_flight(),
            waves: asked.waves.unwrap_or(0),
            open: (asked.mode == Mode::Open)
                .then(|| Open { stages: stages(asked), may_shed: asked.may_shed }),
            probes: false,
            beside: None,
            slots,
            drain_s: asked.drain.seconds(),
        });
        for (index, due_ns) in (0..).zip(arrivals(asked, seed)) {
            let template = pick(asked, &own, seed, index).unwrap_or(first);
            plan.workflows.push(Workflow {
                level: asked.name.clone(),
                index,
                correlation_id: format!("{run}/{}/{index}", asked.name),
                template: (own.len() > 1).then(|| template.name.clone()),
                due_ns,
                input_bytes: asked
                    .input_bytes
                    .map(|bytes| whole(bytes.draw(seed, &format!("input/{index}")))),
                durations_s: durations(template, scenario, seed, index),
            });
        }
    }
    if let Some(probes) = &scenario.probes {
        drill::add_probes(&mut plan, scenario, probes, templates, run);
    }
    drill::add_faults(&mut plan, scenario, seed);
    Ok(plan)
}

/// The parts of a level's mix, by the names of their templates; none when it has one workflow.
fn mix(asked: &AskedLevel, own: &[&Template]) -> Vec<Part> {
    let part = |(template, part): (&&Template, &load::Part)| Part {
        template: template.name.clone(),
        weight: part.weight,
    };
    if own.len() > 1 { own.iter().zip(&asked.mix).map(part).collect() } else { Vec::new() }
}

/// The stages as the plan holds them; what can't be one was refused when the scenario was read.
fn stages(asked: &AskedLevel) -> Vec<Stage> {
    asked.stages.iter().filter_map(|stage| stage.resolve().ok()).collect()
}

/// One element a workflow of the level: when it is due, where it has its own instant.
fn arrivals(asked: &AskedLevel, seed: u64) -> Vec<Option<u64>> {
    if asked.mode == Mode::Closed {
        let count = asked.in_flight() as usize * asked.waves.unwrap_or(0) as usize;
        return vec![None; count];
    }
    let key = format!("arrival/{}", asked.name);
    let due = pacer::schedule(&stages(asked), asked.arrivals.unwrap_or_default(), seed, &key);
    due.into_iter().map(Some).collect()
}

/// The template of one workflow of a mix: drawn by weight, the same at every level with the same mix.
fn pick<'t>(asked: &AskedLevel, own: &[&'t Template], seed: u64, index: u64) -> Option<&'t Template> {
    let whole: f64 = asked.mix.iter().map(|part| part.weight).sum();
    let mut left = draw::uniform(seed, &format!("mix/{index}")) * whole;
    let picked = asked.mix.iter().zip(own).find(|(part, _)| {
        left -= part.weight;
        left < 0.0
    });
    picked.map(|(_, template)| *template)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bounded number of bytes")]
fn whole(bytes: f64) -> u64 {
    bytes.round() as u64
}

/// Durations of one workflow: the table's is the ceiling, `spread` below it the floor, most of them in between; or the
/// table's times a factor that is drawn.
fn durations(template: &Template, scenario: &Scenario, seed: u64, index: u64) -> BTreeMap<String, f64> {
    let of = |task: &shakedown_reports::plan::TemplateTask| {
        let key = format!("duration/{index}/{}", task.reference);
        let share = match scenario.duration_factor {
            Some(factor) => factor.draw(seed, &key),
            None => 1.0 - scenario.spread * draw::triangular(seed, &key),
        };
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
        let terms = self.terms.iter().cloned().map(Line::Terms);
        let injections = self.injections.iter().cloned().map(Line::Injection);
        templates.chain(levels).chain(workflows).chain(terms).chain(injections)
    }

    /// The template of a name.
    pub fn template(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.name == name)
    }

    /// The name of the template of one workflow of `level`.
    pub fn template_name<'p>(level: &'p Level, workflow: &'p Workflow) -> &'p str {
        workflow.template.as_ref().unwrap_or(&level.template)
    }

    /// The name of the template that a start was about.
    pub fn template_of<'p>(&'p self, start: &Start) -> Option<&'p str> {
        let level = self.levels.iter().find(|level| level.name == start.level)?;
        let planned = self.of_level(&level.name).find(|one| one.index == start.index);
        Some(planned.map_or(level.template.as_str(), |one| Self::template_name(level, one)))
    }

    /// The levels that run beside another one.
    pub fn beside<'p>(&'p self, level: &'p str) -> impl Iterator<Item = &'p Level> {
        self.levels.iter().filter(move |one| one.beside.as_deref() == Some(level))
    }

    /// The workflows of a level, by index.
    pub fn of_level<'p>(&'p self, level: &'p str) -> impl Iterator<Item = &'p Workflow> {
        self.workflows.iter().filter(move |workflow| workflow.level == level)
    }

    /// Real seconds that the longest workflow of a level takes when nothing waits.
    pub fn longest_s(&self, level: &Level, speed: f64) -> f64 {
        let names = level.mix.iter().map(|part| &part.template).chain([&level.template]);
        let lengths_s = names.filter_map(|name| self.template(name)).map(|t| t.critical_path_s);
        lengths_s.fold(0.0, f64::max) / speed
    }

    /// Real seconds that the load takes when nothing waits.
    pub fn length_s(&self, speed: f64) -> f64 {
        self.levels
            .iter()
            .filter(|level| level.beside.is_none())
            .map(|level| {
                let longest_s = self.longest_s(level, speed);
                match &level.open {
                    Some(open) => open.length_s() + longest_s,
                    None => f64::from(level.waves) * longest_s,
                }
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
