//! Workflows that do a task of another: their start, and what is above them when they are taken up again.

use super::draft::Draft;
use super::flow;
use super::start::{definitions, registered, with_template};
use crate::machine::bounds::{MAX_CHILD_DEPTH, check_payload};
use crate::machine::definition::{SubWorkflowParam, WorkflowDef};
use crate::machine::event::{Event, Parent, SnapshotNumber, Start, TaskChange, WorkflowChange};
use crate::machine::snapshot::Snapshot;
use crate::machine::state::State;
use crate::machine::status::TaskStatus;
use crate::machine::validate;
use crate::machine::workflow::{Task, Workflow};
use serde_json::Value;
use std::sync::Arc;

/// Starts the workflow that does the record `seq`; a record whose workflow can't be started fails.
pub fn start(state: &State, parent: &Workflow, seq: u32, now: u64) -> Vec<Event> {
    let Some(task) = parent.task(seq) else { return Vec::new() };
    let mut above = Draft::new(state, parent.clone(), now);
    match prepare(&above, task) {
        Err(why) => {
            let (status, reason) = (TaskStatus::Failed, Some(why.into()));
            above.change_task(seq, TaskChange::Ended { status, worker: None, output: None, reason });
            flow::after_failure(&mut above, seq, parent.id.task(seq).seed());
            above.into_events()
        }
        Ok((mut events, (number, snapshot), start)) => {
            // The id follows from the record, whose number is never used twice.
            let id = state.unused_id(now, parent.id.task(seq).seed());
            above.change_task(seq, TaskChange::ChildStarted { child: id });
            events.extend(above.into_events());
            let child = Workflow::started(now, id, number, snapshot, start.clone());
            events.push(Event::WorkflowStarted { at: now, id, snapshot: number, start: Box::new(start) });
            let mut below = Draft::new(state, child, now);
            flow::begin(&mut below);
            events.extend(below.into_events());
            events
        }
    }
}

type Prepared = (Vec<Event>, (SnapshotNumber, Arc<Snapshot>), Start);

fn prepare(above: &Draft, task: &Task) -> Result<Prepared, String> {
    let (parent, state) = (&above.workflow, above.state);
    let param = parent.node(task).task.sub_workflow_param.as_deref();
    let param = param.ok_or("the task has no subWorkflowParam")?;
    let depth = parent.start.parent.map_or(0, |link| link.depth) + 1;
    if depth > MAX_CHILD_DEPTH {
        return Err(format!("sub-workflows are nested deeper than {MAX_CHILD_DEPTH} levels"));
    }
    let (events, number, snapshot) = match inline(above, param)? {
        Some(def) => definitions(state, &def, true),
        None => {
            let name = above.evaluate_one(&Value::from(param.name.clone()));
            let name = name.as_str().filter(|name| !name.is_empty());
            let name = name.ok_or("subWorkflowParam.name gives no name")?;
            let version = param.version.filter(|version| *version > 0);
            let found = registered(state, name, version).map_err(|refusal| refusal.to_string())?;
            definitions(state, &found.def, false)
        }
    };
    let input = task.input.clone();
    check_payload("the sub-workflow's input", &input).map_err(|refusal| refusal.to_string())?;
    let start = Start {
        input,
        correlation_id: parent.start.correlation_id.clone(),
        priority: priority(above, param)?,
        created_by: parent.start.created_by.clone(),
        task_to_domain: param.task_to_domain.clone().unwrap_or_else(|| parent.start.task_to_domain.clone()),
        parent: Some(Parent { workflow: parent.id, seq: task.seq, depth }),
        ..Start::default()
    };
    Ok((events, (number, Arc::clone(&snapshot)), with_template(start, &snapshot)))
}

/// The definition that the task brings along, if it does.
fn inline(above: &Draft, param: &SubWorkflowParam) -> Result<Option<WorkflowDef>, String> {
    let Some(given) = param.workflow_definition.as_ref().filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    // Expressions inside a definition are its own; only a definition that is one is looked up here.
    let given = if given.is_string() { above.evaluate_one(given) } else { given.clone() };
    let unusable = |why: String| format!("subWorkflowParam.workflowDefinition is not usable: {why}");
    let def: WorkflowDef = serde_json::from_value(given).map_err(|error| unusable(error.to_string()))?;
    validate::inline_workflow_def(&def).map_err(|refusal| unusable(refusal.to_string()))?;
    Ok(Some(def))
}

fn priority(above: &Draft, param: &SubWorkflowParam) -> Result<u8, String> {
    let given = param.priority.as_ref().map(|given| above.evaluate_one(given));
    let Some(given) = given.filter(|given| !given.is_null() && *given != "") else {
        return Ok(above.workflow.start.priority);
    };
    let number = given.as_u64().or_else(|| given.as_str()?.parse().ok());
    let usable = number.and_then(|number| u8::try_from(number).ok()).filter(|number| *number <= 99);
    usable.ok_or_else(|| format!("subWorkflowParam.priority is {given}, it must be 0 to 99"))
}

/// Takes up again what is above a workflow that is taken up again: its record waits for it as before, and what was
/// canceled or failed beside it is retried. A parent whose record went on without the child is left alone.
pub fn revive_above(state: &State, child: &Workflow, now: u64) -> Vec<Event> {
    let Some(link) = child.start.parent else { return Vec::new() };
    let Some(parent) = state.workflow(link.workflow).filter(|parent| parent.status.is_terminal()) else {
        return Vec::new();
    };
    let waits_again = |task: &&Arc<Task>| {
        let is_its = task.child.is_some_and(|known| known.id == child.id);
        is_its && !task.retried && task.status.is_terminal() && !task.status.is_success()
    };
    let Some(task) = parent.task(link.seq).filter(waits_again) else { return Vec::new() };
    let mut draft = Draft::new(state, parent.clone(), now);
    draft.change(WorkflowChange::Retried);
    draft.change_task(task.seq, TaskChange::Reopened);
    flow::retry_failed(&mut draft);
    let above = revive_above(state, &draft.workflow, now);
    let mut events = draft.into_events();
    events.extend(above);
    events
}
