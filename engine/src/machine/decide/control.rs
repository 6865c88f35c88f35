//! Pausing, resuming, ending and retrying a workflow.

use super::draft::Draft;
use super::flow;
use crate::machine::event::{Event, WorkflowChange};
use crate::machine::id::{WorkflowId, mix};
use crate::machine::rejection::Rejection;
use crate::machine::state::State;
use crate::machine::status::WorkflowStatus;
use crate::machine::workflow::Workflow;
use std::sync::Arc;

fn find(state: &State, id: WorkflowId) -> Result<&Workflow, Rejection> {
    state.workflow(id).ok_or_else(|| Rejection::no_workflow(id))
}

fn refuse(workflow: &Workflow, to_do: &str, allowed: &str) -> Rejection {
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
    let mut draft = Draft::new(workflow.clone(), now);
    draft.change(WorkflowChange::Resumed);
    flow::catch_up(&mut draft, mix(now));
    Ok(draft.into_events())
}

pub fn terminate(
    state: &State,
    id: WorkflowId,
    reason: Option<Arc<str>>,
    now: u64,
) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    match workflow.status {
        WorkflowStatus::Terminated => Ok(Vec::new()),
        WorkflowStatus::Completed => Err(refuse(workflow, "terminate", "open, FAILED or TIMED_OUT")),
        _ => {
            let mut draft = Draft::new(workflow.clone(), now);
            flow::end(&mut draft, WorkflowStatus::Terminated, reason);
            Ok(draft.into_events())
        }
    }
}

pub fn retry(state: &State, id: WorkflowId, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = find(state, id)?;
    if !workflow.status.is_terminal() {
        return Err(refuse(workflow, "retry", "FAILED, TIMED_OUT or TERMINATED"));
    }
    let mut nodes = 0..workflow.snapshot.nodes.len() as u32;
    let failed = nodes.any(|node| {
        workflow.latest(node).is_some_and(|task| task.status.is_terminal() && !task.status.is_success())
    });
    if !failed && workflow.status != WorkflowStatus::TimedOut {
        let message =
            format!("workflow {id} has no task that failed or was canceled, so there is nothing to retry");
        return Err(Rejection::Conflict(message));
    }
    let mut draft = Draft::new(workflow.clone(), now);
    draft.change(WorkflowChange::Retried);
    flow::retry_failed(&mut draft);
    Ok(draft.into_events())
}
