//! The links of a run: connections that go through a fault proxy, of the run's own or of somebody else's.

use super::cast::Cast;
use super::directory::Directory;
use crate::failure::{Blame, Result};
use crate::program;
use crate::scenario::drill::LinkEntry;
use crate::scenario::validate::drill::OURS;
use crate::target::conductor::Conductor;
use anyhow::Context as _;
use shakedown_chaos::probe::Probe;
use shakedown_chaos::role::{Role, part_of_link};
use shakedown_chaos::substrate::link::Link;
use shakedown_chaos::substrate::local::{Local, Ready, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

/// Name of the proxy's node.
const PROXY: &str = "proxy";
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
            bases.insert(entry.name.clone(), target.base_at(&[address]));
        }
    }
    let wanted = wanted(&cast.local(), named);
    if !wanted.is_empty() {
        let own = own(cast, target, wanted, directory).await?;
        bases.extend(own.into_iter().map(|(name, addresses)| (name, target.base_at(&addresses))));
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

/// The links that faults are on, as a whole or in part, and nobody has.
fn wanted(local: &Local, named: &[LinkEntry]) -> BTreeSet<String> {
    let of = |role: &Role| {
        let Role::Link(name) = role else { return None };
        let whole = part_of_link(name).map_or(name.as_str(), |(whole, _)| whole);
        let is_ours = OURS.contains(&whole) && named.iter().all(|entry| entry.name != whole);
        is_ours.then(|| whole.to_owned())
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

/// Links through a proxy of the run's own: one, or where the target has several nodes one to each.
async fn own(
    cast: &Cast,
    target: &Conductor,
    wanted: BTreeSet<String>,
    directory: &Directory,
) -> Result<BTreeMap<String, Vec<SocketAddr>>> {
    let local = cast.local();
    let nodes: Vec<(String, Probe)> = target
        .places()
        .map(|(authority, path)| (authority, Probe::http(&format!("{path}/health"))))
        .collect();
    start_proxy(cast, directory).await?;
    let make = move || {
        let to = |((at, probe), name): (&(String, Probe), String)| {
            let upstream = at.to_socket_addrs().ok().and_then(|mut found| found.next());
            let upstream = upstream.with_context(|| format!("{at} is no address that a link can lead to"))?;
            anyhow::Ok(local.add_link(&name, upstream, Some(probe.clone()))?)
        };
        let link = |name: String| {
            let part =
                |number: usize| if nodes.len() > 1 { format!("{name}.{number}") } else { name.clone() };
            let addresses = nodes.iter().zip((1..).map(part)).map(to).collect::<anyhow::Result<Vec<_>>>()?;
            anyhow::Ok((name, addresses))
        };
        wanted.into_iter().map(link).collect::<anyhow::Result<_>>()
    };
    let made = tokio::task::spawn_blocking(make).await.context("the task that makes the links panicked")?;
    Ok(made.context("the links of the run can't be made")?)
}
