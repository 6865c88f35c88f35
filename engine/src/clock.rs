//! The only reader of the engine's wall clock.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since the epoch.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A clock that starts at the wall clock and goes on with the monotonic one: somebody who sets the wall clock
/// neither ends every lease nor stops time.
#[allow(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub fn steady() -> impl Fn() -> u64 + Send {
    let (wall, begun) = (now_ms(), Instant::now());
    move || wall + u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Nanoseconds since some instant of this process: for measuring stretches of time.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub fn monotonic_ns() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGUN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The same as a duration, for leases: it goes on while the process is stopped, and nobody can set it.
#[must_use]
pub fn monotonic() -> std::time::Duration {
    std::time::Duration::from_nanos(monotonic_ns())
}

/// Random bits for the seed of a command, from the operating system's hasher keys and the clock.
#[must_use]
pub fn entropy() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(now_ms());
    hasher.finish()
}
