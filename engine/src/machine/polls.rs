//! Who polled which queue last, and the names of queues.
//!
//! This is of the running process, not of the journal: what is drawn from it (a task's domain) is stored in events.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A domain whose workers polled within this time is alive, milliseconds; Conductor's `activeWorkerLastPollTimeout`.
const ALIVE_MS: u64 = 10_000;
/// Queues remembered; beyond that those are forgotten that nobody polls.
const MAX_QUEUES: usize = 10_000;
/// In a list of domains: none at all.
const NO_DOMAIN: &str = "NO_DOMAIN";

/// Name of the queue of a type, for the workers of a domain.
#[must_use]
pub fn queue(kind: &Arc<str>, domain: Option<&Arc<str>>) -> Arc<str> {
    domain.map_or_else(|| Arc::clone(kind), |domain| format!("{domain}:{kind}").into())
}

/// The last poll of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// The task type.
    pub kind: Arc<str>,
    /// The domain.
    pub domain: Option<Arc<str>>,
    /// Who asked.
    pub worker: Option<Arc<str>>,
    /// When, epoch milliseconds.
    pub at: u64,
}

/// The last poll of every queue.
#[derive(Debug, Default)]
pub struct Polls {
    queues: BTreeMap<Arc<str>, Polled>,
}

impl Polls {
    /// Notes a poll.
    pub fn note(&mut self, queue: &Arc<str>, polled: Polled) {
        if let Some(known) = self.queues.get_mut(queue) {
            *known = polled;
            return;
        }
        if self.queues.len() >= MAX_QUEUES {
            self.queues.retain(|_, known| polled.at < known.at + ALIVE_MS);
        }
        if self.queues.len() < MAX_QUEUES {
            self.queues.insert(Arc::clone(queue), polled);
        }
    }

    /// The last poll of each queue, by the queue's name.
    pub fn all(&self) -> impl Iterator<Item = &Polled> {
        self.queues.values()
    }

    /// The domain for a task of this type, from a list in the order of preference: the first that is alive, else the
    /// last.
    #[must_use]
    pub fn choose(&self, kind: &Arc<str>, list: &str, now: u64) -> Option<Arc<str>> {
        let mut named = list.split(',').map(str::trim).filter(|domain| !domain.is_empty());
        let is_none = |domain: &str| domain.eq_ignore_ascii_case(NO_DOMAIN);
        let is_alive = |domain: &&str| {
            let last = self.queues.get(&queue(kind, Some(&Arc::from(*domain))));
            !is_none(domain) && last.is_some_and(|polled| now <= polled.at + ALIVE_MS)
        };
        let chosen = named.clone().find(is_alive).or_else(|| named.next_back().filter(|last| !is_none(last)));
        chosen.map(Arc::from)
    }
}
