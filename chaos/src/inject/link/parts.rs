//! A fault on a link that is one to each of several nodes: on all of them, from the first to the last.

use super::Link;
use crate::substrate::{Doubt, Force, Known, Pen};

/// The same fault on each part of a link.
pub(in crate::inject) struct Parts {
    all: Vec<Link>,
}

impl Parts {
    pub fn new(all: Vec<Link>) -> Self {
        Self { all }
    }
}

impl Force for Parts {
    /// It is in force when it is on the last of them.
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let all = self.all.iter_mut().map(|part| part.apply(pen)).collect::<Result<Vec<_>, _>>()?;
        Ok(together(all))
    }

    /// Every part is healed, whatever becomes of the others.
    fn heal(&mut self) -> Result<Known, Doubt> {
        let all: Vec<Result<Known, Doubt>> = self.all.iter_mut().map(Force::heal).collect();
        all.into_iter().collect::<Result<Vec<_>, _>>().map(together)
    }
}

fn together(all: Vec<Known>) -> Known {
    let at_ns = all.iter().map(|known| known.at_ns).max().unwrap_or_default();
    let evidence: Vec<String> = all.into_iter().map(|known| known.evidence).collect();
    Known { at_ns, evidence: evidence.join("; ") }
}
