//! Leases: a task that is worked on for long shows signs of life, or the target takes it away and hands it out again.

use super::real_ns;
use crate::clock;
use crate::target::conductor::Conductor;
use crate::target::wire::{PolledTask, TaskResult};
use serde_json::json;

/// When the next sign of life is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    every_ns: u64,
    /// When it is due, monotonic nanoseconds; never for a task without a lease.
    pub next_ns: u64,
}

impl Lease {
    /// The lease of a task that was handed out at `polled_ns`. A sign of life comes after 0.8 of its time, like those
    /// of Conductor's own clients.
    pub fn new(task: &PolledTask, polled_ns: u64) -> Self {
        let every_ns = real_ns(task.response_timeout_seconds * 0.8, 1.0);
        let next_ns = if every_ns == 0 { u64::MAX } else { polled_ns.saturating_add(every_ns) };
        Self { every_ns, next_ns }
    }

    /// A sign of life was just given.
    pub fn renew(&mut self) {
        self.next_ns = clock::now_ns().saturating_add(self.every_ns);
    }
}

/// Tells the target that a task is still in hand; beside the work, so that a slow answer does not make it longer.
/// A sign of life that is lost is no error: the target decides what it makes of it.
pub fn extend(target: &Conductor, task: &PolledTask, worker: &str) {
    let (target, task, worker) = (target.clone(), task.clone(), worker.to_owned());
    tokio::spawn(async move {
        let result = TaskResult {
            workflow_instance_id: &task.workflow_instance_id,
            task_id: &task.task_id,
            worker_id: &worker,
            status: "IN_PROGRESS",
            output_data: json!({}),
            extend_lease: true,
            reason_for_incompletion: None,
        };
        if let Some(error) = target.update(&result).await.error() {
            tracing::warn!(task = task.task_id, error, "the lease was not extended");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_is_due_before_the_lease_ends_and_never_without_one() {
        let with = |seconds| PolledTask { response_timeout_seconds: seconds, ..PolledTask::default() };
        assert_eq!(Lease::new(&with(10.0), 1_000).next_ns, 8_000_001_000);
        assert_eq!(Lease::new(&with(0.0), 1_000).next_ns, u64::MAX);
    }
}
