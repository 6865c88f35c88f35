//! One level of load: slots set, the load child run to its end, its records taken over.

use super::Stage;
use crate::clock;
use crate::journal;
use crate::load::child::{self, LoadChild};
use crate::load::spec::LoadSpec;
use crate::plan::critical_path_s;
use crate::workers::Fleet;
use anyhow::Context;
use shakedown_reports::history::{LevelEnd, LevelMark, Record, Start};
use shakedown_reports::plan::{Level, Template};
use std::path::Path;
use std::time::Duration;

/// How often the load child and the target are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much longer than the sum of its drains a level may take before its load is taken for hung.
const WATCHDOG: Duration = Duration::from_secs(60);
/// How long a load that has nothing left to do may take to end: goose looks every half second.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A level that was run.
#[derive(Debug)]
pub struct LevelRun {
    /// Its starts, in the order in which they were sent.
    pub starts: Vec<Start>,
    /// Why it did not come to its end.
    pub cut_short: Option<String>,
}

/// Runs one level.
///
/// # Errors
/// The tool failed: the load can't be started, or its records can't be read.
pub async fn run(stage: &mut Stage<'_>, fleet: &Fleet, level: &Level) -> anyhow::Result<LevelRun> {
    let template = stage.plan.template_of(level).context("the plan has a level without its template")?;
    let tasks = u64::from(level.concurrency) * u64::from(level.waves) * template.tasks.len() as u64;
    stage.progress.level(&level.name, tasks);
    fleet.resize(&level.slots);
    let spec = spec(stage, level, template);
    let logs = stage.directory.logs();
    let started = tokio::task::spawn_blocking(move || child::start(&spec, &logs)).await?;
    let mut load = started?;
    stage.sampler.watch("load", load.node.pid());
    stage.sampler.now();
    let slots = level.slots.clone();
    stage.journal.write(Record::LevelBegan(LevelMark {
        level: level.name.clone(),
        at_ns: load.began_ns,
        slots,
    }));
    let cut_short = look_after(stage, fleet, level, &mut load).await?;
    stage.sampler.now();
    load.node.kill()?;
    let (starts, ended_ns) = take_over(stage, &load.records)?;
    stage.journal.write(Record::LevelEnded(LevelEnd {
        level: level.name.clone(),
        at_ns: ended_ns.filter(|_| cut_short.is_none()).unwrap_or_else(clock::now_ns),
        cap_reached: false,
    }));
    Ok(LevelRun { starts, cut_short })
}

/// Waits for the load's end; says why when it did not come to it.
async fn look_after(
    stage: &mut Stage<'_>,
    fleet: &Fleet,
    level: &Level,
    load: &mut LoadChild,
) -> anyhow::Result<Option<String>> {
    let done_before = fleet.executions();
    let longest = Duration::from_secs_f64(level.drain_s * f64::from(level.waves)) + WATCHDOG + END_WITHIN;
    let deadline_ns = clock::now_ns() + clock::nanos(longest);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stage.interrupt.asked() => return Ok(Some("a person interrupted it".to_owned())),
        }
        stage.progress.tasks(fleet.executions() - done_before);
        if let Some(status) = load.node.exit_status()? {
            let tail = load.node.log_tail();
            return Ok((!status.success()).then(|| format!("the load ended early ({status}):\n{tail}")));
        }
        if let Some(why) = stage.host.lost() {
            return Ok(Some(why));
        }
        if clock::now_ns() > deadline_ns {
            return Ok(Some(format!("the load of level {} did not end within {longest:?}", level.name)));
        }
    }
}

fn spec(stage: &Stage<'_>, level: &Level, template: &Template) -> LoadSpec {
    let expected =
        |durations_s| crate::workers::real_ns(critical_path_s(template, durations_s), stage.order.speed);
    LoadSpec {
        base: stage.host.target.base().to_owned(),
        run: stage.directory.name.clone(),
        level: level.name.clone(),
        workflow: template.name.clone(),
        version: stage.order.by_definition(&template.name).map_or(1, |one| one.version),
        concurrency: level.concurrency,
        waves: level.waves,
        expected_ns: stage.plan.of_level(&level.name).map(|one| expected(&one.durations_s)).collect(),
        drain_ns: crate::workers::real_ns(level.drain_s, 1.0),
    }
}

/// Puts the load child's records into the history. Returns its starts, and when the last workflow was seen ended.
fn take_over(stage: &Stage<'_>, records: &Path) -> anyhow::Result<(Vec<Start>, Option<u64>)> {
    let records = journal::read(records).with_context(|| format!("cannot read {}", records.display()))?;
    let (mut starts, mut ended_ns) = (Vec::new(), None);
    for record in records {
        match &record {
            Record::Start(start) => starts.push(start.clone()),
            Record::Observed(observed) => ended_ns = ended_ns.max(Some(observed.done_ns)),
            _ => {}
        }
        stage.journal.write(record);
    }
    Ok((starts, ended_ns))
}
