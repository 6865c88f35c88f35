//! Reporting on a task, also through a restart of the target.

use super::work::Handed;
use crate::clock;
use crate::target::conductor::Conductor;
use crate::target::wire::{PolledTask, TaskResult};
use serde_json::{Value, json};
use shakedown_reports::history::{Outcome, Reported};
use std::time::Duration;

/// How long a worker tries to report: longer than any outage that is tested, shorter than for ever.
const TRY_FOR: Duration = Duration::from_secs(180);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What is reported.
#[derive(Debug)]
pub struct Report {
    /// How the work ended.
    pub reported: Reported,
    /// The task's output.
    pub output: Value,
}

/// What became of a report.
#[derive(Debug, Clone, Copy)]
pub struct Updated {
    /// When it was first sent.
    pub sent_ns: u64,
    /// When it was answered or given up.
    pub done_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// HTTP status of the last try.
    pub status: Option<u16>,
    /// How often it was sent.
    pub tries: u32,
}

impl Updated {
    /// Nothing was sent.
    pub fn never(at_ns: u64) -> Self {
        Self { sent_ns: at_ns, done_ns: at_ns, outcome: Outcome::Failed, status: None, tries: 0 }
    }
}

/// Sends a report until the target takes or refuses it. A report whose fate is unknown is sent again as it was: the
/// nonce in it makes the repetition recognisable.
pub async fn send(target: &Conductor, handed: &Handed, report: Report) -> Updated {
    let (status, reason) = match report.reported {
        Reported::Completed => ("COMPLETED", None),
        Reported::Failed => ("FAILED", Some("drawn to fail")),
        Reported::FailedTerminally => ("FAILED_WITH_TERMINAL_ERROR", Some("drawn to fail for good")),
        Reported::InProgress | Reported::Nothing => ("IN_PROGRESS", None),
    };
    let result = TaskResult {
        workflow_instance_id: &handed.task.workflow_instance_id,
        task_id: &handed.task.task_id,
        worker_id: &handed.worker,
        status,
        output_data: report.output,
        extend_lease: false,
        reason_for_incompletion: reason,
    };
    let mut pause = FIRST_PAUSE;
    let mut updated = Updated { tries: 1, ..Updated::never(clock::now_ns()) };
    let give_up_ns = updated.sent_ns + clock::nanos(TRY_FOR);
    loop {
        let exchange = target.update(&result).await;
        (updated.done_ns, updated.status) = (exchange.done_ns, exchange.status);
        // A report that may have arrived once stays unknown until the target says yes.
        let was_unknown = updated.tries > 1 && updated.outcome == Outcome::Unknown;
        let outcome = exchange.outcome();
        updated.outcome = if was_unknown && outcome == Outcome::Failed { Outcome::Unknown } else { outcome };
        if outcome == Outcome::Ok || refused_for_good(exchange.status) || exchange.done_ns >= give_up_ns {
            return updated;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        updated.tries += 1;
    }
}

/// A 4xx other than "too many requests" will not turn into a yes.
fn refused_for_good(status: Option<u16>) -> bool {
    matches!(status, Some(400..=428 | 430..=499))
}

/// Tells the target that a task is still worked on. A lost sign of life is no harm as long as the next one arrives.
pub async fn extend_lease(target: &Conductor, task: &PolledTask, worker: &str) {
    let result = TaskResult {
        workflow_instance_id: &task.workflow_instance_id,
        task_id: &task.task_id,
        worker_id: worker,
        status: "IN_PROGRESS",
        output_data: json!({}),
        extend_lease: true,
        reason_for_incompletion: None,
    };
    let exchange = target.update(&result).await;
    if let Some(error) = exchange.error() {
        tracing::warn!(task = task.task_id, error, "the lease was not extended");
    }
}
