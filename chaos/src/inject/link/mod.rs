//! Faults of links: set on the proxy, read back, and looked at through the link by somebody who connects and asks.

mod parts;
mod recipe;

use crate::clock;
use crate::fault::Fault;
use crate::ledger::Undo;
use crate::probe::{self, Seen};
use crate::proxy::client::{Connect, Control, ControlError, Cut};
use crate::schedule::Injection;
use crate::substrate::link::{Link as Target, block_on};
use crate::substrate::{Doubt, Known, Pen};
pub(super) use parts::Parts;
use recipe::{Recipe, Sight, answers};
use std::time::Duration;

/// How long a link without a fault has to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long nothing must be answered for silence to be known, at least.
const SILENCE: Duration = Duration::from_millis(300);
/// How long healed links have to answer again, all parts of one together.
const BACK_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Link {
    target: Target,
    fault: Fault,
    /// Begins the names of our toxics, so that nobody else's are touched.
    name: String,
    undo: Option<Undo>,
    /// It answered before.
    answered: bool,
}

impl Link {
    pub(super) fn new(target: Target, injection: &Injection) -> Self {
        let (kind, fault) = (injection.fault.kind(), plain(&injection.name));
        let name = format!("shakedown-{kind}-{fault}-{}", injection.injection);
        Self { target, fault: injection.fault.clone(), name, undo: None, answered: false }
    }

    /// What the server is, and what is to be done there.
    fn plan(&self, control: &Control) -> Result<Recipe, Doubt> {
        let ours = block_on(control.is_ours()).map_err(doubt)?;
        let shown = block_on(control.proxy(&self.target.proxy)).map_err(doubt)?;
        if !shown.enabled {
            return Err(Doubt::new(format!("proxy {} is disabled already, by somebody else", shown.name)));
        }
        recipe::of(&self.fault, &self.name, ours).ok_or_else(|| {
            let what = self.fault.kind();
            Doubt::new(format!(
                "{what} needs a proxy of this program's (shakedown proxy); {} is another",
                self.target.control
            ))
        })
    }

    /// Sees what the fault does, where there is something to ask.
    fn verify(&self, sight: Sight, before: Option<Seen>) -> Result<String, Doubt> {
        let (probe, before) = match (&self.target.probe, before) {
            (Some(probe), Some(before)) if answers(before) => (probe, before),
            (Some(_), Some(before)) => {
                return Ok(format!("read back from the proxy only: before the fault, {before}"));
            }
            _ => {
                return Ok(
                    "read back from the proxy only: nothing is known to ask through the link".to_owned()
                );
            }
        };
        let patience = match (sight, before) {
            (Sight::Hung | Sight::Silent, Seen::Answered(after, _)) => SILENCE.max(4 * after),
            (Sight::Hung | Sight::Silent, _) => SILENCE,
            (Sight::Slow(least), _) => 2 * least + PATIENCE,
            _ => PATIENCE,
        };
        let seen = probe::look(self.target.address, probe, patience);
        if sight.is(seen) {
            return Ok(format!("through the link: {seen} (before: {before})"));
        }
        Err(Doubt::new(format!("the proxy has it, but through the link {seen} (before: {before})")))
    }

    /// Sets it, and sees what it does.
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let control = Control::new(&self.target.control).map_err(doubt)?;
        let recipe = self.plan(&control)?;
        let probe = self.target.probe.as_ref();
        let before = probe.map(|probe| probe::look(self.target.address, probe, PATIENCE));
        self.answered = before.is_some_and(answers);
        let undo = Undo::Link {
            control: self.target.control.clone(),
            proxy: self.target.proxy.clone(),
            toxics: recipe.toxics.iter().map(|toxic| toxic.name.clone()).collect(),
            connect: recipe.hang,
            enable: recipe.disable,
            ends_with_owner: self.target.ends_with_us,
        };
        pen.write(&undo)?;
        self.undo = Some(undo);
        block_on(set(&control, &self.target.proxy, &recipe)).map_err(doubt)?;
        let at_ns = clock::now_ns();
        let seen = self.verify(recipe.sight, before)?;
        Ok(Known { at_ns, evidence: format!("proxy {} has it; {seen}", self.target.proxy) })
    }

    /// Takes it back, and reads that back from the proxy.
    fn undo(&self) -> Result<String, Doubt> {
        match &self.undo {
            Some(undo) => undo.carry_out().map_err(Doubt::new),
            None => Ok("nothing was set".to_owned()),
        }
    }

    /// Sees that what answered before answers again, until the deadline. A node that answers nobody is not the link's
    /// doing: it was ended, or stands by.
    fn see_back(&self, deadline_ns: u64) -> Result<String, Doubt> {
        let Some(probe) = self.target.probe.as_ref().filter(|_| self.answered) else {
            return Ok(String::new());
        };
        loop {
            let seen = probe::look(self.target.address, probe, PATIENCE);
            if answers(seen) {
                return Ok(format!("; through the link: {seen}"));
            }
            let there = self.target.upstream.map(|node| probe::look(node, probe, PATIENCE));
            if let Some(there) = there.filter(|there| !answers(*there)) {
                return Ok(format!("; the node behind the link answers nobody: {there} there"));
            }
            if clock::until(deadline_ns).is_zero() {
                return Err(Doubt::new(format!(
                    "the proxy has no fault any more, but through the link {seen} for {BACK_WITHIN:?}"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A name as one part of a path.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || ['-', '.'].contains(&c) { c } else { '_' }).collect()
}

/// Each call reads back what it has set.
async fn set(control: &Control, proxy: &str, recipe: &Recipe) -> Result<(), ControlError> {
    for toxic in &recipe.toxics {
        control.set_toxic(proxy, toxic).await?;
    }
    if recipe.hang {
        control.set_connect(proxy, Connect::Hang).await?;
    }
    if recipe.disable {
        control.set_enabled(proxy, false).await?;
    }
    if recipe.reset {
        control.cut(proxy, Cut::Reset).await?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn doubt(error: ControlError) -> Doubt {
    Doubt::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Due;

    #[test]
    fn the_toxics_of_two_faults_are_told_apart() {
        let named = |name: &str| {
            let injection = Injection {
                name: name.to_owned(),
                injection: 1,
                due: Due::At(Duration::ZERO),
                lasts: None,
                fault: Fault::HalfOpen {},
                on: crate::role::Role::Link("clients".to_owned()),
                seed: 0,
            };
            let target = Target {
                name: "clients".to_owned(),
                control: String::new(),
                proxy: "clients".to_owned(),
                address: ([127, 0, 0, 1], 0).into(),
                upstream: None,
                probe: None,
                ends_with_us: true,
            };
            Link::new(target, &injection).name
        };
        assert_eq!(named("slow a/b"), "shakedown-half_open-slow_a_b-1");
        assert_ne!(named("first"), named("second"));
    }
}
