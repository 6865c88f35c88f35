//! From a run to its workers: one fleet inside of the harness, or processes as nodes that faults can hit.

use super::Stage;
use super::crew::{Crew, Processes};
use crate::run::directory::Directory;
use crate::scenario::validate::drill::{WORKER_PREFIX as PREFIX, WORKERS};
use crate::workers::assignment::Assignments;
use crate::workers::spec::{READY, WorkSpec, share};
use crate::workers::tail::Tail;
use crate::workers::{CAUTIOUS_POLL, Fleet, FleetSpec, PATIENT_POLL};
use crate::{clock, program};
use anyhow::Context as _;
use shakedown_chaos::role::{Role, Which};
use shakedown_chaos::substrate::local::{Ready, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Reading the plan of a long run is most of it.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long worker processes have to end in order.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The workers of a run.
///
/// # Errors
/// They can't be started.
pub async fn hire(stage: &Stage<'_>) -> anyhow::Result<Crew> {
    let count = stage.order.scenario.workers.processes;
    if count == 0 {
        let fleet = Fleet::start(fleet_spec(stage)).context("the workers can't be started")?;
        return Ok(Crew::Inside(fleet));
    }
    let pools: BTreeSet<String> = all_slots(stage).into_keys().collect();
    for number in 1..=count {
        let numbered = Role::Worker(Which::Number(number));
        let named = pools.iter().map(|pool| Role::Worker(Which::Named(pool.clone())));
        let spec = process(stage, &turned(stage.host.base(WORKERS), number), number, count)?;
        stage.host.cast.add(spec, [numbered].into_iter().chain(named).collect(), None).await?;
    }
    let tail = Tail::new(&stage.directory.logs(), PREFIX);
    Ok(Crew::Processes(Processes::new(tail, stage.journal.clone())))
}

/// Ends all workers; what the processes among them recorded is taken over.
///
/// # Errors
/// Their records can't be read.
pub async fn dismiss(stage: &Stage<'_>, crew: Crew) -> anyhow::Result<()> {
    match crew {
        Crew::Inside(fleet) => fleet.stop().await,
        Crew::Processes(processes) => {
            let cast = &stage.host.cast;
            cast.end(PREFIX, STOP_WITHIN).await?;
            // Work that was in hand ended with its process.
            let ended_ns = |begun: &_| cast.ended_ns(begun).unwrap_or_else(clock::now_ns);
            processes.close(&ended_ns).context("cannot read what the workers recorded")?;
        }
    }
    Ok(())
}

fn fleet_spec(stage: &Stage<'_>) -> FleetSpec {
    let run = &stage.directory.name;
    FleetSpec {
        target: stage.host.target.clone(),
        assignments: Assignments::of_plan(run, stage.plan).with_step_order(stage.step_order()),
        journal: stage.journal.clone(),
        tag: run.clone(),
        speed: stage.order.speed,
        seed: stage.order.scenario.seed,
        behaviour: stage.order.scenario.workers,
        poll_wait: stage.poll_wait(),
        tell_begun: false,
    }
}

/// The nodes of a server, turned so that every process begins with another one.
fn turned(bases: &str, number: u32) -> String {
    let mut bases: Vec<&str> = bases.split(',').collect();
    let by = number as usize % bases.len();
    bases.rotate_left(by);
    bases.join(",")
}

/// What starts worker process `number`, from 1.
fn process(stage: &Stage<'_>, base: &str, number: u32, count: u32) -> anyhow::Result<Spec> {
    let name = format!("{PREFIX}{number}");
    let spec = WorkSpec {
        base: base.to_owned(),
        run: stage.directory.name.clone(),
        name: name.clone(),
        plan: absolute(stage.directory, "plan.jsonl")?,
        step_order: stage.step_order(),
        speed: stage.order.speed,
        seed: stage.order.scenario.seed,
        behaviour: stage.order.scenario.workers,
        poll_wait_ms: u64::try_from(stage.poll_wait().as_millis()).unwrap_or(u64::MAX),
        slots: share(&all_slots(stage), number - 1, count),
    };
    let file = |kind: &str| absolute(stage.directory, &format!("logs/{name}.{kind}"));
    let spec_file = file("spec.json")?;
    std::fs::write(&spec_file, serde_json::to_vec_pretty(&spec)?)
        .with_context(|| format!("cannot write {}", spec_file.display()))?;
    let program = program::path().context("cannot find out which program this is, to start it as worker")?;
    let (records, log) = (file("jsonl")?, file("log")?);
    Ok(Spec {
        args: vec!["work".into(), "--spec".into(), spec_file.into(), "--out".into(), records.into()],
        name,
        program,
        env: vec![],
        log,
        ready: Some(Ready { prefix: READY.to_owned(), within: READY_WITHIN }),
    })
}

/// The slots of the levels, which are the same for all of them where there are processes.
fn all_slots(stage: &Stage<'_>) -> BTreeMap<String, u32> {
    stage.plan.levels.iter().flat_map(|level| level.slots.clone()).collect()
}

fn absolute(directory: &Directory, name: &str) -> anyhow::Result<PathBuf> {
    let path = directory.file(name);
    std::path::absolute(&path).with_context(|| format!("cannot find out where {} is", path.display()))
}

impl Stage<'_> {
    /// Names of the steps inside tasks in their order, by reference name.
    pub fn step_order(&self) -> BTreeMap<String, Vec<String>> {
        self.order.workflows.values().flat_map(|workflow| workflow.step_order.clone()).collect()
    }

    /// How long a poll waits at this target.
    pub fn poll_wait(&self) -> Duration {
        if self.host.is_ours() { PATIENT_POLL } else { CAUTIOUS_POLL }
    }
}
