//! What a task asks of a worker: which planned workflow it belongs to, and how long the plan wants it to take.

use crate::plan::Plan;
use crate::target::wire::PolledTask;
use shakedown_reports::plan::{Level, Template, TemplateTask};
use std::collections::{BTreeMap, HashMap};

/// Everything that workers know of a run.
#[derive(Debug, Clone, Default)]
pub struct Assignments {
    run: String,
    /// What was planned for each workflow, by level and index: its template, and its durations.
    planned: HashMap<String, Vec<Planned>>,
    templates: Vec<Template>,
    /// Names of the steps inside tasks in the order in which they are done, by reference name.
    step_order: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone)]
struct Planned {
    template: usize,
    durations_s: BTreeMap<String, f64>,
}

/// What is to be done for one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Name of the level; empty when the workflow isn't ours.
    pub level: String,
    /// Index of the workflow in its level.
    pub index: u64,
    /// How long it takes, workflow seconds.
    pub work_s: f64,
    /// Steps inside it, workflow seconds, in the order in which they are done; empty: one piece.
    pub steps_s: Vec<(String, f64)>,
}

impl Assignments {
    /// The assignments of a run.
    pub fn of_plan(run: &str, plan: &Plan) -> Self {
        let position = |name: &str| plan.templates.iter().position(|template| template.name == name);
        let of_level = |level: &Level| {
            let planned = plan.of_level(&level.name).filter_map(|one| {
                let template = position(Plan::template_name(level, one))?;
                Some(Planned { template, durations_s: one.durations_s.clone() })
            });
            (level.name.clone(), planned.collect())
        };
        Self {
            run: run.to_owned(),
            planned: plan.levels.iter().map(of_level).collect(),
            templates: plan.templates.clone(),
            step_order: BTreeMap::new(),
        }
    }

    /// The same, with the order of the steps inside tasks, by reference name. Without it they are done by name.
    pub fn with_step_order(self, step_order: BTreeMap<String, Vec<String>>) -> Self {
        Self { step_order, ..self }
    }

    /// Assignments that know the nominal durations only, for workers that no run belongs to.
    pub fn nominal(templates: Vec<Template>) -> Self {
        Self { templates, ..Self::default() }
    }

    /// Every task type with the pool that does it.
    pub fn types(&self) -> BTreeMap<String, String> {
        let tasks = self.templates.iter().flat_map(|template| &template.tasks);
        tasks.map(|task| (task.task_type.clone(), task.pool.clone())).collect()
    }

    /// What `task` asks for. A workflow that isn't of this run gets the nominal duration.
    pub fn job(&self, task: &PolledTask) -> Job {
        self.planned(task).unwrap_or_else(|| {
            let nominal = self.nominal_of(task);
            let work_s = nominal.map_or(0.0, |nominal| nominal.nominal_s);
            let steps_s = nominal.map_or_else(Vec::new, |nominal| self.steps(nominal, work_s));
            Job { level: String::new(), index: 0, work_s, steps_s }
        })
    }

    /// The template's task with the same type and, if there is one, the same reference name.
    fn nominal_of(&self, task: &PolledTask) -> Option<&TemplateTask> {
        let of_type = || {
            let all = self.templates.iter().flat_map(|template| &template.tasks);
            all.filter(|known| known.task_type == task.task_type)
        };
        of_type().find(|known| known.reference == task.reference_task_name).or_else(|| of_type().next())
    }

    fn planned(&self, task: &PolledTask) -> Option<Job> {
        let (level, index) = parse(&self.run, task.correlation_id.as_deref()?)?;
        let planned = self.planned.get(level)?.get(usize::try_from(index).ok()?)?;
        let template = &self.templates[planned.template];
        let work_s = *planned.durations_s.get(&task.reference_task_name)?;
        let nominal = template.tasks.iter().find(|known| known.reference == task.reference_task_name)?;
        Some(Job { level: level.to_owned(), index, work_s, steps_s: self.steps(nominal, work_s) })
    }

    fn steps(&self, task: &TemplateTask, work_s: f64) -> Vec<(String, f64)> {
        let mut steps = steps(task, work_s);
        if let Some(order) = self.step_order.get(&task.reference) {
            steps.sort_by_key(|(step, _)| order.iter().position(|known| known == step));
        }
        steps
    }
}

/// Level and index in a correlation id `RUN/LEVEL/INDEX` of this run.
fn parse<'c>(run: &str, correlation_id: &'c str) -> Option<(&'c str, u64)> {
    if run.is_empty() {
        return None;
    }
    let (level, index) = correlation_id.strip_prefix(run)?.strip_prefix('/')?.rsplit_once('/')?;
    Some((level, index.parse().ok()?))
}

/// The steps of a task, each with its share of `work_s`.
fn steps(task: &TemplateTask, work_s: f64) -> Vec<(String, f64)> {
    let whole: f64 = task.steps_s.values().sum();
    if whole <= 0.0 {
        return Vec::new();
    }
    task.steps_s.iter().map(|(step, share)| (step.clone(), share / whole * work_s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_correlation_ids_of_this_run_are_ours() {
        assert_eq!(parse("r1", "r1/1x/7"), Some(("1x", 7)));
        for foreign in ["r2/1x/7", "r1/1x/seven", "r1", "order 66", ""] {
            assert_eq!(parse("r1", foreign), None, "{foreign}");
        }
        assert_eq!(parse("", "/1x/7"), None);
    }

    #[test]
    fn steps_share_the_drawn_duration() {
        let task = TemplateTask {
            reference: "t08".to_owned(),
            task_type: "code_generation".to_owned(),
            title: String::new(),
            pool: "codegen".to_owned(),
            nominal_s: 480.0,
            after: vec![],
            steps_s: BTreeMap::from([("parse".to_owned(), 120.0), ("write".to_owned(), 360.0)]),
            carries: vec![],
        };
        assert_eq!(steps(&task, 240.0), [("parse".to_owned(), 60.0), ("write".to_owned(), 180.0)]);
    }
}
