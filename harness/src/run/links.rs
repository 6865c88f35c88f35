//! The links of a run that faults are on: connections to the target that go through a fault proxy of the run's own.

use super::cast::Cast;
use super::directory::Directory;
use crate::program;
use anyhow::Context as _;
use shakedown_chaos::probe::Probe;
use shakedown_chaos::role::Role;
use shakedown_chaos::substrate::local::{Ready, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Name of the proxy's node.
const PROXY: &str = "proxy";
/// A proxy opens one port.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Makes every link that a fault of the plan is on, to the target at `url`; returns the base URL behind each. A link
/// that no fault is on is not made: nothing stands between those who would use it.
///
/// # Errors
/// The proxy does not come up.
pub async fn make(cast: &Cast, url: &str, directory: &Directory) -> anyhow::Result<BTreeMap<String, String>> {
    let local = cast.local();
    let wanted: BTreeSet<String> = local
        .planned()
        .iter()
        .filter_map(|injection| match &injection.on {
            Role::Link(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let upstream: SocketAddr = url
        .trim_start_matches("http://")
        .parse()
        .with_context(|| format!("{url} is no address that a link can lead to"))?;
    let spec = Spec {
        name: PROXY.to_owned(),
        program: program::path().context("cannot find out which program this is, to start it as proxy")?,
        args: ["proxy", "--listen", "127.0.0.1:0"].map(Into::into).to_vec(),
        env: vec![],
        log: directory.logs().join("proxy.log"),
        ready: Some(Ready { prefix: "listening on ".to_owned(), within: READY_WITHIN }),
    };
    let make = move || {
        local.start_proxy(spec)?;
        let mut bases = BTreeMap::new();
        for name in wanted {
            let address = local.add_link(&name, upstream, Some(Probe::http("/health")))?;
            bases.insert(name, format!("http://{address}/api"));
        }
        anyhow::Ok(bases)
    };
    tokio::task::spawn_blocking(make).await.context("the task that makes the links panicked")?
}
