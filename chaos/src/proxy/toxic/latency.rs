//! Delays every piece by `latency` ± `jitter` milliseconds, counted from when it was read.

use super::{Item, Pull, Toxic, millis};
use crate::proxy::attributes::{Attributes, Field};
use crate::proxy::dice::Dice;
use std::collections::VecDeque;

pub const FIELDS: &[Field] = &[Field::zero("latency"), Field::zero("jitter")];

/// What a long, fast line holds: 160 ms at 200 MB/s.
const ROOM_BYTES: usize = 32 << 20;
const ROOM_PIECES: usize = 1 << 16;

/// A line of this length.
#[derive(Debug)]
pub struct Latency {
    latency_ns: u64,
    jitter_ns: u64,
    dice: Dice,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    last_due_ns: u64,
}

#[derive(Debug)]
struct Waiting {
    came_ns: u64,
    due_ns: u64,
    item: Item,
}

impl Latency {
    pub fn new(attributes: &Attributes, dice: Dice) -> Self {
        Self {
            latency_ns: millis(attributes, "latency"),
            jitter_ns: millis(attributes, "jitter"),
            dice,
            waiting: VecDeque::new(),
            bytes: 0,
            last_due_ns: 0,
        }
    }

    /// Uniform between latency − jitter and latency + jitter; never below zero.
    fn delay_ns(&mut self) -> u64 {
        if self.jitter_ns == 0 {
            return self.latency_ns;
        }
        let drawn = self.dice.between(0, self.jitter_ns.saturating_mul(2));
        self.latency_ns.saturating_add(drawn).saturating_sub(self.jitter_ns)
    }

    /// Nothing overtakes anything, whatever the jitter.
    fn due_ns(&mut self, came_ns: u64) -> u64 {
        let due = came_ns.saturating_add(self.delay_ns()).max(self.last_due_ns);
        self.last_due_ns = due;
        due
    }
}

impl Toxic for Latency {
    fn push(&mut self, item: Item, _now_ns: u64) {
        self.bytes += item.bytes();
        let (came_ns, due_ns) = match &item {
            Item::Data(piece) => (piece.at_ns, self.due_ns(piece.at_ns)),
            // A close is not delayed of itself; it leaves when everything before it has left.
            Item::End(_) => (0, self.last_due_ns),
        };
        self.waiting.push_back(Waiting { came_ns, due_ns, item });
    }

    fn pull(&mut self, now_ns: u64) -> Pull {
        match self.waiting.front() {
            None => Pull::Nothing,
            Some(first) if first.due_ns > now_ns => Pull::Until(first.due_ns),
            Some(_) => self.waiting.pop_front().map_or(Pull::Nothing, |first| {
                self.bytes -= first.item.bytes();
                let mut item = first.item;
                if let Item::Data(piece) = &mut item {
                    piece.at_ns = first.due_ns;
                }
                Pull::Item(item)
            }),
        }
    }

    fn has_room(&self) -> bool {
        self.bytes < ROOM_BYTES && self.waiting.len() < ROOM_PIECES
    }

    /// What waits gets the new delay, counted from when it was read.
    fn set(&mut self, attributes: &Attributes, _now_ns: u64) {
        self.latency_ns = millis(attributes, "latency");
        self.jitter_ns = millis(attributes, "jitter");
        self.last_due_ns = 0;
        let mut waiting = std::mem::take(&mut self.waiting);
        for one in &mut waiting {
            one.due_ns = match one.item {
                Item::Data(_) => self.due_ns(one.came_ns),
                Item::End(_) => self.last_due_ns,
            };
        }
        self.waiting = waiting;
    }

    fn release(self: Box<Self>) -> Vec<Item> {
        self.waiting.into_iter().map(|one| one.item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MS, data, make};
    use super::super::{End, Kind};
    use super::*;

    #[test]
    fn delays_do_not_add_up_and_the_close_comes_last() {
        let mut toxic = make(Kind::Latency, &[("latency", 50)]);
        toxic.push(data("a", 0), 0);
        toxic.push(data("b", MS), MS);
        toxic.push(Item::End(End::Fin), 2 * MS);
        assert_eq!(toxic.pull(49 * MS), Pull::Until(50 * MS));
        assert_eq!(toxic.pull(50 * MS), Pull::Item(data("a", 50 * MS)));
        assert_eq!(toxic.pull(50 * MS), Pull::Until(51 * MS));
        assert_eq!(toxic.pull(60 * MS), Pull::Item(data("b", 51 * MS)), "stamped with when it was due");
        assert_eq!(toxic.pull(60 * MS), Pull::Item(Item::End(End::Fin)));
    }

    #[test]
    fn jitter_stays_in_its_bounds_and_keeps_the_order() {
        let mut toxic = make(Kind::Latency, &[("latency", 10), ("jitter", 10)]);
        let mut seen = Vec::new();
        for at in 0..1000 {
            let at_ns = at * 100 * MS;
            toxic.push(data("x", at_ns), at_ns);
            let Pull::Until(due) = toxic.pull(at_ns) else { panic!("some delay") };
            seen.push(due - at_ns);
            assert!(matches!(toxic.pull(due), Pull::Item(_)));
        }
        assert!(seen.iter().all(|delay| *delay <= 20 * MS));
        assert!(seen.iter().any(|delay| *delay < 2 * MS) && seen.iter().any(|delay| *delay > 18 * MS));
        let mean = seen.iter().sum::<u64>() / 1000;
        assert!((9 * MS..11 * MS).contains(&mean), "{mean}");
    }

    #[test]
    fn a_change_moves_what_waits() {
        let mut toxic = make(Kind::Latency, &[("latency", 1000)]);
        toxic.push(data("a", 5 * MS), 5 * MS);
        let mut shorter = Attributes::of(FIELDS);
        shorter.set_number("latency", 20);
        toxic.set(&shorter, 6 * MS);
        assert_eq!(toxic.pull(6 * MS), Pull::Until(25 * MS));
        assert_eq!(toxic.release(), [data("a", 5 * MS)]);
    }
}
