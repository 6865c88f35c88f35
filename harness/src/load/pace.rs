//! How often closed load looks at what it started: pure.

use super::watch::NEAR;
use crate::clock;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause when the workflow is long overdue: then it is the delay that counts, not its last milliseconds.
const OVERDUE: Duration = Duration::from_millis(50);

/// A workflow that is shorter than this is never called overdue before.
const SHORT: Duration = Duration::from_millis(200);

/// Each workflow in flight adds so much to the pause: whatever is in flight, reads stay below some 7,000 a second.
const SHARE: Duration = Duration::from_micros(150);

/// What the workflows of a level took beyond their work of late: under load that is most of their length, and reads
/// long before the end would only add to the load. The least counts, so a stall that holds up all that are in flight
/// does not make the next ones wait.
#[derive(Debug)]
pub struct Pace {
    recent_ns: Mutex<VecDeque<u64>>,
    in_flight: u32,
}

impl Pace {
    /// A level that keeps so many in flight.
    pub fn new(in_flight: u32) -> Self {
        Self { recent_ns: Mutex::default(), in_flight }
    }

    /// A workflow took `beyond_ns` more than its work. When its `first` read found it ended, that is only how long
    /// was waited: it may have ended long before, so the next is read sooner.
    pub fn learn(&self, beyond_ns: u64, first: bool) {
        let mut recent_ns = self.recent_ns();
        recent_ns.push_back(if first { beyond_ns / 2 } else { beyond_ns });
        // As many as are in flight may share a stall; as many before them do not.
        while recent_ns.len() > 2 * self.in_flight as usize {
            recent_ns.pop_front();
        }
    }

    /// The length that the next one will have by what was learned.
    pub fn expected_ns(&self, work_ns: u64) -> u64 {
        work_ns + self.recent_ns().iter().min().copied().unwrap_or(0)
    }

    fn recent_ns(&self) -> MutexGuard<'_, VecDeque<u64>> {
        // A panic of another thread leaves a whole list.
        self.recent_ns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait between two reads.
    pub fn pause(&self, now_ns: u64, started_ns: u64, expected_ns: u64, failed: bool) -> Duration {
        pause(now_ns, started_ns, expected_ns, failed).max(SHARE * self.in_flight)
    }
}

/// How long to wait between two reads.
fn pause(now_ns: u64, started_ns: u64, expected_ns: u64, failed: bool) -> Duration {
    let overdue_ns = started_ns + expected_ns + clock::nanos(SHORT).max(expected_ns / 2);
    if failed || now_ns > overdue_ns { OVERDUE } else { NEAR }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workflows_take_beyond_their_work_is_learned() {
        const MS: u64 = 1_000_000;
        let pace = Pace::new(100);
        assert_eq!(pace.expected_ns(50 * MS), 50 * MS);
        (0..200).for_each(|_| pace.learn(400 * MS, false));
        let expected = pace.expected_ns(50 * MS);
        assert_eq!(expected, 450 * MS);
        assert_eq!(pace.pause(400 * MS, 0, expected, false), Duration::from_millis(15));
        // A stall that all in flight share changes nothing; workflows that had ended at their first read do.
        (0..100).for_each(|_| pace.learn(2400 * MS, false));
        assert_eq!(pace.expected_ns(50 * MS), 450 * MS);
        pace.learn(360 * MS, true);
        assert_eq!(pace.expected_ns(50 * MS), 230 * MS);
        assert_eq!(Pace::new(1).pause(400 * MS, 0, expected, false), NEAR);
    }

    #[test]
    fn reads_are_dense_only_around_the_expected_end() {
        const S: u64 = 1_000_000_000;
        assert_eq!(pause(15 * S, S, 10 * S, false), NEAR);
        assert_eq!(pause(17 * S, S, 10 * S, false), OVERDUE);
        assert_eq!(pause(9 * S, S, 10 * S, true), OVERDUE);
        assert_eq!(pause(S + S / 10, S, 0, false), NEAR, "a workflow without work takes some time too");
    }
}
