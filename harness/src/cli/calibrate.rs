//! `shakedown calibrate`: how far off this machine's figures are, found by planting what is known.

use crate::calibrate::{self, Lie, Wish, kept, table};
use crate::failure::Result;
use crate::run::interrupt::Interrupt;
use shakedown_reports::exit_code;
use std::path::PathBuf;

/// Plant outages, delays and breaches in a stand-in, and say how far off the reports are on this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of run directories; the runs that are made there from now on carry the result.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Leave the longest outage of each kind out.
    #[arg(long)]
    quick: bool,
    /// Let the stand-in keep something to itself: the calibration must then fail, which shows that it can.
    #[arg(long, value_name = "WHAT")]
    lie: Option<Lie>,
}

/// Calibrates, prints the comparison, and keeps the result for later runs.
///
/// # Errors
/// The stand-in can't be started or a run of it could not be made.
pub async fn run(args: Args) -> Result<u8> {
    let interrupt = Interrupt::listen("interrupted; ending the calibration (again: end at once)")?;
    let wish = Wish { out: args.out.clone(), quick: args.quick, lie: args.lie };
    let told = calibrate::run(&wish, &interrupt).await?;
    let mut text = table::render(&told);
    if interrupt.is_asked() {
        super::print_out(&text)?;
        return Ok(exit_code::INTERRUPTED);
    }
    let code = told.exit_code();
    // What a liar or a machine that was too busy showed is true of no other run.
    if args.lie.is_none() && code != exit_code::INVALID {
        let path = kept::keep(&args.out, &told.calibration)?;
        text += &format!("Runs made in {} from now on carry this: {}\n", args.out.display(), path.display());
    }
    super::print_out(&text)?;
    Ok(code)
}
