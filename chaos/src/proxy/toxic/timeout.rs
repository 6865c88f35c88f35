//! Swallows everything, and closes `timeout` milliseconds after the last piece came; 0 swallows for ever. Taking it
//! away closes too: the stream has a hole.

use super::{End, Item, Pull, Toxic, millis};
use crate::proxy::attributes::{Attributes, Field};

pub const FIELDS: &[Field] = &[Field::zero("timeout")];

/// A peer that is gone.
#[derive(Debug)]
pub struct Timeout {
    timeout_ns: u64,
    quiet_since_ns: u64,
    sender_ended: bool,
    closed: bool,
}

impl Timeout {
    pub fn new(attributes: &Attributes, now_ns: u64) -> Self {
        Self {
            timeout_ns: millis(attributes, "timeout"),
            quiet_since_ns: now_ns,
            sender_ended: false,
            closed: false,
        }
    }
}

impl Toxic for Timeout {
    fn push(&mut self, item: Item, now_ns: u64) {
        match item {
            Item::Data(_) => self.quiet_since_ns = now_ns,
            Item::End(_) => self.sender_ended = true,
        }
    }

    fn pull(&mut self, now_ns: u64) -> Pull {
        let due_ns = match self.timeout_ns {
            0 if self.sender_ended => now_ns,
            0 => return Pull::Nothing,
            timeout_ns => self.quiet_since_ns.saturating_add(timeout_ns),
        };
        if self.closed {
            return Pull::Nothing;
        }
        if due_ns > now_ns {
            return Pull::Until(due_ns);
        }
        self.closed = true;
        Pull::Item(Item::End(End::Close))
    }

    fn has_room(&self) -> bool {
        true
    }

    fn set(&mut self, attributes: &Attributes, now_ns: u64) {
        self.timeout_ns = millis(attributes, "timeout");
        self.quiet_since_ns = now_ns;
    }

    fn release(self: Box<Self>) -> Vec<Item> {
        vec![Item::End(End::Close)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::testing::{MS, data, make};
    use super::*;

    #[test]
    fn it_counts_from_the_last_piece() {
        let mut toxic = make(Kind::Timeout, &[("timeout", 400)]);
        for tick in 0..10 {
            toxic.push(data("x", 0), tick * 200 * MS);
            assert_eq!(toxic.pull(tick * 200 * MS), Pull::Until((tick * 200 + 400) * MS));
        }
        assert_eq!(toxic.pull(2200 * MS), Pull::Item(Item::End(End::Close)));
        assert_eq!(toxic.pull(2300 * MS), Pull::Nothing);
    }

    #[test]
    fn zero_swallows_until_it_is_taken_away() {
        let mut toxic = make(Kind::Timeout, &[]);
        toxic.push(data("x", 0), 0);
        assert_eq!(toxic.pull(1_000_000 * MS), Pull::Nothing);
        assert_eq!(toxic.release(), [Item::End(End::Close)]);
    }
}
