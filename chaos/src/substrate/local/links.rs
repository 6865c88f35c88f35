//! Links of local nodes: each through a proxy of the one proxy server of the run, which is a node itself.

use super::super::Unaimed;
use super::super::link::{Link, LinkError};
use super::{Local, NodeError, NodeSpec, Spec, Supervision};
use crate::probe::Probe;
use crate::proxy::client::NewProxy;
use crate::role::{LEADER, part_of_link};
use std::net::SocketAddr;
use std::sync::{MutexGuard, PoisonError};

/// Where the proxy of a link listens.
const LISTEN: &str = "127.0.0.1:0";

/// The links of a run and the server of their proxies.
#[derive(Default)]
pub(super) struct Links {
    /// The API of the proxy server, once it runs.
    control: Option<String>,
    all: Vec<Link>,
}

impl Local {
    /// Starts the server of the links' proxies, whose ready line ends with the address of its API; as a node it ends
    /// with the others. Blocks.
    ///
    /// # Errors
    /// It doesn't come up.
    pub fn start_proxy(&self, spec: Spec) -> Result<(), NodeError> {
        // A proxy server that is started again would have lost its links.
        let supervision = Supervision::Never;
        let roles = Vec::new();
        let ready = self.add_node(NodeSpec {
            spec,
            roles,
            supervision,
            data: None,
            backup: None,
            own_processes: false,
            user: None,
            stop_signal: libc::SIGTERM,
        })?;
        self.links().control = Some(ready.text.trim().to_owned());
        Ok(())
    }

    /// Makes a link to `upstream` through the proxy server; returns where clients connect. With a probe, faults are
    /// seen from a client's side, and not only read back from the proxy. Blocks.
    ///
    /// # Errors
    /// There is no proxy server, or it refuses.
    pub fn add_link(
        &self,
        name: &str,
        upstream: SocketAddr,
        probe: Option<Probe>,
    ) -> Result<SocketAddr, LinkError> {
        self.link_by(&NewProxy::new(name, LISTEN, &upstream.to_string()), probe)
    }

    /// The same to a PostgreSQL server: the proxy reads the protocol along, for the fault that is aimed at commits.
    ///
    /// # Errors
    /// There is no proxy server, or it refuses.
    pub(crate) fn add_postgres_link(
        &self,
        name: &str,
        upstream: SocketAddr,
    ) -> Result<SocketAddr, LinkError> {
        let plain = NewProxy::new(name, LISTEN, &upstream.to_string());
        self.link_by(&NewProxy { is_postgres: true, ..plain }, None)
    }

    fn link_by(&self, new: &NewProxy, probe: Option<Probe>) -> Result<SocketAddr, LinkError> {
        let control = self.links().control.clone();
        let control = control.ok_or_else(|| LinkError::NoServer { link: new.name.clone() })?;
        let link = Link::make(new, &control, probe)?;
        let address = link.address;
        self.links().all.push(link);
        Ok(address)
    }

    /// Takes in a link whose proxy is there already, on somebody else's server.
    pub fn adopt(&self, link: Link) {
        self.links().all.push(link);
    }

    /// The API of the server of the links' proxies, once it runs.
    #[must_use]
    pub fn proxy_control(&self) -> Option<String> {
        self.links().control.clone()
    }

    pub(super) fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link of that name, or its parts: one to each of several nodes.
    pub(super) fn parts_of(&self, name: &str) -> Result<Vec<Link>, Unaimed> {
        let is_meant = |link: &&Link| {
            link.name == name || part_of_link(&link.name).is_some_and(|(whole, _)| whole == name)
        };
        let found: Vec<Link> = self.links().all.iter().filter(is_meant).cloned().collect();
        if found.is_empty() {
            let nobody = match part_of_link(name) {
                Some((link, LEADER)) => format!("nobody leads now, as far as the nodes behind {link:?} say"),
                _ => format!("there is no link {name:?} now; run it where the target has that link"),
            };
            return Err(Unaimed::Nobody(nobody));
        }
        Ok(found)
    }
}
