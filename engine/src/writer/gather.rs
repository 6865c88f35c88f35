//! Whether the writer waits a moment for a larger batch.
//!
//! A commit costs about as much processor time as deciding ten tasks. With few clients each request is committed at
//! once: nobody is there to share the cost with. When batches keep holding several requests, more are on their way,
//! and a short sleep lets them share one commit; meanwhile nobody has to wake the writer for each.
//! PostgreSQL does the same (`commit_delay`, `commit_siblings`).

use std::time::Duration;

/// Requests a batch on average from which on it is worth to wait.
const SIBLINGS: f64 = 4.0;
/// How long.
const DELAY: Duration = Duration::from_micros(500);
/// Weight of the newest batch in the average.
const WEIGHT: f64 = 1.0 / 16.0;

/// The average size of batches.
#[derive(Debug, Default)]
pub(super) struct Gather {
    average: f64,
}

impl Gather {
    /// How long to wait for more before the next batch.
    pub fn delay(&self) -> Option<Duration> {
        (self.average >= SIBLINGS).then_some(DELAY)
    }

    /// A batch held so many requests.
    pub fn learn(&mut self, requests: usize) {
        self.average += (requests as f64 - self.average) * WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_only_while_batches_hold_several_requests() {
        let mut gather = Gather::default();
        (0..1000).for_each(|_| gather.learn(2));
        assert_eq!(gather.delay(), None);
        (0..20).for_each(|_| gather.learn(10));
        assert_eq!(gather.delay(), Some(DELAY));
        (0..40).for_each(|_| gather.learn(1));
        assert_eq!(gather.delay(), None);
    }
}
