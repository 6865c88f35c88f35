//! What one workflow owes another: a child to start or to end, word to the parent, a failure workflow.
//!
//! All of it follows from the aggregates (the index `owed`), so a crash loses none of it. What an end brings with it
//! is decided before the next command, so nothing durable ever ended without it.

use super::child;
use super::draft::Draft;
use super::flow::{self, End};
use super::start::{definitions, registered, with_template};
use crate::machine::bounds::MAX_ALARMS;
use crate::machine::definition::Object;
use crate::machine::event::{Event, Start, TaskChange, WorkflowChange};
use crate::machine::state::State;
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::workflow::{Task, Workflow};
use serde_json::{Value, json};
use std::sync::Arc;

/// Bytes of payload beyond which a failure workflow is told of the failed one without its tasks' inputs and outputs.
const MAX_TOLD_BYTES: usize = 1 << 20;

/// Does the first thing that is owed.
pub fn first(state: &State, now: u64) -> Vec<Event> {
    let Some((at, id, seq)) = state.indexes().next_owed() else { return Vec::new() };
    let Some(workflow) = state.workflow(id).filter(|_| at <= now) else { return Vec::new() };
    match seq {
        0 => word(state, workflow, now),
        seq if at == 0 => end_child(state, workflow, seq, now),
        seq => child::start(state, workflow, seq, now),
    }
}

/// Everything that a workflow owes that has ended.
pub fn all(state: &State, workflow: &Workflow, now: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for task in &workflow.tasks {
        if task.child.is_some_and(|child| !child.over) {
            events.extend(end_child(state, workflow, task.seq, now));
        }
    }
    if workflow.owes_word() {
        events.extend(word(state, workflow, now));
    }
    events
}

/// Ends the workflow that did a record which is over.
fn end_child(state: &State, parent: &Workflow, seq: u32, now: u64) -> Vec<Event> {
    let Some(task) = parent.task(seq) else { return Vec::new() };
    let open =
        task.child.and_then(|child| state.workflow(child.id)).filter(|child| !child.status.is_terminal());
    let change = TaskChange::ChildOver;
    let mut events = vec![Event::Task { at: now, id: parent.id, seq, change }];
    if let Some(child) = open {
        let mut draft = Draft::new(state, child.clone(), now);
        let why = parent.reason.as_deref().unwrap_or(task.status.name());
        let reason = Some(format!("the parent workflow {} went on without it: {why}", parent.id).into());
        let status = WorkflowStatus::Terminated;
        flow::end_as(&mut draft, End { status, reason, failed_by: None, alarm: false });
        events.extend(draft.into_events());
    }
    events
}

/// Tells a workflow's parent and its failure workflow that it has ended.
fn word(state: &State, workflow: &Workflow, now: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let mut failure_workflow = None;
    if workflow.alarm {
        let (told, started) = alarm(state, workflow, now);
        failure_workflow = Some(told.into());
        events.extend(started);
    }
    let change = WorkflowChange::Settled { failure_workflow };
    events.push(Event::Workflow { at: now, id: workflow.id, change });
    events.extend(tell_parent(state, workflow, now));
    events
}

fn tell_parent(state: &State, child: &Workflow, now: u64) -> Vec<Event> {
    let Some(link) = child.start.parent else { return Vec::new() };
    let is_its = |task: &&Arc<Task>| task.child.is_some_and(|known| known.id == child.id && !known.over);
    let Some(parent) = state.workflow(link.workflow) else { return Vec::new() };
    let Some(task) = parent.task(link.seq).filter(is_its) else { return Vec::new() };
    let mut draft = Draft::new(state, parent.clone(), now);
    draft.change_task(link.seq, TaskChange::ChildOver);
    if task.status.is_terminal() {
        return draft.into_events();
    }
    let status = match child.status {
        WorkflowStatus::Completed => TaskStatus::Completed,
        WorkflowStatus::TimedOut => TaskStatus::TimedOut,
        WorkflowStatus::Terminated => TaskStatus::Canceled,
        _ => TaskStatus::Failed,
    };
    let reason = child.reason.as_deref().filter(|_| status != TaskStatus::Completed).map(|why| {
        let name = &child.snapshot.def.name;
        Arc::from(format!("sub-workflow {name} ({}) is {}: {why}", child.id, child.status.name()))
    });
    let mut output = Object::from_iter([("subWorkflowId".to_owned(), json!(child.id))]);
    output.extend(child.output.object());
    let output = Some(output.into());
    draft.change_task(link.seq, TaskChange::Ended { status, worker: None, output, reason });
    if status == TaskStatus::Completed {
        flow::advance(&mut draft);
    } else {
        flow::after_failure(&mut draft, link.seq, child.id.task(1).seed());
    }
    draft.into_events()
}

/// Starts the failure workflow; answers its id, or why there is none.
fn alarm(state: &State, failed: &Workflow, now: u64) -> (String, Vec<Event>) {
    let draft = Draft::new(state, failed.clone(), now);
    let def = &failed.snapshot.def;
    if failed.start.alarms >= MAX_ALARMS {
        let told = format!("not started: {MAX_ALARMS} failure workflows failed one after the other");
        return (told, Vec::new());
    }
    let name = draft.evaluate_one(&Value::from(def.failure_workflow.clone()));
    let version = def.failure_workflow_version.filter(|version| *version > 0);
    let found = match registered(state, name.as_str().unwrap_or_default(), version) {
        Ok(found) => Arc::clone(&found.def),
        Err(refusal) => return (format!("not started: {refusal}"), Vec::new()),
    };
    let (mut events, number, snapshot) = definitions(state, &found, false);
    let start = Start {
        input: account(failed).into(),
        correlation_id: failed.start.correlation_id.clone(),
        priority: failed.start.priority,
        task_to_domain: failed.start.task_to_domain.clone(),
        alarms: failed.start.alarms + 1,
        ..Start::default()
    };
    let start = with_template(start, &snapshot);
    let id = state.unused_id(now, failed.id.task(0).seed() ^ now);
    events.push(Event::WorkflowStarted { at: now, id, snapshot: number, start: Box::new(start.clone()) });
    let mut begun = Draft::new(state, Workflow::started(now, id, number, snapshot, start), now);
    flow::begin(&mut begun);
    events.extend(begun.into_events());
    (id.to_string(), events)
}

/// What a failure workflow gets: the input of the failed one, and what became of it.
fn account(failed: &Workflow) -> Object {
    let mut account = failed.start.input.object();
    account.remove("failedWorkflow");
    let input = Value::Object(account.clone());
    let payload = |task: &Arc<Task>| task.input.text().len() + task.output.text().len();
    let whole = failed.tasks.iter().map(payload).sum::<usize>() <= MAX_TOLD_BYTES;
    let told = |task: &Arc<Task>| {
        let node = failed.node(task);
        let mut told = json!({
            "taskId": failed.task_id(task),
            "referenceTaskName": node.task.task_reference_name,
            "taskDefName": node.task.name,
            "status": task.status,
            "retryCount": task.attempt,
            "reasonForIncompletion": task.reason,
        });
        if whole {
            told["inputData"] = task.input.value();
            told["outputData"] = task.output.value();
        }
        told
    };
    account.insert("workflowId".into(), json!(failed.id));
    account.insert("reason".into(), json!(failed.reason));
    account.insert("failureStatus".into(), json!(failed.status));
    account.insert("failureTaskId".into(), json!(failed.failed_by.map(|seq| failed.id.task(seq))));
    let execution = json!({
        "workflowId": failed.id,
        "workflowName": failed.snapshot.def.name,
        "workflowVersion": failed.snapshot.def.version,
        "status": failed.status,
        "reasonForIncompletion": failed.reason,
        "correlationId": failed.start.correlation_id,
        "createTime": failed.created_at,
        "endTime": failed.ended_at,
        "input": input,
        "output": failed.output.value(),
        "tasks": failed.tasks.iter().map(told).collect::<Vec<_>>(),
    });
    account.insert("failedWorkflow".into(), execution);
    account
}
