//! Ends the connection after exactly `bytes` bytes: Toxiproxy's `limit_data` closes, our `cut_after` resets unless told
//! otherwise. A limit of 0 ends it when the first byte comes.

use super::{End, Item, Pull, Queue, Toxic};
use crate::proxy::attributes::{Attributes, Field, Setting};

pub const FIELDS: &[Field] = &[Field::zero("bytes")];
pub const OWN_FIELDS: &[Field] =
    &[Field::zero("bytes"), Field { name: "reset", default: Setting::Flag(true) }];

/// A line with so much left on it.
#[derive(Debug)]
pub struct LimitData {
    limit: u64,
    end: End,
    passed: u64,
    queue: Queue,
    ended: bool,
}

impl LimitData {
    pub fn new(attributes: &Attributes) -> Self {
        let mut new = Self { limit: 0, end: End::Close, passed: 0, queue: Queue::default(), ended: false };
        new.set(attributes, 0);
        new
    }
}

impl Toxic for LimitData {
    fn push(&mut self, item: Item, _now_ns: u64) {
        if self.ended {
            return;
        }
        let Item::Data(mut piece) = item else {
            self.ended = true;
            return self.queue.push(item);
        };
        let left = usize::try_from(self.limit.saturating_sub(self.passed)).unwrap_or(usize::MAX);
        piece.bytes.truncate(left);
        self.passed += piece.bytes.len() as u64;
        if !piece.bytes.is_empty() {
            self.queue.push(Item::Data(piece));
        }
        if self.passed >= self.limit {
            self.ended = true;
            self.queue.push(Item::End(self.end));
        }
    }

    fn pull(&mut self, _now_ns: u64) -> Pull {
        self.queue.pop().map_or(Pull::Nothing, Pull::Item)
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn set(&mut self, attributes: &Attributes, _now_ns: u64) {
        self.limit = attributes.number("bytes");
        self.end = if attributes.flag("reset") { End::Reset } else { End::Close };
    }

    fn release(self: Box<Self>) -> Vec<Item> {
        self.queue.into_items()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::testing::{data, make};
    use super::*;

    #[test]
    fn it_cuts_inside_a_piece() {
        let mut toxic = make(Kind::LimitData, &[("bytes", 5)]);
        toxic.push(data("abc", 0), 0);
        toxic.push(data("defgh", 0), 0);
        toxic.push(data("more", 0), 0);
        let items = toxic.release();
        assert_eq!(items, [data("abc", 0), data("de", 0), Item::End(End::Close)]);
    }

    #[test]
    fn zero_waits_for_the_first_byte_and_ours_resets() {
        let mut toxic = make(Kind::CutAfter, &[]);
        assert_eq!(toxic.pull(0), Pull::Nothing);
        toxic.push(data("a", 0), 0);
        assert_eq!(toxic.pull(0), Pull::Item(Item::End(End::Reset)));
        assert_eq!(toxic.pull(0), Pull::Nothing);
    }
}
