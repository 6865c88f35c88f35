//! The flow: what follows when a task ends, until nothing more follows.

use super::draft::Draft;
use super::records::{Attempt, make_record, schedule};
use crate::machine::bounds::MAX_DECIDED_BYTES;
use crate::machine::definition::{Kind, Object};
use crate::machine::event::{TaskChange, WorkflowChange};
use crate::machine::id::MAX_SEQUENCE;
use crate::machine::payload::Payload;
use crate::machine::retry;
use crate::machine::snapshot::NodeIndex;
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::workflow::{Task, Workflow};
use serde_json::Value;
use std::sync::Arc;

/// Schedules the first task of a new workflow, or completes it when it has none.
pub fn begin(draft: &mut Draft) {
    if draft.workflow.snapshot.nodes.is_empty() {
        complete(draft);
    } else {
        schedule(draft, 0);
        advance(draft);
    }
}

/// Follows the flow as far as it goes: successors of tasks that ended well, joins that are satisfied, the end.
/// A paused workflow stands still; the same call after its resume catches up.
pub fn advance(draft: &mut Draft) {
    // What comes of a record stands behind it, so nothing before it is looked at twice in one decision.
    let mut from = 0;
    while draft.workflow.status == WorkflowStatus::Running {
        if draft.is_too_large() {
            let reason =
                format!("the inputs of the tasks that follow take more than {MAX_DECIDED_BYTES} bytes");
            end(draft, WorkflowStatus::Failed, Some(reason.into()));
        } else if let Some((index, next)) = unscheduled_successor(&draft.workflow, from) {
            from = index;
            schedule(draft, next);
        } else if let Some((index, join)) = satisfied_join(&draft.workflow) {
            from = index;
            finish_join(draft, join);
        } else {
            break;
        }
    }
    if draft.workflow.status == WorkflowStatus::Running && is_through(&draft.workflow) {
        let all = 0..draft.workflow.snapshot.nodes.len() as NodeIndex;
        match tolerated_failures(&draft.workflow, all) {
            None => complete(draft),
            Some(reasons) => end(draft, WorkflowStatus::Failed, Some(reasons.into())),
        }
    }
}

/// True when the flow has come past this node: its last record ended well, or badly in a way that the definition
/// lets pass. A skipped record lets nothing pass that has not come to it.
fn passed(workflow: &Workflow, node: NodeIndex) -> bool {
    let mut index = node;
    loop {
        let Some(task) = workflow.latest(index) else { return false };
        if !task.status.is_success() && !is_tolerated(workflow, task) {
            return false;
        }
        let node = workflow.snapshot.node(index);
        match node.previous.or(node.within).filter(|_| task.status == TaskStatus::Skipped) {
            Some(before) => index = before,
            None => return true,
        }
    }
}

/// A permissive task that failed for good lets the flow pass; it fails the workflow at the end. One whose retry is
/// still to come has been given it by the time anybody asks.
fn is_tolerated(workflow: &Workflow, task: &Task) -> bool {
    let failed = task.status.is_terminal() && !task.status.is_success();
    failed && task.status != TaskStatus::Canceled && workflow.node(task).task.permissive
}

/// Why these nodes make the workflow fail although the flow went on, if they do.
fn tolerated_failures(workflow: &Workflow, nodes: impl Iterator<Item = NodeIndex>) -> Option<String> {
    let failed = nodes.filter_map(|node| workflow.latest(node));
    let reasons: Vec<String> = failed
        .filter(|task| is_tolerated(workflow, task))
        .map(|task| failure(workflow, task, WorkflowStatus::Failed))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The first node from `from` on that the flow has passed and whose next task has no record yet; and that task.
fn unscheduled_successor(workflow: &Workflow, from: NodeIndex) -> Option<(NodeIndex, NodeIndex)> {
    let nodes = workflow.snapshot.nodes.iter().zip(0..workflow.reached()).skip(from as usize);
    nodes.filter(|(node, _)| node.kind != Kind::Fork).find_map(|(node, index)| {
        let next = node.next.filter(|next| workflow.latest(*next).is_none() && passed(workflow, index));
        next.map(|next| (index, next))
    })
}

fn satisfied_join(workflow: &Workflow) -> Option<(NodeIndex, u32)> {
    let joins = workflow.open_tasks().filter(|task| workflow.node(task).kind == Kind::Join);
    let satisfied =
        |task: &&Arc<Task>| workflow.node(task).join_on.iter().all(|node| passed(workflow, *node));
    joins
        .filter(|task| task.status == TaskStatus::InProgress)
        .find(satisfied)
        .map(|task| (task.node, task.seq))
}

fn finish_join(draft: &mut Draft, seq: u32) {
    let workflow = &draft.workflow;
    let Some(join) = workflow.task(seq) else { return };
    let awaited = &workflow.node(join).join_on;
    let joined = awaited.iter().filter_map(|node| workflow.latest(*node));
    let bytes: usize = joined.map(|task| task.output.text().len()).sum();
    if bytes > MAX_DECIDED_BYTES {
        // Joins of joins grow without end, and a frame that is too large for the disk's format is for ever.
        let name = &workflow.node(join).task.task_reference_name;
        let reason = format!("the outputs that '{name}' joins take more than {MAX_DECIDED_BYTES} bytes");
        return end(draft, WorkflowStatus::Failed, Some(reason.into()));
    }
    let mut output = Object::new();
    let mut with_errors = false;
    for task in awaited.iter().filter_map(|node| workflow.latest(*node)) {
        with_errors |= task.status == TaskStatus::CompletedWithErrors;
        let of_task = task.output.object();
        if !of_task.is_empty() {
            output.insert(workflow.node(task).task.task_reference_name.clone(), Value::Object(of_task));
        }
    }
    let reason: Option<Arc<str>> = tolerated_failures(workflow, awaited.iter().copied()).map(Arc::from);
    let status = match (&reason, with_errors) {
        (Some(_), _) => TaskStatus::Failed,
        (None, true) => TaskStatus::CompletedWithErrors,
        (None, false) => TaskStatus::Completed,
    };
    let output = Some(output.into());
    draft.change_task(seq, TaskChange::Ended { status, worker: None, output, reason });
    settle_failure(draft, seq, 0);
}

fn is_through(workflow: &Workflow) -> bool {
    let all = workflow.snapshot.top.iter().all(|node| passed(workflow, *node));
    all && workflow.open_tasks().next().is_none()
}

/// What follows when the record `seq` ended badly: a retry, forgiveness, or the end of the workflow.
/// In a paused workflow nothing follows until it is resumed.
pub fn after_failure(draft: &mut Draft, seq: u32, seed: u64) {
    settle_failure(draft, seq, seed);
    advance(draft);
}

/// The same, as far as this record goes. Nothing for one that ended well.
pub fn settle_failure(draft: &mut Draft, seq: u32, seed: u64) {
    let Some(task) = draft.workflow.task(seq).cloned() else { return };
    if draft.workflow.status != WorkflowStatus::Running || task.status.is_success() {
        return;
    }
    let node = draft.workflow.node(&task);
    // A child that a person terminated is forgiven like any other failure; a cancellation by a worker is not.
    let optional =
        node.task.optional && (task.status != TaskStatus::Canceled || node.kind == Kind::SubWorkflow);
    if let Some(delay_ms) = retry_delay(draft, &task, seed) {
        make_record(draft, task.node, Attempt::after(&task, delay_ms));
    } else if optional {
        draft.change_task(seq, TaskChange::Forgiven);
    } else if !is_tolerated(&draft.workflow, &task) {
        let status = match task.status {
            TaskStatus::Canceled => WorkflowStatus::Terminated,
            TaskStatus::TimedOut => WorkflowStatus::TimedOut,
            _ => WorkflowStatus::Failed,
        };
        fail_by(draft, &task, status);
    }
}

/// Milliseconds until the retry of a failed record, or `None` when it has no retry left.
fn retry_delay(draft: &Draft, task: &Task, seed: u64) -> Option<u64> {
    let node = draft.workflow.node(task);
    let def = node.def.as_deref()?;
    let limit = node.task.retry_count.unwrap_or(def.retry_count);
    let left = task.status.is_retriable() && i64::from(task.attempt) < limit;
    let total = def.total_timeout_seconds.set_ms();
    let room = draft.workflow.next_seq() <= MAX_SEQUENCE;
    let in_time = total.is_none_or(|total| draft.now.saturating_sub(task.first_at) < total);
    (left && room && in_time).then(|| retry::delay_ms(def, task.attempt, seed))
}

/// Catches up with what happened during a pause: failures first, then the flow.
pub fn catch_up(draft: &mut Draft, seed: u64) {
    for index in 0..draft.workflow.snapshot.nodes.len() as NodeIndex {
        let ended = draft.workflow.latest(index).filter(|task| task.status.is_terminal());
        if let Some(seq) = ended.map(|task| task.seq) {
            settle_failure(draft, seq, seed ^ u64::from(seq));
        }
    }
    advance(draft);
}

/// Makes new records, ready at once, for what failed or was canceled; canceled joins wait again.
pub fn retry_failed(draft: &mut Draft) {
    let nodes = 0..draft.workflow.snapshot.nodes.len() as NodeIndex;
    for index in nodes {
        let Some(task) = draft.workflow.latest(index).cloned() else { continue };
        let failed = task.status.is_terminal() && !task.status.is_success();
        match draft.workflow.snapshot.node(index).kind {
            Kind::Simple | Kind::Wait | Kind::SubWorkflow if failed => {
                // A retry by hand starts anew, the clock of totalTimeoutSeconds included.
                let again = Attempt { reason: None, first_at: draft.now, ..Attempt::after(&task, 0) };
                make_record(draft, index, again);
            }
            Kind::Join if failed => draft.change_task(task.seq, TaskChange::Reopened),
            _ => {}
        }
    }
    advance(draft);
}

/// Ends the workflow because a task of it failed for good.
pub fn fail_by(draft: &mut Draft, task: &Task, status: WorkflowStatus) {
    let reason = failure(&draft.workflow, task, status);
    end_as(draft, End { status, reason: Some(reason.into()), failed_by: Some(task.seq), alarm: true });
}

fn failure(workflow: &Workflow, task: &Task, status: WorkflowStatus) -> String {
    let why = task.reason.as_deref().unwrap_or_default();
    let (id, status) = (workflow.task_id(task), status.name());
    format!("Task {id} failed with status: {status} and reason: '{why}'")
}

/// How a workflow ends unsuccessfully.
pub struct End {
    pub status: WorkflowStatus,
    pub reason: Option<Arc<str>>,
    /// The record that brought it to this end.
    pub failed_by: Option<u32>,
    /// Starts its failure workflow, if it has one.
    pub alarm: bool,
}

/// Ends the workflow because it failed by itself.
pub fn end(draft: &mut Draft, status: WorkflowStatus, reason: Option<Arc<str>>) {
    end_as(draft, End { status, reason, failed_by: None, alarm: true });
}

/// Ends the workflow unsuccessfully: what is open is canceled.
pub fn end_as(draft: &mut Draft, end: End) {
    let open: Vec<u32> = draft.workflow.open_tasks().map(|task| task.seq).collect();
    for seq in open {
        let status = TaskStatus::Canceled;
        draft.change_task(seq, TaskChange::Ended { status, worker: None, output: None, reason: None });
    }
    let output = output(draft).unwrap_or_default();
    let End { status, reason, failed_by, alarm } = end;
    let alarm = alarm && draft.workflow.snapshot.def.failure_workflow.is_some();
    draft.change(WorkflowChange::Ended { status, reason, output, failed_by, alarm });
}

fn complete(draft: &mut Draft) {
    let Some(output) = output(draft) else {
        let reason = format!("the outputParameters give more than {MAX_DECIDED_BYTES} bytes");
        return end(draft, WorkflowStatus::Failed, Some(reason.into()));
    };
    let status = WorkflowStatus::Completed;
    draft.change(WorkflowChange::Ended { status, reason: None, output, failed_by: None, alarm: false });
}

/// Output parameters if there are any, else the output of the last task; `None` when they give too much.
fn output(draft: &Draft) -> Option<Payload> {
    let parameters = &draft.workflow.snapshot.def.output_parameters;
    if !parameters.is_empty() {
        return draft.evaluate(parameters, None);
    }
    Some(draft.workflow.tasks.last().map(|task| task.output.clone()).unwrap_or_default())
}
