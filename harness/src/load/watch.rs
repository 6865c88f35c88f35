//! How a started workflow is watched to its end without loading the target: pure.

use std::time::Duration;

/// Pause between reads while the end is near: the error of the observed end, and so small.
pub const NEAR: Duration = Duration::from_millis(5);
/// Longest pause of open load, when few are in flight.
pub const LONGEST: Duration = Duration::from_secs(1);
/// Reads per arrival that watching may cost, whatever is in flight.
const READS_PER_ARRIVAL: f64 = 2.0;
/// Reads a second that are always allowed: what any target answers beside its work.
const FEW_READS_PER_S: f64 = 200.0;

/// When the first read is worth its cost: at 90 % of the expected length.
pub fn first_read_ns(started_ns: u64, expected_ns: u64) -> u64 {
    started_ns + expected_ns / 10 * 9
}

/// How often open load, which watches hundreds at once, looks at what it started.
#[derive(Debug, Clone, Copy)]
pub struct Sparing {
    reads_per_s: f64,
}

impl Sparing {
    /// For a level at which so many arrive in so many nanoseconds.
    pub fn new(arrivals: usize, within_ns: u64) -> Self {
        let per_s = arrivals as f64 / (within_ns.max(1) as f64 / 1e9);
        Self { reads_per_s: FEW_READS_PER_S.max(READS_PER_ARRIVAL * per_s) }
    }

    /// The pause before the next read: a fifth of a workflow's age, so each costs few reads, and its end is known to a
    /// fifth; how long it really took tells the target's own record. Those that are `overdue`, a backlog, make it longer, so
    /// that all of them together cost no more reads than a target without backlog is asked: one that must answer thousands
    /// who only look does not get to the work that they look for, and its backlog would stay for ever.
    pub fn pause(self, now_ns: u64, started_ns: u64, overdue: u64) -> Duration {
        let age = Duration::from_nanos(now_ns.saturating_sub(started_ns));
        let share = Duration::from_secs_f64(overdue as f64 / self.reads_per_s);
        (age / 5).clamp(2 * NEAR, LONGEST).max(share)
    }
}

/// True for a workflow status that never changes by itself.
pub fn is_terminal(status: &str) -> bool {
    matches!(status, "COMPLETED" | "FAILED" | "TIMED_OUT" | "TERMINATED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_load_reads_the_more_seldom_the_longer_a_workflow_takes() {
        const MS: u64 = 1_000_000;
        let sparing = Sparing::new(1000, 10_000 * MS);
        assert_eq!(sparing.pause(3 * MS, 0, 2), Duration::from_millis(10));
        assert_eq!(sparing.pause(500 * MS, 0, 2), Duration::from_millis(100));
        assert_eq!(sparing.pause(60_000 * MS, 0, 2), LONGEST);
        assert_eq!(first_read_ns(1000 * MS, 10_000 * MS), 10_000 * MS);
    }

    #[test]
    fn a_backlog_costs_no_more_reads_than_what_arrives() {
        // 240 a second; a hundred overdue are read as before, five thousand 480 times a second all together.
        let sparing = Sparing::new(2400, 10_000_000_000);
        assert_eq!(sparing.pause(2_000_000_000, 0, 100), Duration::from_millis(400));
        let pause = sparing.pause(2_000_000_000, 0, 5000);
        assert!((5000.0 / pause.as_secs_f64() - 480.0).abs() < 0.1, "{pause:?}");
        // At one a second a hundred overdue may still be looked at each half second.
        assert_eq!(Sparing::new(10, 10_000_000_000).pause(500_000_000, 0, 100), Duration::from_millis(500));
    }
}
