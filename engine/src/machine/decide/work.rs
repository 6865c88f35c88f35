//! Handing tasks out and hearing what became of them.

use super::draft::Draft;
use super::flow;
use crate::machine::bounds::{self, MAX_LOG_CHARACTERS, MAX_LOGS_AT_ONCE};
use crate::machine::command::{ReferenceUpdate, Report, Signal, TaskUpdate};
use crate::machine::definition::{Kind, Object};
use crate::machine::event::{Event, LogEntry, TaskChange};
use crate::machine::id::TaskId;
use crate::machine::payload::Payload;
use crate::machine::rejection::Rejection;
use crate::machine::state::State;
use crate::machine::status::TaskStatus;
use crate::machine::workflow::{Task, Workflow};
use std::sync::Arc;

/// Characters that Conductor keeps of a reason.
const MAX_REASON_CHARACTERS: usize = 500;

pub fn poll(state: &State, queue: &str, worker: Option<&Arc<str>>, count: usize, now: u64) -> Vec<Event> {
    let started = || TaskChange::Started { worker: worker.cloned() };
    let ready = state.indexes().ready(queue, now, count.min(state.room(queue, now)));
    ready.map(|(id, seq)| Event::Task { at: now, id, seq, change: started() }).collect()
}

pub fn extend_lease(state: &State, task: TaskId, now: u64) -> Result<Vec<Event>, Rejection> {
    let (_, record) = state.task(task).ok_or_else(|| Rejection::no_task(task))?;
    if record.status != TaskStatus::InProgress {
        return Ok(Vec::new());
    }
    let change = TaskChange::LeaseExtended;
    Ok(vec![Event::Task { at: now, id: task.workflow, seq: task.sequence, change }])
}

/// A terminal task or workflow takes no update: it is answered as if it had, and nothing changes.
pub fn update(state: &State, update: TaskUpdate, now: u64) -> Result<Vec<Event>, Rejection> {
    bounds::check_payload("outputData", &update.output)?;
    let workflow = state.workflow(update.workflow).ok_or_else(|| Rejection::no_workflow(update.workflow))?;
    if update.task.workflow != update.workflow {
        return Err(Rejection::no_task(update.task));
    }
    let task = workflow.task(update.task.sequence).ok_or_else(|| Rejection::no_task(update.task))?;
    if workflow.status.is_terminal() || task.status.is_terminal() {
        return Ok(Vec::new());
    }
    // Only a worker's task can be given back to a queue.
    if update.report == Report::InProgress && workflow.node(task).kind != Kind::Simple {
        return Ok(Vec::new());
    }
    let (seq, seed) = (task.seq, update.seed);
    let logs = logged(update.task, &update.logs, now);
    let mut events = carry_on(state, workflow, seq, change(update), seed, now);
    events.extend(logs);
    Ok(events)
}

/// Lines of the log that come with an update: the first few of them, as in Conductor.
fn logged(task: TaskId, entries: &[LogEntry], now: u64) -> Option<Event> {
    let kept = |entry: &LogEntry| LogEntry {
        at: if entry.at == 0 { now } else { entry.at },
        text: entry.text.chars().take(MAX_LOG_CHARACTERS).collect::<String>().into(),
    };
    let entries: Vec<LogEntry> = entries.iter().take(MAX_LOGS_AT_ONCE).map(kept).collect();
    let is_empty = entries.is_empty();
    let change = TaskChange::Logged { entries };
    (!is_empty).then_some(Event::Task { at: now, id: task.workflow, seq: task.sequence, change })
}

/// A line for a task's log, whatever became of the task.
pub fn log(state: &State, task: TaskId, entry: &LogEntry, now: u64) -> Result<Vec<Event>, Rejection> {
    state.task(task).ok_or_else(|| Rejection::no_task(task))?;
    Ok(logged(task, std::slice::from_ref(entry), now).into_iter().collect())
}

/// The record that is open under a reference name gets the update; nothing happens if there is none.
pub fn update_by_reference(state: &State, told: ReferenceUpdate, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = state.workflow(told.workflow).ok_or_else(|| Rejection::no_workflow(told.workflow))?;
    let node = workflow.snapshot.find(&told.reference);
    let task = node.and_then(|node| workflow.latest(node)).filter(|task| !task.status.is_terminal());
    let Some(task) = task else { return Ok(Vec::new()) };
    let (task, output) = (workflow.task_id(task), over(task, told.output));
    update(state, by_hand(task, told.report, output, told.worker, told.seed), now)
}

/// The first WAIT that is open in a workflow or in those below it gets the update; nothing happens without one.
pub fn signal(state: &State, told: Signal, now: u64) -> Result<Vec<Event>, Rejection> {
    let workflow = state.workflow(told.workflow).ok_or_else(|| Rejection::no_workflow(told.workflow))?;
    let Some((workflow, task)) = open_wait(state, workflow) else {
        let message = format!("workflow {} waits for no signal", told.workflow);
        return if told.must_wait { Err(Rejection::NotFound(message)) } else { Ok(Vec::new()) };
    };
    let (task, output) = (workflow.task_id(task), over(task, told.output));
    update(state, by_hand(task, told.report, output, None, told.seed), now)
}

fn open_wait<'s>(state: &'s State, workflow: &'s Workflow) -> Option<(&'s Workflow, &'s Task)> {
    workflow.open_tasks().find_map(|task| match workflow.node(task).kind {
        Kind::Wait => Some((workflow, &**task)),
        Kind::SubWorkflow => open_wait(state, state.workflow(task.child?.id)?),
        _ => None,
    })
}

/// A task's output with members put over it.
fn over(task: &Task, members: Object) -> Payload {
    let mut output = task.output.object();
    output.extend(members);
    output.into()
}

fn by_hand(task: TaskId, report: Report, output: Payload, worker: Option<Arc<str>>, seed: u64) -> TaskUpdate {
    let workflow = task.workflow;
    TaskUpdate {
        workflow,
        task,
        report,
        output,
        reason: None,
        worker,
        logs: Vec::new(),
        callback_ms: 0,
        seed,
    }
}

fn carry_on(
    state: &State,
    workflow: &Workflow,
    seq: u32,
    change: TaskChange,
    seed: u64,
    now: u64,
) -> Vec<Event> {
    let mut draft = Draft::new(state, workflow.clone(), now);
    draft.change_task(seq, change);
    let ended = draft.workflow.task(seq).map(|task| task.status);
    match ended {
        Some(status) if status.is_success() => flow::advance(&mut draft),
        Some(status) if status.is_terminal() => flow::after_failure(&mut draft, seq, seed),
        _ => {}
    }
    draft.into_events()
}

fn change(update: TaskUpdate) -> TaskChange {
    let (worker, output) = (update.worker, update.output);
    let reason = update.reason.as_deref().map(shortened);
    let status = match update.report {
        Report::Completed => TaskStatus::Completed,
        Report::Failed => TaskStatus::Failed,
        Report::FailedWithTerminalError => TaskStatus::FailedWithTerminalError,
        Report::Canceled => TaskStatus::Canceled,
        Report::InProgress => {
            let callback_ms = update.callback_ms;
            return TaskChange::CalledBack { worker, output, reason, callback_ms };
        }
    };
    TaskChange::Ended { status, worker, output: Some(output), reason }
}

fn shortened(reason: &str) -> Arc<str> {
    reason.chars().take(MAX_REASON_CHARACTERS).collect::<String>().into()
}
