//! Ends a level that doesn't get on: no task was taken and the load has seen nothing for too long. Pure.

use crate::clock;
use std::time::Duration;

/// What was done so far, and since when it has not grown.
pub struct Watchdog {
    patience: Duration,
    seen: (u64, u64),
    since_ns: u64,
}

impl Watchdog {
    /// One that waits for `patience`, from `now_ns` on.
    pub fn new(patience: Duration, now_ns: u64) -> Self {
        Self { patience, seen: (0, 0), since_ns: now_ns }
    }

    /// Says why the level is to end, when what is done (tasks taken, bytes of the load's records) has not grown for
    /// too long.
    pub fn bites(&mut self, done: (u64, u64), now_ns: u64) -> Option<String> {
        if done != self.seen {
            (self.seen, self.since_ns) = (done, now_ns);
        }
        let still = now_ns.saturating_sub(self.since_ns);
        (still > clock::nanos(self.patience))
            .then(|| format!("did nothing for {:?}", Duration::from_nanos(still)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_bites_when_nothing_grows_for_longer_than_its_patience() {
        const S: u64 = 1_000_000_000;
        let mut watchdog = Watchdog::new(Duration::from_secs(10), 100 * S);
        assert_eq!(watchdog.bites((0, 0), 110 * S), None);
        assert_eq!(watchdog.bites((1, 0), 111 * S), None, "a task was taken");
        assert_eq!(watchdog.bites((1, 7), 120 * S), None, "the load saw something");
        assert_eq!(watchdog.bites((1, 7), 130 * S), None);
        assert_eq!(watchdog.bites((1, 7), 131 * S).as_deref(), Some("did nothing for 11s"));
    }
}
