//! The links of a run: connections that go through a fault proxy, of the run's own or of somebody else's.

use super::cast::Cast;
use super::directory::Directory;
use crate::failure::{Blame, Result};
use crate::program;
use crate::scenario::drill::LinkEntry;
use crate::scenario::validate::drill::{CLIENTS, WORKERS};
use crate::target::conductor::Conductor;
use anyhow::Context as _;
use shakedown_chaos::probe::Probe;
use shakedown_chaos::role::Role;
use shakedown_chaos::substrate::link::Link;
use shakedown_chaos::substrate::local::{Local, Ready, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

/// Name of the proxy's node.
const PROXY: &str = "proxy";
/// Links between the harness and its target.
const OURS: [&str; 2] = [CLIENTS, WORKERS];
/// A proxy opens one port.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Takes in the links that the scenario names, and makes those between harness and target that a fault of the plan is on;
/// returns the base URL of the target behind each. A link that no fault is on is not made: nothing stands between those
/// who would use it.
///
/// # Errors
/// A proxy of the scenario's is not there; the run's own does not come up.
pub async fn make(
    cast: &Cast,
    target: &Conductor,
    named: &[LinkEntry],
    directory: &Directory,
) -> Result<BTreeMap<String, String>> {
    let mut bases = BTreeMap::new();
    for entry in named {
        let address = adopt(cast, entry.clone()).await?;
        if OURS.contains(&entry.name.as_str()) {
            bases.insert(entry.name.clone(), target.base_at(address));
        }
    }
    let wanted = wanted(&cast.local(), named);
    if !wanted.is_empty() && target.base().contains(',') {
        let why = "a link to the target leads to one node, and --target names several: who goes through it could not go on \
                   with another; name one, or a proxy before them all by [[link]]";
        return Err(anyhow::anyhow!(why)).blame_input();
    }
    if !wanted.is_empty() {
        let own = own(cast, target, wanted, directory).await?;
        bases.extend(own.into_iter().map(|(name, address)| (name, target.base_at(address))));
    }
    Ok(bases)
}

/// Takes in a proxy that is there; returns where clients connect.
async fn adopt(cast: &Cast, entry: LinkEntry) -> Result<SocketAddr> {
    let local = cast.local();
    let adopt = move || {
        let probe = entry.ask.as_deref().map(Probe::http);
        let link = Link::adopt(&entry.name, &entry.toxiproxy, &entry.proxy, entry.address.as_deref(), probe)?;
        let address = link.address;
        local.adopt(link);
        anyhow::Ok(address)
    };
    tokio::task::spawn_blocking(adopt).await.context("the task that asks for a proxy panicked")?.blame_input()
}

/// The links that faults are on and nobody has.
fn wanted(local: &Local, named: &[LinkEntry]) -> BTreeSet<String> {
    let of = |role: &Role| match role {
        Role::Link(name)
            if OURS.contains(&name.as_str()) && named.iter().all(|entry| entry.name != *name) =>
        {
            Some(name.clone())
        }
        _ => None,
    };
    local.planned().iter().filter_map(|injection| of(&injection.on)).collect()
}

/// Starts the run's own proxy server, if it has none yet.
///
/// # Errors
/// It does not come up.
pub async fn start_proxy(cast: &Cast, directory: &Directory) -> anyhow::Result<()> {
    let local = cast.local();
    if local.find(PROXY).is_some() {
        return Ok(());
    }
    let spec = Spec {
        name: PROXY.to_owned(),
        program: program::path().context("cannot find out which program this is, to start it as proxy")?,
        args: ["proxy", "--listen", "127.0.0.1:0"].map(Into::into).to_vec(),
        env: vec![],
        log: directory.logs().join("proxy.log"),
        ready: Some(Ready { prefix: "listening on ".to_owned(), within: READY_WITHIN }),
    };
    let start = move || local.start_proxy(spec);
    tokio::task::spawn_blocking(start).await.context("the task that starts the proxy panicked")??;
    Ok(())
}

/// Links through a proxy of the run's own.
async fn own(
    cast: &Cast,
    target: &Conductor,
    wanted: BTreeSet<String>,
    directory: &Directory,
) -> Result<BTreeMap<String, SocketAddr>> {
    let (local, at) = (cast.local(), target.authority());
    let probe = Probe::http(&format!("{}/health", target.path()));
    start_proxy(cast, directory).await?;
    let make = move || {
        let upstream = at.to_socket_addrs().ok().and_then(|mut found| found.next());
        let upstream = upstream.with_context(|| format!("{at} is no address that a link can lead to"))?;
        let link = |name: String| {
            let address = local.add_link(&name, upstream, Some(probe.clone()))?;
            anyhow::Ok((name, address))
        };
        wanted.into_iter().map(link).collect::<anyhow::Result<_>>()
    };
    let made = tokio::task::spawn_blocking(make).await.context("the task that makes the links panicked")?;
    Ok(made.context("the links of the run can't be made")?)
}
