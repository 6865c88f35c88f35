//! What is counted while it happens: connections and bytes of a proxy, and what passed a toxic since it was set.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// One direction of a proxy.
#[derive(Debug, Default)]
pub struct Bytes {
    /// Read from the sender.
    pub received: AtomicU64,
    /// Written to the receiver.
    pub sent: AtomicU64,
}

/// A proxy.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Of these, those that are open now.
    pub open: AtomicU64,
    /// Of these, those that the upstream did not take.
    pub dial_failed: AtomicU64,
    /// Of these, those that were reset, by a toxic, a cut or a peer.
    pub reset: AtomicU64,
    /// Directions of connections that run now.
    pub links: AtomicU64,
    /// From clients to the upstream.
    pub upstream: Bytes,
    /// From the upstream to clients.
    pub downstream: Bytes,
}

/// A toxic, since it was set or changed: whoever set it can see that it bites.
#[derive(Debug, Default)]
pub struct Passed {
    /// Links that run it now.
    pub links: AtomicU64,
    /// Of these, those where the toss let it act.
    pub active_links: AtomicU64,
    /// Bytes that came to it.
    pub received_bytes: AtomicU64,
    /// Bytes that left it.
    pub sent_bytes: AtomicU64,
    /// Pieces that left it, and the time that they spent in it.
    pub sent_pieces: AtomicU64,
    /// The sum of these times.
    pub delay_ns: AtomicU64,
    /// Connections that it closed or reset.
    pub ended: AtomicU64,
}

/// [`Passed`], read.
#[derive(Debug, Clone, Serialize)]
pub struct PassedView {
    links: u64,
    active_links: u64,
    received_bytes: u64,
    sent_bytes: u64,
    mean_delay_ms: Option<f64>,
    ended_connections: u64,
}

impl Passed {
    /// Reads all of it.
    #[must_use]
    pub fn view(&self) -> PassedView {
        let pieces = get(&self.sent_pieces);
        #[allow(clippy::cast_precision_loss, reason = "a mean for people, 53 bits are plenty")]
        let mean = || get(&self.delay_ns) as f64 / pieces as f64 / 1e6;
        PassedView {
            links: get(&self.links),
            active_links: get(&self.active_links),
            received_bytes: get(&self.received_bytes),
            sent_bytes: get(&self.sent_bytes),
            mean_delay_ms: (pieces > 0).then(|| (mean() * 1000.0).round() / 1000.0),
            ended_connections: get(&self.ended),
        }
    }
}

/// Counts up. Counters order nothing, so relaxed is enough.
pub fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Reads.
#[must_use]
pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
