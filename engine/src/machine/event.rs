//! Events: what happened. The journal is a list of them, and replaying it is the only way to a state.
//!
//! Their JSON is the journal's format: fields may be added with a default, never renamed or removed without a
//! new schema version.

use super::definition::{TaskDef, WorkflowDef};
use super::id::WorkflowId;
use super::payload::Payload;
use super::snapshot::NodeIndex;
use super::status::{TaskStatus, WorkflowStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of a snapshot of definitions, from 1.
pub type SnapshotNumber = u64;

/// Something that happened, at an instant in epoch milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Task definitions were registered or replaced.
    TaskDefsSaved {
        /// When.
        at: u64,
        /// The definitions.
        defs: Vec<TaskDef>,
    },
    /// A workflow definition was registered or replaced.
    WorkflowDefSaved {
        /// When.
        at: u64,
        /// The definition.
        def: Box<WorkflowDef>,
    },
    /// A task definition was removed.
    TaskDefRemoved {
        /// When.
        at: u64,
        /// Its name.
        name: String,
    },
    /// A version of a workflow definition was removed.
    WorkflowDefRemoved {
        /// When.
        at: u64,
        /// Its name.
        name: String,
        /// Its version.
        version: i64,
    },
    /// Definitions were set aside for the workflows that start under them.
    DefinitionsKept {
        /// Its number.
        number: SnapshotNumber,
        /// The workflow's definition.
        def: Box<WorkflowDef>,
        /// Definitions of the registered task types in it.
        task_defs: BTreeMap<String, TaskDef>,
        /// True when the definition came with a start: no other start may use it.
        inline: bool,
    },
    /// A workflow started.
    WorkflowStarted {
        /// When.
        at: u64,
        /// Its id.
        id: WorkflowId,
        /// The definitions that it runs under.
        snapshot: SnapshotNumber,
        /// What else was asked for.
        start: Box<Start>,
    },
    /// A workflow that had ended begins anew under its id; its task records are gone.
    WorkflowRestarted {
        /// When.
        at: u64,
        /// Its id.
        id: WorkflowId,
        /// The definitions that it runs under now.
        snapshot: SnapshotNumber,
        /// What its start asks for now.
        start: Box<Start>,
    },
    /// A workflow and its task records were removed.
    WorkflowRemoved {
        /// When.
        at: u64,
        /// Its id.
        id: WorkflowId,
    },
    /// Something happened to a workflow.
    Workflow {
        /// When.
        at: u64,
        /// Its id.
        id: WorkflowId,
        /// What.
        change: WorkflowChange,
    },
    /// Something happened to a task.
    Task {
        /// When.
        at: u64,
        /// Its workflow.
        id: WorkflowId,
        /// Its number in the workflow.
        seq: u32,
        /// What.
        change: TaskChange,
    },
}

impl Event {
    /// The one workflow that it changes; `None` when it changes definitions.
    #[must_use]
    pub fn workflow(&self) -> Option<WorkflowId> {
        match self {
            Self::WorkflowStarted { id, .. }
            | Self::WorkflowRestarted { id, .. }
            | Self::WorkflowRemoved { id, .. }
            | Self::Workflow { id, .. }
            | Self::Task { id, .. } => Some(*id),
            Self::TaskDefsSaved { .. }
            | Self::WorkflowDefSaved { .. }
            | Self::TaskDefRemoved { .. }
            | Self::WorkflowDefRemoved { .. }
            | Self::DefinitionsKept { .. } => None,
        }
    }

    /// When it happened, epoch milliseconds; 0 for what has no instant.
    #[must_use]
    pub fn at(&self) -> u64 {
        match self {
            Self::TaskDefsSaved { at, .. }
            | Self::WorkflowDefSaved { at, .. }
            | Self::TaskDefRemoved { at, .. }
            | Self::WorkflowDefRemoved { at, .. }
            | Self::WorkflowStarted { at, .. }
            | Self::WorkflowRestarted { at, .. }
            | Self::WorkflowRemoved { at, .. }
            | Self::Workflow { at, .. }
            | Self::Task { at, .. } => *at,
            Self::DefinitionsKept { .. } => 0,
        }
    }
}

/// What a start asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Input of the workflow.
    pub input: Payload,
    /// The client's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Arc<str>>,
    /// 0 to 99.
    #[serde(default)]
    pub priority: u8,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Arc<str>>,
    /// The client's key: no two starts of a definition succeed with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<Arc<str>>,
    /// The record that it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// How many failures of failure workflows it stands for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alarms: u8,
    /// Where tasks go, by their type or `*`: domains, separated by commas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub task_to_domain: BTreeMap<String, String>,
}

/// The record that a workflow does, and what is above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its number.
    pub seq: u32,
    /// How many workflows are above.
    pub depth: u8,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// What happens to a workflow after its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WorkflowChange {
    /// Nothing new is scheduled until it is resumed.
    Paused,
    /// It goes on; its time-out starts anew.
    Resumed,
    /// A workflow that had ended goes on; its time-out starts anew.
    Retried,
    /// A rerun gave it another input or another name.
    Relabeled {
        /// The new input, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Payload>,
        /// The client's new name for it, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correlation_id: Option<Arc<str>>,
    },
    /// Task records were taken out, to be made anew.
    RecordsRemoved {
        /// Their numbers, ascending.
        seqs: Vec<u32>,
    },
    /// It reached a terminal status.
    Ended {
        /// The status.
        status: WorkflowStatus,
        /// `reasonForIncompletion`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
        /// Its output.
        output: Payload,
        /// The record that brought it to this end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed_by: Option<u32>,
        /// Its failure workflow has to be started.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alarm: bool,
    },
    /// Whom its end concerns has been told: its parent, its failure workflow.
    Settled {
        /// The failure workflow, or why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure_workflow: Option<Arc<str>>,
    },
}

/// What happens to a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskChange {
    /// A record was made.
    Scheduled(Box<Scheduled>),
    /// A worker polled it.
    Started {
        /// The worker's name.
        worker: Option<Arc<str>>,
    },
    /// The worker gave it back, to be polled again later.
    CalledBack {
        /// Who.
        worker: Option<Arc<str>>,
        /// Output so far.
        output: Payload,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
        /// Milliseconds until it can be polled.
        callback_ms: u64,
    },
    /// The worker said that it is still on it.
    LeaseExtended,
    /// The workflow that does it has started.
    ChildStarted {
        /// That workflow.
        child: WorkflowId,
    },
    /// The workflow that did it has ended.
    ChildOver,
    /// It need not wait any longer before it is polled.
    MadeReady,
    /// Something was written into its log.
    Logged {
        /// What, oldest first.
        entries: Vec<LogEntry>,
    },
    /// It reached a terminal status.
    Ended {
        /// The status.
        status: TaskStatus,
        /// Who ended it; `None` for the engine itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker: Option<Arc<str>>,
        /// Its output; `None` keeps what it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Payload>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
    },
    /// An optional task failed for good: COMPLETED_WITH_ERRORS, and the flow goes on.
    Forgiven,
    /// A record that had ended waits again, as it did.
    Reopened,
}

/// What a WAIT waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitFor {
    /// So many milliseconds to pass.
    Span(u64),
    /// An instant, epoch milliseconds.
    Instant(u64),
}

/// A line of a task's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When it was written, as its writer told it; epoch milliseconds if nobody did.
    pub at: u64,
    /// The line.
    pub text: Arc<str>,
}

/// A new task record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// Its place in the definition.
    pub node: NodeIndex,
    /// Status to begin with: SCHEDULED for workers, COMPLETED for a fork, IN_PROGRESS for a join.
    pub status: TaskStatus,
    /// Attempt, from 0.
    #[serde(default)]
    pub attempt: u32,
    /// Milliseconds until it can be polled.
    #[serde(default)]
    pub delay_ms: u64,
    /// What a WAIT waits for; `None` = for somebody to end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitFor>,
    /// The domain whose workers get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Arc<str>>,
    /// Input, expressions replaced.
    pub input: Payload,
    /// When the first attempt was scheduled.
    pub first_at: u64,
    /// Number of the record that this one retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<u32>,
    /// Why the previous attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}
