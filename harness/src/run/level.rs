//! One level of load: slots set, the load child run to its end, its records taken over.

use super::Stage;
use super::crew::Crew;
use super::stop::Stop;
use super::watchdog::Watchdog;
use super::{drain, drill};
use crate::clock;
use crate::journal;
use crate::load::child::{self, LoadChild};
use crate::load::spec::{Definition, LoadSpec, Shape, ToStart};
use crate::plan::{Plan, critical_path_s};
use crate::scenario::units::RealTime;
use crate::scenario::validate::drill::CLIENTS;
use crate::workers::real_ns;
use anyhow::Context;
use shakedown_chaos::drill::Drill;
use shakedown_reports::history::{LevelEnd, LevelMark, Record, Start};
use shakedown_reports::plan::{Level, Model, Open, Workflow};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How often the load child and the target are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much longer than a workflow has to end a level may do nothing at all: every request has a deadline of 10 s,
/// and goose looks every half second whether it is done.
const STANDSTILL: Duration = Duration::from_secs(20);
/// How long a start may take to be answered.
const START_WITHIN_MS: u64 = 10_000;

/// A level that was run.
#[derive(Debug)]
pub struct LevelRun {
    /// Its starts, in the order in which they were sent.
    pub starts: Vec<Start>,
    /// Why it did not come to its end.
    pub cut_short: Option<String>,
}

/// Runs one level, and those beside it.
///
/// # Errors
/// The tool failed: the load can't be started, or its records can't be read.
pub async fn run(stage: &mut Stage<'_>, crew: &mut Crew, level: &Level) -> anyhow::Result<LevelRun> {
    let plan = stage.plan;
    let levels: Vec<&Level> = [level].into_iter().chain(plan.beside(&level.name)).collect();
    let tasks =
        levels.iter().flat_map(|one| plan.of_level(&one.name)).map(|one| one.durations_s.len() as u64).sum();
    stage.progress.level(&level.name, tasks);
    crew.resize(&slots(&levels));
    let mut loads = Vec::new();
    for one in &levels {
        loads.push(begin(stage, one).await?);
    }
    let began_ns = loads.first().map_or(0, |load| load.began_ns);
    let mut faults = Faults { drill: drill::begin(stage, began_ns)?, over_ns: over_ns(level, began_ns) };
    let cut_short = look_after(stage, crew, level, &mut loads, &mut faults).await;
    // However the load ended, nothing stays in force.
    faults.heal().await?;
    let cut_short = cut_short?;
    stage.sampler.now();
    let mut run = LevelRun { starts: Vec::new(), cut_short };
    for (one, load) in levels.iter().zip(&mut loads) {
        load.node.kill()?;
        let TakenOver { starts, ended_ns, shed } = take_over(stage, &load.records)?;
        run.starts.extend(starts);
        stage.journal.write(Record::LevelEnded(LevelEnd {
            level: one.name.clone(),
            at_ns: ended_ns.filter(|_| run.cut_short.is_none()).unwrap_or_else(clock::now_ns),
            cap_reached: shed > 0,
        }));
    }
    // A run that is to stop waits for nobody.
    if run.cut_short.is_none() {
        drain::unwatched(stage, &run.starts, Duration::from_secs_f64(level.drain_s)).await;
    }
    crew.look().context("cannot read what the workers recorded")?;
    Ok(run)
}

/// The faults of a level.
struct Faults {
    drill: Option<Drill>,
    /// When load is offered no more: what is in force then is healed, or the load could not drain.
    over_ns: u64,
}

impl Faults {
    async fn heal(&mut self) -> anyhow::Result<()> {
        match self.drill.take() {
            Some(drill) => drill::finish(drill).await,
            None => Ok(()),
        }
    }
}

/// When a level of open load offers no more; of closed load nobody knows before.
fn over_ns(level: &Level, began_ns: u64) -> u64 {
    level.open.as_ref().map_or(u64::MAX, |open| began_ns + real_ns(open.length_s(), 1.0))
}

/// The slots of all pools of levels that run side by side.
fn slots(levels: &[&Level]) -> BTreeMap<String, u32> {
    levels.iter().flat_map(|level| level.slots.clone()).collect()
}

/// Starts the load of a level, and tells when it began.
async fn begin(stage: &Stage<'_>, level: &Level) -> anyhow::Result<LoadChild> {
    let spec = spec(stage, level)?;
    let logs = stage.directory.logs();
    let started = tokio::task::spawn_blocking(move || child::start(&spec, &logs)).await?;
    let load = started?;
    stage.sampler.watch(if level.probes { "probes" } else { "load" }, load.node.pid());
    stage.sampler.now();
    let (at_ns, slots) = (load.began_ns, level.slots.clone());
    stage.journal.write(Record::LevelBegan(LevelMark { level: level.name.clone(), at_ns, slots }));
    Ok(load)
}

/// Waits for the load's end; says why when it did not come to it.
async fn look_after(
    stage: &mut Stage<'_>,
    crew: &mut Crew,
    level: &Level,
    loads: &mut [LoadChild],
    faults: &mut Faults,
) -> anyhow::Result<Option<String>> {
    let done_before = crew.executions();
    let longest_s = stage.plan.longest_s(level, stage.order.speed);
    // A stage of nothing is no standstill, and neither is a single long task.
    let pauses_s = level.open.as_ref().map_or(0.0, Open::length_s);
    let patience = Duration::from_secs_f64(level.drain_s + longest_s + pauses_s) + STANDSTILL;
    let mut watchdog = Watchdog::new(patience, clock::now_ns());
    let mut stop = Stop::new(stage.order.scenario.stop_when, &stage.directory.path, &stage.directory.logs());
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stage.interrupt.asked() => return Ok(Some("a person interrupted it".to_owned())),
        }
        let begun = crew.look().context("cannot read what the workers recorded")?;
        if let Some(drill) = &faults.drill {
            drill::feed(drill, &begun);
        }
        if clock::now_ns() > faults.over_ns {
            faults.heal().await?;
        }
        stage.progress.tasks(crew.executions() - done_before);
        let mut running = false;
        for load in loads.iter_mut() {
            match load.node.exit_status()? {
                None => running = true,
                Some(status) if !status.success() => {
                    let tail = load.node.log_tail();
                    return Ok(Some(format!("the load ended early ({status}):\n{tail}")));
                }
                Some(_) => {}
            }
        }
        if !running {
            return Ok(None);
        }
        if let Some(why) = stop.asked() {
            return Ok(Some(format!("stopped: {why}")));
        }
        if let Some(why) = stage.host.lost() {
            return Ok(Some(why));
        }
        let written: u64 =
            loads.iter().map(|load| std::fs::metadata(&load.records).map_or(0, |file| file.len())).sum();
        if let Some(why) = watchdog.bites((crew.executions(), written), clock::now_ns()) {
            return Ok(Some(format!("the load of level {} {why}", level.name)));
        }
    }
}

fn spec(stage: &Stage<'_>, level: &Level) -> anyhow::Result<LoadSpec> {
    let mut names: Vec<&str> = level.mix.iter().map(|part| part.template.as_str()).collect();
    if names.is_empty() {
        names.push(&level.template);
    }
    let to_start = |one: &Workflow| {
        let name = Plan::template_name(level, one);
        let template = stage.plan.template(name).context("the plan has a workflow without its template")?;
        Ok(ToStart {
            definition: names.iter().position(|known| *known == name).unwrap_or(0),
            expected_ns: real_ns(critical_path_s(template, &one.durations_s), stage.order.speed),
            due_ns: one.due_ns.unwrap_or(0),
            input_bytes: one.input_bytes.unwrap_or(0),
        })
    };
    let version = |name: &str| stage.order.by_definition(name).map_or(1, |one| one.version);
    let definition = |name: &&str| Definition { name: (*name).to_owned(), version: version(name) };
    let (concurrency, waves) = (level.concurrency, level.waves);
    Ok(LoadSpec {
        base: base(stage, level),
        run: stage.directory.name.clone(),
        level: level.name.clone(),
        definitions: names.iter().map(definition).collect(),
        workflows: stage.plan.of_level(&level.name).map(to_start).collect::<anyhow::Result<_>>()?,
        shape: match level.model {
            Model::Closed => Shape::Closed { concurrency, waves },
            Model::Open => Shape::Open { in_flight_cap: concurrency },
        },
        drain_ns: real_ns(level.drain_s, 1.0),
        start_within_ms: deadline(stage, level).map_or(START_WITHIN_MS, milliseconds),
        retry_for_ms: asked(stage, level).and_then(|asked| asked.retry_starts).map_or(0, milliseconds),
        watch: !level.probes,
    })
}

/// Where a level connects: closed load knows one node.
fn base(stage: &Stage<'_>, level: &Level) -> String {
    let all = stage.host.base(CLIENTS);
    let one = (level.model == Model::Closed).then(|| all.split(',').next()).flatten();
    one.unwrap_or(all).to_owned()
}

/// What the scenario says of a level; nothing of one that it has not.
fn asked<'s>(stage: &'s Stage<'_>, level: &Level) -> Option<&'s crate::scenario::Level> {
    stage.order.scenario.level.iter().find(|asked| asked.name == level.name)
}

/// How long a probe may take.
fn deadline(stage: &Stage<'_>, level: &Level) -> Option<RealTime> {
    stage.order.scenario.probes.as_ref().filter(|_| level.probes).map(|probes| probes.deadline)
}

fn milliseconds(time: RealTime) -> u64 {
    real_ns(time.seconds(), 1.0) / 1_000_000
}

/// What the load child recorded.
#[derive(Debug, Default)]
struct TakenOver {
    starts: Vec<Start>,
    /// When the last workflow was seen ended, or the last arrival was turned away.
    ended_ns: Option<u64>,
    shed: u64,
}

/// Puts the load child's records into the history.
fn take_over(stage: &Stage<'_>, records: &Path) -> anyhow::Result<TakenOver> {
    let records = journal::read(records).with_context(|| format!("cannot read {}", records.display()))?;
    let mut taken = TakenOver::default();
    for record in records {
        let end_ns = match &record {
            Record::Start(start) => {
                taken.starts.push(start.clone());
                Some(start.done_ns)
            }
            Record::Observed(observed) => Some(observed.done_ns),
            Record::Shed(shed) => {
                taken.shed += 1;
                Some(shed.at_ns)
            }
            _ => None,
        };
        taken.ended_ns = taken.ended_ns.max(end_ns);
        stage.journal.write(record);
    }
    Ok(taken)
}
