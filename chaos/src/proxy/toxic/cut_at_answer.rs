//! Ours: ends the connection at the answer to a write (PostgreSQL protocol), so that the client can't know whether its
//! commit happened. The answer is held back until it is whole, and then either dropped with the connection or
//! passed on.

use super::{End, Item, Pull, Queue, Toxic};
use crate::proxy::attributes::{Attributes, Field, Setting};
use crate::proxy::postgres::Mark;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const FIELDS: &[Field] = &[
    Field { name: "nth", default: Setting::Number(1) },
    Field { name: "commits_only", default: Setting::Flag(true) },
    Field { name: "each_connection", default: Setting::Flag(false) },
    Field { name: "deliver", default: Setting::Flag(false) },
    Field { name: "reset", default: Setting::Flag(true) },
];

/// Bytes of one answer that are held back at most; a longer one is let through.
const HELD: usize = 4 << 20;

/// # Errors
/// There is no answer before the first.
pub fn check(attributes: &Attributes) -> Result<(), String> {
    if attributes.number("nth") == 0 {
        return Err("attribute nth is 0; the first answer is 1".to_owned());
    }
    Ok(())
}

/// Scissors that can read.
#[derive(Debug)]
pub struct CutAtAnswer {
    nth: u64,
    commits_only: bool,
    each_connection: bool,
    deliver: bool,
    end: End,
    /// Answers on all connections of the proxy since the toxic was set.
    on_all: Arc<AtomicU64>,
    on_this: u64,
    held: Queue,
    out: Queue,
    ended: bool,
}

impl CutAtAnswer {
    pub fn new(attributes: &Attributes, on_all: Arc<AtomicU64>) -> Self {
        let mut new = Self {
            nth: 1,
            commits_only: true,
            each_connection: false,
            deliver: false,
            end: End::Reset,
            on_all,
            on_this: 0,
            held: Queue::default(),
            out: Queue::default(),
            ended: false,
        };
        new.set(attributes, 0);
        new
    }

    fn is_the_one(&mut self) -> bool {
        self.on_this += 1;
        let count = match self.each_connection {
            true => self.on_this,
            false => self.on_all.fetch_add(1, Ordering::Relaxed) + 1,
        };
        count == self.nth
    }

    fn let_go(&mut self) {
        while let Some(item) = self.held.pop() {
            self.out.push(item);
        }
    }
}

impl Toxic for CutAtAnswer {
    fn push(&mut self, item: Item, _now_ns: u64) {
        if self.ended {
            return;
        }
        let mark = match &item {
            Item::Data(piece) => piece.mark,
            Item::End(_) => Mark::Plain,
        };
        self.held.push(item);
        match mark {
            Mark::Part if self.held.bytes() < HELD => {}
            Mark::Last { committed } if (committed || !self.commits_only) && self.is_the_one() => {
                if self.deliver {
                    self.let_go();
                }
                self.ended = true;
                self.out.push(Item::End(self.end));
            }
            Mark::Plain | Mark::Part | Mark::Last { .. } => self.let_go(),
        }
    }

    fn pull(&mut self, _now_ns: u64) -> Pull {
        self.out.pop().map_or(Pull::Nothing, Pull::Item)
    }

    fn has_room(&self) -> bool {
        self.out.has_room()
    }

    fn set(&mut self, attributes: &Attributes, _now_ns: u64) {
        self.nth = attributes.number("nth");
        self.commits_only = attributes.flag("commits_only");
        self.each_connection = attributes.flag("each_connection");
        self.deliver = attributes.flag("deliver");
        self.end = if attributes.flag("reset") { End::Reset } else { End::Close };
        self.on_this = 0;
    }

    fn release(mut self: Box<Self>) -> Vec<Item> {
        if !self.ended {
            self.let_go();
        }
        self.out.into_items()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::testing::{make, marked};
    use super::*;

    const COMMIT: Mark = Mark::Last { committed: true };
    const WRITE: Mark = Mark::Last { committed: false };

    fn pulled(toxic: &mut Box<dyn Toxic>) -> Vec<Item> {
        std::iter::from_fn(|| match toxic.pull(0) {
            Pull::Item(item) => Some(item),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn the_answer_to_the_nth_commit_never_arrives() {
        let mut toxic = make(Kind::CutAtAnswer, &[("nth", 2)]);
        toxic.push(marked("row", Mark::Plain), 0);
        toxic.push(marked("w", WRITE), 0);
        toxic.push(marked("part", Mark::Part), 0);
        assert_eq!(pulled(&mut toxic), [marked("row", Mark::Plain), marked("w", WRITE)], "the part is held");
        toxic.push(marked("end", COMMIT), 0);
        assert_eq!(pulled(&mut toxic), [marked("part", Mark::Part), marked("end", COMMIT)]);
        toxic.push(marked("part", Mark::Part), 0);
        toxic.push(marked("end", COMMIT), 0);
        toxic.push(marked("more", Mark::Plain), 0);
        assert_eq!(pulled(&mut toxic), [Item::End(End::Reset)]);
    }

    #[test]
    fn any_write_can_be_meant_and_the_answer_delivered() {
        let settings = [("commits_only", 0), ("deliver", 1), ("reset", 0)];
        let mut toxic = make(Kind::CutAtAnswer, &settings);
        toxic.push(marked("w", WRITE), 0);
        assert_eq!(pulled(&mut toxic), [marked("w", WRITE), Item::End(End::Close)]);
    }
}
