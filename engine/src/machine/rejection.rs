//! Why a command was refused. Nothing happened then.

use serde::Serialize;

/// A broken rule of a definition or a request, as Conductor lists them under `validationErrors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Where: `tasks[2].taskReferenceName`.
    pub path: String,
    /// What is wrong and what would be accepted.
    pub message: String,
    /// The value that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_value: Option<String>,
}

impl Violation {
    /// A violation at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>, value: impl ToString) -> Self {
        Self { path: path.into(), message: message.into(), invalid_value: Some(value.to_string()) }
    }
}

/// A command that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// What the command names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It exists, and its state does not allow the command.
    #[error("{0}")]
    Conflict(String),
    /// The command makes no sense in any state.
    #[error("{0}")]
    Invalid(String),
    /// What the command is about can't be read back.
    #[error("{0}")]
    Unreadable(String),
    /// What the command is about can't be reached at the moment.
    #[error("{0}; nothing was changed, try again")]
    Away(String),
    /// The definition or request breaks rules.
    #[error("{}", .0.iter().map(|v| format!("{}: {}", v.path, v.message)).collect::<Vec<_>>().join("; "))]
    Violations(Vec<Violation>),
}

impl Rejection {
    /// The refusal of a command on a workflow that is not there.
    #[must_use]
    pub fn no_workflow(id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("No such workflow found by id: {id}"))
    }

    /// The refusal of a command on a task that is not there.
    #[must_use]
    pub fn no_task(id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("No such task found by id: {id}"))
    }
}
