//! Servers of the user's own, which run somewhere: faults come by the user's commands.

use super::{Aimed, NotRun, Substrate};
use crate::inject;
use crate::role::Role;
use crate::schedule::Injection;
use std::path::PathBuf;

/// A target that somebody else runs.
#[derive(Debug, Default)]
pub struct Remote {}

impl Remote {
    /// One that can be hurt by commands.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Substrate for Remote {
    fn aim(&self, injection: &Injection) -> Result<Aimed, NotRun> {
        inject::command(injection).ok_or_else(|| {
            let reason =
                format!("{} can't be reached for a {} from here", injection.on, injection.fault.kind());
            NotRun::new(reason, "give commands that inject and heal it: fault = \"command\"")
        })
    }

    /// None: logs of somebody else's servers are not here, so no marker is ever seen.
    fn logs(&self, _: &Role) -> Vec<PathBuf> {
        Vec::new()
    }
}
