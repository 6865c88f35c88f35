//! How a started workflow is watched to its end without loading the target: pure.

use std::time::Duration;

/// Pause between reads while the end is near: the error of the observed end, and so small.
pub const NEAR: Duration = Duration::from_millis(5);
/// Longest pause of open load.
const LONGEST: Duration = Duration::from_secs(1);

/// When the first read is worth its cost: at 90 % of the expected length.
pub fn first_read_ns(started_ns: u64, expected_ns: u64) -> u64 {
    started_ns + expected_ns / 10 * 9
}

/// The pause of open load, which watches hundreds at once: a fifth of a workflow's age, so each costs few reads, and
/// its end is known to a fifth; how long it really took tells the target's own record.
pub fn sparing_pause(now_ns: u64, started_ns: u64) -> Duration {
    let age = Duration::from_nanos(now_ns.saturating_sub(started_ns));
    (age / 5).clamp(2 * NEAR, LONGEST)
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
        assert_eq!(sparing_pause(3 * MS, 0), Duration::from_millis(10));
        assert_eq!(sparing_pause(500 * MS, 0), Duration::from_millis(100));
        assert_eq!(sparing_pause(60_000 * MS, 0), LONGEST);
        assert_eq!(first_read_ns(1000 * MS, 10_000 * MS), 10_000 * MS);
    }
}
