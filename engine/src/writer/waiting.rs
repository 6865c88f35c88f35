//! Polls that found their queue empty and wait for a task.

use super::handle::{Poll, Unavailable};
use super::watching::{Watcher, Watching};
use crate::machine::State;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A waiting poll and the instant at which it is answered empty, epoch milliseconds.
pub(super) struct Waiter {
    pub poll: Poll,
    pub until: u64,
}

/// All waiting polls, first come first served within a queue.
#[derive(Default)]
pub(super) struct Waiting {
    queues: BTreeMap<Arc<str>, VecDeque<Waiter>>,
    /// No poll's time is over before this: most batches need not look through them.
    soonest: Option<u64>,
    /// The engine is stopping: every poll's time is over.
    draining: bool,
    /// Those who wait for a workflow.
    pub watching: Watching,
}

impl Waiting {
    pub fn add(&mut self, mut waiter: Waiter) {
        if self.draining {
            waiter.until = 0;
        }
        self.soonest = Some(self.soonest.map_or(waiter.until, |soonest| soonest.min(waiter.until)));
        self.queues.entry(Arc::clone(&waiter.poll.queue)).or_default().push_back(waiter);
    }

    /// Ends the time of every poll, now and from now on.
    pub fn drain(&mut self) {
        self.draining = true;
        self.soonest = Some(0);
        self.queues.values_mut().flatten().for_each(|waiter| waiter.until = 0);
        self.watching.drain();
    }

    /// True when nobody may wait any more.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Tells everybody who waits that nothing comes: those who wait for a task have got none, and for those who wait
    /// for a workflow the command that came first stands.
    pub fn refuse(&mut self, why: &Unavailable) {
        self.soonest = None;
        for waiter in std::mem::take(&mut self.queues).into_values().flatten() {
            drop(waiter.poll.to.send(Err(why.clone())));
        }
        self.watching.refuse(&Unavailable::Unknown);
    }

    /// Somebody waits for a workflow from now on.
    pub fn watch(&mut self, mut watcher: Watcher) {
        if self.draining {
            watcher.until = 0;
        }
        self.watching.add(watcher);
    }

    /// The first waiter of a queue whose client is still there.
    pub fn next(&mut self, queue: &str) -> Option<Waiter> {
        let waiters = self.queues.get_mut(queue)?;
        let next = std::iter::from_fn(|| waiters.pop_front()).find(|waiter| !waiter.poll.to.is_closed());
        if waiters.is_empty() {
            self.queues.remove(queue);
        }
        next
    }

    /// Queues that someone waits for.
    pub fn queues(&self) -> Vec<Arc<str>> {
        self.queues.keys().cloned().collect()
    }

    /// Takes out the waiters whose time is over or whose client has gone.
    pub fn expired(&mut self, now: u64) -> Vec<Waiter> {
        let mut expired = Vec::new();
        if self.soonest.is_none_or(|soonest| now < soonest) {
            return expired;
        }
        self.queues.retain(|_, waiters| {
            let (over, still): (VecDeque<_>, VecDeque<_>) = std::mem::take(waiters)
                .into_iter()
                .partition(|waiter| waiter.until <= now || waiter.poll.to.is_closed());
            expired.extend(over);
            *waiters = still;
            !waiters.is_empty()
        });
        self.soonest = self.queues.values().flatten().map(|waiter| waiter.until).min();
        expired
    }

    /// When something happens here by itself: a poll's time is over, or a delayed task can be polled.
    pub fn next_event(&self, state: &State, now: u64) -> Option<u64> {
        let ready = self.queues.keys().filter_map(|queue| state.next_hand_out(queue, now));
        self.soonest.into_iter().chain(self.watching.soonest).chain(ready).min()
    }
}
