//! Commands: what the outside asks of the machine, and what it answers.

use super::definition::{TaskDef, WorkflowDef};
use super::event::Start;
use super::id::{TaskId, WorkflowId};
use serde_json::Value;
use std::sync::Arc;

/// Something that is asked for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Register or replace task definitions.
    SaveTaskDefs(Vec<TaskDef>),
    /// Replace a task definition that exists.
    UpdateTaskDef(Box<TaskDef>),
    /// Register a workflow definition.
    SaveWorkflowDef {
        /// The definition.
        def: Box<WorkflowDef>,
        /// Replace one that exists.
        overwrite: bool,
    },
    /// Start a workflow.
    StartWorkflow(Box<StartWorkflow>),
    /// Hand out tasks of a queue.
    Poll {
        /// The queue.
        queue: Arc<str>,
        /// Who asks.
        worker: Option<Arc<str>>,
        /// At most so many.
        count: usize,
    },
    /// A worker tells what became of a task.
    UpdateTask(Box<TaskUpdate>),
    /// A worker is still on a task.
    ExtendLease {
        /// The task.
        task: TaskId,
    },
    /// Schedule nothing new.
    Pause(WorkflowId),
    /// Go on after a pause.
    Resume(WorkflowId),
    /// End it.
    Terminate {
        /// The workflow.
        id: WorkflowId,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// Go on after a failure.
    Retry(WorkflowId),
    /// Timers fell due, at most so many are fired.
    FireTimers {
        /// Bound on the work of one batch.
        limit: usize,
    },
}

impl Command {
    /// Workflows that the decision looks at and that may have ended: those in the archive are read back first.
    #[must_use]
    pub fn workflows(&self) -> Vec<WorkflowId> {
        match self {
            Self::UpdateTask(update) => vec![update.workflow],
            Self::ExtendLease { task } => vec![task.workflow],
            Self::Pause(id) | Self::Resume(id) | Self::Retry(id) | Self::Terminate { id, .. } => vec![*id],
            Self::SaveTaskDefs(_)
            | Self::UpdateTaskDef(_)
            | Self::SaveWorkflowDef { .. }
            | Self::StartWorkflow(_)
            | Self::Poll { .. }
            | Self::FireTimers { .. } => Vec::new(),
        }
    }
}

/// A start.
#[derive(Debug, Clone)]
pub struct StartWorkflow {
    /// Name of the definition.
    pub name: String,
    /// Its version; `None` = the highest.
    pub version: Option<i64>,
    /// A definition to use instead of a registered one.
    pub inline: Option<Box<WorkflowDef>>,
    /// Input and labels.
    pub start: Start,
    /// Random bits for the id.
    pub seed: u64,
}

/// What a worker may say of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// COMPLETED.
    Completed,
    /// FAILED.
    Failed,
    /// FAILED_WITH_TERMINAL_ERROR.
    FailedWithTerminalError,
    /// CANCELED.
    Canceled,
    /// IN_PROGRESS: give it back for a while.
    InProgress,
}

/// What a worker tells of a task.
#[derive(Debug, Clone)]
pub struct TaskUpdate {
    /// The workflow that the worker thinks it is of.
    pub workflow: WorkflowId,
    /// The task.
    pub task: TaskId,
    /// What became of it.
    pub report: Report,
    /// Replaces the stored output.
    pub output: Arc<Value>,
    /// Why it is not completed.
    pub reason: Option<Arc<str>>,
    /// Who tells.
    pub worker: Option<Arc<str>>,
    /// With `InProgress`: milliseconds until it can be polled again.
    pub callback_ms: u64,
    /// Random bits for the jitter of a retry.
    pub seed: u64,
}
