//! Pausing, resuming, ending and removing a workflow, and passing over its tasks.

use super::draft::Draft;
use super::flow::End;
use super::records::{Attempt, make_record};
use super::{flow, settle, timers};
use crate::machine::bounds;
use crate::machine::command::{OpenWorkflow, Skip};
use crate::machine::definition::Kind;
use crate::machine::event::{Event, TaskChange, WorkflowChange};
use crate::machine::id::{WorkflowId, mix};
use crate::machine::rejection::Rejection;
use crate::machine::state::State;
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::workflow::Workflow;
use std::sync::Arc;

pub fn find(state: &State, id: WorkflowId) -> Result<&Workflow, Rejection> {
    state.workflow(id).ok_or_else(|| Rejection::no_workflow(id))
}

pub fn refuse(workflow: &Workflow, to_do: &str, allowed: &str) -> Rejection {
    let status = workflow.status.name();
    Rejection::Conflict(format!("cannot {to_do} workflow {}: it is {status}, not {allowed}", workflow.id))
}

pub fn pause(state: &State, id: WorkflowId, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    match workflow.status {
        WorkflowStatus::Paused => Ok(Vec::new()),
        WorkflowStatus::Running => {
            let change = WorkflowChange::Paused;
            Ok(vec![Event::Workflow { at: now, id, change }])
        }
        _ => Err(refuse(workflow, "pause", "RUNNING")),
    }
}

pub fn resume(state: &State, id: WorkflowId, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    if workflow.status != WorkflowStatus::Paused {
        return Err(refuse(workflow, "resume", "PAUSED"));
    }
    let mut draft = Draft::new(state, workflow.clone(), now);
    draft.change(WorkflowChange::Resumed);
    flow::catch_up(&mut draft, mix(now));
    Ok(draft.into_events())
}

pub fn terminate(
    state: &State,
    id: WorkflowId,
    reason: Option<Arc<str>>,
    alarm: bool,
    now: u64,
) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    match workflow.status {
        WorkflowStatus::Terminated => Ok(Vec::new()),
        WorkflowStatus::Completed => Err(refuse(workflow, "terminate", "open, FAILED or TIMED_OUT")),
        _ => {
            let mut draft = Draft::new(state, workflow.clone(), now);
            let status = WorkflowStatus::Terminated;
            flow::end_as(&mut draft, End { status, reason, failed_by: None, alarm });
            Ok(draft.into_events())
        }
    }
}

/// The record of a task that is passed over is there before the flow comes to it.
pub fn skip(state: &State, skip: Skip, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, skip.id)?;
    let reference = &skip.reference;
    if workflow.status != WorkflowStatus::Running {
        return Err(refuse(workflow, &format!("skip '{reference}' of"), "RUNNING"));
    }
    let missing = || Rejection::Invalid(format!("workflow {} has no task '{reference}' to skip", skip.id));
    let index = workflow.snapshot.find(reference).ok_or_else(missing)?;
    let node = workflow.snapshot.node(index);
    if node.kind == Kind::Fork {
        let message = format!("'{reference}' is a FORK_JOIN; skip the tasks of its branches instead");
        return Err(Rejection::Conflict(message));
    }
    if let Some(task) = workflow.latest(index) {
        let status = task.status.name();
        let message =
            format!("'{reference}' is {status} already; only a task not yet scheduled can be skipped");
        return Err(Rejection::Conflict(message));
    }
    let input = skip.input.unwrap_or_default();
    let output = skip.output;
    bounds::check_payload("taskInput", &input)?;
    output.as_ref().map_or(Ok(()), |output| bounds::check_payload("taskOutput", output))?;
    let mut draft = Draft::new(state, workflow.clone(), now);
    let attempt = Attempt { input: Some(input), skipped: true, ..Attempt::first(now) };
    let seq = draft.workflow.next_seq();
    make_record(&mut draft, index, attempt);
    if output.is_some() {
        let status = TaskStatus::Skipped;
        draft.change_task(seq, TaskChange::Ended { status, worker: None, output, reason: None });
    }
    Ok(draft.into_events())
}

/// What waits for the end of a retry's delay or of a callback can be polled at once.
pub fn reset_callbacks(state: &State, id: WorkflowId, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    if workflow.status.is_terminal() {
        return Err(refuse(workflow, "reset the callbacks of", "RUNNING or PAUSED"));
    }
    let waiting = workflow.open_tasks().filter(|task| {
        let queued = task.status == TaskStatus::Scheduled && workflow.node(task).kind == Kind::Simple;
        queued && task.delay_ms > 0
    });
    let ready = |seq| Event::Task { at: now, id, seq, change: TaskChange::MadeReady };
    Ok(waiting.map(|task| ready(task.seq)).collect())
}

/// Everything that follows has been decided with what it follows from, so this finds nothing unless a time-out
/// falls due now.
pub fn evaluate(state: &State, id: WorkflowId, now: u64) -> Result<Vec<Event>, Rejection> {
    let mut draft = Draft::new(state, find(state, id)?.clone(), now);
    timers::expire(&mut draft);
    if draft.workflow.status == WorkflowStatus::Running {
        flow::catch_up(&mut draft, mix(now));
    }
    Ok(draft.into_events())
}

pub fn remove(state: &State, id: WorkflowId, open: OpenWorkflow, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    let mut draft = Draft::new(state, workflow.clone(), now);
    if !workflow.status.is_terminal() {
        match open {
            OpenWorkflow::Terminate(reason) => {
                let status = WorkflowStatus::Terminated;
                flow::end_as(&mut draft, End { status, reason, failed_by: None, alarm: false });
            }
            OpenWorkflow::Refuse => {
                let status = workflow.status.name();
                let message = format!(
                    "cannot archive workflow {id}: it is {status}; terminate it first, or remove it with archiveWorkflow=false"
                );
                return Err(Rejection::Invalid(message));
            }
        }
    }
    // Afterwards nothing of it is there to tell anybody.
    let mut events = settle::all(state, &draft.workflow, now);
    events.splice(..0, draft.into_events());
    events.push(Event::WorkflowRemoved { at: now, id });
    Ok(events)
}
