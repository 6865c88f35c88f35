//! The plan: what a run was going to do, drawn from the scenario and the seed before anything is started.
//!
//! `plan.jsonl` holds one [`Line`] a line: every template, then every level, then every workflow.

pub mod drill;

use crate::jsonl::{self, ReadError};
use drill::{Injection, Terms};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One line of `plan.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// A workflow template: its tasks and their order.
    Template(Template),
    /// What the definition of a task type bounds.
    TaskRules(TaskRules),
    /// A level of load.
    Level(Level),
    /// One workflow of a level.
    Workflow(Workflow),
    /// By what recovery is measured; at most once, and only where faults are injected.
    Terms(Terms),
    /// An injection of a fault.
    Injection(Injection),
}

/// A workflow template: what its definition says, and the CSV of durations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Name of the Conductor definition.
    pub name: String,
    /// Worker tasks in definition order.
    pub tasks: Vec<TemplateTask>,
    /// Length of the longest path through the nominal durations, workflow seconds.
    pub critical_path_s: f64,
}

/// One worker task of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateTask {
    /// Reference name in the definition.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Task type (queue name).
    pub task_type: String,
    /// Title for people.
    pub title: String,
    /// Pool of workers that does it (the agent).
    pub pool: String,
    /// Nominal duration, workflow seconds.
    pub nominal_s: f64,
    /// Reference names of its direct predecessors, from the definition.
    pub after: Vec<String>,
    /// Steps inside the task and their share of it, workflow seconds; mostly empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps_s: BTreeMap<String, f64>,
    /// References whose nonce its input carries under `after`, so that the flow of data can be checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<String>,
}

impl Template {
    /// The task of a reference name.
    pub fn task(&self, reference: &str) -> Option<&TemplateTask> {
        self.tasks.iter().find(|t| t.reference == reference)
    }

    /// Reference names of the direct predecessors of a task; empty for the first tasks and for unknown names.
    pub fn predecessors(&self, reference: &str) -> &[String] {
        self.task(reference).map_or(&[], |t| t.after.as_slice())
    }

    /// Reference names of everything that must end before a task starts, directly or not.
    pub fn ancestors(&self, reference: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&String> = self.predecessors(reference).iter().collect();
        while let Some(next) = open.pop() {
            if found.insert(next.as_str()) {
                open.extend(self.predecessors(next));
            }
        }
        found
    }

    /// Length of the longest path through the tasks, each as long as `length` says, in the unit of `length`.
    ///
    /// Tasks stand in definition order, in which predecessors come first.
    pub fn critical_path(&self, length: impl Fn(&TemplateTask) -> f64) -> f64 {
        let mut ends: BTreeMap<&str, f64> = BTreeMap::new();
        for task in &self.tasks {
            let start =
                task.after.iter().filter_map(|r| ends.get(r.as_str())).fold(0.0, |a: f64, b| a.max(*b));
            ends.insert(&task.reference, start + length(task));
        }
        ends.values().fold(0.0, |a, b| a.max(*b))
    }
}

/// What the definition of a task type bounds: the law that the target is held to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRules {
    /// The task type.
    pub task_type: String,
    /// Attempts after the first.
    pub retry_count: u32,
    /// The shortest time between a failure and the next attempt, real seconds.
    pub retry_delay_s: f64,
    /// Most of it that may be in hand at once; `None` is any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_limit: Option<u32>,
}

/// How load is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// N workflows are kept in flight: a slow target is asked less.
    Closed,
    /// Workflows arrive at instants that were drawn before, whatever the target does.
    Open,
}

impl Model {
    /// Its name, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// One of the templates of a level that mixes several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The template.
    pub template: String,
    /// Its share of the arrivals, relative to the other parts.
    pub weight: f64,
}

/// A stage of open load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case", deny_unknown_fields)]
pub enum Stage {
    /// Arrivals at a rate that goes evenly from one value to another, or stays.
    Rate {
        /// Arrivals per real second at its beginning.
        from_per_s: f64,
        /// And at its end.
        to_per_s: f64,
        /// Real seconds.
        length_s: f64,
    },
    /// So many arrivals at one instant.
    Burst {
        /// Their number.
        count: u64,
    },
    /// Nothing arrives.
    Pause {
        /// Real seconds.
        length_s: f64,
    },
}

impl Stage {
    /// How long it takes, real seconds.
    pub fn length_s(&self) -> f64 {
        match self {
            Self::Rate { length_s, .. } | Self::Pause { length_s } => *length_s,
            Self::Burst { .. } => 0.0,
        }
    }
}

/// What open load has that closed load hasn't.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The stages, one after another.
    pub stages: Vec<Stage>,
    /// True when the scenario studies what happens past the cap, so that reaching it invalidates nothing.
    pub may_shed: bool,
}

impl Open {
    /// Real seconds from the beginning to the end of the last stage.
    pub fn length_s(&self) -> f64 {
        self.stages.iter().map(Stage::length_s).sum()
    }
}

/// A level of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Its name, unique in the scenario: `baseline-1x`, `1x`, `3x`, `10x`.
    pub name: String,
    /// The template that it starts; of several, the first.
    pub template: String,
    /// All of them, when they are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<Part>,
    /// How load is offered.
    pub model: Model,
    /// Closed load: workflows kept in flight. Open load: the most in flight, past which arrivals are shed.
    pub concurrency: u32,
    /// Closed load: workflows that each place in flight starts, one after another. Open load: 0.
    pub waves: u32,
    /// Of open load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// True when its starts are probes: sent at a fixed rate beside the other levels, with a short deadline.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub probes: bool,
    /// The level beside which it runs, when it does not have its turn in the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// Slots of each pool.
    pub slots: BTreeMap<String, u32>,
    /// Real seconds after the last start by which everything must be terminal.
    pub drain_s: f64,
}

/// One workflow of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Name of its level.
    pub level: String,
    /// Its index: the same index has the same drawn durations at every level.
    pub index: u64,
    /// The correlation id that the start carries.
    pub correlation_id: String,
    /// Its template, where the level mixes several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Open load: when it arrives, real nanoseconds after the beginning of the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ns: Option<u64>,
    /// Bytes that its input is padded with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<u64>,
    /// Drawn duration of each task, workflow seconds, by reference name.
    pub durations_s: BTreeMap<String, f64>,
}

/// A plan, read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Templates, names unique.
    pub templates: Vec<Template>,
    /// What task definitions bound, where the plan tells; task types unique.
    pub rules: Vec<TaskRules>,
    /// Levels in the order in which they run, names unique, each of a template that is here.
    pub levels: Vec<Level>,
    /// Workflows, each of a level that is here, unique by level and index.
    pub workflows: Vec<Workflow>,
    /// By what recovery is measured, where faults are injected.
    pub terms: Option<Terms>,
    /// Injections of faults, in the order of the scenario.
    pub injections: Vec<Injection>,
}

impl Plan {
    /// Reads the text of a plan; `file` is its name in errors.
    ///
    /// # Errors
    /// [`ReadError`]: a line that isn't one of a plan, something twice, a level of an unknown template, a
    /// workflow of an unknown level, a plan without a level.
    pub fn parse(file: &str, text: &str) -> Result<Self, ReadError> {
        let mut plan = Self::default();
        let mut seen = BTreeSet::new();
        for (number, line) in jsonl::lines(text) {
            let line: Line = jsonl::parse(file, number, line)?;
            let (unique, known) = match &line {
                Line::Template(t) => (format!("template `{}`", t.name), true),
                Line::Level(l) => {
                    let mut named = l.mix.iter().map(|part| &part.template).chain([&l.template]);
                    (format!("level `{}`", l.name), named.all(|name| plan.template(name).is_some()))
                }
                Line::Workflow(w) => {
                    (format!("workflow {} of level `{}`", w.index, w.level), plan.level(&w.level).is_some())
                }
                Line::TaskRules(r) => (format!("the rules of task type `{}`", r.task_type), true),
                Line::Terms(_) => ("the terms of recovery".to_owned(), true),
                Line::Injection(i) => (
                    format!("injection {} of fault `{}`", i.injection, i.fault),
                    plan.level(&i.level).is_some(),
                ),
            };
            if !known {
                return Err(jsonl::bad(file, number, format!("{unique} belongs to nothing before it")));
            }
            if !seen.insert(unique.clone()) {
                return Err(jsonl::bad(file, number, format!("{unique} is there twice")));
            }
            match line {
                Line::Template(t) => plan.templates.push(t),
                Line::TaskRules(r) => plan.rules.push(r),
                Line::Level(l) => plan.levels.push(l),
                Line::Workflow(w) => plan.workflows.push(w),
                Line::Terms(t) => plan.terms = Some(t),
                Line::Injection(i) => plan.injections.push(i),
            }
        }
        if plan.levels.is_empty() {
            let problem = "it has no level, so nothing was planned".to_owned();
            return Err(ReadError::Whole { file: file.to_owned(), problem });
        }
        Ok(plan)
    }

    /// The template of a name.
    pub fn template(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|t| t.name == name)
    }

    /// The rules of a task type.
    pub fn rules(&self, task_type: &str) -> Option<&TaskRules> {
        self.rules.iter().find(|r| r.task_type == task_type)
    }

    /// The level of a name.
    pub fn level(&self, name: &str) -> Option<&Level> {
        self.levels.iter().find(|l| l.name == name)
    }
}
