//! Starting a workflow.

use super::draft::{Draft, fill_from_template};
use super::flow;
use crate::machine::bounds;
use crate::machine::catalogue::Registered;
use crate::machine::command::{KeyTaken, StartWorkflow};
use crate::machine::definition::{TaskDef, WorkflowDef};
use crate::machine::event::{Event, SnapshotNumber, Start};
use crate::machine::rejection::Rejection;
use crate::machine::snapshot::Snapshot;
use crate::machine::state::State;
use crate::machine::validate;
use crate::machine::workflow::Workflow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The highest priority that Conductor knows.
const MAX_PRIORITY: u8 = 99;

pub fn start(state: &State, request: StartWorkflow, now: u64) -> Result<Vec<Event>, Rejection> {
    if request.start.priority > MAX_PRIORITY {
        return Err(Rejection::Invalid(format!(
            "priority is {}, it must be 0 to 99",
            request.start.priority
        )));
    }
    bounds::check_payload("input", &request.start.input)?;
    if let Some(taken) = key_taken(state, &request)? {
        return Ok(taken);
    }
    let id = state.unused_id(now, request.seed);
    let (mut events, number, snapshot) = match &request.inline {
        Some(def) => {
            validate::inline_workflow_def(def)?;
            definitions(state, def, true)
        }
        None => definitions(state, &registered(state, &request.name, request.version)?.def, false),
    };
    children_exist(state, &snapshot)?;
    let start = with_template(request.start, &snapshot);
    let workflow = Workflow::started(now, id, number, snapshot, start.clone());
    events.push(Event::WorkflowStarted { at: now, id, snapshot: number, start: Box::new(start) });
    let mut draft = Draft::new(state, workflow, now);
    flow::begin(&mut draft);
    events.extend(draft.into_events());
    Ok(events)
}

/// What becomes of a start whose key another workflow has: nothing happens, or it is refused. `None` = it goes on.
fn key_taken(state: &State, request: &StartWorkflow) -> Result<Option<Vec<Event>>, Rejection> {
    let name = request.inline.as_ref().map_or(&request.name, |def| &def.name);
    let key = request.start.idempotency_key.as_deref();
    let Some((key, other)) = key.and_then(|key| Some((key, state.keyed(name, key)?))) else {
        return Ok(None);
    };
    let (id, status) = (other.id, other.status);
    match request.taken {
        KeyTaken::ReturnExisting => Ok(Some(Vec::new())),
        KeyTaken::FailOnRunning if status.is_terminal() => Ok(None),
        KeyTaken::Fail | KeyTaken::FailOnRunning => {
            let status = status.name();
            let message =
                format!("workflow {id} ({status}) of {name} has the idempotencyKey '{key}' already");
            Err(Rejection::Conflict(message))
        }
    }
}

/// A workflow whose children nobody registered is not begun.
fn children_exist(state: &State, snapshot: &Snapshot) -> Result<(), Rejection> {
    let params = snapshot.nodes.iter().filter_map(|node| node.task.sub_workflow_param.as_deref());
    for param in params.filter(|param| param.workflow_definition.is_none()) {
        if let Some(name) = param.name.as_deref().filter(|name| !name.contains("${")) {
            registered(state, name, param.version.filter(|version| *version > 0))?;
        }
    }
    Ok(())
}

/// The snapshot to run under: the current one, one that is equal, or a new one with the event that keeps it.
pub fn definitions(
    state: &State,
    def: &WorkflowDef,
    inline: bool,
) -> (Vec<Event>, SnapshotNumber, Arc<Snapshot>) {
    let current = state.catalogue().current(&def.name, def.version).filter(|_| !inline);
    if let Some((number, snapshot)) = current.and_then(|number| Some((number, state.snapshot(number)?))) {
        return (Vec::new(), number, Arc::clone(snapshot));
    }
    let task_defs: BTreeMap<String, TaskDef> = Snapshot::task_names(def)
        .into_iter()
        .filter_map(|name| Some((name.clone(), state.catalogue().task_def(&name)?.def.as_ref().clone())))
        .collect();
    let mut snapshot = Arc::new(Snapshot::new(def.clone(), task_defs.clone()));
    let mut number = state.catalogue().next_snapshot();
    if let Some((known, equal)) = state.snapshot_like(&snapshot) {
        (number, snapshot) = (known, Arc::clone(equal));
        if inline {
            return (Vec::new(), number, snapshot);
        }
    }
    // Said of a known one, this makes it the current one again.
    let kept = Event::DefinitionsKept { number, def: Box::new(def.clone()), task_defs, inline };
    (vec![kept], number, snapshot)
}

pub fn registered<'a>(
    state: &'a State,
    name: &str,
    version: Option<i64>,
) -> Result<&'a Registered<WorkflowDef>, Rejection> {
    state.catalogue().workflow_def(name, version).ok_or_else(|| {
        let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        Rejection::NotFound(format!("No such workflow found by name: {name}, version: {version}"))
    })
}

pub fn with_template(start: Start, snapshot: &Snapshot) -> Start {
    let template = &snapshot.def.input_template;
    if template.is_empty() {
        return start;
    }
    Start { input: fill_from_template(start.input.object(), template).into(), ..start }
}
