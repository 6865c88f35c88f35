//! The flow: what follows when a task ends, until nothing more follows.

use super::draft::{Draft, fill_from_template};
use crate::machine::bounds::{self, MAX_DECIDED_BYTES};
use crate::machine::definition::{Kind, Object};
use crate::machine::event::{Scheduled, TaskChange, WorkflowChange};
use crate::machine::id::MAX_SEQUENCE;
use crate::machine::retry;
use crate::machine::snapshot::NodeIndex;
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::workflow::Task;
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
    while draft.workflow.status == WorkflowStatus::Running {
        if draft.is_too_large() {
            let reason =
                format!("the inputs of the tasks that follow take more than {MAX_DECIDED_BYTES} bytes");
            end(draft, WorkflowStatus::Failed, Some(reason.into()));
        } else if let Some(next) = unscheduled_successor(draft) {
            schedule(draft, next);
        } else if let Some(join) = satisfied_join(draft) {
            finish_join(draft, join);
        } else {
            break;
        }
    }
    if draft.workflow.status == WorkflowStatus::Running && every_top_task_succeeded(draft) {
        complete(draft);
    }
}

/// The next task of one that ended well, when that next task has no record yet.
fn unscheduled_successor(draft: &Draft) -> Option<NodeIndex> {
    let workflow = &draft.workflow;
    let nodes = workflow.snapshot.nodes.iter().zip(0..);
    nodes.filter(|(node, _)| node.kind != Kind::Fork).find_map(|(node, index)| {
        let ended_well = workflow.latest(index).is_some_and(|task| task.status.is_success());
        node.next.filter(|next| ended_well && workflow.latest(*next).is_none())
    })
}

fn satisfied_join(draft: &Draft) -> Option<u32> {
    let workflow = &draft.workflow;
    let joins = workflow.open_tasks().filter(|task| workflow.node(task).kind == Kind::Join);
    let satisfied = |task: &&Arc<Task>| {
        let mut awaited = workflow.node(task).join_on.iter();
        awaited.all(|node| workflow.latest(*node).is_some_and(|task| task.status.is_success()))
    };
    joins.filter(|task| task.status == TaskStatus::InProgress).find(satisfied).map(|task| task.seq)
}

fn finish_join(draft: &mut Draft, seq: u32) {
    let workflow = &draft.workflow;
    let Some(join) = workflow.task(seq) else { return };
    let awaited = workflow.node(join).join_on.iter().filter_map(|node| workflow.latest(*node));
    let mut output = Object::new();
    let mut with_errors = false;
    for task in awaited {
        with_errors |= task.status == TaskStatus::CompletedWithErrors;
        if task.output.as_object().is_some_and(|output| !output.is_empty()) {
            output.insert(workflow.node(task).task.task_reference_name.clone(), (*task.output).clone());
        }
    }
    let status = if with_errors { TaskStatus::CompletedWithErrors } else { TaskStatus::Completed };
    let output = Some(Arc::new(Value::Object(output)));
    draft.change_task(seq, TaskChange::Ended { status, worker: None, output, reason: None });
}

fn every_top_task_succeeded(draft: &Draft) -> bool {
    let workflow = &draft.workflow;
    let mut top = workflow.snapshot.nodes.iter().zip(0..).filter(|(node, _)| node.top);
    let all = top.all(|(_, index)| workflow.latest(index).is_some_and(|task| task.status.is_success()));
    all && workflow.open_tasks().next().is_none()
}

/// Makes the record of a node; a fork brings its branches and its join.
fn schedule(draft: &mut Draft, index: NodeIndex) {
    let (kind, branches, next) = {
        let node = draft.workflow.snapshot.node(index);
        (node.kind, node.branches.clone(), node.next)
    };
    let status = match kind {
        Kind::Simple => TaskStatus::Scheduled,
        Kind::Fork => TaskStatus::Completed,
        Kind::Join => TaskStatus::InProgress,
    };
    let delay_ms = draft.workflow.snapshot.node(index).task.start_delay.ms();
    make_record(draft, index, status, Attempt { delay_ms, ..Attempt::first(draft.now) });
    if kind == Kind::Fork {
        for branch in branches {
            if !draft.is_too_large() {
                schedule(draft, branch);
            }
        }
        if let Some(join) = next {
            schedule(draft, join);
        }
    }
}

/// What a record has of its own, besides its place.
struct Attempt {
    number: u32,
    delay_ms: u64,
    first_at: u64,
    retry_of: Option<u32>,
    reason: Option<Arc<str>>,
}

impl Attempt {
    fn first(now: u64) -> Self {
        Self { number: 0, delay_ms: 0, first_at: now, retry_of: None, reason: None }
    }

    fn after(task: &Task, delay_ms: u64) -> Self {
        Self {
            number: task.attempt + 1,
            delay_ms,
            first_at: task.first_at,
            retry_of: Some(task.seq),
            reason: task.reason.clone(),
        }
    }
}

fn make_record(draft: &mut Draft, index: NodeIndex, status: TaskStatus, attempt: Attempt) {
    let seq = draft.workflow.next_seq();
    let node = draft.workflow.snapshot.node(index);
    let mut input = draft.evaluate(&node.task.input_parameters, Some(seq));
    if let Some(def) = draft.workflow.snapshot.task_def(node) {
        input = fill_from_template(input, &def.input_template);
    }
    draft.count_bytes(input.values().map(bounds::size).sum());
    let scheduled = Scheduled {
        node: index,
        status,
        attempt: attempt.number,
        delay_ms: attempt.delay_ms,
        input: Arc::new(input),
        first_at: attempt.first_at,
        retry_of: attempt.retry_of,
        reason: attempt.reason,
    };
    draft.change_task(seq, TaskChange::Scheduled(Box::new(scheduled)));
}

/// What follows when the record `seq` ended badly: a retry, forgiveness, or the end of the workflow.
/// In a paused workflow nothing follows until it is resumed.
pub fn after_failure(draft: &mut Draft, seq: u32, seed: u64) {
    if draft.workflow.status != WorkflowStatus::Running {
        return;
    }
    let Some(task) = draft.workflow.task(seq).cloned() else { return };
    let node = draft.workflow.node(&task);
    let optional = node.task.optional;
    if let Some(delay_ms) = retry_delay(draft, &task, seed) {
        make_record(draft, task.node, TaskStatus::Scheduled, Attempt::after(&task, delay_ms));
    } else if optional && task.status != TaskStatus::Canceled {
        draft.change_task(seq, TaskChange::Forgiven);
        advance(draft);
    } else {
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
    let def = draft.workflow.snapshot.task_def(node)?;
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
        let failed = draft
            .workflow
            .latest(index)
            .filter(|task| task.status.is_terminal() && !task.status.is_success());
        if let Some(seq) = failed.map(|task| task.seq) {
            after_failure(draft, seq, seed ^ u64::from(seq));
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
            Kind::Simple if failed => {
                // A retry by hand starts anew, the clock of totalTimeoutSeconds included.
                let again = Attempt { reason: None, first_at: draft.now, ..Attempt::after(&task, 0) };
                make_record(draft, index, TaskStatus::Scheduled, again);
            }
            Kind::Join if failed => draft.change_task(task.seq, TaskChange::Reopened),
            _ => {}
        }
    }
    advance(draft);
}

/// Ends the workflow because a task of it failed for good.
pub fn fail_by(draft: &mut Draft, task: &Task, status: WorkflowStatus) {
    let why = task.reason.as_deref().unwrap_or_default();
    let reason = format!(
        "Task {} failed with status: {} and reason: '{why}'",
        draft.workflow.task_id(task),
        status.name()
    );
    end(draft, status, Some(reason.into()));
}

/// Ends the workflow unsuccessfully: what is open is canceled.
pub fn end(draft: &mut Draft, status: WorkflowStatus, reason: Option<Arc<str>>) {
    let open: Vec<u32> = draft.workflow.open_tasks().map(|task| task.seq).collect();
    for seq in open {
        let status = TaskStatus::Canceled;
        draft.change_task(seq, TaskChange::Ended { status, worker: None, output: None, reason: None });
    }
    let output = output(draft);
    draft.change(WorkflowChange::Ended { status, reason, output });
}

fn complete(draft: &mut Draft) {
    let output = output(draft);
    draft.change(WorkflowChange::Ended { status: WorkflowStatus::Completed, reason: None, output });
}

/// Output parameters if there are any, else the output of the last task.
fn output(draft: &Draft) -> Arc<Value> {
    let parameters = &draft.workflow.snapshot.def.output_parameters;
    if !parameters.is_empty() {
        return Arc::new(Value::Object(draft.evaluate(parameters, None)));
    }
    let last = draft.workflow.tasks.last().map(|task| Arc::clone(&task.output));
    last.unwrap_or_else(|| Arc::new(Value::Object(Object::new())))
}
