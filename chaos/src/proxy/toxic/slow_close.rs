//! Delays the close by `delay` milliseconds, and nothing else.

use super::{Item, Pull, Queue, Toxic, millis};
use crate::proxy::attributes::{Attributes, Field};

pub const FIELDS: &[Field] = &[Field::zero("delay")];

/// Somebody who is slow to hang up.
#[derive(Debug)]
pub struct SlowClose {
    delay_ns: u64,
    queue: Queue,
    ended_at_ns: u64,
}

impl SlowClose {
    pub fn new(attributes: &Attributes) -> Self {
        Self { delay_ns: millis(attributes, "delay"), queue: Queue::default(), ended_at_ns: 0 }
    }
}

impl Toxic for SlowClose {
    fn push(&mut self, item: Item, now_ns: u64) {
        if matches!(item, Item::End(_)) {
            self.ended_at_ns = now_ns;
        }
        self.queue.push(item);
    }

    fn pull(&mut self, now_ns: u64) -> Pull {
        let due_ns = self.ended_at_ns.saturating_add(self.delay_ns);
        match self.queue.first() {
            None => Pull::Nothing,
            Some(Item::End(_)) if due_ns > now_ns => Pull::Until(due_ns),
            Some(_) => self.queue.pop().map_or(Pull::Nothing, Pull::Item),
        }
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn set(&mut self, attributes: &Attributes, _now_ns: u64) {
        self.delay_ns = millis(attributes, "delay");
    }

    fn release(self: Box<Self>) -> Vec<Item> {
        self.queue.into_items()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MS, data, make};
    use super::super::{End, Kind};
    use super::*;

    #[test]
    fn only_the_close_waits() {
        let mut toxic = make(Kind::SlowClose, &[("delay", 600)]);
        toxic.push(data("a", 0), 0);
        toxic.push(Item::End(End::Fin), 10 * MS);
        assert_eq!(toxic.pull(10 * MS), Pull::Item(data("a", 0)));
        assert_eq!(toxic.pull(10 * MS), Pull::Until(610 * MS));
        assert_eq!(toxic.pull(610 * MS), Pull::Item(Item::End(End::Fin)));
    }
}
