//! What happens when timers fall due.

use super::draft::Draft;
use super::flow;
use crate::machine::deadline::{self, Limit};
use crate::machine::definition::TimeoutPolicy;
use crate::machine::event::{Event, TaskChange};
use crate::machine::id::{WorkflowId, mix};
use crate::machine::state::State;
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::workflow::Task;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Fires what is due, workflow by workflow: each is decided once, on a state that shows all its expiries.
pub fn fire(state: &State, limit: usize, now: u64) -> Vec<Event> {
    let due = state.indexes().due(now).take(limit).map(|(_, id, _)| id);
    let workflows: BTreeSet<WorkflowId> = due.collect();
    let expired = workflows.into_iter().filter_map(|id| {
        let mut draft = Draft::new(state, state.workflow(id)?.clone(), now);
        expire(&mut draft);
        Some(draft.into_events())
    });
    expired.flatten().collect()
}

/// Ends what is out of time.
pub fn expire(draft: &mut Draft) {
    let now = draft.now;
    if deadline::of_workflow(&draft.workflow).is_some_and(|at| at <= now) {
        let limit = draft.workflow.snapshot.def.timeout_seconds.ms() / 1000;
        let reason = format!("workflow timed out: it did not end within its timeoutSeconds ({limit})");
        flow::end(draft, WorkflowStatus::TimedOut, Some(reason.into()));
        return;
    }
    let open: Vec<u32> = draft.workflow.open_tasks().map(|task| task.seq).collect();
    for seq in open {
        if draft.workflow.status == WorkflowStatus::Running {
            expire_task(draft, seq, now);
        }
    }
}

fn expire_task(draft: &mut Draft, seq: u32, now: u64) {
    let Some(task) = draft.workflow.task(seq).cloned() else { return };
    let expired =
        deadline::limits(&draft.workflow, &task).filter(|(at, _, _)| *at <= now).min_by_key(|(at, ..)| *at);
    let wakes_at = deadline::wakes_at(&draft.workflow, &task).filter(|at| *at <= now);
    if let Some(at) = wakes_at
        && expired.is_none_or(|(limit_at, ..)| at <= limit_at)
    {
        return wake(draft, &task);
    }
    let Some((_, limit, policy)) = expired else { return };
    let reason = Some(reason(draft, &task, limit));
    let status = TaskStatus::TimedOut;
    draft.change_task(seq, TaskChange::Ended { status, worker: None, output: None, reason });
    if policy == TimeoutPolicy::TimeOutWf {
        let Some(task) = draft.workflow.task(seq).cloned() else { return };
        flow::fail_by(draft, &task, WorkflowStatus::TimedOut);
    } else {
        // A timer has no command that brings random bits; the instant and the record do as well.
        flow::after_failure(draft, seq, mix(now ^ u64::from(seq)));
    }
}

/// A WAIT whose delay is over begins; one whose wait is over is done.
fn wake(draft: &mut Draft, task: &Task) {
    if task.status == TaskStatus::Scheduled {
        draft.change_task(task.seq, TaskChange::Started { worker: None });
    } else {
        let status = TaskStatus::Completed;
        draft.change_task(task.seq, TaskChange::Ended { status, worker: None, output: None, reason: None });
        flow::advance(draft);
    }
}

fn reason(draft: &Draft, task: &Task, limit: Limit) -> Arc<str> {
    let node = draft.workflow.node(task);
    let Some(def) = node.def.as_deref() else { return "timed out".into() };
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let name = &node.task.task_reference_name;
    match limit {
        Limit::Response => format!(
            "responseTimeout: {} s passed without a sign of life from the worker of '{name}'",
            seconds(def.response_timeout_seconds.ms())
        ),
        Limit::Attempt => {
            format!(
                "timeout: '{name}' did not end within its timeoutSeconds ({})",
                seconds(def.timeout_seconds.ms())
            )
        }
        Limit::Poll => format!(
            "pollTimeout: no worker polled '{name}' for {} s",
            seconds(def.poll_timeout_seconds.unwrap_or_default().ms())
        ),
        Limit::Total => format!(
            "totalTimeout: the attempts at '{name}' took longer than {} s together",
            seconds(def.total_timeout_seconds.ms())
        ),
    }
    .into()
}
