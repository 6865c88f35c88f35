//! `shakedown work`: one process of workers; started by `run`, not by people.

use crate::failure::{Blame, Result};
use crate::journal;
use crate::run::interrupt::Interrupt;
use crate::target::conductor::Conductor;
use crate::workers::spec::{READY, WorkSpec};
use crate::workers::{Fleet, FleetSpec};
use anyhow::Context;
use shakedown_reports::exit_code;
use std::path::PathBuf;
use std::time::Duration;

/// One process of workers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do (JSON).
    #[arg(long)]
    spec: PathBuf,
    /// Where to write the records (JSON lines): this and the process id, as a process that is started again must not
    /// write over what the one before it did.
    #[arg(long)]
    out: PathBuf,
}

/// Works until it is told to stop.
///
/// # Errors
/// The files can't be used, or the target's address is none.
pub async fn run(args: Args) -> Result<u8> {
    let spec = WorkSpec::read(&args.spec).blame_input()?;
    let pid = std::process::id();
    let records = args.out.with_extension(format!("{pid}.jsonl"));
    let unwritable = || format!("cannot write {}", records.display());
    let (journal, writer) = journal::open(&records).with_context(unwritable)?;
    let interrupt = Interrupt::listen("the workers stop (again: end at once)")?;
    let fleet = Fleet::start(FleetSpec {
        target: Conductor::new(&spec.base).blame_input()?,
        assignments: spec.assignments()?,
        journal,
        tag: format!("{}-{}-{pid}", spec.run, spec.name),
        speed: spec.speed,
        seed: spec.seed,
        behaviour: spec.behaviour,
        poll_wait: Duration::from_millis(spec.poll_wait_ms),
        tell_begun: true,
    })?;
    fleet.resize(&spec.slots);
    println!("{READY}{}", spec.base);
    interrupt.asked().await;
    fleet.stop().await;
    writer.close().with_context(unwritable)?;
    Ok(exit_code::PASSED)
}
