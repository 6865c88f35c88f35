//! The only reader of clocks in the harness.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// CLOCK_MONOTONIC, nanoseconds: one clock for every process of the machine, and a number that a file can hold.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_MONOTONIC exists on every Linux");
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// CPU time, user and system, of all threads of a process, to the nanosecond; `None` when it is gone.
pub fn cpu_ns_of(pid: u32) -> Option<u64> {
    let mut clock_id: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write to a local of the type that they ask for, and are checked.
    let read = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock_id) == 0
            && libc::clock_gettime(clock_id, &raw mut time) == 0
    };
    read.then(|| time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
}

/// Blocks this thread until the monotonic clock has reached `at_ns`.
pub fn sleep_until(at_ns: u64) {
    let seconds = i64::try_from(at_ns / 1_000_000_000).unwrap_or(i64::MAX);
    let time = libc::timespec { tv_sec: seconds, tv_nsec: (at_ns % 1_000_000_000).cast_signed() };
    // SAFETY: `time` is a valid timespec, and with TIMER_ABSTIME nothing is written back.
    let sleep = || unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &raw const time,
            std::ptr::null_mut(),
        )
    };
    // A signal ends the sleep early; it is taken up again, to the same instant.
    while sleep() == libc::EINTR {}
}

/// Lets this thread's sleeps end within a microsecond of their instant; Linux groups timers by 50 µs otherwise.
pub fn precise_sleeps() {
    // SAFETY: prctl with integers; it sets the slack of this thread's own timers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000, 0, 0, 0) };
}

/// The wall clock, epoch milliseconds; for names and headers, never for differences.
#[expect(clippy::disallowed_methods, reason = "this is the one file that reads the clock")]
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as nanoseconds (584 years at most).
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is left until `deadline_ns`; zero when it has passed.
pub fn until(deadline_ns: u64) -> Duration {
    Duration::from_nanos(deadline_ns.saturating_sub(now_ns()))
}

/// Epoch milliseconds as `20261123T141800Z`, which sorts and is a file name everywhere.
pub fn stamp(epoch_ms: u64) -> String {
    let seconds = epoch_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Days since 1970-01-01 as year, month, day. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`, for days that aren't negative.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_utc() {
        assert_eq!(stamp(0), "19700101T000000Z");
        assert_eq!(stamp(951_782_399_000), "20000228T235959Z");
        assert_eq!(stamp(951_782_400_000), "20000229T000000Z");
        assert_eq!(stamp(1_795_443_480_000), "20261123T141800Z");
    }

    #[test]
    fn the_monotonic_clock_goes_on() {
        let before = now_ns();
        assert!(now_ns() >= before && before > 0);
        assert_eq!(until(before), Duration::ZERO);
        sleep_until(before + 3_000_000);
        assert!(now_ns() >= before + 3_000_000, "never early");
        sleep_until(0);
    }
}
