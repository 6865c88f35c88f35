//! The one phase function: provision, verify, load, drain, verify again, settle, write. Then judge.

pub mod builds;
mod cast;
mod crew;
mod database;
mod definitions;
pub mod directory;
mod disk_probe;
mod drain;
mod drill;
mod hire;
mod inputs;
pub mod interrupt;
mod late;
mod leader;
mod leads;
mod level;
mod links;
pub mod machine;
mod nodes;
mod ports;
pub mod prepare;
mod progress;
mod provision;
mod settle;
mod steady;
mod stop;
mod usage;
mod watchdog;

use crate::calibrate::kept;
use crate::clock;
use crate::failure::{Blame, Result};
use crate::journal::{self, Journal};
use crate::plan::{self, Plan};
use crate::target::preflight;
use anyhow::Context;
use cast::Cast;
use crew::Crew;
use directory::Directory;
use interrupt::Interrupt;
use prepare::Order;
use progress::Progress;
use provision::{Host, Wanted};
use serde_json::Value;
use shakedown_chaos::ledger::Ledger;
use shakedown_reports::exit_code;
use shakedown_reports::history::{Aftermath, Footer, Header, Record, SCHEMA_VERSION, Start};
use std::path::PathBuf;
use usage::Sampler;

/// Where and on what an [`Order`] is run.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder of run directories.
    pub out: PathBuf,
    /// The server to load; `None`: the reference engine, started for the run.
    pub target: Option<String>,
    /// The program that is the engine, instead of this one.
    pub engine: Option<PathBuf>,
    /// The program of the nodes that stand by.
    pub green: Option<PathBuf>,
}

/// What the phases share.
#[derive(Debug)]
pub struct Stage<'r> {
    order: &'r Order,
    plan: &'r Plan,
    directory: &'r Directory,
    journal: Journal,
    interrupt: &'r Interrupt,
    progress: Progress,
    host: Host,
    sampler: Sampler,
}

/// How the phases ended.
#[derive(Debug, Default)]
struct Ending {
    /// Why the plan isn't through.
    cut_short: Option<String>,
}

/// Runs an order and returns its run directory, whose history is whole; judging it is somebody else's work.
///
/// # Errors
/// Input that is refused, a target that can't be loaded, or the tool failed. If a run directory was made by then,
/// the footer of its history says why there is nothing to judge.
pub async fn run(order: &Order, place: &Place, interrupt: &Interrupt) -> Result<PathBuf> {
    let stamp = clock::stamp(clock::wall_ms());
    let directory = Directory::create(&place.out, &stamp, &order.scenario.name, order.scenario.seed)?;
    recorded(order, place, interrupt, &directory).await?;
    let wanted = order.scenario.recovery.is_some_and(|recovery| recovery.control);
    if wanted && !order.scenario.fault.is_empty() && !interrupt.is_asked() {
        // The same seed and load without the faults: what they did is the difference.
        recorded(&order.without_faults(), place, interrupt, &directory.control()?).await?;
    }
    Ok(directory.path)
}

/// The injections that a run of `order` would make.
///
/// # Errors
/// Its plan can't be drawn.
pub fn schedule(order: &Order) -> Result<Vec<shakedown_chaos::schedule::Injection>> {
    Ok(plan::draw(&order.scenario, &order.templates(), order.scenario.seed, "").blame_input()?.schedule)
}

/// Runs an order into a run directory that was made for it.
async fn recorded(order: &Order, place: &Place, interrupt: &Interrupt, directory: &Directory) -> Result<()> {
    let (seed, started_ms) = (order.scenario.seed, clock::wall_ms());
    let plan = plan::draw(&order.scenario, &order.templates(), seed, &directory.name).blame_input()?;
    let rules = if place.target.is_none() { definitions::rules(order) } else { vec![] };
    directory.write_inputs(order, &plan, &rules)?;
    let path = directory.file("history.jsonl");
    let unwritable = || format!("cannot write {}", path.display());
    let (journal, writer) = journal::open(&path).with_context(unwritable)?;
    journal.write(Record::Header(header(order, place, directory, started_ms)));
    if let Some(calibration) = kept::of_this_machine(&place.out) {
        journal.write(Record::Calibration(calibration));
    }
    let ending = phases(order, &plan, directory, place, journal.clone(), interrupt).await;
    let reason = match &ending {
        Ok(ending) => ending.cut_short.clone(),
        Err(failure) => Some(failure.to_string()),
    };
    let interrupted = interrupt.is_asked();
    journal.write(Record::Footer(Footer {
        at_ns: clock::now_ns(),
        complete: reason.is_none(),
        reason,
        interrupted,
    }));
    drop(journal);
    let closed = tokio::task::spawn_blocking(move || writer.close()).await;
    closed.context("the task that ends the history panicked")?.with_context(unwritable)?;
    if ending.as_ref().is_err_and(|failure| failure.code == exit_code::INVALID) {
        // A run that its target kept from beginning leaves its reports too: CI collects them, and they say why. The
        // failure itself is what counts, so one of the reports is not told.
        let _ = shakedown_reports::rundir::judge_dir(&directory.path);
    }
    ending.map(|_| ())
}

/// The phases, in their order. Whatever was started is gone when this returns, however it returns.
async fn phases(
    order: &Order,
    plan: &Plan,
    directory: &Directory,
    place: &Place,
    journal: Journal,
    interrupt: &Interrupt,
) -> Result<Ending> {
    let progress = Progress::new();
    progress.phase("starting the target");
    let sampler = Sampler::start(journal.clone()).context("the sampler can't be started")?;
    let host = host(order, plan, directory, place, &journal, &sampler).await?;
    let mut stage = Stage { order, plan, directory, journal, interrupt, progress, host, sampler };
    verify(&stage).await?;
    if order.scenario.disk_probe {
        disk_probe::run(&stage).await?;
    }
    let mut crew = hire::hire(&stage).await?;
    let loaded = load(&mut stage, &mut crew).await;
    hire::dismiss(&stage, crew).await?;
    let (starts, ending) = loaded?;
    if order.scenario.disk_probe && ending.cut_short.is_none() {
        disk_probe::run(&stage).await?;
    }
    if stage.host.lost().is_none() {
        late::read(&stage).await;
        read_back(&stage, &starts, &ending).await;
    }
    stage.host.stop().await?;
    Ok(ending)
}

/// Is the target what it should be, and does it work? What it needs to know is registered on the way.
async fn verify(stage: &Stage<'_>) -> Result<()> {
    stage.progress.phase("verifying the steady state");
    let checks = async {
        preflight::verify(&stage.host.target).await.blame_target()?;
        let remarks = definitions::register(&stage.host.target, stage.order, stage.host.is_ours()).await?;
        remarks.iter().for_each(|remark| stage.note(remark, Value::Null));
        steady::verify(&stage.host.target).await.blame_target()
    };
    tokio::select! {
        checked = checks => checked,
        () = stage.interrupt.asked() => interrupted_before_load(),
    }
}

fn interrupted_before_load() -> Result<()> {
    let error = anyhow::anyhow!("interrupted before there was any load");
    Err(crate::failure::Failure { code: exit_code::INTERRUPTED, error })
}

/// Every level, one after another, until one is cut short.
async fn load(stage: &mut Stage<'_>, crew: &mut Crew) -> Result<(Vec<Start>, Ending)> {
    let mut starts = Vec::new();
    for level in stage.plan.levels.iter().filter(|level| level.beside.is_none()) {
        let run = level::run(stage, crew, level).await?;
        starts.extend(run.starts);
        if let Some(why) = run.cut_short {
            stage.note(&format!("level {} was cut short: {why}", level.name), Value::Null);
            return Ok((starts, Ending { cut_short: Some(format!("level {}: {why}", level.name)) }));
        }
    }
    Ok((starts, Ending::default()))
}

/// The target, and the processes of the run.
async fn host(
    order: &Order,
    plan: &Plan,
    directory: &Directory,
    place: &Place,
    journal: &Journal,
    sampler: &Sampler,
) -> Result<Host> {
    let target = place.target.as_deref().unwrap_or("the reference engine of this run");
    let ledger = Ledger::create(&directory.path, target).context("the ledger of faults can't be begun")?;
    let mut cast = Cast::new(ledger, plan.schedule.clone(), journal.clone(), sampler.watcher());
    if !plan.schedule.is_empty() {
        cast.secure(place.target.as_deref(), directory)?;
    }
    match &place.target {
        Some(url) => Host::somebody_elses(url, cast, &order.scenario.link, directory).await,
        None => {
            let programs = (place.engine.as_deref(), place.green.as_deref());
            let wanted = Wanted { programs, scenario: &order.scenario };
            provision::engine(cast, directory, &wanted, journal).await
        }
    }
}

/// Reads back what the load became: twice where there were faults, the second time after the target has shown that it
/// works again. What a heal undoes, or brings back, would show between the two.
async fn read_back(stage: &Stage<'_>, starts: &[Start], ending: &Ending) {
    stage.progress.phase("reading back what the target knows");
    let twice = !stage.plan.schedule.is_empty();
    if twice {
        settle::read_back(stage, starts, 1).await;
    }
    if ending.cut_short.is_none() {
        let problem = steady::verify(&stage.host.target).await.err().map(|error| error.to_string());
        stage.journal.write(Record::Aftermath(Aftermath { at_ns: clock::now_ns(), problem }));
    }
    settle::read_back(stage, starts, if twice { 2 } else { 1 }).await;
}

fn header(order: &Order, place: &Place, directory: &Directory, started_ms: u64) -> Header {
    Header {
        schema_version: SCHEMA_VERSION,
        run: directory.name.clone(),
        scenario: order.scenario.name.clone(),
        seed: order.scenario.seed,
        speed: order.speed,
        target: place
            .target
            .clone()
            .unwrap_or_else(|| "the reference engine, started for this run".to_owned()),
        embedded: place.target.is_none(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_ms,
        started_ns: clock::now_ns(),
        machine: machine::describe(),
        shared_cpu: order.scenario.shared_cpu,
        again: order.again.clone(),
    }
}
