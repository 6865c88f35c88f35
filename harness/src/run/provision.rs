//! The target of a run: the reference engine as a node of ours, or a server that somebody else runs.

use super::cast::Cast;
use super::directory::Directory;
use super::links;
use crate::failure::{Blame, Result};
use crate::program;
use crate::scenario::drill::LinkEntry;
use crate::scenario::validate::drill::ENGINE;
use crate::target::conductor::Conductor;
use anyhow::Context;
use shakedown_chaos::role::Role;
use shakedown_chaos::substrate::local::{Ready, Spec};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Opening a store and binding a port; a long replay has its own time on top of that in no scenario yet.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long the engine has to end in order.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A target that can be used.
#[derive(Debug)]
pub struct Host {
    /// Its client.
    pub target: Conductor,
    /// Where those connect who do so over a link that faults are on, by the link's name.
    links: BTreeMap<String, String>,
    /// The processes of the run.
    pub cast: Cast,
    ours: bool,
}

impl Host {
    /// A server that somebody else runs, with the links of the run before it.
    ///
    /// # Errors
    /// The URL isn't one, or the links can't be had.
    pub async fn somebody_elses(
        url: &str,
        cast: Cast,
        named: &[LinkEntry],
        directory: &Directory,
    ) -> Result<Self> {
        let target = Conductor::new(url).blame_input()?;
        let links = links::make(&cast, &target, named, directory).await?;
        Ok(Self { target, links, cast, ours: false })
    }

    /// Base URL of the REST API for those who connect over a link: the target's own, where no fault is on it.
    pub fn base(&self, link: &str) -> &str {
        self.links.get(link).map_or_else(|| self.target.base(), String::as_str)
    }

    /// True when the harness started the reference engine itself.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// Why a process of the run is no longer there, if one isn't.
    pub fn lost(&self) -> Option<String> {
        self.cast.lost()
    }

    /// Ends the engine in order; a server of somebody else is left alone.
    pub async fn stop(self) -> Result<()> {
        Ok(self.cast.close(STOP_WITHIN).await.context("the run can't be ended in order")?)
    }
}

/// Starts the reference engine as a node of `cast`, on a store in the run's directory.
///
/// # Errors
/// The engine does not come up.
pub async fn engine(
    cast: Cast,
    directory: &Directory,
    other: Option<&Path>,
    named: &[LinkEntry],
) -> Result<Host> {
    let ours = || program::path().context("cannot find out which program this is, to start it as engine");
    let program = other.map_or_else(ours, |other| Ok(other.to_owned()))?;
    let data = data_folder(directory)?;
    let store = format!("sqlite:{}", data.join("engine.db").display());
    let listen = format!("127.0.0.1:{}", free_port().context("there is no free port on 127.0.0.1")?);
    let spec = Spec {
        name: ENGINE.to_owned(),
        program,
        args: vec!["engine".into(), "--listen".into(), listen.into(), "--store".into(), store.into()],
        env: vec![],
        log: directory.logs().join("engine.log"),
        ready: Some(Ready { prefix: "listening on ".to_owned(), within: READY_WITHIN }),
    };
    let ready = cast.add(spec, vec![Role::Engine], Some(data)).await?;
    let url = ready.text.trim();
    let target = Conductor::new(url).context("the engine told no address")?;
    let links = links::make(&cast, &target, named, directory).await?;
    Ok(Host { target, links, cast, ours: true })
}

/// A folder of its own for the engine's files, so that a fault can give it a disk of its own.
fn data_folder(directory: &Directory) -> anyhow::Result<PathBuf> {
    let data = directory.file("data");
    std::fs::create_dir(&data).with_context(|| format!("cannot make {}", data.display()))?;
    std::path::absolute(&data).with_context(|| format!("cannot find out where {} is", data.display()))
}

/// A port that is free now. A node that is started again must come back where it was, so it is given one, and does not
/// choose.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
