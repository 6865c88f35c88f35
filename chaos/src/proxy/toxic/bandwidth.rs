//! Lets at most `rate` kB/s through (1 kB = 1000 bytes); a rate of 0 stalls without losing anything.

use super::{Item, Pull, Queue, Toxic};
use crate::proxy::attributes::{Attributes, Field};

pub const FIELDS: &[Field] = &[Field::zero("rate")];

/// How long the portions are that leave at once: short enough to be smooth, long enough to be cheap.
const PORTION_NS: u64 = 10_000_000;
/// How far behind it may catch up when it was woken late, or nobody took what it had.
const CATCH_UP_NS: u64 = 2 * PORTION_NS;

/// A line of this width.
#[derive(Debug)]
pub struct Bandwidth {
    bytes_per_s: u64,
    queue: Queue,
    /// When the line had sent everything so far.
    free_at_ns: u64,
}

impl Bandwidth {
    pub fn new(attributes: &Attributes, now_ns: u64) -> Self {
        Self { bytes_per_s: rate(attributes), queue: Queue::default(), free_at_ns: now_ns }
    }

    fn portion(&self, len: usize) -> usize {
        let most = u128::from(self.bytes_per_s) * u128::from(PORTION_NS) / 1_000_000_000;
        usize::try_from(most).unwrap_or(usize::MAX).clamp(1, len)
    }

    fn takes_ns(&self, bytes: usize) -> u64 {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_s);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

fn rate(attributes: &Attributes) -> u64 {
    attributes.number("rate").saturating_mul(1000)
}

impl Toxic for Bandwidth {
    fn push(&mut self, item: Item, _now_ns: u64) {
        self.queue.push(item);
    }

    fn pull(&mut self, now_ns: u64) -> Pull {
        let (len, came_ns) = match self.queue.first() {
            None => return Pull::Nothing,
            Some(Item::End(_)) => return self.queue.pop().map_or(Pull::Nothing, Pull::Item),
            Some(Item::Data(piece)) => (piece.bytes.len(), piece.at_ns),
        };
        if self.bytes_per_s == 0 {
            return Pull::Nothing;
        }
        let portion = self.portion(len);
        let begins_ns = self.free_at_ns.max(came_ns).max(now_ns.saturating_sub(CATCH_UP_NS));
        let due_ns = begins_ns.saturating_add(self.takes_ns(portion));
        if due_ns > now_ns {
            return Pull::Until(due_ns);
        }
        self.free_at_ns = due_ns;
        self.queue.pop_part(portion).map_or(Pull::Nothing, Pull::Item)
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn set(&mut self, attributes: &Attributes, now_ns: u64) {
        self.bytes_per_s = rate(attributes);
        self.free_at_ns = now_ns;
    }

    fn release(self: Box<Self>) -> Vec<Item> {
        self.queue.into_items()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MS, make, zeroes};
    use super::super::{End, Kind};
    use super::*;

    /// Pulls until the end and says when that was and how much came.
    fn drain(toxic: &mut Box<dyn Toxic>, mut now_ns: u64) -> (u64, usize) {
        let mut bytes = 0;
        loop {
            match toxic.pull(now_ns) {
                Pull::Item(Item::End(_)) => return (now_ns, bytes),
                Pull::Item(item) => bytes += item.bytes(),
                Pull::Until(at_ns) => now_ns = at_ns,
                Pull::Nothing => panic!("stalled after {bytes} bytes"),
            }
        }
    }

    #[test]
    fn two_hundred_kilobytes_at_a_hundred_take_two_seconds() {
        let mut toxic = make(Kind::Bandwidth, &[("rate", 100)]);
        toxic.push(zeroes(200_000, 0), 0);
        toxic.push(Item::End(End::Fin), 0);
        let (ended_ns, bytes) = drain(&mut toxic, 0);
        assert_eq!((ended_ns, bytes), (2000 * MS, 200_000));
    }

    #[test]
    fn waking_late_costs_nothing_and_a_pause_is_not_caught_up() {
        let mut toxic = make(Kind::Bandwidth, &[("rate", 100)]);
        toxic.push(zeroes(2000, 0), 0);
        assert_eq!(toxic.pull(0), Pull::Until(10 * MS));
        assert!(matches!(toxic.pull(13 * MS), Pull::Item(_)));
        assert_eq!(toxic.pull(13 * MS), Pull::Until(20 * MS), "3 ms late are made up");
        toxic.push(zeroes(100_000, 0), 20 * MS);
        let mut burst = 0;
        while let Pull::Item(item) = toxic.pull(5000 * MS) {
            burst += item.bytes();
        }
        assert!(burst <= 3000, "{burst} bytes at once after nobody had pulled for 5 s");
    }

    #[test]
    fn rate_zero_stalls_and_loses_nothing() {
        let mut toxic = make(Kind::Bandwidth, &[("rate", 0)]);
        toxic.push(zeroes(7, 0), 0);
        assert_eq!(toxic.pull(1_000_000 * MS), Pull::Nothing);
        assert_eq!(toxic.release(), [zeroes(7, 0)]);
    }
}
