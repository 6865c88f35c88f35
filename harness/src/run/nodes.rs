//! The nodes of the reference engine in a run: how each is started, and which of them stand by.

use super::builds::Build;
use super::cast::Cast;
use super::directory::Directory;
use super::leader;
use super::leads::Side;
use super::ports::Reserved;
use super::provision::Wanted;
use crate::scenario::target::{BLUE, GREEN};
use crate::{clock, program};
use anyhow::Context as _;
use serde_json::json;
use shakedown_chaos::role::Role;
use shakedown_chaos::substrate::local::{Backup, Ready, Spec};
use shakedown_reports::history::Note;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Opening a store and binding a port; a long replay has its own time on top of that in no scenario yet.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The nodes of a run.
#[derive(Debug)]
pub struct Nodes {
    /// Name and URL of each; those that stand by come last.
    pub all: Vec<(String, String)>,
    /// The two sets of nodes, where some stand by.
    pub sides: Option<Sides>,
    /// A node that is started again must come back where it was.
    _ports: Vec<Reserved>,
}

/// Two sets of nodes, each of one build.
#[derive(Debug, Clone)]
pub struct Sides {
    /// What runs from the beginning.
    pub blue: Build,
    /// What stands by.
    pub green: Build,
    /// Which of them each node belongs to, in the order of [`Nodes::all`].
    pub of: Vec<Side>,
}

/// What all nodes of a run share.
struct Common<'r> {
    directory: &'r Directory,
    wanted: &'r Wanted<'r>,
    /// The store and its password, on PostgreSQL.
    store: Option<(String, Option<String>)>,
    data: PathBuf,
}

/// Starts the nodes that run from the beginning, and makes those ready that stand by.
///
/// # Errors
/// One does not come up, or the program of those that stand by is none.
pub async fn start(
    cast: &Cast,
    directory: &Directory,
    wanted: &Wanted<'_>,
    store: Option<(String, Option<String>)>,
) -> anyhow::Result<Nodes> {
    let ours = || program::path().context("cannot find out which program this is, to start it as engine");
    let blue = wanted.programs.0.map_or_else(ours, |other| Ok(other.to_owned()))?;
    let engine = &wanted.scenario.engine;
    let common = Common { directory, wanted, store, data: data_folder(directory)? };
    let (mut all, mut ports) = (Vec::new(), Vec::new());
    // On PostgreSQL a node keeps nothing: its database is what is backed up.
    let backup = common.store.is_none().then(|| backup(&blue, &common.data));
    for name in engine.names() {
        let port = Reserved::new().context("there is no free port on 127.0.0.1")?;
        let spec = common.spec(&name, &blue, &port);
        let ready = cast.add(spec, vec![Role::Engine], Some((common.data.clone(), backup.clone()))).await?;
        all.push((name, ready.text.trim().to_owned()));
        ports.push(port);
    }
    let mut sides = None;
    if engine.green > 0 {
        let green =
            wanted.programs.1.context("no program was given for the nodes that stand by; use --green")?;
        // The folder of the run is no place to look for a program in.
        let green = std::path::absolute(green)
            .with_context(|| format!("cannot find out where {} is", green.display()))?;
        for name in engine.green_names() {
            let port = Reserved::new().context("there is no free port on 127.0.0.1")?;
            let spec = common.spec(&name, &green, &port);
            cast.add_standby(spec, vec![Role::Engine], Some((common.data.clone(), None))).await?;
            all.push((name, format!("http://{}", port.address)));
            ports.push(port);
        }
        prove(cast, &all);
        sides = Some(told_apart((&blue, &green), (engine.nodes, engine.green)).await?);
    }
    Ok(Nodes { all, sides, _ports: ports })
}

/// A node that says that it listens may yet find out that it can't read the journal: it takes over when it is healthy.
fn prove(cast: &Cast, nodes: &[(String, String)]) {
    let local = cast.local();
    for (name, url) in nodes {
        let Some(node) = local.find(name) else { continue };
        let url = url.clone();
        node.proven_by(Box::new(move |_| leader::is_healthy(&url)));
    }
}

async fn told_apart(programs: (&Path, &Path), counts: (u32, u32)) -> anyhow::Result<Sides> {
    let (blue, green) = (programs.0.to_owned(), programs.1.to_owned());
    let builds = move || anyhow::Ok((Build::of(&blue)?, Build::of(&green)?));
    let (blue, green) = tokio::task::spawn_blocking(builds).await??;
    let of = [(Side::Blue, counts.0), (Side::Green, counts.1)];
    let of = of.into_iter().flat_map(|(side, count)| (0..count).map(move |_| side)).collect();
    Ok(Sides { blue, green, of })
}

impl Sides {
    /// True when both are the same program, so that switching shows nothing about versions.
    pub fn are_one_build(&self) -> bool {
        self.blue.sha256 == self.green.sha256
    }

    /// What a reader of the run should know of them.
    pub fn notes(&self) -> Vec<Note> {
        let note = |text: String, data| Note { at_ns: clock::now_ns(), text, data };
        let data = json!({
            BLUE: { "version": self.blue.version, "sha256": self.blue.sha256 },
            GREEN: { "version": self.green.version, "sha256": self.green.sha256 },
        });
        let told = format!("blue is {}, green is {}", self.blue, self.green);
        let same = "blue and green are the same build: the run shows the switch, and nothing about two versions; give \
                    another build by --green";
        let same = self.are_one_build().then(|| note(same.to_owned(), serde_json::Value::Null));
        [note(told, data)].into_iter().chain(same).collect()
    }
}

impl Common<'_> {
    fn spec(&self, name: &str, program: &Path, port: &Reserved) -> Spec {
        let mut args: Vec<OsString> =
            vec!["engine".into(), "--listen".into(), port.address.to_string().into(), "--store".into()];
        let mut env = vec![];
        match &self.store {
            None => args.push(sqlite(&self.data)),
            Some((url, password)) => {
                args.extend([url.into(), "--node".into(), name.into()]);
                args.extend([
                    "--lease".into(),
                    self.wanted.scenario.engine.lease.seconds().to_string().into(),
                ]);
                env.extend(password.iter().map(|password| ("PGPASSWORD".into(), password.into())));
            }
        }
        let log = self.directory.logs().join(format!("{name}.log"));
        let ready = Some(Ready { prefix: "listening on ".to_owned(), within: READY_WITHIN });
        Spec { name: name.to_owned(), program: program.to_owned(), args, env, log, ready }
    }
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
