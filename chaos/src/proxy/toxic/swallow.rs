//! Ours: a direction in which nothing arrives any more, neither bytes nor the close, while the connection stays. When
//! it is taken away, a connection that lost something is reset, since its stream has a hole; the others go on.

use super::{End, Item, Pull, Toxic};
use crate::proxy::attributes::Attributes;

/// A hole.
#[derive(Debug, Default)]
pub struct Swallow {
    lost_bytes: bool,
    ended: Option<Item>,
}

impl Toxic for Swallow {
    fn push(&mut self, item: Item, _now_ns: u64) {
        match item {
            Item::Data(_) => self.lost_bytes = true,
            Item::End(_) => self.ended = Some(item),
        }
    }

    fn pull(&mut self, _now_ns: u64) -> Pull {
        Pull::Nothing
    }

    fn has_room(&self) -> bool {
        true
    }

    fn set(&mut self, _attributes: &Attributes, _now_ns: u64) {}

    fn release(self: Box<Self>) -> Vec<Item> {
        if self.lost_bytes { vec![Item::End(End::Reset)] } else { self.ended.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::testing::{data, make};
    use super::*;

    #[test]
    fn who_lost_something_is_reset_and_the_others_go_on() {
        let mut toxic = make(Kind::Swallow, &[]);
        toxic.push(data("x", 0), 0);
        toxic.push(Item::End(End::Fin), 0);
        assert_eq!(toxic.pull(1 << 60), Pull::Nothing);
        assert_eq!(toxic.release(), [Item::End(End::Reset)]);
        assert_eq!(make(Kind::Swallow, &[]).release(), []);
        let mut idle = make(Kind::Swallow, &[]);
        idle.push(Item::End(End::Fin), 0);
        assert_eq!(idle.release(), [Item::End(End::Fin)]);
    }
}
