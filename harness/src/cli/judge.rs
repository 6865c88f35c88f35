//! `shakedown judge`: a run directory, judged (again). Pure: the same directory gives the same summary anywhere.

use crate::failure::{Blame, Failure, Result};
use anyhow::Context;
use shakedown_reports::exit_code;
use shakedown_reports::judge::Summary;
use shakedown_reports::render::{suite, terminal};
use shakedown_reports::rundir::{self, RunDirError};
use shakedown_reports::suite::SuiteSummary;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Judge the directory of a run or a suite again and write its reports anew.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run directory.
    #[arg(value_name = "RUN_DIR")]
    directory: PathBuf,
    /// Print the summary as JSON on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
}

/// Judges and prints.
///
/// # Errors
/// The directory isn't one of a run, or its reports can't be written.
pub fn run(args: &Args) -> Result<u8> {
    if args.directory.join(rundir::SUITE).is_file() {
        let summary = rundir::judge_suite_dir(&args.directory).map_err(blame)?;
        print_suite(&summary, &args.directory, args.json)?;
        return Ok(summary.exit_code);
    }
    let history = args.directory.join("history.jsonl");
    std::fs::metadata(&history)
        .with_context(|| {
            format!("{} is no run directory: cannot read {}", args.directory.display(), history.display())
        })
        .blame_input()?;
    Ok(report(&args.directory, args.json)?.exit_code)
}

/// Judges `directory`, writes its reports, prints the table or the summary, and returns the summary.
///
/// # Errors
/// The run can't be read, or the reports can't be written.
pub fn report(directory: &Path, json: bool) -> Result<Summary> {
    let summary = quietly(directory)?;
    let text = if json {
        // What summary.json holds, on one line: several scenarios give one line each.
        serde_json::to_string(&summary).context("the summary can't be written as JSON")? + "\n"
    } else {
        let report = directory.join(rundir::REPORT).display().to_string();
        let colour = std::io::stdout().is_terminal();
        terminal::render(&summary, &terminal::Options { colour, report, ..terminal::Options::default() })
    };
    super::print_out(&text)?;
    Ok(summary)
}

/// Judges `directory` and writes its reports, and prints nothing.
///
/// # Errors
/// The run can't be read, or the reports can't be written.
pub fn quietly(directory: &Path) -> Result<Summary> {
    rundir::judge_dir(directory).map_err(blame)
}

/// Prints the end of a suite, or its summary as one line of JSON.
///
/// # Errors
/// Standard output can't be written.
pub fn print_suite(summary: &SuiteSummary, directory: &Path, json: bool) -> Result<()> {
    let text = if json {
        serde_json::to_string(summary).context("the summary can't be written as JSON")? + "\n"
    } else {
        let width = terminal::Options::default().width;
        format!("\n{}", suite::terminal(summary, width, &directory.display().to_string()))
    };
    super::print_out(&text)
}

/// What is in the directory is the input; what is written into it is ours.
fn blame(error: RunDirError) -> Failure {
    let code = match error {
        RunDirError::Write { .. } | RunDirError::Render { .. } => exit_code::TOOL_FAILED,
        _ => exit_code::USAGE,
    };
    Failure { code, error: error.into() }
}
