//! The target of a run: the reference engine as a node of ours, or a server that somebody else runs.

use super::cast::Cast;
use super::directory::Directory;
use super::leads::Watch;
use super::nodes::{self, Nodes};
use super::{database, leader, links};
use crate::failure::{Blame, Result};
use crate::journal::Journal;
use crate::scenario::Scenario;
use crate::scenario::drill::LinkEntry;
use crate::scenario::target::ENGINE;
use crate::target::conductor::Conductor;
use anyhow::Context;
use shakedown_chaos::role::Role;
use shakedown_chaos::substrate::database::Database;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the engine has to end in order.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A target that can be used.
pub struct Host {
    /// Its client.
    pub target: Conductor,
    /// Where those connect who do so over a link that faults are on, by the link's name.
    links: BTreeMap<String, String>,
    /// The processes of the run.
    pub cast: Cast,
    /// The database of the engine, where it has one of its own.
    database: Option<Database>,
    /// The nodes of the engine, where the run started it; their ports are theirs until it is over.
    nodes: Option<Nodes>,
    /// Who leads, where nodes of one build take over from those of another.
    watch: Option<Watch>,
    ours: bool,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("target", &self.target).field("ours", &self.ours).finish_non_exhaustive()
    }
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
        if target.roots().len() > 1 {
            // They have no names here: only the links to them can be hurt.
            let all: Vec<_> = target.roots().iter().map(|root| (root.clone(), root.clone())).collect();
            cast.local().add_casting(Arc::new(move |role: &Role| leader::cast(role, &all)));
        }
        let links = links::make(&cast, &target, named, directory).await?;
        Ok(Self { target, links, cast, database: None, nodes: None, watch: None, ours: false })
    }

    /// Base URL of the REST API for those who connect over a link: the target's own, where no fault is on it.
    pub fn base(&self, link: &str) -> &str {
        self.links.get(link).map_or_else(|| self.target.base(), String::as_str)
    }

    /// True when the harness started the reference engine itself.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// Name and URL of each node of the engine; none of a server that somebody else runs.
    pub fn nodes(&self) -> &[(String, String)] {
        self.nodes.as_ref().map_or(&[], |nodes| &nodes.all)
    }

    /// Why a process of the run is no longer there, if one isn't.
    pub fn lost(&self) -> Option<String> {
        self.cast.lost()
    }

    /// Ends the engine in order; a server of somebody else is left alone.
    pub async fn stop(self) -> Result<()> {
        // Whoever leads now does so because others end.
        drop(self.watch);
        if let Some(database) = self.database {
            // Its manager would take an end for a failure, so the engine goes first and the pair as one.
            self.cast.end(ENGINE, STOP_WITHIN).await?;
            database::stop(database, STOP_WITHIN).await?;
        }
        let closed = self.cast.close(STOP_WITHIN).await;
        drop(self.nodes);
        Ok(closed.context("the run can't be ended in order")?)
    }
}

/// What a run says of the engine that it starts.
#[derive(Debug)]
pub struct Wanted<'s> {
    /// The program that is the engine, instead of this one, and that of the nodes that stand by.
    pub programs: (Option<&'s Path>, Option<&'s Path>),
    /// What the scenario says.
    pub scenario: &'s Scenario,
}

/// Starts the reference engine as nodes of `cast`, on a store in the run's directory.
///
/// # Errors
/// The engine, or its database, does not come up.
pub async fn engine(
    cast: Cast,
    directory: &Directory,
    wanted: &Wanted<'_>,
    journal: &Journal,
) -> Result<Host> {
    let scenario = wanted.scenario;
    let database = match &scenario.database {
        Some(settings) => Some(database::start(&cast, directory, settings.clone(), journal).await?),
        None => None,
    };
    let store = database.as_ref().map(|database| without_password(&database.url()));
    let nodes = nodes::start(&cast, directory, wanted, store).await?;
    let urls: Vec<&str> = nodes.all.iter().map(|(_, url)| url.as_str()).collect();
    let target = Conductor::new(&urls.join(",")).context("the engine told no address")?;
    if database.is_some() {
        // Those that stand by come last, and don't run yet.
        let run = scenario.engine.names().len();
        leader::settled(&nodes.all[..run]).await?;
    }
    if nodes.all.len() > 1 {
        let all = nodes.all.clone();
        cast.local().add_casting(Arc::new(move |role: &Role| leader::cast(role, &all)));
    }
    let watch = nodes.sides.clone().map(|sides| Watch::start(&nodes, sides, journal)).transpose()?;
    let links = links::make(&cast, &target, &scenario.link, directory).await?;
    Ok(Host { target, links, cast, database, nodes: Some(nodes), watch, ours: true })
}

/// The URL of a store without the password in it, which a list of processes would show, and the password.
fn without_password(url: &str) -> (String, Option<String>) {
    let split = || {
        let (scheme, rest) = url.split_once("://")?;
        let (who, rest) = rest.split_once('@')?;
        // One that is encoded stays where it is decoded.
        let (user, password) = who.split_once(':').filter(|(_, password)| !password.contains('%'))?;
        Some((format!("{scheme}://{user}@{rest}"), password.to_owned()))
    };
    split().map_or_else(|| (url.to_owned(), None), |(url, password)| (url, Some(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_a_url() {
        let (url, password) = without_password("postgres://me:secret@127.0.0.1:1,127.0.0.1:2/db?x=1");
        assert_eq!(url, "postgres://me@127.0.0.1:1,127.0.0.1:2/db?x=1");
        assert_eq!(password.as_deref(), Some("secret"));
        assert_eq!(without_password("postgres://me@h/db"), ("postgres://me@h/db".to_owned(), None));
    }
}
