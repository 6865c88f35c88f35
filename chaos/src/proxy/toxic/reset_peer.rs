//! Waits for something to come, then `timeout` milliseconds, then resets the connection. What came is lost.

use super::{End, Item, Pull, Toxic, millis};
use crate::proxy::attributes::{Attributes, Field};

pub const FIELDS: &[Field] = &[Field::zero("timeout")];

/// A peer that forgot the connection.
#[derive(Debug)]
pub struct ResetPeer {
    timeout_ns: u64,
    came_ns: Option<u64>,
    done: bool,
}

impl ResetPeer {
    pub fn new(attributes: &Attributes) -> Self {
        Self { timeout_ns: millis(attributes, "timeout"), came_ns: None, done: false }
    }
}

impl Toxic for ResetPeer {
    fn push(&mut self, _item: Item, now_ns: u64) {
        self.came_ns.get_or_insert(now_ns);
    }

    fn pull(&mut self, now_ns: u64) -> Pull {
        match self.came_ns.map(|came_ns| came_ns.saturating_add(self.timeout_ns)) {
            Some(due_ns) if !self.done && due_ns > now_ns => Pull::Until(due_ns),
            Some(_) if !self.done => {
                self.done = true;
                Pull::Item(Item::End(End::Reset))
            }
            _ => Pull::Nothing,
        }
    }

    fn has_room(&self) -> bool {
        true
    }

    fn set(&mut self, attributes: &Attributes, _now_ns: u64) {
        self.timeout_ns = millis(attributes, "timeout");
    }

    /// A stream that lost something can't go on.
    fn release(self: Box<Self>) -> Vec<Item> {
        self.came_ns.map(|_| Item::End(End::Reset)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::testing::{MS, data, make};
    use super::*;

    #[test]
    fn it_waits_for_data_and_then_for_its_time() {
        let mut toxic = make(Kind::ResetPeer, &[("timeout", 100)]);
        assert_eq!(toxic.pull(5000 * MS), Pull::Nothing);
        toxic.push(data("x", 0), 5000 * MS);
        assert_eq!(toxic.pull(5001 * MS), Pull::Until(5100 * MS));
        assert_eq!(toxic.pull(5100 * MS), Pull::Item(Item::End(End::Reset)));
        assert_eq!(toxic.pull(5200 * MS), Pull::Nothing);
        assert_eq!(make(Kind::ResetPeer, &[]).release(), []);
    }
}
