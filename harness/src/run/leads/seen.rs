//! From looks at who leads to the leads that were taken. Pure.

use crate::scenario::target::{BLUE, GREEN};

/// One of two sets of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It runs from the beginning.
    Blue,
    /// It stands by.
    Green,
}

/// A node took the lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Of which side.
    pub side: Side,
    /// The epoch of its lead.
    pub epoch: u64,
    /// How many frames the journal had when it took the lead. Whoever leads has read all of it.
    pub position: u64,
    /// How many of them the other side wrote in the turn before; `None`: the same side led before, or nobody.
    pub read_of_other: Option<u64>,
}

impl Lead {
    /// The name of the step. A side counts as having led after the other only when they are two builds, and when there was
    /// something of the other's to read.
    pub fn step(&self, are_one_build: bool) -> String {
        let side = match self.side {
            Side::Blue => BLUE,
            Side::Green => GREEN,
        };
        match self.read_of_other {
            Some(_) if are_one_build => format!("{side}_of_the_same_build_leads"),
            Some(0) => format!("{side}_leads_without_frames_of_the_other"),
            Some(_) => format!("{side}_leads"),
            None => format!("another_{side}_leads"),
        }
    }
}

/// A node that leads, as it was seen last.
#[derive(Debug, Clone, Copy)]
struct Now {
    node: usize,
    epoch: u64,
    /// Where the turn of its side began.
    from: u64,
}

/// What was seen so far.
#[derive(Debug)]
pub struct Seen {
    sides: Vec<Side>,
    now: Option<Now>,
}

impl Seen {
    /// Nothing yet, of nodes of these sides.
    pub fn new(sides: Vec<Side>) -> Self {
        Self { sides, now: None }
    }

    /// Node `node` says that it leads, with this epoch, and that it took the lead at this position; the lead, if that is
    /// news.
    pub fn take(&mut self, node: usize, epoch: u64, position: u64) -> Option<Lead> {
        let before = self.now;
        // One that hung, and does not know yet that another leads.
        if before.is_some_and(|before| epoch < before.epoch) {
            return None;
        }
        let same_side = before.is_some_and(|before| self.sides[before.node] == self.sides[node]);
        let from = before.filter(|_| same_side).map_or(position, |before| before.from);
        self.now = Some(Now { node, epoch, from });
        if before.is_some_and(|before| before.node == node) {
            return None;
        }
        let other = before.filter(|_| !same_side);
        let read_of_other = other.map(|other| position.saturating_sub(other.from));
        Some(Lead { side: self.sides[node], epoch, position, read_of_other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(looks: &[(usize, u64, u64)]) -> Vec<(String, Option<u64>)> {
        let mut seen = Seen::new(vec![Side::Blue, Side::Blue, Side::Green, Side::Green]);
        let leads = looks.iter().filter_map(|(node, epoch, position)| seen.take(*node, *epoch, *position));
        leads.map(|lead| (lead.step(false), lead.read_of_other)).collect()
    }

    #[test]
    fn each_side_leads_after_the_other_and_has_read_what_that_wrote() {
        let told = steps(&[(0, 1, 10), (0, 1, 10), (2, 2, 620), (2, 3, 620), (1, 4, 950)]);
        assert_eq!(
            told,
            [
                ("another_blue_leads".to_owned(), None),
                ("green_leads".to_owned(), Some(610)),
                ("blue_leads".to_owned(), Some(330)),
            ]
        );
    }

    #[test]
    fn a_turn_of_one_side_goes_on_over_its_nodes() {
        let told = steps(&[(0, 1, 10), (1, 2, 120), (1, 2, 120), (3, 3, 210)]);
        assert_eq!(told[1], ("another_blue_leads".to_owned(), None));
        assert_eq!(told[2], ("green_leads".to_owned(), Some(200)));
    }

    #[test]
    fn a_leader_that_was_deposed_and_does_not_know_it_is_none() {
        let told = steps(&[(0, 1, 10), (2, 2, 150), (0, 1, 10), (2, 2, 150)]);
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn the_same_build_and_nothing_to_read_show_nothing_about_two_versions() {
        let lead = |read_of_other| Lead { side: Side::Green, epoch: 2, position: 5, read_of_other };
        assert_eq!(lead(Some(7)).step(false), "green_leads");
        assert_eq!(lead(Some(7)).step(true), "green_of_the_same_build_leads");
        assert_eq!(lead(Some(0)).step(false), "green_leads_without_frames_of_the_other");
    }
}
