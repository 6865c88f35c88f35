//! What a person sees who types `shakedown` and nothing else.

use crate::failure::Result;
use shakedown_reports::exit_code;

const PAGE: &str = "\
Shakedown loads a workflow orchestrator and says with a verdict whether it may be released.

  shakedown run                     the main job: the 22-task workflow at 1x, 3x and 10x, about 2 minutes,
                                    on the reference engine, with nothing else installed
  shakedown run smoke               the same line in a few seconds
  shakedown run --target URL        the main job on a Conductor server of yours
  shakedown run --workflow FILE.json --durations TABLE.csv
                                    a workflow of your own
  shakedown list                    all scenarios
  shakedown doctor                  what this machine can run
  shakedown judge runs/DIRECTORY    judge an old run again
  shakedown help                    every command, and the exit codes

A run leaves one directory under runs/ with the evidence and the report.
";

/// Prints the page.
///
/// # Errors
/// Standard output can't be written.
pub fn print() -> Result<u8> {
    super::print_out(PAGE)?;
    Ok(exit_code::PASSED)
}
