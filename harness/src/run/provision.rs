//! The target of a run: the reference engine as a node of ours, or a server that somebody else runs.

use super::cast::Cast;
use super::directory::Directory;
use super::{database, leader, links};
use crate::failure::{Blame, Result};
use crate::journal::Journal;
use crate::program;
use crate::scenario::Scenario;
use crate::scenario::drill::LinkEntry;
use crate::scenario::target::ENGINE;
use crate::target::conductor::Conductor;
use anyhow::Context;
use shakedown_chaos::role::Role;
use shakedown_chaos::substrate::database::Database;
use shakedown_chaos::substrate::local::{Backup, Ready, Spec};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Opening a store and binding a port; a long replay has its own time on top of that in no scenario yet.
const READY_WITHIN: Duration = Duration::from_secs(30);
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
        let links = links::make(&cast, &target, named, directory).await?;
        Ok(Self { target, links, cast, database: None, ours: false })
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
        if let Some(database) = self.database {
            // Its manager would take an end for a failure, so the engine goes first and the pair as one.
            self.cast.end(ENGINE, STOP_WITHIN).await?;
            database::stop(database, STOP_WITHIN).await?;
        }
        Ok(self.cast.close(STOP_WITHIN).await.context("the run can't be ended in order")?)
    }
}

/// What a run says of the engine that it starts.
#[derive(Debug)]
pub struct Wanted<'s> {
    /// The program that is the engine, instead of this one.
    pub program: Option<&'s Path>,
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
    let Wanted { program, scenario } = wanted;
    let ours = || program::path().context("cannot find out which program this is, to start it as engine");
    let program = program.map_or_else(ours, |other| Ok(other.to_owned()))?;
    let database = match &scenario.database {
        Some(settings) => Some(database::start(&cast, directory, settings.clone(), journal).await?),
        None => None,
    };
    let data = data_folder(directory)?;
    // On PostgreSQL a node keeps nothing: its database is what is backed up.
    let backup = database.is_none().then(|| backup(&program, &data));
    let mut nodes = Vec::new();
    for name in scenario.engine.names() {
        let listen = format!("127.0.0.1:{}", free_port().context("there is no free port on 127.0.0.1")?);
        let mut args: Vec<OsString> =
            vec!["engine".into(), "--listen".into(), listen.clone().into(), "--store".into()];
        let mut env = vec![];
        match &database {
            None => args.push(sqlite(&data)),
            Some(database) => {
                let (url, password) = without_password(&database.url());
                args.extend([url.into(), "--node".into(), name.clone().into()]);
                args.extend(["--lease".into(), scenario.engine.lease.seconds().to_string().into()]);
                env.extend(password.map(|password| (OsString::from("PGPASSWORD"), OsString::from(password))));
            }
        }
        let log = directory.logs().join(format!("{name}.log"));
        let ready = Some(Ready { prefix: "listening on ".to_owned(), within: READY_WITHIN });
        let spec = Spec { name: name.clone(), program: program.clone(), args, env, log, ready };
        let ready = cast.add(spec, vec![Role::Engine], Some((data.clone(), backup.clone()))).await?;
        nodes.push((name, ready.text.trim().to_owned()));
    }
    let urls: Vec<&str> = nodes.iter().map(|(_, url)| url.as_str()).collect();
    let target = Conductor::new(&urls.join(",")).context("the engine told no address")?;
    if database.is_some() {
        leader::chosen(&nodes).await?;
    }
    if nodes.len() > 1 {
        cast.local().add_casting(Arc::new(move |role: &Role| leader::cast(role, &nodes)));
    }
    let links = links::make(&cast, &target, &scenario.link, directory).await?;
    Ok(Host { target, links, cast, database, ours: true })
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

/// The engine's store in its folder.
fn sqlite(data: &Path) -> OsString {
    format!("sqlite:{}", data.join("engine.db").display()).into()
}

/// How a backup of it is taken and restored: by the engine's own commands. Backups are beside its folder.
fn backup(program: &Path, data: &Path) -> Backup {
    let command = |action: &str, folder: &str| {
        let words = ["engine", action, "--store"].map(OsString::from).into_iter();
        [program.into()].into_iter().chain(words).chain([sqlite(data), folder.into()]).collect()
    };
    let (take, put_back) = (command("backup", "--to"), command("restore", "--from"));
    Backup { folder: data.with_file_name("backups"), take, put_back }
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
