//! The command line: one args struct a subcommand, each in a file of its own.

mod calibrate;
mod doctor;
mod engine;
mod heal;
mod judge;
mod list;
mod load;
mod print;
mod proxy;
mod run;
mod shrink;
mod stand_in;
mod suite;
mod welcome;
mod work;
mod worker;

use crate::failure::{Failure, Result};
use clap::{Parser, Subcommand};
use shakedown_reports::exit_code;
use std::ffi::OsString;
use tracing_subscriber::EnvFilter;

/// Loads a workflow orchestrator and says, in numbers and with a verdict, whether it may be released.
#[derive(Debug, Parser)]
#[command(name = "shakedown", version, about, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 passed, 1 a gate or check failed, 2 not enough evidence, 3 the run is invalid, \
4 wrong arguments or scenario or a missing capability, 5 the tool failed, 6 something could not be healed, \
130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and suites and judge them; without any, the main job.
    Run(run::Args),
    /// Judge a run directory again.
    Judge(judge::Args),
    /// Undo what a run left in force.
    Heal(heal::Args),
    /// Plant outages, delays and breaches in a stand-in, and say how far off the reports are on this machine.
    Calibrate(calibrate::Args),
    /// Show the suites and scenarios that are compiled in.
    List(list::Args),
    /// Say what this machine has, what it lacks, and what can't run without.
    Doctor(doctor::Args),
    /// Work on the tasks of the 22-task workflow at any Conductor server, until Ctrl-C.
    Worker(worker::Args),
    /// Run the reference engine.
    Engine(engine::Args),
    /// Run a fault proxy with Toxiproxy's API.
    Proxy(proxy::Args),
    /// Print the JSON schema of scenario files, for editors.
    Schema(print::SchemaArgs),
    /// Print completions for a shell.
    Completions(print::CompletionsArgs),
    /// Print the manual page.
    Man(print::ManArgs),
    /// Run one level of load (started by `run`).
    #[command(hide = true)]
    Load(load::Args),
    /// Run the calibration's stand-in for a Conductor server (started by `calibrate`).
    #[command(hide = true)]
    CalibrationTarget(stand_in::Args),
    /// Begin or end an outage of the stand-in (a fault of the calibration's scenarios).
    #[command(hide = true)]
    CalibrationOutage(stand_in::OutageArgs),
    /// Run one process of workers (started by `run`).
    #[command(hide = true)]
    Work(work::Args),
}

/// Runs the command that `arguments` ask for and returns the exit code.
///
/// # Errors
/// The command failed; the failure knows its exit code.
pub fn dispatch(arguments: impl Iterator<Item = OsString>) -> Result<u8> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command {
        None => welcome::print(),
        Some(Command::Run(args)) => on_tokio("warn", run::run(args)),
        Some(Command::Judge(args)) => judge::run(&args),
        Some(Command::Heal(args)) => heal::run(&args),
        Some(Command::Calibrate(args)) => on_tokio("warn", calibrate::run(args)),
        Some(Command::CalibrationTarget(args)) => on_tokio("info", stand_in::run(args)),
        Some(Command::CalibrationOutage(args)) => on_tokio("warn", stand_in::outage(args)),
        Some(Command::List(args)) => list::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Worker(args)) => on_tokio("info", worker::run(args)),
        Some(Command::Engine(args)) => on_tokio("info", engine::run(args)),
        Some(Command::Proxy(args)) => on_tokio("warn", proxy::run(args)),
        Some(Command::Schema(args)) => print::schema(&args),
        Some(Command::Completions(args)) => print::completions::<Cli>(&args),
        Some(Command::Man(args)) => print::man::<Cli>(&args),
        Some(Command::Load(args)) => load::run(&args),
        Some(Command::Work(args)) => on_tokio("info", work::run(args)),
    }
}

/// clap's own message; help and version are no errors, everything else is wrong usage.
fn refuse(error: &clap::Error) -> Result<u8> {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    Ok(if error.use_stderr() { exit_code::USAGE } else { exit_code::PASSED })
}

fn on_tokio(level: &str, command: impl Future<Output = Result<u8>>) -> Result<u8> {
    let filter = EnvFilter::try_from_env("SHAKEDOWN_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // A thread that still blocks must not keep the program from ending.
    runtime.shutdown_background();
    result
}

/// Writes to standard output; a reader that has seen enough (`| head`) is no error.
fn print_out(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure { code: exit_code::TOOL_FAILED, error: error.into() })
        }
        _ => Ok(()),
    }
}
