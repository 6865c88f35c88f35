//! Commands of the user's own: kubectl, ssh, a cloud's tool. What they say is kept as evidence.

use crate::clock;
use crate::command;
use crate::fault::Fault;
use crate::ledger::Undo;
use crate::schedule::Injection;
use crate::substrate::{Doubt, Force, Known, Pen};
use std::time::Duration;

pub(super) struct Command {
    inject: Vec<String>,
    heal: Vec<String>,
    verify: Vec<String>,
    within_s: u64,
    env: Vec<(String, String)>,
}

impl Command {
    /// `None` when the fault is another one.
    pub(super) fn of(injection: &Injection) -> Option<Self> {
        let Fault::Command { inject, heal, verify, within_s } = &injection.fault else { return None };
        let env = [
            ("SHAKEDOWN_FAULT", injection.name.clone()),
            ("SHAKEDOWN_ROLE", injection.on.to_string()),
            ("SHAKEDOWN_INJECTION", injection.injection.to_string()),
        ];
        Some(Self {
            inject: inject.clone(),
            heal: heal.clone(),
            verify: verify.clone(),
            within_s: *within_s,
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        })
    }

    fn undo(&self) -> Undo {
        let (command, verify) = (self.heal.clone(), self.verify.clone());
        Undo::Run { command, verify, within_s: self.within_s, env: self.env.clone() }
    }
}

impl Force for Command {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        pen.write(&self.undo())?;
        let within = Duration::from_secs(self.within_s);
        let done =
            command::run(&self.inject, &self.env, within).map_err(|error| Doubt::new(error.to_string()))?;
        let told = format!("{}: {done}", self.inject.join(" "));
        if done.code() != Some(0) {
            return Err(Doubt::new(told));
        }
        if self.verify.is_empty() {
            let evidence = format!("{told}; its word alone, there is no command that verifies it");
            return Ok(Known { at_ns: done.at_ns, evidence });
        }
        match command::verify(&self.verify, &self.env, within, command::IN_FORCE) {
            Ok(seen) => {
                let evidence = format!("{told}; {}: {seen}", self.verify.join(" "));
                Ok(Known { at_ns: seen.at_ns, evidence })
            }
            Err(why) => Err(Doubt::new(format!("{told}; {why}"))),
        }
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let evidence = self.undo().carry_out().map_err(Doubt::new)?;
        Ok(Known { at_ns: clock::now_ns(), evidence })
    }
}
