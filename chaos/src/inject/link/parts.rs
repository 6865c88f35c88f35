//! A fault on a link that is one to each of several nodes: on all of them, from the first to the last.

use super::{BACK_WITHIN, Link};
use crate::clock;
use crate::substrate::{Doubt, Force, Known, Pen};

/// The same fault on each part of a link; most links have one.
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
        let at_ns = all.iter().map(|known| known.at_ns).max().unwrap_or_default();
        let evidence: Vec<String> = all.into_iter().map(|known| known.evidence).collect();
        Ok(Known { at_ns, evidence: evidence.join("; ") })
    }

    /// Every part is healed, whatever becomes of the others, and only then anybody looks: that may take a while.
    fn heal(&mut self) -> Result<Known, Doubt> {
        let undone: Vec<Result<String, Doubt>> = self.all.iter().map(Link::undo).collect();
        let (at_ns, deadline_ns) = (clock::now_ns(), clock::after(BACK_WITHIN));
        let look =
            |(part, undone): (&Link, Result<String, Doubt>)| Ok(undone? + &part.see_back(deadline_ns)?);
        let seen: Vec<Result<String, Doubt>> = self.all.iter().zip(undone).map(look).collect();
        let is_healed = seen.iter().all(Result::is_ok);
        let told: Vec<String> =
            seen.into_iter().map(|seen| seen.unwrap_or_else(|doubt| doubt.evidence)).collect();
        let evidence = told.join("; ");
        if is_healed { Ok(Known { at_ns, evidence }) } else { Err(Doubt { evidence }) }
    }
}
