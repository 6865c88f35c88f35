//! A Conductor definition as a template: which worker tasks it has and what each of them waits for.
//!
//! SIMPLE, FORK_JOIN and JOIN are understood. In this form a cycle of control can't be written, but a JOIN can
//! wait for something that never ends before it, and an expression can read a task that isn't finished yet;
//! both are refused, because a workflow that hangs is a bad place to learn of it.

mod graph;
mod reads;

use crate::durations::Durations;
use crate::plan::{Template, TemplateTask};
use graph::Graph;
use serde_json::Value;
use std::collections::BTreeSet;

/// Why a definition can't be made a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// Something that must be there isn't.
    #[error("{place} has no {what}; a Conductor workflow definition (schemaVersion 2) has one")]
    Missing {
        /// Where it was looked for.
        place: String,
        /// What was looked for.
        what: &'static str,
    },
    /// A reference name twice.
    #[error("two tasks are called `{0}`; give every task of the workflow its own taskReferenceName")]
    DuplicateReference(String),
    /// A task type that isn't understood here.
    #[error(
        "task `{reference}` is of type {kind}; SIMPLE, FORK_JOIN and JOIN can be measured, so replace it"
    )]
    UnknownType {
        /// The task.
        reference: String,
        /// Its type.
        kind: String,
    },
    /// A fork that nothing joins.
    #[error("fork `{0}` isn't followed by a JOIN; put one right after it in the same list of tasks")]
    ForkWithoutJoin(String),
    /// A join with nothing to join.
    #[error("join `{0}` doesn't follow a FORK_JOIN; put it right after one in the same list of tasks")]
    JoinWithoutFork(String),
    /// A fork without branches, or a branch without tasks.
    #[error("fork `{0}` has no branch or an empty one; give every branch of forkTasks a task")]
    EmptyBranch(String),
    /// A join that waits for nothing.
    #[error("join `{0}` waits for nothing; name the last task of every branch in joinOn")]
    JoinsNothing(String),
    /// A join that waits for a name that isn't there.
    #[error("join `{join}` waits for `{name}`, which no task is called; correct joinOn")]
    JoinsUnknown {
        /// The join.
        join: String,
        /// What it waits for.
        name: String,
    },
    /// A join that could never end.
    #[error("join `{join}` waits for `{name}`, which {why}, so neither could ever end; correct joinOn")]
    JoinsLater {
        /// The join.
        join: String,
        /// What it waits for.
        name: String,
        /// `is itself`, `comes after it`.
        why: &'static str,
    },
    /// An expression that names nothing.
    #[error("{task} reads `{expression}`, and no task is called `{name}`; correct the expression")]
    ReadsUnknown {
        /// Where the expression stands.
        task: String,
        /// The expression.
        expression: String,
        /// The name in it.
        name: String,
    },
    /// An expression that reads a task which isn't finished by then: a cycle, or a race, of data.
    #[error("task `{task}` reads `{expression}`, but `{name}` {why}; read a task that is finished by then")]
    ReadsTooEarly {
        /// The task.
        task: String,
        /// The expression.
        expression: String,
        /// The task in it.
        name: String,
        /// `is the task itself`, `comes after it (a cycle)`, `runs beside it (a race)`.
        why: &'static str,
    },
    /// Tasks of the definition that have no duration.
    #[error("the CSV of durations has no line for {0}; every worker task of the workflow needs one")]
    WithoutDuration(String),
    /// Lines of the CSV that the definition doesn't have.
    #[error("the CSV of durations has lines for {0}, which the workflow doesn't have; remove or rename them")]
    NotInDefinition(String),
    /// A reference whose task type differs.
    #[error(
        "`{reference}` is `{csv}` in the CSV of durations and `{definition}` in the workflow; make them agree"
    )]
    OtherTask {
        /// The reference.
        reference: String,
        /// Its task in the CSV.
        csv: String,
        /// Its name in the definition.
        definition: String,
    },
    /// Orders that differ.
    #[error(
        "`{reference}` waits for {definition} in the workflow and for {csv} in column `{column}`; make them agree"
    )]
    OtherOrder {
        /// The reference.
        reference: String,
        /// All that it waits for, directly or not, by the definition.
        definition: String,
        /// The same by the CSV.
        csv: String,
        /// The column.
        column: String,
    },
}

/// The template of a definition whose worker tasks are exactly the rows of `durations`.
///
/// When the durations carry an after column, both must ask for the same order: the same set of tasks before
/// each task, directly or not.
///
/// # Errors
/// [`DefinitionError`]: a definition that can't be run or measured, or that the CSV disagrees with.
pub fn template(definition: &Value, durations: &Durations) -> Result<Template, DefinitionError> {
    let graph = Graph::read(definition)?;
    let known: BTreeSet<&str> = graph.worker_tasks().map(|t| t.reference).collect();
    let extra: Vec<&str> =
        durations.rows.iter().map(|r| r.reference.as_str()).filter(|r| !known.contains(r)).collect();
    if !extra.is_empty() {
        return Err(DefinitionError::NotInDefinition(listed(extra)));
    }
    let template = build(&graph, durations)?;
    check_order(&template, durations)?;
    Ok(template)
}

/// The template of a definition that uses only some of the rows of `durations`, in an order of its own.
///
/// # Errors
/// [`DefinitionError`]: as [`template`], but rows that the definition doesn't have and the after column are
/// left alone.
pub fn template_of_part(definition: &Value, durations: &Durations) -> Result<Template, DefinitionError> {
    build(&Graph::read(definition)?, durations)
}

fn build(graph: &Graph<'_>, durations: &Durations) -> Result<Template, DefinitionError> {
    let missing: Vec<&str> =
        graph.worker_tasks().map(|t| t.reference).filter(|r| durations.row(r).is_none()).collect();
    if !missing.is_empty() {
        return Err(DefinitionError::WithoutDuration(listed(missing)));
    }
    let mut tasks = Vec::new();
    for task in graph.worker_tasks() {
        let Some(row) = durations.row(task.reference) else { continue };
        if row.task != task.name {
            return Err(DefinitionError::OtherTask {
                reference: task.reference.to_owned(),
                csv: row.task.clone(),
                definition: task.name.to_owned(),
            });
        }
        tasks.push(TemplateTask {
            reference: task.reference.to_owned(),
            task_type: task.name.to_owned(),
            title: row.title.clone(),
            pool: row.agent.clone(),
            nominal_s: row.duration_s,
            after: task.after.iter().map(|r| (*r).to_owned()).collect(),
            steps_s: row.steps_s.clone(),
            carries: reads::carried_nonces(task.inputs),
        });
    }
    let mut template = Template { name: graph.name.to_owned(), tasks, critical_path_s: 0.0 };
    template.critical_path_s = template.critical_path(|task| task.nominal_s);
    Ok(template)
}

fn check_order(template: &Template, durations: &Durations) -> Result<(), DefinitionError> {
    let Some(column) = &durations.after_column else { return Ok(()) };
    let by_csv = |reference: &str| durations.row(reference).map_or(&[][..], |row| row.after.as_slice());
    for task in &template.tasks {
        let definition = template.ancestors(&task.reference);
        let csv = all_before(&task.reference, by_csv);
        if definition != csv.iter().map(String::as_str).collect() {
            return Err(DefinitionError::OtherOrder {
                reference: task.reference.clone(),
                definition: listed(definition),
                csv: listed(csv.iter().map(String::as_str)),
                column: column.clone(),
            });
        }
    }
    Ok(())
}

fn all_before<'a>(reference: &str, after: impl Fn(&str) -> &'a [String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = after(reference).to_vec();
    while let Some(next) = open.pop() {
        open.extend_from_slice(after(&next));
        found.insert(next);
        open.retain(|r| !found.contains(r));
    }
    found
}

fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{n}`")).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
