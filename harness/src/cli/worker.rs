//! `shakedown worker`: the workers of the 22-task workflow at any Conductor server.

use crate::clock;
use crate::failure::{Blame, Result};
use crate::journal::Journal;
use crate::run::interrupt::Interrupt;
use crate::scenario::catalogue;
use crate::target::conductor::Conductor;
use crate::target::preflight;
use crate::workers::assignment::Assignments;
use crate::workers::{CAUTIOUS_POLL, Fleet, FleetSpec};
use anyhow::Context;
use shakedown_reports::durations::Durations;
use shakedown_reports::exit_code;
use shakedown_reports::plan::{Template, TemplateTask};

/// Work on the tasks of the 22-task workflow (or of a table of your own) until Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The Conductor server.
    #[arg(long, value_name = "URL")]
    target: String,
    /// Tasks that each agent does at once.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: u32,
    /// Workflow seconds per real second.
    #[arg(long, value_name = "N", default_value_t = 600.0, value_parser = super::run::positive)]
    speed: f64,
    /// Table of tasks, agents and durations, instead of the 22 tasks.
    #[arg(long, value_name = "CSV", default_value = "workflows/full-22.csv")]
    durations: String,
    /// Its column with the durations.
    #[arg(long, value_name = "COLUMN", default_value = "optimized_s")]
    duration_column: String,
}

/// Works until it is told to stop.
///
/// # Errors
/// The table is refused, or the target can't be used.
pub async fn run(args: Args) -> Result<u8> {
    let text = catalogue::given(&args.durations).blame_input()?;
    let table = Durations::parse(&text, &args.duration_column, None)
        .with_context(|| format!("{} is refused", args.durations))
        .blame_input()?;
    let target = Conductor::new(&args.target).blame_input()?;
    preflight::verify(&target).await.blame_target()?;
    let interrupt = Interrupt::listen("stopping (again: end at once)")?;
    let tag = format!("worker-{}-{}", std::process::id(), clock::wall_ms());
    let fleet = Fleet::start(FleetSpec {
        target,
        assignments: Assignments::nominal(vec![template(table)]),
        journal: Journal::discard(),
        tag,
        speed: args.speed,
        seed: 0,
        behaviour: crate::scenario::Workers::default(),
        poll_wait: CAUTIOUS_POLL,
        tell_begun: false,
    })?;
    let slots = fleet.pools().map(|pool| (pool.to_owned(), args.slots)).collect();
    fleet.resize(&slots);
    let agents = fleet.pools().collect::<Vec<_>>().join(", ");
    eprintln!("shakedown: working at {} as {agents}, {} tasks each; Ctrl-C ends it", args.target, args.slots);
    interrupt.asked().await;
    let done = fleet.executions();
    fleet.stop().await;
    eprintln!("shakedown: {done} tasks were taken");
    Ok(exit_code::PASSED)
}

/// The rows as a template without order: workers do what they are handed.
fn template(table: Durations) -> Template {
    let tasks = table.rows.into_iter().map(|row| TemplateTask {
        reference: row.reference,
        task_type: row.task,
        title: row.title,
        pool: row.agent,
        nominal_s: row.duration_s,
        after: vec![],
        carries: vec![],
        steps_s: row.steps_s,
    });
    Template { name: "worker".to_owned(), tasks: tasks.collect(), critical_path_s: 0.0 }
}
