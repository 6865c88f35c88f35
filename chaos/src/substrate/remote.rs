//! Servers of the user's own, which run somewhere: faults come by a Toxiproxy (or a proxy server of ours) through
//! which their connections go, and by the user's commands.

use super::link::Link;
use super::{Aimed, NotRun, Substrate};
use crate::inject;
use crate::role::Role;
use crate::schedule::Injection;
use std::path::PathBuf;

/// A target that somebody else runs.
#[derive(Debug, Default)]
pub struct Remote {
    links: Vec<Link>,
}

impl Remote {
    /// One that can be hurt by commands, and at these links by the proxies that they go through.
    #[must_use]
    pub fn new(links: Vec<Link>) -> Self {
        Self { links }
    }
}

impl Substrate for Remote {
    fn aim(&self, injection: &Injection) -> Result<Aimed, NotRun> {
        if let Some(aimed) = inject::command(injection) {
            return Ok(aimed);
        }
        let by_name = |name: &String| self.links.iter().find(|link| link.name == *name).cloned();
        let link = match &injection.on {
            Role::Link(name) => by_name(name),
            _ => None,
        };
        link.map(|link| inject::link(injection, link)).ok_or_else(|| {
            let reason =
                format!("{} can't be reached for a {} from here", injection.on, injection.fault.kind());
            let remedy =
                "give commands that inject and heal it (fault = \"command\"), or the proxy of a link";
            NotRun::new(reason, remedy)
        })
    }

    /// None: logs of somebody else's servers are not here, so no marker is ever seen.
    fn logs(&self, _: &Role) -> Vec<PathBuf> {
        Vec::new()
    }
}
