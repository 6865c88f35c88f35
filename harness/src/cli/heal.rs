//! `shakedown heal`: undoes what a run left in force, from its ledger.

use super::print_out;
use crate::failure::{Blame, Failure, Result};
use anyhow::anyhow;
use shakedown_chaos::guard;
use shakedown_chaos::heal::{self, HealError, Healing};
use shakedown_reports::exit_code;
use std::path::PathBuf;

/// Heal what a run left in force.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run directory, with its ledger.jsonl.
    #[arg(value_name = "RUN_DIR")]
    run_dir: PathBuf,
    /// Also while the run still goes on.
    #[arg(long)]
    force: bool,
    /// Stay beside the run, and heal when it can't (started by `run`).
    #[arg(long, hide = true)]
    guard: bool,
}

/// Heals, and says what was found.
///
/// # Errors
/// There is no ledger, the run goes on, or something can't be healed.
pub fn run(args: &Args) -> Result<u8> {
    let healing = if args.guard {
        guard::watch(&args.run_dir)
    } else {
        heal::heal(&args.run_dir, args.force).map(Some)
    };
    match healing {
        Ok(None) => Ok(exit_code::PASSED),
        Ok(Some(healing)) => told(&healing),
        Err(error @ HealError::GoesOn { .. }) => Err(anyhow!("{error} (--force)")).blame_input(),
        Err(error) => Err(error).blame_input(),
    }
}

fn told(healing: &Healing) -> Result<u8> {
    print_out(&format!("{}\n", healing.to_string().trim_end()))?;
    if healing.is_whole() {
        return Ok(exit_code::PASSED);
    }
    let error = anyhow!("something is still in force: undo it by hand, then heal again");
    Err(Failure { code: exit_code::NOT_HEALED, error })
}
