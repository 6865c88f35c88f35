//! Starting a workflow.

use super::draft::{Draft, fill_from_template};
use super::flow;
use crate::machine::bounds;
use crate::machine::catalogue::Registered;
use crate::machine::command::StartWorkflow;
use crate::machine::definition::{TaskDef, WorkflowDef};
use crate::machine::event::{Event, SnapshotNumber, Start};
use crate::machine::id::{WorkflowId, mix};
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
    let id = unused_id(state, now, request.seed);
    let (mut events, number, snapshot) = match &request.inline {
        Some(def) => {
            validate::inline_workflow_def(def)?;
            definitions(state, def, true)
        }
        None => definitions(state, &registered(state, &request.name, request.version)?.def, false),
    };
    let start = with_template(request.start, &snapshot);
    let workflow = Workflow::started(now, id, number, snapshot, start.clone());
    events.push(Event::WorkflowStarted { at: now, id, snapshot: number, start: Box::new(start) });
    let mut draft = Draft::new(state, workflow, now);
    flow::begin(&mut draft);
    events.extend(draft.into_events());
    Ok(events)
}

/// The snapshot to run under: the current one, or a new one with the event that keeps it.
pub fn definitions(
    state: &State,
    def: &WorkflowDef,
    inline: bool,
) -> (Vec<Event>, SnapshotNumber, Arc<Snapshot>) {
    let current = state.catalogue().current(&def.name, def.version).filter(|_| !inline);
    if let Some((number, snapshot)) = current.and_then(|number| Some((number, state.snapshot(number)?))) {
        return (Vec::new(), number, Arc::clone(snapshot));
    }
    let number = state.catalogue().next_snapshot();
    let task_defs: BTreeMap<String, TaskDef> = Snapshot::simple_names(def)
        .into_iter()
        .filter_map(|name| Some((name.clone(), state.catalogue().task_def(&name)?.def.as_ref().clone())))
        .collect();
    let snapshot = Arc::new(Snapshot::new(def.clone(), task_defs.clone()));
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

/// An id that no workflow has. The seed is random, so the loop is for the sake of certainty.
fn unused_id(state: &State, now: u64, seed: u64) -> WorkflowId {
    let mut seed = seed;
    loop {
        let id = WorkflowId::new(now, seed);
        if state.workflow(id).is_none() {
            return id;
        }
        seed = mix(seed);
    }
}

pub fn with_template(start: Start, snapshot: &Snapshot) -> Start {
    let template = &snapshot.def.input_template;
    if template.is_empty() {
        return start;
    }
    Start { input: fill_from_template(start.input.object(), template).into(), ..start }
}
