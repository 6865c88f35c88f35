//! A timer that is precise to about a tenth of a millisecond.
//!
//! tokio's rounds up to its next millisecond: 1.1 ms late on average. At speed 600 a workflow of eight tasks in a row
//! would be 5 s of workflow time too long, and the error would be taken for the orchestrator's.

use crate::clock;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Wakes sleepers from a thread of its own.
#[derive(Debug)]
pub struct Timer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    sleepers: BinaryHeap<Reverse<Sleeper>>,
    made: u64,
    closed: bool,
}

/// Ordered by when it wakes, then by age.
#[derive(Debug)]
struct Sleeper {
    at_ns: u64,
    number: u64,
    wake: oneshot::Sender<()>,
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}
impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Sleeper {}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; were it so, a heap is still a heap.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("timer".to_owned()).spawn(move || run(&for_thread))?;
        Ok(Self { shared })
    }

    /// Returns when the monotonic clock has reached `at_ns`.
    pub async fn sleep_until(&self, at_ns: u64) {
        if at_ns <= clock::now_ns() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        let first = {
            let mut state = self.shared.lock();
            let number = state.made;
            state.made += 1;
            state.sleepers.push(Reverse(Sleeper { at_ns, number, wake }));
            state.sleepers.peek().is_some_and(|Reverse(next)| next.number == number)
        };
        if first {
            self.shared.changed.notify_one();
        }
        // An error means that the timer is gone, and with it the run that anybody waits in.
        let _ = woken.await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

fn run(shared: &Shared) {
    clock::precise_sleeps();
    let mut state = shared.lock();
    while !state.closed {
        let now_ns = clock::now_ns();
        while let Some(Reverse(next)) = state.sleepers.peek()
            && next.at_ns <= now_ns
        {
            if let Some(Reverse(due)) = state.sleepers.pop() {
                // Whoever slept may have been cancelled.
                let _ = due.wake.send(());
            }
        }
        let pause =
            state.sleepers.peek().map_or(Duration::from_secs(3600), |Reverse(next)| clock::until(next.at_ns));
        state = shared
            .changed
            .wait_timeout(state, pause)
            .map_or_else(|broken| broken.into_inner().0, |(state, _)| state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_order_and_never_early() {
        let timer = Timer::start().unwrap();
        let begun = clock::now_ns();
        let one = async {
            timer.sleep_until(begun + 20_000_000).await;
            clock::now_ns() - begun
        };
        let two = async {
            timer.sleep_until(begun + 2_000_000).await;
            clock::now_ns() - begun
        };
        let (late, early) = tokio::join!(one, two);
        assert!(early >= 2_000_000 && late >= 20_000_000 && early < late, "{early} {late}");
        timer.sleep_until(0).await;
    }
}
