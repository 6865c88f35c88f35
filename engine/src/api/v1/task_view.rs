//! A task record as Conductor's clients read it.

use crate::machine::Payload;
use crate::machine::definition::Kind;
use crate::machine::event::Start;
use crate::machine::id::{TaskId, WorkflowId};
use crate::machine::snapshot::Snapshot;
use crate::machine::status::TaskStatus;
use crate::machine::workflow::{Task, TaskInContext, Workflow};
use serde::Serialize;
use serde_json::value::RawValue;

/// A task record as JSON. Nulls are left out, zeros and empty maps are not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView<'a> {
    task_type: &'a str,
    status: TaskStatus,
    input_data: &'a Payload,
    reference_task_name: &'a str,
    retry_count: u32,
    seq: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    poll_count: u32,
    task_def_name: &'a str,
    scheduled_time: u64,
    start_time: u64,
    end_time: u64,
    update_time: u64,
    first_start_time: u64,
    start_delay_in_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried_task_id: Option<TaskId>,
    retried: bool,
    executed: bool,
    callback_from_worker: bool,
    response_timeout_seconds: Number,
    workflow_instance_id: WorkflowId,
    workflow_type: &'a str,
    task_id: TaskId,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    callback_after_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<&'a str>,
    output_data: &'a Payload,
    workflow_task: &'a RawValue,
    rate_limit_per_frequency: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    rate_limit_frequency_in_seconds: Number,
    workflow_priority: u8,
    iteration: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_workflow_id: Option<WorkflowId>,
    subworkflow_changed: bool,
    loop_over_task: bool,
    queue_wait_time: u64,
}

/// Seconds, whole where they are.
type Number = crate::machine::definition::Seconds;

impl<'a> TaskView<'a> {
    /// A record of a workflow.
    pub fn of(workflow: &'a Workflow, task: &'a Task) -> Self {
        Self::new(workflow.id, &workflow.snapshot, &workflow.start, task)
    }

    /// A record on its own.
    pub fn in_context(handed: &'a TaskInContext) -> Self {
        Self::new(handed.workflow, &handed.snapshot, &handed.start, &handed.task)
    }

    fn new(id: WorkflowId, snapshot: &'a Snapshot, start: &'a Start, task: &'a Task) -> Self {
        let node = snapshot.node(task.node);
        let task_type = node.task_type();
        let task_def_name = match node.kind {
            Kind::Fork | Kind::Join => task_type,
            _ => node.task.name.as_str(),
        };
        let def = node.def.as_deref();
        let waited = if task.started_at == 0 { 0 } else { task.started_at.saturating_sub(task.scheduled_at) };
        Self {
            task_type,
            status: task.status,
            input_data: &task.input,
            reference_task_name: &node.task.task_reference_name,
            retry_count: task.attempt,
            seq: task.seq,
            correlation_id: start.correlation_id.as_deref(),
            poll_count: task.poll_count,
            task_def_name,
            scheduled_time: task.scheduled_at,
            start_time: task.started_at,
            end_time: task.ended_at,
            update_time: task.updated_at,
            first_start_time: task.started_at,
            start_delay_in_seconds: task.start_delay_ms / 1000,
            retried_task_id: task.retry_of.map(|seq| id.task(seq)),
            retried: task.retried,
            executed: task.status.is_success(),
            callback_from_worker: true,
            response_timeout_seconds: def.map(|def| def.response_timeout_seconds).unwrap_or_default(),
            workflow_instance_id: id,
            workflow_type: &snapshot.def.name,
            task_id: id.task(task.seq),
            reason_for_incompletion: task.reason.as_deref(),
            callback_after_seconds: task.delay_ms / 1000,
            worker_id: task.worker.as_deref(),
            output_data: &task.output,
            workflow_task: &node.json,
            rate_limit_per_frequency: def.map_or(0, |def| def.rate_limit_per_frequency),
            rate_limit_frequency_in_seconds: def
                .map_or(Number::whole(1), |def| def.rate_limit_frequency_in_seconds),
            domain: task.domain.as_deref(),
            workflow_priority: start.priority,
            iteration: 0,
            sub_workflow_id: task.child.map(|child| child.id),
            subworkflow_changed: false,
            loop_over_task: false,
            queue_wait_time: waited,
        }
    }
}
