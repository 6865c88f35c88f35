//! Cuts what comes into pieces of `average_size` ± `size_variation` bytes, with `delay` microseconds between them.

use super::{Item, Pull, Queue, Toxic};
use crate::proxy::attributes::{Attributes, Field};
use crate::proxy::dice::Dice;

pub const FIELDS: &[Field] =
    &[Field::zero("average_size"), Field::zero("size_variation"), Field::zero("delay")];

/// # Errors
/// Pieces of nothing would never end (Toxiproxy runs out of memory), and no piece can be smaller than nothing.
pub fn check(attributes: &Attributes) -> Result<(), String> {
    let (average, variation) = (attributes.number("average_size"), attributes.number("size_variation"));
    if average == 0 {
        return Err("attribute average_size is 0; give the bytes of a piece, 1 or more".to_owned());
    }
    if variation > average {
        return Err(format!("attribute size_variation is {variation}, more than average_size {average}"));
    }
    Ok(())
}

/// Scissors.
#[derive(Debug)]
pub struct Slicer {
    smallest: u64,
    largest: u64,
    delay_ns: u64,
    dice: Dice,
    queue: Queue,
    next_at_ns: u64,
}

impl Slicer {
    pub fn new(attributes: &Attributes, dice: Dice) -> Self {
        let mut slicer =
            Self { smallest: 1, largest: 1, delay_ns: 0, dice, queue: Queue::default(), next_at_ns: 0 };
        slicer.set(attributes, 0);
        slicer
    }
}

impl Toxic for Slicer {
    fn push(&mut self, item: Item, _now_ns: u64) {
        self.queue.push(item);
    }

    fn pull(&mut self, now_ns: u64) -> Pull {
        match self.queue.first() {
            None => return Pull::Nothing,
            Some(Item::End(_)) => {}
            Some(Item::Data(_)) if self.next_at_ns > now_ns => return Pull::Until(self.next_at_ns),
            // Counted from when this one was due, so that late waking doesn't add up; not over a pause, though.
            Some(Item::Data(_)) => {
                let is_late = self.next_at_ns.saturating_add(self.delay_ns) >= now_ns;
                let from_ns = if is_late { self.next_at_ns } else { now_ns };
                self.next_at_ns = from_ns.saturating_add(self.delay_ns);
            }
        }
        let size = usize::try_from(self.dice.between(self.smallest, self.largest)).unwrap_or(usize::MAX);
        self.queue.pop_part(size).map_or(Pull::Nothing, Pull::Item)
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn set(&mut self, attributes: &Attributes, _now_ns: u64) {
        let (average, variation) = (attributes.number("average_size"), attributes.number("size_variation"));
        self.smallest = (average - variation.min(average)).max(1);
        self.largest = average.saturating_add(variation).max(1);
        self.delay_ns = attributes.number("delay").saturating_mul(1000);
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

    #[test]
    fn pieces_are_of_their_size_and_nothing_is_lost() {
        let mut toxic = make(Kind::Slicer, &[("average_size", 100), ("size_variation", 40)]);
        toxic.push(zeroes(50_000, 0), 0);
        toxic.push(Item::End(End::Fin), 0);
        let mut sizes = Vec::new();
        while let Pull::Item(Item::Data(piece)) = toxic.pull(0) {
            sizes.push(piece.bytes.len());
        }
        assert_eq!(sizes.iter().sum::<usize>(), 50_000);
        sizes.pop();
        assert!(sizes.iter().all(|size| (60..=140).contains(size)), "{sizes:?}");
        assert!((400..600).contains(&sizes.len()), "{}", sizes.len());
    }

    #[test]
    fn delays_lie_between_pieces() {
        let mut toxic = make(Kind::Slicer, &[("average_size", 10), ("delay", 5000)]);
        toxic.push(zeroes(20, 0), 0);
        assert!(matches!(toxic.pull(100 * MS), Pull::Item(_)));
        assert_eq!(toxic.pull(100 * MS), Pull::Until(105 * MS));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut attributes = Attributes::of(FIELDS);
        assert!(check(&attributes).is_err());
        attributes.set_number("average_size", 10);
        assert!(check(&attributes).is_ok());
        attributes.set_number("size_variation", 11);
        assert!(check(&attributes).is_err());
    }
}
