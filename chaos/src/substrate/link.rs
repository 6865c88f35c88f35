//! Links: connections that go through a proxy of a fault proxy server, ours or a Toxiproxy.

use crate::probe::Probe;
use crate::proxy::client::{Control, ControlError, NewProxy};
use std::net::{SocketAddr, ToSocketAddrs};

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name: `link:NAME` in scenarios.
    pub name: String,
    /// The API of the server: `http://127.0.0.1:8474`.
    pub control: String,
    /// The name of its proxy there.
    pub proxy: String,
    /// Where clients connect, as seen from here.
    pub address: SocketAddr,
    /// Where it leads, when that can be reached from here without it.
    pub upstream: Option<SocketAddr>,
    /// What is asked through it to see what a fault does; without one, only the server's word counts.
    pub probe: Option<Probe>,
    /// The server ends with this process, and all that it does to connections with it.
    pub ends_with_us: bool,
}

/// Why a link could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The server of the proxies.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// An address that is none.
    #[error(
        "link {link}: {address:?} is no address that can be connected to from here; say where clients connect"
    )]
    Address {
        /// The link.
        link: String,
        /// What the server or the scenario said.
        address: String,
    },
    /// There is no server of proxies yet.
    #[error("link {link}: there is no proxy server yet; start it before its links")]
    NoServer {
        /// The link.
        link: String,
    },
}

impl Link {
    /// Makes a new proxy on the server at `control`, which is a child of ours. Blocks.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) fn make(new: &NewProxy, control: &str, probe: Option<Probe>) -> Result<Self, LinkError> {
        let made = block_on(Control::new(control)?.create(new))?;
        let (name, control, proxy) = (new.name.clone(), control.to_owned(), made.name);
        let address = resolve(&name, &made.listen)?;
        let upstream = new.upstream.parse().ok();
        Ok(Self { name, control, proxy, address, upstream, probe, ends_with_us: true })
    }

    /// Takes a proxy that is there, on somebody else's server. `address` is where clients connect, where that can't be
    /// told from what the server says. Blocks.
    ///
    /// # Errors
    /// The server doesn't know it, or can't be asked.
    pub fn adopt(
        name: &str,
        control: &str,
        proxy: &str,
        address: Option<&str>,
        probe: Option<Probe>,
    ) -> Result<Self, LinkError> {
        let shown = block_on(Control::new(control)?.proxy(proxy))?;
        let told = address.map_or_else(|| beside(control, &shown.listen), str::to_owned);
        let (name, control, proxy) = (name.to_owned(), control.to_owned(), proxy.to_owned());
        let address = resolve(&name, &told)?;
        Ok(Self { name, control, proxy, address, upstream: None, probe, ends_with_us: false })
    }
}

/// The port of a proxy on the host of its server: what it listens on there is often every address.
fn beside(control: &str, listen: &str) -> String {
    let server = control.split("://").last().unwrap_or(control).trim_end_matches('/');
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let port = listen.rsplit_once(':').map_or("", |(_, port)| port);
    format!("{host}:{port}")
}

fn resolve(link: &str, address: &str) -> Result<SocketAddr, LinkError> {
    let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| LinkError::Address { link: link.to_owned(), address: address.to_owned() })
}

/// Runs one call of the control client to its end. Blocks: not to be called from an async task.
pub(crate) fn block_on<T>(call: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .expect("a runtime without threads needs nothing that could be missing but descriptors")
        .block_on(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_listens_everywhere_is_met_on_its_servers_host() {
        assert_eq!(beside("http://toxi:8474", "[::]:5432"), "toxi:5432");
        assert_eq!(beside("10.0.0.7:8474/", "0.0.0.0:80"), "10.0.0.7:80");
        let error = resolve("clients", "toxi.invalid:").unwrap_err().to_string();
        assert!(error.contains("clients") && error.contains("where clients connect"), "{error}");
    }
}
