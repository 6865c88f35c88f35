//! A toxic as it is set on a proxy: what the API says of it, and what its links share.

use super::attributes::Attributes;
use super::counts::Passed;
use super::dice::Dice;
use super::toxic::{Kind, Surroundings};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

impl Stream {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }

    /// The stream of that name, in whatever case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Upstream, Self::Downstream].into_iter().find(|stream| stream.name().eq_ignore_ascii_case(name))
    }
}

/// What a toxic is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Its name, unique on its proxy.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// To which direction.
    pub stream: Stream,
    /// The direction as it was asked for: the API gives it back in its case.
    pub stream_asked: String,
    /// The share of links that it acts on.
    pub toxicity: f32,
    /// How it does it.
    pub attributes: Attributes,
}

/// An order in force. A changed one is a new setting with the same number.
#[derive(Debug)]
pub struct Setting {
    /// Which toxic it is: it keeps its number, and what its links hold, when it is changed.
    pub number: u64,
    /// What it does.
    pub order: Order,
    /// What passed since it was set or changed.
    pub passed: Passed,
    /// What its links count together.
    pub together: Arc<AtomicU64>,
}

/// All toxics of a proxy at one time, in the order in which they were set.
#[derive(Debug, Default)]
pub struct InForce {
    /// The toxics.
    pub toxics: Vec<Arc<Setting>>,
    /// Links that follow these, and no older ones.
    pub followed_by: AtomicU64,
}

/// What links follow.
pub type Settings = Arc<InForce>;

impl Setting {
    /// An order that comes into force.
    #[must_use]
    pub fn new(number: u64, order: Order) -> Arc<Self> {
        Arc::new(Self { number, order, passed: Passed::default(), together: Arc::default() })
    }

    /// The same toxic with another order; what it counts begins anew.
    #[must_use]
    pub fn changed(&self, order: Order) -> Arc<Self> {
        self.together.store(0, Ordering::Relaxed);
        let together = Arc::clone(&self.together);
        Arc::new(Self { number: self.number, order, passed: Passed::default(), together })
    }

    /// Whether it acts on a link, and what it may need there. The toss is made once for a link and a toxic, whenever
    /// it comes: with the same seed the same links are hit, and a higher toxicity only hits more.
    #[must_use]
    pub fn toss(&self, link: &Dice) -> (bool, Surroundings) {
        let name = self.order.name.as_bytes();
        let acts = link.of(&[b"toss", name]).share() < f64::from(self.order.toxicity);
        let around = Surroundings { dice: link.of(&[b"toxic", name]), together: Arc::clone(&self.together) };
        (acts, around)
    }
}
