//! Deadlines: the instants at which a time-out falls due. Pure arithmetic on records and definitions.
//!
//! Each time-out counts from its own clean start: the lease from the last sign of life, an attempt from its
//! first hand-out, the wait for a worker from the instant at which the task could be polled, the total from
//! the first schedule. A paused workflow has no deadlines.

use super::definition::{Kind, TimeoutPolicy, WorkflowTimeoutPolicy};
use super::id::WorkflowId;
use super::status::{TaskStatus, WorkflowStatus};
use super::workflow::{Task, Workflow};

/// Which limit of a task ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `totalTimeoutSeconds`: all attempts.
    Total,
    /// `timeoutSeconds`: this attempt.
    Attempt,
    /// `pollTimeoutSeconds`: the wait for a worker.
    Poll,
    /// `responseTimeoutSeconds`: the worker's silence.
    Response,
}

/// The limits of an open record with the instants at which they run out.
/// A limit whose policy is to alert only changes nothing and is not listed.
pub fn limits(workflow: &Workflow, task: &Task) -> impl Iterator<Item = (u64, Limit, TimeoutPolicy)> {
    let node = workflow.node(task);
    let def = node.def.as_deref();
    let running = workflow.status == WorkflowStatus::Running && !task.status.is_terminal();
    let by_worker = node.kind == Kind::Simple;
    let all = def.filter(|_| running).map(|def| {
        let policy = def.timeout_policy;
        let total = def.total_timeout_seconds.set_ms().map(|ms| (task.first_at + ms, Limit::Total, policy));
        let attempt = (task.started_at > 0).then(|| def.timeout_seconds.set_ms()).flatten();
        let attempt = attempt.map(|ms| (task.started_at + ms, Limit::Attempt, policy));
        let waits = task.status == TaskStatus::Scheduled;
        // Only a worker can be late to poll, or fall silent.
        let poll = def
            .poll_timeout_seconds
            .filter(|_| waits && by_worker)
            .and_then(super::definition::Seconds::set_ms);
        let poll = poll.map(|ms| (task.ready_at + ms, Limit::Poll, policy));
        let response = def.response_timeout_seconds.set_ms().filter(|_| !waits && by_worker);
        // A lost lease is always retried, whatever the policy: clients rely on the redelivery.
        let response = response.map(|ms| (task.updated_at + ms, Limit::Response, TimeoutPolicy::Retry));
        [total, attempt, poll, response]
    });
    let listed = all.into_iter().flatten().flatten();
    listed.filter(|(_, limit, policy)| *limit == Limit::Response || *policy != TimeoutPolicy::AlertOnly)
}

/// The first instant at which a limit of an open record runs out, or a wait is over.
#[must_use]
pub fn of_task(workflow: &Workflow, task: &Task) -> Option<u64> {
    let limits = limits(workflow, task).map(|(at, _, _)| at);
    limits.chain(wakes_at(workflow, task)).min()
}

/// When a WAIT begins, or ends by itself.
#[must_use]
pub fn wakes_at(workflow: &Workflow, task: &Task) -> Option<u64> {
    let waits = workflow.status == WorkflowStatus::Running && workflow.node(task).kind == Kind::Wait;
    task.wakes_at().filter(|_| waits)
}

/// What a record owes another workflow: a child has to be started, or, at once, ended.
#[must_use]
pub fn owed(workflow: &Workflow, task: &Task) -> Option<(u64, WorkflowId, u32)> {
    if workflow.node(task).kind != Kind::SubWorkflow {
        return None;
    }
    let left = task.status.is_terminal() && task.child.is_some_and(|child| !child.over);
    let due = task.status == TaskStatus::Scheduled && workflow.status == WorkflowStatus::Running;
    let at = if left { 0 } else { task.ready_at.max(1) };
    (left || due).then_some((at, workflow.id, task.seq))
}

/// When a running workflow times out; `None` when it never does.
#[must_use]
pub fn of_workflow(workflow: &Workflow) -> Option<u64> {
    let def = &workflow.snapshot.def;
    let acts = def.timeout_policy == WorkflowTimeoutPolicy::TimeOutWf;
    let limit =
        def.timeout_seconds.set_ms().filter(|_| acts && workflow.status == WorkflowStatus::Running)?;
    let from = if workflow.retried_at > 0 { workflow.retried_at } else { workflow.created_at };
    Some(from + limit)
}
