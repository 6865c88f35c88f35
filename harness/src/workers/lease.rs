//! Leases: a task that is worked on for long shows signs of life, or the target takes it away and hands it out again.

use super::real_ns;
use crate::clock;
use crate::target::conductor::Conductor;
use crate::target::wire::{PolledTask, TaskResult};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Signs of life that the target has acknowledged in time.
#[derive(Debug, Clone)]
pub struct Taken {
    lease_ns: u64,
    /// From when the lease counts: the hand-out, or the last sign of life that was taken.
    from_ns: Arc<AtomicU64>,
    polled_ns: u64,
}

impl Taken {
    /// None yet for a task that was handed out at `polled_ns`.
    pub fn none(task: &PolledTask, polled_ns: u64) -> Self {
        let lease_ns = real_ns(task.response_timeout_seconds, 1.0);
        Self { lease_ns, from_ns: Arc::new(AtomicU64::new(polled_ns)), polled_ns }
    }

    /// One was answered. After the end of the lease that is no promise: a target may say yes and drop what is late.
    fn acknowledged(&self, sent_ns: u64, done_ns: u64) {
        let in_time =
            |from_ns: u64| (done_ns < from_ns.saturating_add(self.lease_ns)).then_some(sent_ns.max(from_ns));
        let _ = self.from_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, in_time);
    }

    /// When the last of them was sent.
    pub fn last_ns(&self) -> Option<u64> {
        Some(self.from_ns.load(Ordering::Relaxed)).filter(|from_ns| *from_ns > self.polled_ns)
    }
}

/// Tells the target that a task is still in hand; beside the work, so that a slow answer does not make it longer.
/// A sign of life that is lost is no error: the target decides what it makes of it.
pub fn extend(target: &Conductor, task: &PolledTask, worker: &str, taken: &Taken) {
    let (target, task, worker, taken) = (target.clone(), task.clone(), worker.to_owned(), taken.clone());
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
        let sent = target.update(&result).await;
        match sent.error() {
            None => taken.acknowledged(sent.sent_ns, sent.done_ns),
            Some(error) => tracing::warn!(task = task.task_id, error, "the lease was not extended"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sign_of_life_that_was_answered_in_time_begins_the_lease_anew() {
        let task = PolledTask { response_timeout_seconds: 2.0, ..PolledTask::default() };
        let s = |seconds: f64| real_ns(seconds, 1.0);
        let taken = Taken::none(&task, s(10.0));
        assert_eq!(taken.last_ns(), None);
        taken.acknowledged(s(11.6), s(12.1));
        assert_eq!(taken.last_ns(), None, "the answer came after the end");
        taken.acknowledged(s(11.6), s(11.7));
        taken.acknowledged(s(13.2), s(13.3));
        assert_eq!(taken.last_ns(), Some(s(13.2)));
        taken.acknowledged(s(16.0), s(16.1));
        assert_eq!(taken.last_ns(), Some(s(13.2)), "by then it was somebody else's");
    }

    #[test]
    fn a_sign_of_life_is_due_before_the_lease_ends_and_never_without_one() {
        let with = |seconds| PolledTask { response_timeout_seconds: seconds, ..PolledTask::default() };
        assert_eq!(Lease::new(&with(10.0), 1_000).next_ns, 8_000_001_000);
        assert_eq!(Lease::new(&with(0.0), 1_000).next_ns, u64::MAX);
    }
}
