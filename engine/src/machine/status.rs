//! The statuses of workflows and of task records, as Conductor names them.

use serde::{Deserialize, Serialize};

/// Status of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkflowStatus {
    /// Going on.
    Running,
    /// Nothing new is scheduled.
    Paused,
    /// Ended well.
    Completed,
    /// Ended by a failed task.
    Failed,
    /// Ended by a time-out.
    TimedOut,
    /// Ended by a person.
    Terminated,
}

impl WorkflowStatus {
    /// True when it has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Running | Self::Paused)
    }

    /// The status with this name on the wire.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all =
            [Self::Running, Self::Paused, Self::Completed, Self::Failed, Self::TimedOut, Self::Terminated];
        all.into_iter().find(|status| status.name() == name)
    }

    /// As on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Terminated => "TERMINATED",
        }
    }
}

/// Status of a task record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskStatus {
    /// Waits for a worker.
    Scheduled,
    /// A worker has it, or a join waits.
    InProgress,
    /// Ended well.
    Completed,
    /// Optional, and failed: the flow goes on.
    CompletedWithErrors,
    /// Passed over by a person.
    Skipped,
    /// Failed; may be retried.
    Failed,
    /// Failed; will not be retried.
    FailedWithTerminalError,
    /// Ran out of time; may be retried.
    TimedOut,
    /// Its workflow ended.
    Canceled,
}

impl TaskStatus {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::InProgress,
        Self::Completed,
        Self::CompletedWithErrors,
        Self::Skipped,
        Self::Failed,
        Self::FailedWithTerminalError,
        Self::TimedOut,
        Self::Canceled,
    ];

    /// The status with this name on the wire.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// True when the record has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Scheduled | Self::InProgress)
    }

    /// True when the flow goes on after it.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithErrors | Self::Skipped)
    }

    /// True when a retry may follow.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }

    /// As on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::CompletedWithErrors => "COMPLETED_WITH_ERRORS",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
            Self::FailedWithTerminalError => "FAILED_WITH_TERMINAL_ERROR",
            Self::TimedOut => "TIMED_OUT",
            Self::Canceled => "CANCELED",
        }
    }
}
