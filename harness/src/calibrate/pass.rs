//! One pass of the calibration: a scenario, what is planted in it, and the run against a stand-in that does it.

use super::law::Law;
use super::script::{Defect, Plant, Script, Stall};
use super::stand_in::LISTENING;
use super::truth::{self, Deed};
use super::{Lie, SEED, Wish};
use crate::failure::{Blame, Result};
use crate::plan::{self, Plan};
use crate::run::interrupt::Interrupt;
use crate::run::prepare::{self, Order};
use crate::run::{self, Place};
use crate::scenario::fault::{FaultEntry, Moment};
use crate::scenario::units::RealTime;
use crate::scenario::{Scenario, catalogue, read};
use crate::{draw, program};
use anyhow::Context;
use shakedown_chaos::fault::Fault;
use shakedown_chaos::substrate::local::{Node, Ready, Spec};
use shakedown_reports::history::History;
use shakedown_reports::judge::Summary;
use shakedown_reports::rundir;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The scenario whose faults are outages.
const OUTAGES: &str = "outages";
/// Workflows in which each defect is planted.
const EACH: usize = 4;
/// How long a start takes to be answered.
pub const ANSWERS: Law = Law { base_ns: 300e6, mean_ns: 250e6 };
/// How long a task waits to be handed out.
pub const WAITS: Law = Law { base_ns: 400e6, mean_ns: 200e6 };
/// The stall: 2.5 s after the level's first start, for 2 s.
const STALL: (u64, u64) = (2_500_000_000, 2_000_000_000);
/// By how much a liar tells each outage shorter than it was.
const LIE_NS: u64 = 200_000_000;
/// The longest outage of a quick calibration, seconds.
const QUICK_S: f64 = 2.0;
/// How long the stand-in has to come up and to end.
const WITHIN: Duration = Duration::from_secs(10);

/// A scenario and what is planted in it.
#[derive(Debug)]
pub struct Pass {
    /// Its name in the comparison.
    pub name: &'static str,
    /// The scenario, by its name below `scenarios/calibration/`.
    scenario: &'static str,
    /// Without its longest outages.
    quick: bool,
    /// What the stand-in is told.
    pub script: Script,
}

impl Pass {
    /// True when its faults are outages.
    pub fn has_outages(&self) -> bool {
        self.scenario == OUTAGES
    }
}

/// What became of a pass.
#[derive(Debug)]
pub struct Passed {
    /// What the reports tell.
    pub summary: Summary,
    /// What the stand-in wrote down.
    pub deeds: Vec<Deed>,
    /// What was to be started.
    pub plan: Plan,
    /// What the harness saw.
    pub history: History,
}

/// Every pass, in the order in which they are made; with a lie the one that has to notice it.
///
/// # Errors
/// A scenario of the calibration is broken.
pub fn all(wish: &Wish) -> anyhow::Result<Vec<Pass>> {
    let pairs = drawn(&order("pairs", false, "")?)?;
    let percentiles = drawn(&order("percentiles", false, "")?)?;
    let law = percentiles.of_level("law").count();
    let laws =
        |law_of: Law, key: &str| BTreeMap::from([("law".to_owned(), law_of.values_ns(law, SEED, key))]);
    let (after_ns, lasts_ns) = STALL;
    let by_law = Script {
        answers_ns: laws(ANSWERS, "answers"),
        waits_ns: laws(WAITS, "waits"),
        stalls: vec![Stall { level: "stall".to_owned(), after_ns, lasts_ns }],
        ..Script::default()
    };
    let outages_understated_ns = if wish.lie == Some(Lie::Outage) { LIE_NS } else { 0 };
    let understated = Script { outages_understated_ns, ..Script::default() };
    let pass = |name, scenario, script| Pass { name, scenario, quick: false, script };
    let breaches =
        pass("breaches", "pairs", Script { plants: plants(&pairs, wish.lie), ..Script::default() });
    let outages = Pass { quick: wish.quick || wish.lie.is_some(), ..pass("outages", OUTAGES, understated) };
    Ok(match wish.lie {
        None => vec![
            breaches,
            pass("nothing planted", "pairs", Script::default()),
            pass("percentiles", "percentiles", by_law),
            outages,
        ],
        Some(Lie::Loss) => vec![breaches],
        Some(Lie::Outage) => vec![outages],
    })
}

/// Each defect in [`EACH`] workflows, which the seed draws.
fn plants(plan: &Plan, lie: Option<Lie>) -> Vec<Plant> {
    let mut drawn: Vec<u64> = plan.of_level("pairs").map(|one| one.index).collect();
    let luck = |index: &u64| draw::uniform(SEED, &format!("plant/{index}"));
    drawn.sort_by(|a, b| luck(a).total_cmp(&luck(b)));
    let level = || "pairs".to_owned();
    let defects = Defect::ALL.into_iter().flat_map(|defect| std::iter::repeat_n(defect, EACH));
    let mut plants: Vec<Plant> = defects
        .zip(&drawn)
        .map(|(defect, index)| Plant { level: level(), index: *index, defect, told: true })
        .collect();
    if lie == Some(Lie::Loss)
        && let Some(index) = drawn.get(plants.len())
    {
        plants.push(Plant { level: level(), index: *index, defect: Defect::LostStart, told: false });
    }
    plants
}

/// The order of a scenario; commands of its faults are told which program to run and where the stand-in's control is.
fn order(name: &str, quick: bool, control: &str) -> anyhow::Result<Order> {
    let (origin, text) = catalogue::calibration(name)?;
    let mut scenario = read::parse(name, &text)?;
    if quick {
        shorten(&mut scenario);
    }
    let program = program::path().context("cannot find out which program this is, to end outages with it")?;
    let told = |word: &mut String| match word.as_str() {
        "SHAKEDOWN" => *word = program.display().to_string(),
        "CONTROL" => control.clone_into(word),
        _ => {}
    };
    for fault in &mut scenario.fault {
        if let Fault::Command { inject, heal, verify, .. } = &mut fault.inject {
            [inject, heal, verify].into_iter().flatten().for_each(told);
        }
    }
    let order = prepare::prepare(scenario, &origin)?;
    Ok(Order { again: vec!["calibrate".to_owned()], ..order })
}

/// Leaves the longest outages out, and the load that they would have hit.
fn shorten(scenario: &mut Scenario) {
    let begins_s = |fault: &FaultEntry| match fault.at {
        Some(Moment::Exactly(at)) => at.seconds(),
        _ => 0.0,
    };
    let (long, short): (Vec<FaultEntry>, Vec<FaultEntry>) = scenario
        .fault
        .drain(..)
        .partition(|fault| fault.lasts.is_some_and(|lasts| lasts.seconds() > QUICK_S));
    scenario.fault = short;
    let Some(until_s) = long.iter().map(begins_s).reduce(f64::min) else { return };
    for stage in scenario.level.iter_mut().flat_map(|level| &mut level.stages) {
        stage.length = stage.length.map(|length| RealTime(length.seconds().min(until_s)));
    }
}

fn drawn(order: &Order) -> anyhow::Result<Plan> {
    Ok(plan::draw(&order.scenario, &order.templates(), order.scenario.seed, "")?)
}

/// Runs a pass in a folder of its own below `folder`.
///
/// # Errors
/// The stand-in can't be started, or the run could not be made.
pub async fn run(pass: &Pass, folder: &Path, interrupt: &Interrupt) -> Result<Passed> {
    let stem = pass.name.replace(' ', "-");
    let script = folder.join(format!("{stem}.script.json"));
    let truth = folder.join(format!("{stem}.truth.jsonl"));
    let text = serde_json::to_string(&pass.script).context("a script can't be written as JSON")?;
    std::fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
    let (node, api, control) = start(&script, &truth, folder.join(format!("{stem}.log"))).await?;
    let order = order(pass.scenario, pass.quick, &control)?;
    let place = Place { out: folder.to_owned(), target: Some(api), engine: None, green: None };
    let directory = run::run(&order, &place, interrupt).await;
    stop(node).await?;
    let directory = directory?;
    let summary = rundir::judge_dir(&directory).blame_input()?;
    Ok(Passed { summary, deeds: truth::read(&truth)?, plan: drawn(&order)?, history: history(&directory)? })
}

fn history(directory: &Path) -> anyhow::Result<History> {
    let path = directory.join(rundir::HISTORY);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(History::parse(rundir::HISTORY, &text)?)
}

async fn start(script: &Path, truth: &Path, log: PathBuf) -> anyhow::Result<(Node, String, String)> {
    let path = |path: &Path| path.as_os_str().to_owned();
    let args: Vec<OsString> =
        vec!["calibration-target".into(), "--script".into(), path(script), "--truth".into(), path(truth)];
    let spec = Spec {
        name: "the calibration's stand-in".to_owned(),
        program: program::path().context("cannot find out which program this is, to start it as stand-in")?,
        args,
        env: vec![],
        log,
        ready: Some(Ready { prefix: LISTENING.to_owned(), within: WITHIN }),
    };
    let spawned = tokio::task::spawn_blocking(move || Node::spawn(&spec)).await;
    let node = spawned.context("the task that starts the stand-in panicked")??;
    let told = node.ready_text().trim().to_owned();
    let (api, control) = told.split_once(' ').context("the stand-in told no control")?;
    Ok((node, api.to_owned(), control.to_owned()))
}

async fn stop(mut node: Node) -> anyhow::Result<()> {
    let stopped = tokio::task::spawn_blocking(move || node.stop(WITHIN)).await;
    stopped.context("the task that ends the stand-in panicked")?.context("the stand-in can't be ended")?;
    Ok(())
}
