//! The pair of PostgreSQL databases of a run, and what its manager does, in the history.

use super::cast::Cast;
use super::directory::Directory;
use super::links;
use crate::journal::Journal;
use anyhow::Context as _;
use shakedown_chaos::substrate::database::{Database, Event, Finding, Settings, Sink};
use shakedown_reports::history::{LateWritesMark, OnlyThereMark, Record, StepMark};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Name of its folder in the run directory.
const FOLDER: &str = "database";

/// Brings up primary, standby and their manager.
///
/// # Errors
/// They don't come up.
pub async fn start(
    cast: &Cast,
    directory: &Directory,
    settings: Settings,
    journal: &Journal,
) -> anyhow::Result<Database> {
    let folder = folder(directory)?;
    if settings.links {
        links::start_proxy(cast, directory).await?;
    }
    let (local, journal) = (cast.local(), journal.clone());
    let sink: Sink = Arc::new(move |event| {
        journal.write(Record::Step(StepMark {
            who: "database".to_owned(),
            step: event.phase.name().to_owned(),
            node: event.side.name().to_owned(),
            at_ns: event.at_ns,
            text: event.text.clone(),
        }));
        found(event).into_iter().for_each(|record| journal.write(record));
    });
    let start = move || Database::start(&local, &folder, settings, sink);
    let started =
        tokio::task::spawn_blocking(start).await.context("the task that starts the database panicked")?;
    started.context("the pair of databases does not come up")
}

/// What a step found out, as the checks count it.
fn found(event: &Event) -> Option<Record> {
    let (node, at_ns) = (event.side.name().to_owned(), event.at_ns);
    match &event.finding {
        Finding::Nothing => None,
        Finding::LateWrites(late) => Some(Record::LateWrites(LateWritesMark {
            who: "database".to_owned(),
            node,
            at_ns,
            refused: late.refused.into(),
            accepted: late.accepted.into(),
            unknown: late.unknown.into(),
        })),
        Finding::OnlyThere(keys) => {
            Some(Record::OnlyThere(OnlyThereMark { node, at_ns, keys: keys.clone() }))
        }
    }
}

/// Ends both, in order where `grace` allows it.
///
/// # Errors
/// The task that waits for them panicked.
pub async fn stop(database: Database, grace: Duration) -> anyhow::Result<()> {
    let stop = move || database.stop(grace);
    tokio::task::spawn_blocking(stop).await.context("the task that ends the database panicked")
}

fn folder(directory: &Directory) -> anyhow::Result<PathBuf> {
    let folder = directory.file(FOLDER);
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::path::absolute(&folder).with_context(|| format!("cannot find out where {} is", folder.display()))
}
