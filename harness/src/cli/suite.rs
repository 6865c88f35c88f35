//! Running a suite: its scenarios one after another, each in a run directory of its own inside the suite's.

use super::judge;
use crate::clock;
use crate::failure::Result;
use crate::run::directory::Directory;
use crate::run::interrupt::Interrupt;
use crate::run::prepare::Order;
use crate::run::{self, Place};
use shakedown_reports::exit_code;
use shakedown_reports::judge::Summary;
use shakedown_reports::rundir;
use shakedown_reports::suite::{Entry, Outcome, SUITE_SCHEMA_VERSION, Suite};
use std::collections::BTreeMap;

/// A suite that is ready to run.
#[derive(Debug)]
pub struct SuiteOrder {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The profile that is run.
    pub profile: String,
    /// The seed of all its scenarios.
    pub seed: u64,
    /// Arguments of `shakedown` that run it again.
    pub again: Vec<String>,
    /// Its scenarios, in their order.
    pub members: Vec<Ready>,
}

/// A scenario of a suite that is ready, or can't be run here.
#[derive(Debug)]
pub struct Ready {
    /// Its name, as the suite has it.
    pub name: String,
    /// The order.
    pub order: Order,
    /// Why this machine can't run it.
    pub lacks: Option<String>,
}

/// How a suite is run.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Summaries as JSON, and nothing else.
    pub json: bool,
    /// How often a scenario is run again whose run was invalid.
    pub repeat_invalid: usize,
}

/// Runs every scenario that this machine can, judges all of them, and returns the exit code that wins.
///
/// # Errors
/// The suite's directory can't be made or written. What goes wrong with one scenario is told and ends no other.
pub async fn run(order: &SuiteOrder, place: &Place, interrupt: &Interrupt, manner: Manner) -> Result<u8> {
    let stamp = clock::stamp(clock::wall_ms());
    let directory = Directory::create_suite(&place.out, &stamp, &order.name, order.seed)?;
    let mut suite = begun(order, &directory.name);
    rundir::write_suite_file(&directory.path, &suite)?;
    let inside = Place { out: directory.path.clone(), ..place.clone() };
    let mut summaries = BTreeMap::new();
    for (at, member) in order.members.iter().enumerate() {
        if interrupt.is_asked() {
            break;
        }
        suite.scenarios[at].outcome = match &member.lacks {
            Some(reason) => Outcome::NotRun { reason: reason.clone() },
            None => one(member, &inside, interrupt, manner, &mut summaries).await,
        };
        rundir::write_suite_file(&directory.path, &suite)?;
    }
    if interrupt.is_asked() {
        for entry in suite.scenarios.iter_mut().filter(|entry| is_open(entry)) {
            let reason = "the suite was interrupted before it".to_owned();
            entry.outcome = Outcome::NotRun { reason };
        }
    }
    let summary = rundir::write_suite(&directory.path, &suite, &summaries)?;
    judge::print_suite(&summary, &directory.path, manner.json)?;
    let interrupted = interrupt.is_asked().then_some(exit_code::INTERRUPTED);
    Ok(exit_code::worst([summary.exit_code].into_iter().chain(interrupted)))
}

const NOT_YET: &str = "the suite did not come to it";

fn is_open(entry: &Entry) -> bool {
    matches!(&entry.outcome, Outcome::NotRun { reason } if reason == NOT_YET)
}

fn begun(order: &SuiteOrder, run: &str) -> Suite {
    let entry = |member: &Ready| Entry {
        name: member.name.clone(),
        title: member.order.scenario.title.clone(),
        covers: member.order.scenario.covers.clone(),
        required: member.order.scenario.required,
        outcome: Outcome::NotRun { reason: NOT_YET.to_owned() },
    };
    Suite {
        schema_version: SUITE_SCHEMA_VERSION,
        run: run.to_owned(),
        suite: order.name.clone(),
        title: order.title.clone(),
        profile: order.profile.clone(),
        seed: order.seed,
        again: order.again.clone(),
        scenarios: order.members.iter().map(entry).collect(),
    }
}

/// Runs one scenario; again, as often as the order allows, when the run was invalid: then it was the harness that was
/// the limit, and nothing is known of the target.
async fn one(
    member: &Ready,
    place: &Place,
    interrupt: &Interrupt,
    args: Manner,
    summaries: &mut BTreeMap<String, Summary>,
) -> Outcome {
    let mut invalid_before = Vec::new();
    loop {
        let judged = async {
            let path = run::run(&member.order, place, interrupt).await?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Ok::<_, crate::failure::Failure>((name, judge::report(&path, args.json)?))
        };
        let (directory, summary) = match judged.await {
            Ok(judged) => judged,
            Err(failure) => {
                eprintln!("shakedown: {}: {failure}", member.name);
                return Outcome::Failed { exit_code: failure.code, reason: failure.to_string() };
            }
        };
        let once_more = summary.exit_code == exit_code::INVALID && invalid_before.len() < args.repeat_invalid;
        if !once_more || interrupt.is_asked() {
            summaries.insert(directory.clone(), summary);
            return Outcome::Ran { directory, invalid_before };
        }
        eprintln!("shakedown: {}: invalid, so it is run again", member.name);
        invalid_before.push(directory);
    }
}
