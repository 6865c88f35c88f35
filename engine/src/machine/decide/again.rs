//! Doing again what ended: retry what failed, rerun a part, restart the whole.

use super::control::{find, refuse};
use super::draft::Draft;
use super::records::{Attempt, schedule_as};
use super::start::{definitions, registered, with_template};
use super::{child, flow};
use crate::machine::bounds;
use crate::machine::command::Rerun;
use crate::machine::event::{Event, SnapshotNumber, Start, TaskChange, WorkflowChange};
use crate::machine::id::WorkflowId;
use crate::machine::payload::Payload;
use crate::machine::rejection::Rejection;
use crate::machine::snapshot::{NodeIndex, Snapshot};
use crate::machine::state::State;
use crate::machine::status::WorkflowStatus;
use crate::machine::workflow::{Task, Workflow};
use std::collections::BTreeSet;
use std::sync::Arc;

const ENDED: &str = "ended";

pub fn retry(
    state: &State,
    id: WorkflowId,
    resume_children: bool,
    now: u64,
) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    let (mut events, draft) = retried(state, workflow, resume_children, now)?;
    events.extend(child::revive_above(state, &draft.workflow, now));
    events.splice(..0, draft.into_events());
    Ok(events)
}

/// The retry of a workflow, and before it the events of its children that go on.
fn retried<'s>(
    state: &'s State,
    workflow: &Workflow,
    resume_children: bool,
    now: u64,
) -> Result<(Vec<Event>, Draft<'s>), Rejection> {
    let id = workflow.id;
    if !workflow.status.is_terminal() {
        return Err(refuse(workflow, "retry", "FAILED, TIMED_OUT or TERMINATED"));
    }
    let is_failed = |task: &&Arc<Task>| task.status.is_terminal() && !task.status.is_success();
    let nodes = 0..workflow.snapshot.nodes.len() as u32;
    let failed: Vec<_> = nodes.filter_map(|node| workflow.latest(node)).filter(is_failed).collect();
    if failed.is_empty() && workflow.status != WorkflowStatus::TimedOut {
        let message =
            format!("workflow {id} has no task that failed or was canceled, so there is nothing to retry");
        return Err(Rejection::Conflict(message));
    }
    let mut draft = Draft::new(state, workflow.clone(), now);
    draft.change(WorkflowChange::Retried);
    let mut events = Vec::new();
    for task in failed.iter().filter(|_| resume_children) {
        let child = task.child.and_then(|child| state.workflow(child.id));
        // A child with nothing to retry is started anew, like one that is not to go on.
        if let Some(Ok((below, child))) = child.map(|child| retried(state, child, true, now)) {
            events.extend(below);
            events.extend(child.into_events());
            draft.change_task(task.seq, TaskChange::Reopened);
        }
    }
    flow::retry_failed(&mut draft);
    Ok((events, draft))
}

pub fn restart(state: &State, id: WorkflowId, latest: bool, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    if !workflow.status.is_terminal() {
        return Err(refuse(workflow, "restart", ENDED));
    }
    let def = &workflow.snapshot.def;
    if workflow.status == WorkflowStatus::Completed && !def.restartable {
        let (name, version) = (&def.name, def.version);
        let message = format!(
            "workflow {id} is COMPLETED, and its definition {name}.{version} says that it is not restartable"
        );
        return Err(Rejection::Conflict(message));
    }
    let (events, number, snapshot) = if latest {
        definitions(state, &registered(state, &def.name, None)?.def, false)
    } else {
        (Vec::new(), workflow.snapshot_number, Arc::clone(&workflow.snapshot))
    };
    let start = with_template((*workflow.start).clone(), &snapshot);
    Ok(begin_anew(state, events, workflow, (number, snapshot), start, now))
}

fn begin_anew(
    state: &State,
    mut events: Vec<Event>,
    workflow: &Workflow,
    (number, snapshot): (SnapshotNumber, Arc<Snapshot>),
    start: Start,
    now: u64,
) -> Vec<Event> {
    let anew = workflow.restarted(now, number, snapshot, start.clone());
    let start = Box::new(start);
    events.push(Event::WorkflowRestarted { at: now, id: workflow.id, snapshot: number, start });
    let mut draft = Draft::new(state, anew, now);
    flow::begin(&mut draft);
    let above = child::revive_above(state, &draft.workflow, now);
    events.extend(draft.into_events());
    events.extend(above);
    events
}

pub fn rerun(state: &State, rerun: Rerun, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, rerun.id)?;
    if !workflow.status.is_terminal() {
        return Err(refuse(workflow, "rerun", ENDED));
    }
    if let Some(input) = &rerun.workflow_input {
        bounds::check_payload("workflowInput", input)?;
    }
    if let Some(input) = &rerun.task_input {
        bounds::check_payload("taskInput", input)?;
    }
    let (input, correlation_id) = (rerun.workflow_input, rerun.correlation_id);
    let Some(from) = rerun.from else {
        let old = &workflow.start;
        let input = input.unwrap_or_else(|| old.input.clone());
        let correlation_id = correlation_id.or_else(|| old.correlation_id.clone());
        let start = Start { input, correlation_id, ..(**old).clone() };
        let definitions = (workflow.snapshot_number, Arc::clone(&workflow.snapshot));
        return Ok(begin_anew(state, Vec::new(), workflow, definitions, start, now));
    };
    let missing = || Rejection::Invalid(format!("workflow {} has no task {from} to rerun from", rerun.id));
    let workflow = state.workflow(from.workflow).filter(|workflow| is_below(state, workflow, rerun.id));
    let workflow = workflow.ok_or_else(missing)?;
    if !workflow.status.is_terminal() {
        return Err(refuse(workflow, "rerun", ENDED));
    }
    let node = workflow.task(from.sequence).ok_or_else(missing)?.node;
    let mut draft = Draft::new(state, workflow.clone(), now);
    draft.change(WorkflowChange::Retried);
    if input.is_some() || correlation_id.is_some() {
        draft.change(WorkflowChange::Relabeled { input, correlation_id });
    }
    rerun_from(&mut draft, node, rerun.task_input);
    let above = child::revive_above(state, &draft.workflow, now);
    let mut events = draft.into_events();
    events.extend(above);
    Ok(events)
}

/// True for a workflow and those that do its tasks, at any depth.
fn is_below(state: &State, workflow: &Workflow, id: WorkflowId) -> bool {
    let mut lowest = Some(workflow);
    while let Some(workflow) = lowest {
        if workflow.id == id {
            return true;
        }
        lowest = workflow.start.parent.and_then(|link| state.workflow(link.workflow));
    }
    false
}

/// Does a node and all that follows from it anew. What runs beside it stays as it is, or is retried if it failed
/// or was canceled; joins that wait for it wait again.
fn rerun_from(draft: &mut Draft, node: NodeIndex, input: Option<Payload>) {
    let (anew, joins) = downstream(&draft.workflow.snapshot, node);
    let records = draft.workflow.tasks.iter().filter(|task| anew.contains(&task.node));
    let seqs = records.map(|task| task.seq).collect();
    draft.change(WorkflowChange::RecordsRemoved { seqs });
    for join in joins {
        if let Some(seq) = draft.workflow.latest(join).map(|task| task.seq) {
            draft.change_task(seq, TaskChange::Reopened);
        }
    }
    schedule_as(draft, node, Attempt { input, ..Attempt::first(draft.now) });
    flow::retry_failed(draft);
}

/// The nodes that follow from `node`, itself included, and the joins of the forks around it.
fn downstream(snapshot: &Snapshot, node: NodeIndex) -> (BTreeSet<NodeIndex>, Vec<NodeIndex>) {
    let (mut after, mut joins) = (BTreeSet::new(), Vec::new());
    let mut next = Some(node);
    let mut around = snapshot.node(node).within;
    loop {
        while let Some(index) = next {
            after.insert(index);
            next = snapshot.node(index).next;
        }
        let Some(fork) = around else { break };
        let join = snapshot.node(fork).next;
        joins.extend(join);
        next = join.and_then(|join| snapshot.node(join).next);
        around = snapshot.node(fork).within;
    }
    // Children stand behind their fork, so one pass finds them at any depth.
    for (inner, index) in snapshot.nodes.iter().zip(0..) {
        if inner.within.is_some_and(|fork| after.contains(&fork)) {
            after.insert(index);
        }
    }
    (after, joins)
}
