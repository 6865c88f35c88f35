//! Registering definitions.

use crate::machine::definition::{TaskDef, WorkflowDef};
use crate::machine::event::Event;
use crate::machine::rejection::{Rejection, Violation};
use crate::machine::state::State;
use crate::machine::validate;

pub fn save_task_defs(defs: Vec<TaskDef>, now: u64) -> Result<Vec<Event>, Rejection> {
    if defs.is_empty() {
        return Err(Rejection::Violations(vec![Violation::new("taskDefs", "must hold a definition", "[]")]));
    }
    defs.iter().try_for_each(validate::task_def)?;
    Ok(vec![Event::TaskDefsSaved { at: now, defs }])
}

pub fn update_task_def(state: &State, def: TaskDef, now: u64) -> Result<Vec<Event>, Rejection> {
    validate::task_def(&def)?;
    if state.catalogue().task_def(&def.name).is_none() {
        return Err(Rejection::NotFound(format!(
            "No such task by name {}; register it by POST first",
            def.name
        )));
    }
    Ok(vec![Event::TaskDefsSaved { at: now, defs: vec![def] }])
}

pub fn save_workflow_def(
    state: &State,
    def: Box<WorkflowDef>,
    overwrite: bool,
    now: u64,
) -> Result<Vec<Event>, Rejection> {
    validate::workflow_def(&def)?;
    if !overwrite && state.catalogue().workflow_def(&def.name, Some(def.version)).is_some() {
        let message = format!(
            "Workflow with {}.{} already exists; register it with overwrite=true or under a new version",
            def.name, def.version
        );
        return Err(Rejection::Conflict(message));
    }
    Ok(vec![Event::WorkflowDefSaved { at: now, def }])
}

/// What runs has its own copy of the definition; only what starts later lacks it.
pub fn remove_task_def(state: &State, name: String, now: u64) -> Result<Vec<Event>, Rejection> {
    if state.catalogue().task_def(&name).is_none() {
        return Err(Rejection::NotFound(format!("No such task definition: {name}")));
    }
    Ok(vec![Event::TaskDefRemoved { at: now, name }])
}

pub fn remove_workflow_def(
    state: &State,
    name: String,
    version: i64,
    now: u64,
) -> Result<Vec<Event>, Rejection> {
    if state.catalogue().workflow_def(&name, Some(version)).is_none() {
        return Err(Rejection::NotFound(format!("No such workflow definition: {name} version: {version}")));
    }
    Ok(vec![Event::WorkflowDefRemoved { at: now, name, version }])
}
