//! `shakedown`: loads a workflow orchestrator, and says in numbers and with a verdict whether it may be released.

mod calibrate;
mod cli;
mod clock;
mod draw;
mod failure;
mod journal;
mod load;
mod plan;
mod program;
mod run;
mod scenario;
mod shrink;
mod target;
mod workers;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::raise_open_files();
    match cli::dispatch(std::env::args_os()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("shakedown: {failure}");
            ExitCode::from(failure.code)
        }
    }
}
