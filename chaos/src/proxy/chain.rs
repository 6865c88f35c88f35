//! The toxics of one link in a row. Pure: it is told what was read and what time it is, and says what to write, and
//! when to ask again. It follows changes of the settings without waiting for anybody.

use super::counts::{Passed, add};
use super::dice::Dice;
use super::setting::{Setting, Stream};
use super::toxic::{End, Item, Kind, Pull, Queue, Toxic};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes that wait to be written, before nothing more is taken from the toxics.
const OUT_BYTES: usize = 256 << 10;

/// One direction of a connection between reading and writing.
#[derive(Debug)]
pub struct Chain {
    stream: Stream,
    dice: Dice,
    stages: Vec<Stage>,
    out: Queue,
    /// What the last change of settings said; the chain is done then, whatever it holds.
    cut: Option<End>,
}

struct Stage {
    enlisted: Enlisted,
    toxic: Box<dyn Toxic>,
}

/// A link that runs a setting is counted there, as long as it does.
struct Enlisted {
    setting: Arc<Setting>,
    acts: bool,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (acts: {})", self.enlisted.setting.order.name, self.enlisted.acts)
    }
}

impl Chain {
    /// A chain without toxics.
    #[must_use]
    pub fn new(stream: Stream, dice: Dice) -> Self {
        Self { stream, dice, stages: Vec::new(), out: Queue::default(), cut: None }
    }

    /// True when bytes would only pass through: they may be copied without it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.out.is_empty() && self.cut.is_none()
    }

    /// True when more may be read.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.stages.first().map_or(self.out.bytes() < OUT_BYTES, |first| first.toxic.has_room())
    }

    /// What is to be written next.
    #[must_use]
    pub fn first(&self) -> Option<&Item> {
        self.out.first()
    }

    /// So many bytes of the first piece were written.
    pub fn written(&mut self, count: usize) {
        self.out.skip(count);
    }

    /// The whole connection is to be ended at once, because a toxic was taken away.
    #[must_use]
    pub fn cut(&self) -> Option<End> {
        self.cut
    }

    /// Takes in what was read, or that nothing more comes.
    pub fn push(&mut self, item: Item, now_ns: u64) {
        self.give(0, item, now_ns);
    }

    /// Moves everything as far as it goes now; says when to ask again.
    pub fn pump(&mut self, now_ns: u64) -> Option<u64> {
        loop {
            let mut wake: Option<u64> = None;
            let mut moved = false;
            for at in (0..self.stages.len()).rev() {
                while self.takes(at + 1) {
                    match self.stages[at].pull(now_ns) {
                        Pull::Item(item) => {
                            moved = true;
                            self.give(at + 1, item, now_ns);
                        }
                        Pull::Until(at_ns) => {
                            wake = Some(wake.map_or(at_ns, |wake| wake.min(at_ns)));
                            break;
                        }
                        Pull::Nothing => break,
                    }
                }
            }
            if !moved {
                return wake;
            }
        }
    }

    /// Follows the settings: what was taken away gives up what it held, what was changed takes it on.
    pub fn follow(&mut self, settings: &[Arc<Setting>], now_ns: u64) {
        let stream = self.stream;
        let mine: Vec<_> =
            settings.iter().filter(|setting| setting.order.stream == stream).cloned().collect();
        for at in (0..self.stages.len()).rev() {
            let number = self.stages[at].enlisted.setting.number;
            if !mine.iter().any(|setting| setting.number == number) {
                self.take_away(at, now_ns);
            }
        }
        // Settings keep their order and new ones come last, so what is left stands in the same places.
        for (at, setting) in mine.into_iter().enumerate() {
            match self.stages.get_mut(at) {
                Some(stage) if Arc::ptr_eq(&stage.enlisted.setting, &setting) => {}
                Some(_) => {
                    let changed = self.stages.remove(at).change(setting, &self.dice, now_ns);
                    self.stages.insert(at, changed);
                }
                None => self.stages.push(Stage::new(setting, &self.dice, now_ns)),
            }
        }
    }

    fn take_away(&mut self, at: usize, now_ns: u64) {
        for item in self.stages.remove(at).toxic.release() {
            match item {
                // What was swallowed can't be given back: nobody who waits behind other toxics changes that.
                Item::End(end @ (End::Close | End::Reset)) => self.cut = Some(end),
                item => self.give(at, item, now_ns),
            }
        }
    }

    fn takes(&self, at: usize) -> bool {
        self.stages.get(at).map_or(self.out.bytes() < OUT_BYTES, |stage| stage.toxic.has_room())
    }

    fn give(&mut self, at: usize, item: Item, now_ns: u64) {
        match self.stages.get_mut(at) {
            Some(stage) => stage.push(item, now_ns),
            None => self.out.push(item),
        }
    }
}

impl Stage {
    fn new(setting: Arc<Setting>, dice: &Dice, now_ns: u64) -> Self {
        let (acts, around) = setting.toss(dice);
        let kind = if acts { setting.order.kind } else { Kind::Noop };
        let toxic = kind.build(&setting.order.attributes, around, now_ns);
        Self { enlisted: Enlisted::new(setting, acts), toxic }
    }

    fn passed(&self) -> &Passed {
        &self.enlisted.setting.passed
    }

    fn push(&mut self, mut item: Item, now_ns: u64) {
        if let Item::Data(piece) = &mut item {
            piece.came_ns = now_ns;
            add(&self.passed().received_bytes, piece.bytes.len() as u64);
        }
        self.toxic.push(item, now_ns);
    }

    fn pull(&mut self, now_ns: u64) -> Pull {
        let pull = self.toxic.pull(now_ns);
        let passed = self.passed();
        match &pull {
            Pull::Item(Item::Data(piece)) => {
                add(&passed.sent_bytes, piece.bytes.len() as u64);
                add(&passed.sent_pieces, 1);
                add(&passed.delay_ns, now_ns.saturating_sub(piece.came_ns));
            }
            Pull::Item(Item::End(End::Close | End::Reset)) => add(&passed.ended, 1),
            _ => {}
        }
        pull
    }

    /// Takes on a changed setting, with everything that it holds.
    fn change(self, setting: Arc<Setting>, dice: &Dice, now_ns: u64) -> Self {
        let mut new = Self::new(setting, dice, now_ns);
        if new.enlisted.acts == self.enlisted.acts {
            new.toxic = self.toxic;
            new.toxic.set(&new.enlisted.setting.order.attributes, now_ns);
        } else {
            self.toxic.release().into_iter().for_each(|item| new.toxic.push(item, now_ns));
        }
        new
    }
}

impl Enlisted {
    fn new(setting: Arc<Setting>, acts: bool) -> Self {
        add(&setting.passed.links, 1);
        add(&setting.passed.active_links, u64::from(acts));
        Self { setting, acts }
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let passed = &self.setting.passed;
        passed.links.fetch_sub(1, Ordering::Relaxed);
        passed.active_links.fetch_sub(u64::from(self.acts), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::toxic::Piece;
    use super::*;
    use crate::proxy::attributes::Attributes;
    use crate::proxy::counts::get;
    use crate::proxy::postgres::Mark;
    use crate::proxy::setting::Order;
    use hyper::body::Bytes;

    const MS: u64 = 1_000_000;

    fn setting(number: u64, kind: Kind, name: &'static str, value: i64) -> Arc<Setting> {
        let mut attributes = Attributes::of(kind.fields());
        attributes.set_number(name, value);
        let order = Order {
            name: format!("toxic{number}"),
            kind,
            stream: Stream::Upstream,
            stream_asked: "upstream".to_owned(),
            toxicity: 1.0,
            attributes,
        };
        Setting::new(number, order)
    }

    fn piece(count: usize, at_ns: u64) -> Item {
        Item::Data(Piece { bytes: Bytes::from(vec![b'x'; count]), at_ns, mark: Mark::Plain, came_ns: 0 })
    }

    fn chain(settings: &[Arc<Setting>]) -> Chain {
        let mut chain = Chain::new(Stream::Upstream, Dice::new(1));
        chain.follow(settings, 0);
        chain
    }

    fn written(chain: &mut Chain) -> usize {
        let mut bytes = 0;
        while let Some(Item::Data(piece)) = chain.first() {
            let count = piece.bytes.len();
            bytes += count;
            chain.written(count);
        }
        bytes
    }

    #[test]
    fn two_latencies_add_and_four_mebibytes_take_no_longer_than_one_piece() {
        let mut chain =
            chain(&[setting(1, Kind::Latency, "latency", 300), setting(2, Kind::Latency, "latency", 200)]);
        for _ in 0..128 {
            chain.push(piece(32 << 10, 0), 0);
        }
        assert_eq!(chain.pump(0), Some(300 * MS));
        assert_eq!(chain.pump(300 * MS), Some(500 * MS));
        assert_eq!(written(&mut chain), 0);
        let mut bytes = 0;
        while chain.pump(500 * MS).is_some() || chain.first().is_some() {
            bytes += written(&mut chain);
        }
        assert_eq!(bytes, 4 << 20);
    }

    #[test]
    fn what_is_taken_away_gives_up_what_it_held_in_order() {
        let latency = setting(1, Kind::Latency, "latency", 1000);
        let stall = setting(2, Kind::Bandwidth, "rate", 0);
        let mut chain = chain(&[latency, Arc::clone(&stall)]);
        chain.push(piece(10, 0), 0);
        chain.pump(0);
        chain.follow(&[Arc::clone(&stall)], MS);
        assert_eq!((chain.pump(MS), written(&mut chain)), (None, 0), "it waits in the second now");
        chain.follow(&[], 2 * MS);
        chain.pump(2 * MS);
        assert_eq!(written(&mut chain), 10);
        assert!(chain.is_empty());
        assert_eq!((get(&stall.passed.links), get(&stall.passed.received_bytes)), (0, 10));
    }

    #[test]
    fn a_hole_cuts_the_connection_when_it_is_taken_away() {
        let mut chain =
            chain(&[setting(1, Kind::Timeout, "timeout", 0), setting(2, Kind::Bandwidth, "rate", 0)]);
        chain.push(piece(10, 0), 0);
        chain.pump(0);
        assert_eq!(chain.cut(), None);
        chain.follow(&[setting(2, Kind::Bandwidth, "rate", 0)], 0);
        assert_eq!(chain.cut(), Some(End::Close));
    }

    #[test]
    fn nothing_is_read_while_nobody_takes_it() {
        let mut chain = chain(&[setting(1, Kind::Bandwidth, "rate", 1)]);
        let mut read = 0;
        while chain.has_room() {
            chain.push(piece(4096, 0), 0);
            read += 4096;
            chain.pump(0);
        }
        assert!((4096..1 << 20).contains(&read), "{read}");
    }

    #[test]
    fn what_passed_counts_from_the_last_change() {
        let first = setting(1, Kind::Latency, "latency", 10);
        let mut chain = chain(&[Arc::clone(&first)]);
        chain.push(piece(10, 0), 0);
        chain.pump(10 * MS);
        assert_eq!((get(&first.passed.sent_bytes), get(&first.passed.delay_ns)), (10, 10 * MS));
        let second = setting(1, Kind::Latency, "latency", 20);
        chain.follow(&[Arc::clone(&second)], 11 * MS);
        assert_eq!((get(&first.passed.links), get(&second.passed.links)), (0, 1));
        assert_eq!(get(&second.passed.sent_bytes), 0);
    }
}
