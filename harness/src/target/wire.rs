//! Conductor's JSON, as much of it as the harness reads and writes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A task as a poll hands it out. Nulls and missing members are Conductor's way of saying zero.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolledTask {
    /// The target's id of the task.
    pub task_id: String,
    /// The target's id of its workflow.
    pub workflow_instance_id: String,
    /// Reference name in the definition.
    pub reference_task_name: String,
    /// Type, the name of the queue.
    pub task_type: String,
    /// Correlation id of the workflow.
    pub correlation_id: Option<String>,
    /// Attempt, from 0.
    pub retry_count: u32,
    /// How often it was handed out.
    pub poll_count: u32,
    /// When it was scheduled, the target's clock, epoch milliseconds.
    pub scheduled_time: u64,
    /// When it was first handed out, the target's clock.
    pub start_time: u64,
    /// The lease: without news for so long, the task is taken away. 0: none.
    pub response_timeout_seconds: f64,
    /// Its input.
    pub input_data: Map<String, Value>,
}

/// A workflow as the target tells it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoredWorkflow {
    /// The target's id.
    pub workflow_id: String,
    /// `RUNNING`, `COMPLETED` …
    pub status: String,
    /// Why it did not complete.
    pub reason_for_incompletion: Option<String>,
    /// When it was created, the target's clock, epoch milliseconds.
    pub create_time: u64,
    /// When it ended; 0 when it is open.
    pub end_time: u64,
    /// Its task records.
    pub tasks: Vec<StoredTask>,
}

/// A task record of a [`StoredWorkflow`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoredTask {
    /// The target's id.
    pub task_id: String,
    /// Reference name.
    pub reference_task_name: String,
    /// Type.
    pub task_type: String,
    /// `SCHEDULED`, `COMPLETED` …
    pub status: String,
    /// Attempt, from 0.
    pub retry_count: u32,
    /// How often it was handed out.
    pub poll_count: u32,
    /// Epoch milliseconds; 0 when it did not happen.
    pub scheduled_time: u64,
    /// Epoch milliseconds; 0 when it did not happen.
    pub start_time: u64,
    /// Epoch milliseconds; 0 when it did not happen.
    pub end_time: u64,
    /// Why it did not complete.
    pub reason_for_incompletion: Option<String>,
    /// Its output.
    pub output_data: Map<String, Value>,
}

/// What a worker reports.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskResult<'r> {
    /// The workflow.
    pub workflow_instance_id: &'r str,
    /// The task.
    pub task_id: &'r str,
    /// Who did it.
    pub worker_id: &'r str,
    /// `COMPLETED`, `FAILED`, `FAILED_WITH_TERMINAL_ERROR`, `IN_PROGRESS`.
    pub status: &'r str,
    /// Its output.
    pub output_data: Value,
    /// True: nothing but a sign of life.
    pub extend_lease: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_for_incompletion: Option<&'r str>,
}
