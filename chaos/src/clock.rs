//! The only reader of clocks in this crate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// CLOCK_MONOTONIC, nanoseconds: one clock for every process of the machine, and a number that a file can hold.
#[must_use]
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_MONOTONIC exists on every Linux");
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// A duration as nanoseconds (584 years at most).
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The instant `duration` from now.
#[must_use]
pub fn after(duration: Duration) -> u64 {
    now_ns().saturating_add(nanos(duration))
}

/// What is left until `deadline_ns`; zero when it has passed.
#[must_use]
pub fn until(deadline_ns: u64) -> Duration {
    Duration::from_nanos(deadline_ns.saturating_sub(now_ns()))
}

/// The wall clock, epoch seconds; only to be compared with what others read from theirs.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one file that reads the clock")]
pub fn wall_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
