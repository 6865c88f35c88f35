//! A workflow as Conductor's clients read it.

use super::task_view::TaskView;
use crate::machine::Payload;
use crate::machine::id::{TaskId, WorkflowId};
use crate::machine::snapshot::Node;
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::workflow::Workflow;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// A workflow as JSON. Nulls are left out, zeros and empty maps are not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowView<'a> {
    create_time: u64,
    update_time: u64,
    start_time: u64,
    end_time: u64,
    status: WorkflowStatus,
    workflow_id: WorkflowId,
    workflow_name: &'a str,
    workflow_version: i64,
    tasks: Vec<TaskView<'a>>,
    input: &'a Payload,
    output: &'a Payload,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_workflow_id: Option<WorkflowId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_workflow_task_id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    failed_reference_task_names: BTreeSet<&'a str>,
    failed_task_names: BTreeSet<&'a str>,
    workflow_definition: &'a RawValue,
    task_to_domain: &'a BTreeMap<String, String>,
    variables: Empty,
    priority: u8,
    last_retried_time: u64,
}

#[derive(Serialize)]
struct Empty {}

impl<'a> WorkflowView<'a> {
    /// The view of a workflow, with its task records or without.
    pub fn of(workflow: &'a Workflow, with_tasks: bool) -> Self {
        let failed = failed_tasks(workflow);
        let shown = if with_tasks { workflow.tasks.as_slice() } else { &[] };
        Self {
            create_time: workflow.created_at,
            update_time: workflow.updated_at,
            start_time: workflow.created_at,
            end_time: workflow.ended_at,
            status: workflow.status,
            workflow_id: workflow.id,
            workflow_name: &workflow.snapshot.def.name,
            workflow_version: workflow.snapshot.def.version,
            tasks: shown.iter().map(|task| TaskView::of(workflow, task)).collect(),
            input: &workflow.start.input,
            output: &workflow.output,
            correlation_id: workflow.start.correlation_id.as_deref(),
            created_by: workflow.start.created_by.as_deref(),
            idempotency_key: workflow.start.idempotency_key.as_deref(),
            parent_workflow_id: workflow.start.parent.map(|link| link.workflow),
            parent_workflow_task_id: workflow.start.parent.map(|link| link.workflow.task(link.seq)),
            reason_for_incompletion: workflow.reason.as_deref(),
            failed_reference_task_names: failed
                .iter()
                .map(|node| node.task.task_reference_name.as_str())
                .collect(),
            failed_task_names: failed.iter().map(|node| node.task.name.as_str()).collect(),
            workflow_definition: &workflow.snapshot.json,
            task_to_domain: &workflow.start.task_to_domain,
            variables: Empty {},
            priority: workflow.start.priority,
            last_retried_time: workflow.retried_at,
        }
    }
}

/// Definitions of the task records that failed, in scheduling order.
pub fn failed_tasks(workflow: &Workflow) -> Vec<&Node> {
    let failed = workflow.tasks.iter().filter(|task| failed(task.status));
    failed.map(|task| workflow.node(task)).collect()
}

fn failed(status: TaskStatus) -> bool {
    matches!(status, TaskStatus::Failed | TaskStatus::FailedWithTerminalError | TaskStatus::TimedOut)
}

/// What `GET /workflow/{id}/status` tells.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView<'a> {
    workflow_id: WorkflowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Empty>,
    status: WorkflowStatus,
}

impl<'a> StatusView<'a> {
    /// The status of a workflow.
    pub fn of(workflow: &'a Workflow, with_output: bool, with_variables: bool) -> Self {
        Self {
            workflow_id: workflow.id,
            correlation_id: workflow.start.correlation_id.as_deref(),
            output: with_output.then_some(&workflow.output),
            variables: with_variables.then_some(Empty {}),
            status: workflow.status,
        }
    }
}
