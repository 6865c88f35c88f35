//! Toxics: what is done to the bytes of one direction. A toxic is a pure machine: it is told what came and what time
//! it is, and says what leaves, or when it wants to be asked again. One toxic is one file.

mod bandwidth;
mod cut_at_answer;
mod latency;
mod limit_data;
mod noop;
mod reset_peer;
mod slicer;
mod slow_close;
mod swallow;
mod timeout;

use super::attributes::{Attributes, Field};
use super::dice::Dice;
use super::postgres::Mark;
use hyper::body::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Bytes that a toxic holds before nothing more is read: enough for it to work, little enough for back-pressure.
const ROOM: usize = 64 << 10;

/// What moves along a chain of toxics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Bytes.
    Data(Piece),
    /// Nothing comes after it.
    End(End),
}

/// Bytes that were read at once, or a part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What was read.
    pub bytes: Bytes,
    /// When it was read, plus what it was delayed since: delays count from here, so those of many pieces don't add up.
    pub at_ns: u64,
    /// What it is in the PostgreSQL protocol, where the proxy looks at it.
    pub mark: Mark,
    /// When it came to the toxic that holds it.
    pub came_ns: u64,
}

impl Piece {
    /// Takes the first `count` bytes; an end stays with the last ones.
    pub fn split_to(&mut self, count: usize) -> Self {
        let mark = if self.mark == Mark::Plain { Mark::Plain } else { Mark::Part };
        Self { bytes: self.bytes.split_to(count), at_ns: self.at_ns, mark, came_ns: self.came_ns }
    }
}

/// How a direction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The sender closed its half: pass that on, the other direction goes on.
    Fin,
    /// A toxic closes the whole connection.
    Close,
    /// A toxic resets the whole connection.
    Reset,
}

/// The answer to a pull.
#[derive(Debug, PartialEq, Eq)]
pub enum Pull {
    /// This leaves now.
    Item(Item),
    /// Nothing before this instant.
    Until(u64),
    /// Nothing before something is pushed or set.
    Nothing,
}

/// A machine that does one thing to a direction's bytes.
pub trait Toxic: Send {
    /// Takes in what came.
    fn push(&mut self, item: Item, now_ns: u64);

    /// Says what leaves now. After an [`Item::End`] nothing leaves any more.
    fn pull(&mut self, now_ns: u64) -> Pull;

    /// True when more may be pushed.
    fn has_room(&self) -> bool;

    /// Takes other attributes, with everything that it holds.
    fn set(&mut self, attributes: &Attributes, now_ns: u64);

    /// What it still held, in order, when it is taken away.
    fn release(self: Box<Self>) -> Vec<Item>;
}

/// What a toxic may need to know of its link.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Its own luck.
    pub dice: Dice,
    /// What the links of a toxic count together.
    pub together: Arc<AtomicU64>,
}

/// The kinds of toxics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Does nothing.
    Noop,
    /// Delays.
    Latency,
    /// Limits the rate.
    Bandwidth,
    /// Delays the close.
    SlowClose,
    /// Swallows everything, then closes.
    Timeout,
    /// Resets.
    ResetPeer,
    /// Cuts into small pieces.
    Slicer,
    /// Closes after a number of bytes.
    LimitData,
    /// Ours: swallows everything without closing.
    Swallow,
    /// Ours: resets or closes after a number of bytes.
    CutAfter,
    /// Ours: cuts at the answer to a write, in the PostgreSQL protocol.
    CutAtAnswer,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Noop,
        Self::Latency,
        Self::Bandwidth,
        Self::SlowClose,
        Self::Timeout,
        Self::ResetPeer,
        Self::Slicer,
        Self::LimitData,
        Self::Swallow,
        Self::CutAfter,
        Self::CutAtAnswer,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Latency => "latency",
            Self::Bandwidth => "bandwidth",
            Self::SlowClose => "slow_close",
            Self::Timeout => "timeout",
            Self::ResetPeer => "reset_peer",
            Self::Slicer => "slicer",
            Self::LimitData => "limit_data",
            Self::Swallow => "swallow",
            Self::CutAfter => "cut_after",
            Self::CutAtAnswer => "cut_at_answer",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// True for those that Toxiproxy doesn't have: plain clients neither set nor see them.
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::Swallow | Self::CutAfter | Self::CutAtAnswer)
    }

    /// Its attributes, in the order of the wire.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Noop | Self::Swallow => &[],
            Self::Latency => latency::FIELDS,
            Self::Bandwidth => bandwidth::FIELDS,
            Self::SlowClose => slow_close::FIELDS,
            Self::Timeout => timeout::FIELDS,
            Self::ResetPeer => reset_peer::FIELDS,
            Self::Slicer => slicer::FIELDS,
            Self::LimitData => limit_data::FIELDS,
            Self::CutAfter => limit_data::OWN_FIELDS,
            Self::CutAtAnswer => cut_at_answer::FIELDS,
        }
    }

    /// Says why these attributes make no sense.
    ///
    /// # Errors
    /// A sentence that names the attribute.
    pub fn check(self, attributes: &Attributes) -> Result<(), String> {
        attributes.check_not_negative()?;
        match self {
            Self::Slicer => slicer::check(attributes),
            Self::CutAtAnswer => cut_at_answer::check(attributes),
            _ => Ok(()),
        }
    }

    /// The machine of a link.
    #[must_use]
    pub fn build(self, attributes: &Attributes, around: Surroundings, now_ns: u64) -> Box<dyn Toxic> {
        match self {
            Self::Noop => Box::new(noop::Noop::default()),
            Self::Latency => Box::new(latency::Latency::new(attributes, around.dice)),
            Self::Bandwidth => Box::new(bandwidth::Bandwidth::new(attributes, now_ns)),
            Self::SlowClose => Box::new(slow_close::SlowClose::new(attributes)),
            Self::Timeout => Box::new(timeout::Timeout::new(attributes, now_ns)),
            Self::ResetPeer => Box::new(reset_peer::ResetPeer::new(attributes)),
            Self::Slicer => Box::new(slicer::Slicer::new(attributes, around.dice)),
            Self::LimitData | Self::CutAfter => Box::new(limit_data::LimitData::new(attributes)),
            Self::Swallow => Box::new(swallow::Swallow::default()),
            Self::CutAtAnswer => Box::new(cut_at_answer::CutAtAnswer::new(attributes, around.together)),
        }
    }
}

/// Items in order, and how many bytes they are.
#[derive(Debug, Default)]
pub struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Queue {
    /// Adds to the end.
    pub fn push(&mut self, item: Item) {
        self.bytes += item.bytes();
        self.items.push_back(item);
    }

    /// Takes the first.
    pub fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.bytes();
        Some(item)
    }

    /// Looks at the first.
    #[must_use]
    pub fn first(&self) -> Option<&Item> {
        self.items.front()
    }

    /// Takes at most `most` bytes from the first piece; an end is taken whole.
    pub fn pop_part(&mut self, most: usize) -> Option<Item> {
        match self.items.front_mut() {
            Some(Item::Data(piece)) if piece.bytes.len() > most => {
                self.bytes -= most;
                Some(Item::Data(piece.split_to(most)))
            }
            _ => self.pop(),
        }
    }

    /// Drops the first `count` bytes of the first piece.
    pub fn skip(&mut self, count: usize) {
        drop(self.pop_part(count));
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// True while a toxic that works through it may be given more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes < ROOM
    }

    /// Everything, in order.
    #[must_use]
    pub fn into_items(self) -> Vec<Item> {
        self.items.into()
    }
}

impl Item {
    /// Bytes of it; an end has none.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Data(piece) => piece.bytes.len(),
            Self::End(_) => 0,
        }
    }
}

fn millis(attributes: &Attributes, name: &str) -> u64 {
    attributes.number(name).saturating_mul(1_000_000)
}

#[cfg(test)]
mod testing {
    //! What the tests of single toxics share.

    use super::*;

    pub const MS: u64 = 1_000_000;

    pub fn make(kind: Kind, attributes: &[(&'static str, i64)]) -> Box<dyn Toxic> {
        let mut given = Attributes::of(kind.fields());
        for (name, value) in attributes {
            given.set_number(name, *value);
        }
        kind.check(&given).unwrap();
        kind.build(&given, Surroundings { dice: Dice::new(1), together: Arc::default() }, 0)
    }

    pub fn data(text: &'static str, at_ns: u64) -> Item {
        Item::Data(Piece { bytes: Bytes::from_static(text.as_bytes()), at_ns, mark: Mark::Plain, came_ns: 0 })
    }

    pub fn marked(text: &'static str, mark: Mark) -> Item {
        Item::Data(Piece { bytes: Bytes::from_static(text.as_bytes()), at_ns: 0, mark, came_ns: 0 })
    }

    pub fn zeroes(count: usize, at_ns: u64) -> Item {
        Item::Data(Piece { bytes: Bytes::from(vec![0; count]), at_ns, mark: Mark::Plain, came_ns: 0 })
    }
}
