//! A task record. It changes by events only.

use super::bounds::MAX_LOG_ENTRIES;
use super::event::{LogEntry, Scheduled, TaskChange, WaitFor};
use super::id::WorkflowId;
use super::payload::Payload;
use super::snapshot::NodeIndex;
use super::status::TaskStatus;
use super::workflow::is_default;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// The workflow that does a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// That workflow.
    pub id: WorkflowId,
    /// It has ended, and the record knows.
    pub over: bool,
}

/// A task record: one attempt at one task of the definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its number in the workflow, from 1, in scheduling order.
    pub seq: u32,
    /// Its place in the definition.
    pub node: NodeIndex,
    /// Attempt, from 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempt: u32,
    /// Where it stands.
    pub status: TaskStatus,
    /// True when a later record retries it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retried: bool,
    /// Number of the record that it retries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry_of: Option<u32>,
    /// Times that it was handed out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub poll_count: u32,
    /// Input, expressions replaced.
    pub input: Payload,
    /// Output so far.
    pub output: Payload,
    /// Why it is not completed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reason: Option<Arc<str>>,
    /// The worker that has it or had it last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub worker: Option<Arc<str>>,
    /// When the record was made.
    pub scheduled_at: u64,
    /// When the first attempt's record was made.
    pub first_at: u64,
    /// From when it can be polled.
    pub ready_at: u64,
    /// First hand-out of this record; 0 before it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub started_at: u64,
    /// Last sign of life: hand-out, callback, lease extension.
    pub updated_at: u64,
    /// When it ended; 0 before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ended_at: u64,
    /// Wait that the schedule asked for, milliseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start_delay_ms: u64,
    /// Wait that the schedule or the last callback asked for, milliseconds; 0 once handed out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delay_ms: u64,
    /// What a WAIT waits for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: Option<WaitFor>,
    /// The workflow that does it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub child: Option<Child>,
    /// The domain whose workers get it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub domain: Option<Arc<str>>,
    /// What was written into its log, oldest first; the newest [`MAX_LOG_ENTRIES`] are kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub logs: Vec<LogEntry>,
}

impl Task {
    /// When a WAIT begins, or ends by itself.
    #[must_use]
    pub fn wakes_at(&self) -> Option<u64> {
        match (self.status, self.wait) {
            (TaskStatus::Scheduled, _) => Some(self.ready_at),
            (TaskStatus::InProgress, Some(WaitFor::Span(ms))) => Some(self.started_at.saturating_add(ms)),
            (TaskStatus::InProgress, Some(WaitFor::Instant(at))) => Some(at),
            _ => None,
        }
    }

    pub(super) fn scheduled(at: u64, seq: u32, scheduled: &Scheduled) -> Self {
        let waits_for_worker = scheduled.status == TaskStatus::Scheduled;
        let ended = scheduled.status.is_terminal();
        Self {
            seq,
            node: scheduled.node,
            attempt: scheduled.attempt,
            status: scheduled.status,
            retried: false,
            retry_of: scheduled.retry_of,
            poll_count: 0,
            input: scheduled.input.clone(),
            output: Payload::default(),
            reason: scheduled.reason.clone(),
            worker: None,
            scheduled_at: at,
            first_at: scheduled.first_at,
            ready_at: at + scheduled.delay_ms,
            started_at: if waits_for_worker { 0 } else { at },
            updated_at: at,
            ended_at: if ended { at } else { 0 },
            start_delay_ms: scheduled.delay_ms,
            delay_ms: scheduled.delay_ms,
            wait: scheduled.wait,
            child: None,
            domain: scheduled.domain.clone(),
            logs: Vec::new(),
        }
    }

    pub(super) fn change(&mut self, at: u64, change: &TaskChange) {
        match change {
            TaskChange::Scheduled(_) => {}
            TaskChange::Started { worker } => {
                self.status = TaskStatus::InProgress;
                self.worker.clone_from(worker);
                self.poll_count += 1;
                self.updated_at = at;
                self.delay_ms = 0;
                if self.started_at == 0 {
                    self.started_at = at;
                }
            }
            TaskChange::CalledBack { worker, output, reason, callback_ms } => {
                self.status = TaskStatus::Scheduled;
                self.worker.clone_from(worker);
                self.output = output.clone();
                self.reason.clone_from(reason);
                self.updated_at = at;
                self.delay_ms = *callback_ms;
                self.ready_at = at + callback_ms;
            }
            TaskChange::LeaseExtended => self.updated_at = at,
            TaskChange::ChildStarted { child } => {
                self.status = TaskStatus::InProgress;
                self.child = Some(Child { id: *child, over: false });
                self.output = json!({"subWorkflowId": child}).into();
                self.started_at = at;
                self.updated_at = at;
                self.delay_ms = 0;
            }
            TaskChange::ChildOver => {
                if let Some(child) = &mut self.child {
                    child.over = true;
                }
            }
            TaskChange::Logged { entries } => {
                self.logs.extend(entries.iter().cloned());
                self.logs.drain(..self.logs.len().saturating_sub(MAX_LOG_ENTRIES));
            }
            TaskChange::MadeReady => {
                self.delay_ms = 0;
                self.ready_at = at;
            }
            TaskChange::Ended { status, worker, output, reason } => {
                self.status = *status;
                self.ended_at = at;
                if worker.is_some() {
                    self.worker.clone_from(worker);
                }
                if let Some(output) = output {
                    self.output = output.clone();
                }
                if reason.is_some() || *status == TaskStatus::Completed {
                    self.reason.clone_from(reason);
                }
            }
            TaskChange::Forgiven => self.status = TaskStatus::CompletedWithErrors,
            TaskChange::Reopened => {
                self.status = TaskStatus::InProgress;
                self.output = Payload::default();
                self.reason = None;
                self.ended_at = 0;
                self.updated_at = at;
                if let Some(child) = &mut self.child {
                    child.over = false;
                    self.output = json!({"subWorkflowId": child.id}).into();
                }
            }
        }
    }
}
