//! Does nothing; also what a link has where the toss went against a toxic.

use super::{Item, Pull, Queue, Toxic};
use crate::proxy::attributes::Attributes;

/// Passes everything on.
#[derive(Debug, Default)]
pub struct Noop {
    queue: Queue,
}

impl Toxic for Noop {
    fn push(&mut self, item: Item, _now_ns: u64) {
        self.queue.push(item);
    }

    fn pull(&mut self, _now_ns: u64) -> Pull {
        self.queue.pop().map_or(Pull::Nothing, Pull::Item)
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn set(&mut self, _attributes: &Attributes, _now_ns: u64) {}

    fn release(self: Box<Self>) -> Vec<Item> {
        self.queue.into_items()
    }
}
