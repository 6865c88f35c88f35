//! What a node that shares its store with others counts: how often the lead changed, and what the fence refused.

use super::{counter, gauge};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of a node; shared by the store, the node and the API.
#[derive(Debug, Default)]
pub struct NodeCounts {
    /// Frames that were refused because another node had taken the lead.
    pub late_refused: AtomicU64,
    /// Frames found in the journal that were written after another node had taken the lead: never, or the fence leaks.
    pub late_accepted: AtomicU64,
    /// Appends whose outcome was unknown, and which turned out to be there.
    pub settled_kept: AtomicU64,
    /// Appends whose outcome was unknown, and which turned out not to be there.
    pub settled_gone: AtomicU64,
    /// Times that this process took the lead.
    pub taken: AtomicU64,
    /// Requests that were handed on to the leader.
    pub forwarded: AtomicU64,
    /// The epoch last seen.
    pub epoch: AtomicU64,
    /// True while this node leads.
    pub leading: AtomicBool,
    /// True when this node has read the journal once, and goes on from there.
    pub warm: AtomicBool,
    /// Position of the next frame, as far as this node has read.
    pub position: AtomicU64,
    /// The epoch in which this process last got a frame acknowledged, and the position after it.
    pub acknowledged: [AtomicU64; 2],
}

impl NodeCounts {
    /// A frame of ours is in the journal, for certain.
    pub fn acknowledge(&self, epoch: u64, next: u64) {
        let [of, after] = &self.acknowledged;
        of.store(epoch, Ordering::Relaxed);
        after.store(next, Ordering::Relaxed);
        self.position.store(next, Ordering::Relaxed);
    }

    /// The epoch and the position up to which this process knows that the journal must go.
    pub fn acknowledged(&self) -> (u64, u64) {
        let [of, after] = &self.acknowledged;
        (of.load(Ordering::Relaxed), after.load(Ordering::Relaxed))
    }

    pub(super) fn write(&self, text: &mut String) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        gauge(
            text,
            "shakedown_leading",
            "1 while this node leads",
            u8::from(self.leading.load(Ordering::Relaxed)),
        );
        gauge(text, "shakedown_epoch", "epoch of the journal's head as last seen", read(&self.epoch));
        gauge(
            text,
            "shakedown_followed_position",
            "next frame that this node has not read",
            read(&self.position),
        );
        counter(
            text,
            "shakedown_lead_taken_total",
            "times that this process took the lead",
            read(&self.taken),
        );
        counter(
            text,
            "shakedown_late_writes_refused_total",
            "frames refused because another node had taken the lead",
            read(&self.late_refused),
        );
        counter(
            text,
            "shakedown_late_writes_accepted_total",
            "frames in the journal from a leader that was none any more; always 0, or the fence leaks",
            read(&self.late_accepted),
        );
        counter(
            text,
            "shakedown_unknown_appends_kept_total",
            "appends of unknown outcome that were found in the journal",
            read(&self.settled_kept),
        );
        counter(
            text,
            "shakedown_unknown_appends_gone_total",
            "appends of unknown outcome that were not, and were rolled back",
            read(&self.settled_gone),
        );
        counter(text, "shakedown_forwarded_total", "requests handed on to the leader", read(&self.forwarded));
    }
}
