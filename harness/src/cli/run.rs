//! `shakedown run`: scenarios, run one after another and judged.

use super::suite::{self, Manner, Ready, SuiteOrder};
use super::{judge, shrink};
use crate::failure::{Blame, Result};
use crate::run::builds;
use crate::run::interrupt::Interrupt;
use crate::run::prepare::{self, Order};
use crate::run::{self, Place};
use crate::scenario::catalogue::{self, Origin};
use crate::scenario::load::Mode;
use crate::scenario::speed::Speed;
use crate::scenario::suite::{Member, QUICK, parse as parse_suite};
use crate::scenario::validate::drill::{not_on_a_server_of_others, on_no_node};
use crate::scenario::{Scenario, overrides, read};
use anyhow::{Context as _, anyhow};
use shakedown_chaos::substrate::database::Database;
use shakedown_reports::exit_code;
use std::path::{Path, PathBuf};

/// Run scenarios and judge them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenarios or suites by name or path; without any, the main job (load/main).
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Folder of run directories.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// A Conductor server to load, instead of the reference engine; several nodes of one are separated by commas.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The program that is started as the engine (`PROGRAM engine --listen ADDR --store URL`), instead of this one: another
    /// version of it.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "target")]
    engine: Option<PathBuf>,
    /// The program of the nodes that stand by and take over (`[engine] green`): the release that runs today, or the one
    /// before. Without it, what SHAKEDOWN_GREEN holds.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "target")]
    green: Option<PathBuf>,
    /// Run the scenarios of a suite that belong to this profile (quick unless it is said; soak takes long).
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Run a scenario again, so often, when its run was invalid: when the harness was the limit, and so nothing is known of
    /// the target. A suite's report names every such run.
    #[arg(long, value_name = "N", default_value_t = 0)]
    repeat_invalid: usize,
    /// When a scenario with faults fails, look for the smallest schedule that still does: it is played again with fewer
    /// and shorter faults, each schedule until three of five runs have failed.
    #[arg(long)]
    shrink: bool,
    /// Replace a value of the scenario, e.g. level.10x.waves=2; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Replace the scenario's seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX.unsigned_abs()))]
    seed: Option<u64>,
    /// Replace the scenario's speed: workflow seconds per real second.
    #[arg(long, value_name = "N", value_parser = positive)]
    speed: Option<f64>,
    /// Print the summary as JSON on standard output, one line a scenario, and nothing else there.
    #[arg(long)]
    json: bool,
    /// Load a workflow of your own: its Conductor definition (JSON). Needs --durations.
    #[arg(long, value_name = "FILE", requires = "durations", conflicts_with = "scenarios")]
    workflow: Option<String>,
    /// Its table of durations (CSV with the columns ref, task, agent and one of seconds). Needs --workflow.
    #[arg(long, value_name = "CSV", requires = "workflow")]
    durations: Option<String>,
    /// Column of the table with the durations; without it, the first whose name ends in _s.
    #[arg(long, value_name = "COLUMN", requires = "durations")]
    duration_column: Option<String>,
}

/// A number above 0, for clap.
pub fn positive(text: &str) -> std::result::Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if (1e-3..=1e6).contains(&number) { Ok(number) } else { Err("accepted is 0.001 to 1000000".to_owned()) }
}

/// Something to run: one scenario, or several that belong together.
enum Job {
    Scenario(Box<Order>),
    Suite(SuiteOrder),
}

/// Runs every scenario, also after one that failed, and ends with the worst of their exit codes.
///
/// # Errors
/// A scenario is refused before anything is started, or could not be run.
pub async fn run(args: Args) -> Result<u8> {
    // All of them are read before the first is run: a slip in the last one shows at once.
    let jobs = jobs(&args)?;
    let place = Place {
        out: args.out.clone(),
        target: args.target.clone(),
        engine: args.engine.clone(),
        green: green(&args),
    };
    let interrupt =
        Interrupt::listen("interrupted; ending the run and judging what there is (again: end at once)")?;
    let manner = Manner { json: args.json, repeat_invalid: args.repeat_invalid };
    let mut codes = Vec::new();
    for job in &jobs {
        if interrupt.is_asked() {
            break;
        }
        let (name, ended) = match job {
            Job::Scenario(order) => (&order.scenario.name, one(order, &place, &interrupt, &args).await),
            Job::Suite(order) => (&order.name, suite::run(order, &place, &interrupt, manner).await),
        };
        codes.push(match ended {
            Ok(code) => code,
            // With several scenarios, one that can't be run must not hide what the others have shown.
            Err(failure) if jobs.len() > 1 => {
                eprintln!("shakedown: {name}: {failure}");
                failure.code
            }
            Err(failure) => return Err(failure),
        });
    }
    if interrupt.is_asked() {
        codes.push(exit_code::INTERRUPTED);
    }
    Ok(exit_code::worst(codes))
}

async fn one(order: &Order, place: &Place, interrupt: &Interrupt, args: &Args) -> Result<u8> {
    let mut left = args.repeat_invalid;
    let (directory, code) = loop {
        let directory = run::run(order, place, interrupt).await?;
        let code = judge::report(&directory, args.json)?.exit_code;
        if code != exit_code::INVALID || left == 0 || interrupt.is_asked() {
            break (directory, code);
        }
        eprintln!("shakedown: {} is invalid, so it is run again", directory.display());
        left -= 1;
    };
    if args.shrink && code == exit_code::FAILED && !order.scenario.fault.is_empty() {
        shrink::run(order, place, interrupt, &directory).await?;
    }
    Ok(code)
}

fn jobs(args: &Args) -> Result<Vec<Job>> {
    let names = match (&args.workflow, args.scenarios.is_empty()) {
        (Some(_), _) => vec!["load/own-workflow".to_owned()],
        (None, true) => vec!["load/main".to_owned()],
        (None, false) => args.scenarios.clone(),
    };
    let jobs: anyhow::Result<Vec<Job>> = names.iter().map(|name| job(name, args)).collect();
    let jobs = jobs.blame_input()?;
    if args.profile.is_some() && !jobs.iter().any(|job| matches!(job, Job::Suite(_))) {
        return Err(anyhow::anyhow!("--profile chooses scenarios of a suite, and no suite was named"))
            .blame_input();
    }
    Ok(jobs)
}

fn job(name: &str, args: &Args) -> anyhow::Result<Job> {
    let Some((origin, text)) = catalogue::suite(name)? else {
        let (order, lacks) = order(name, args, args.seed)?;
        return match lacks {
            Some(lacks) => Err(anyhow::anyhow!("{name} can't be run: {lacks}")),
            None => Ok(Job::Scenario(Box::new(order))),
        };
    };
    let suite = parse_suite(name, &text)?;
    anyhow::ensure!(
        args.set.is_empty(),
        "--set changes one scenario, and {name} is a suite: name the scenario"
    );
    let profile = args.profile.as_deref().unwrap_or(QUICK);
    anyhow::ensure!(
        suite.members(profile).next().is_some(),
        "{name} has no scenarios of profile {profile:?}; it has {}",
        suite.profiles().join(", ")
    );
    let seed = args.seed.unwrap_or(suite.seed);
    let ready = |(member, number): (&Member, u32)| {
        let seed = seed + u64::from(number);
        let (order, lacks) = order(&catalogue::member(&origin, &member.run), args, Some(seed))?;
        let name = if member.seeds == 1 { member.run.clone() } else { format!("{} seed {seed}", member.run) };
        Ok(Ready { name, order, lacks })
    };
    let members =
        suite.members(profile).flat_map(|member| (0..member.seeds).map(move |number| (member, number)));
    Ok(Job::Suite(SuiteOrder {
        name: suite.suite.clone(),
        title: suite.title.clone(),
        profile: profile.to_owned(),
        seed,
        again: again(name, args, seed),
        members: members.map(ready).collect::<anyhow::Result<_>>()?,
    }))
}

/// The order of a scenario, and what this machine lacks to run it.
fn order(name: &str, args: &Args, seed: Option<u64>) -> anyhow::Result<(Order, Option<String>)> {
    let (mut origin, mut scenario) = read::named(name)?;
    if let Some(own) = scenario.workflow.get_mut("own").filter(|_| args.workflow.is_some()) {
        own.definition = args.workflow.clone();
        own.durations = args.durations.clone();
        own.column = args.duration_column.clone();
        origin = Origin::Arguments;
    }
    let mut scenario = overrides::apply(scenario, &args.set)?;
    scenario.seed = seed.unwrap_or(scenario.seed);
    scenario.speed = args.speed.map_or(scenario.speed, Speed::Factor);
    let elsewhere = elsewhere(&scenario, args.target.as_deref()).map_err(|why| anyhow!("{name}: {why}"))?;
    let green = green(args);
    let lacks = lacks(&scenario, green.as_deref()).or(elsewhere);
    if let Some(program) = green.filter(|_| scenario.engine.green > 0) {
        builds::version(&program)
            .with_context(|| format!("{GREEN_FROM} can't be the program of nodes that stand by"))?;
    }
    let order = prepare::prepare(scenario, &origin)?;
    Ok((Order { again: again(name, args, order.scenario.seed), ..order }, lacks))
}

/// Why the faults of a scenario can't be injected into the target that is given.
///
/// # Errors
/// Nor into the one that the run would start itself.
fn elsewhere(scenario: &Scenario, target: Option<&str>) -> std::result::Result<Option<String>, String> {
    let Some(target) = target else {
        return on_no_node(scenario, scenario.engine.count()).map_or(Ok(None), Err);
    };
    let several = || on_no_node(scenario, target.split(',').count());
    Ok(not_on_a_server_of_others(scenario).or_else(several))
}

/// Where the program of the nodes that stand by comes from.
const GREEN_FROM: &str = "--green (or SHAKEDOWN_GREEN)";

fn green(args: &Args) -> Option<PathBuf> {
    let set = || std::env::var_os("SHAKEDOWN_GREEN").filter(|path| !path.is_empty()).map(PathBuf::from);
    args.green.clone().or_else(set)
}

/// What this program or machine lacks to run a scenario; `None` when it lacks nothing.
fn lacks(scenario: &Scenario, green: Option<&Path>) -> Option<String> {
    if scenario.engine.green > 0 && green.is_none() {
        return Some(format!(
            "nodes of another build of the engine are to stand by ([engine] green = {}), and none was given: build the \
             release that runs today, or the one before (`.ci/other-version PATH` does that from git), and give its path \
             by --green PATH or SHAKEDOWN_GREEN=PATH",
            scenario.engine.green
        ));
    }
    if scenario.database.is_some()
        && let Err(not_run) = Database::can_run()
    {
        return Some(not_run.to_string());
    }
    let is_closed = scenario.level.iter().any(|level| level.mode == Mode::Closed);
    (is_closed && !cfg!(feature = "goose")).then(|| {
        "it asks for closed load, which this shakedown was built without; build it with --features goose"
            .to_owned()
    })
}

/// The arguments that run this one scenario again, with the seed that it had.
fn again(name: &str, args: &Args, seed: u64) -> Vec<String> {
    let mut words = vec!["run".to_owned()];
    if args.workflow.is_none() {
        words.push(name.to_owned());
    }
    let speed = args.speed.map(|speed| speed.to_string());
    let mut option = |flag: &str, value: Option<&String>| {
        words.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value.clone()]));
    };
    option("--workflow", args.workflow.as_ref());
    option("--durations", args.durations.as_ref());
    option("--duration-column", args.duration_column.as_ref());
    option("--profile", args.profile.as_ref());
    option("--target", args.target.as_ref());
    let engine = args.engine.as_ref().map(|program| program.display().to_string());
    option("--engine", engine.as_ref());
    let green = args.green.as_ref().map(|program| program.display().to_string());
    option("--green", green.as_ref());
    option("--speed", speed.as_ref());
    args.set.iter().for_each(|set| option("--set", Some(set)));
    option("--seed", Some(&seed.to_string()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_line_that_runs_it_again_says_all_that_mattered() {
        let line = "x main --set level.10x.waves=2 --speed 900 --target http://127.0.0.1:1 --json";
        let args = <Line as clap::Parser>::parse_from(line.split(' ')).args;
        let words = again("main", &args, 7).join(" ");
        assert_eq!(
            words,
            "run main --target http://127.0.0.1:1 --speed 900 --set level.10x.waves=2 --seed 7"
        );
        let own = "x --workflow a.json --durations b.csv --duration-column s";
        let args = <Line as clap::Parser>::parse_from(own.split(' ')).args;
        let words = again("load/own-workflow", &args, 1).join(" ");
        assert_eq!(words, "run --workflow a.json --durations b.csv --duration-column s --seed 1");
    }

    #[test]
    fn speeds_are_positive_numbers() {
        assert_eq!(positive("600"), Ok(600.0));
        for wrong in ["0", "-1", "fast", "NaN", "inf"] {
            assert!(positive(wrong).is_err(), "{wrong}");
        }
    }
}
