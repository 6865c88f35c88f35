//! How a started workflow is watched to its end without loading the target: pure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Pause between reads while the end is near: the error of the observed end, and so small.
pub const NEAR: Duration = Duration::from_millis(5);
/// Longest pause of open load.
const LONGEST: Duration = Duration::from_secs(1);
/// Reads per arrival that those may cost together that were looked at and had not ended.
const READS_PER_ARRIVAL: f64 = 2.0;
/// Reads a second that are always allowed: what any target answers beside its work.
const FEW_READS_PER_S: f64 = 200.0;
/// What was not used of that is kept so long, nanoseconds: sleeps end a millisecond late.
const KEPT_NS: u64 = 20_000_000;

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

/// Whose turn it is to be read again: so many a second, however many wait. A target that must answer thousands who only look
/// does not get to the work that they look for, and its backlog would stay for ever.
#[derive(Debug)]
pub struct Turns {
    every_ns: u64,
    next_ns: AtomicU64,
}

impl Turns {
    /// For a level at which so many arrive in so many nanoseconds.
    pub fn new(arrivals: usize, within_ns: u64) -> Self {
        let arrivals_per_s = arrivals as f64 / (within_ns.max(1) as f64 / 1e9);
        let reads_per_s = FEW_READS_PER_S.max(READS_PER_ARRIVAL * arrivals_per_s);
        Self { every_ns: (1e9 / reads_per_s) as u64, next_ns: AtomicU64::new(0) }
    }

    /// Takes the next turn; it comes at that instant, now or later.
    pub fn take(&self, now_ns: u64) -> u64 {
        let turn = |next_ns: u64| next_ns.max(now_ns.saturating_sub(KEPT_NS));
        let taken = self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next_ns| {
            Some(turn(next_ns).saturating_add(self.every_ns))
        });
        turn(taken.unwrap_or_else(|next_ns| next_ns)).max(now_ns)
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
        assert_eq!(sparing_pause(3 * MS, 0), Duration::from_millis(10));
        assert_eq!(sparing_pause(500 * MS, 0), Duration::from_millis(100));
        assert_eq!(sparing_pause(60_000 * MS, 0), LONGEST);
        assert_eq!(first_read_ns(1000 * MS, 10_000 * MS), 10_000 * MS);
    }

    #[test]
    fn a_backlog_costs_no_more_reads_than_what_arrives() {
        const S: u64 = 1_000_000_000;
        // 240 a second: five thousand that wait are read 480 times a second, one after another.
        let turns = Turns::new(2400, 10 * S);
        let last = (0..5000).map(|_| turns.take(S)).last().unwrap();
        assert!((5000.0 / ((last - S) as f64 / 1e9) - 480.0).abs() < 2.0, "{last}");
        assert_eq!(turns.take(30 * S), 30 * S, "who comes when nobody waits is read at once");
        // What a late sleep left over is made up for, and no more.
        let made_up = (0..20).filter(|_| turns.take(60 * S) == 60 * S).count();
        assert_eq!(made_up, 10);
        // At one a second two hundred reads are allowed.
        let few = Turns::new(10, 10 * S);
        assert_eq!(few.take(S).max(few.take(S)), S);
        assert_eq!((0..198).map(|_| few.take(S)).last(), Some(S + S - 25_000_000));
    }
}
