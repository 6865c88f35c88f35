//! `shakedown load`: the load child; started by `run`, not by people.

use crate::failure::{Blame, Result};
use crate::load::open;
use crate::load::spec::{LoadSpec, Shape};
use anyhow::Context;
use shakedown_reports::exit_code;
use std::path::PathBuf;

/// One level of load.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do (JSON).
    #[arg(long)]
    spec: PathBuf,
    /// Where to write the records (JSON lines).
    #[arg(long)]
    out: PathBuf,
}

/// Runs the level.
///
/// # Errors
/// The files can't be used, or the load failed.
pub fn run(args: &Args) -> Result<u8> {
    let text = std::fs::read(&args.spec)
        .with_context(|| format!("cannot read {}", args.spec.display()))
        .blame_input()?;
    let spec: LoadSpec = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a load", args.spec.display()))
        .blame_input()?;
    match spec.shape {
        Shape::Closed { .. } => closed(spec, &args.out)?,
        Shape::Open { .. } => open::run(spec, &args.out)?,
    }
    Ok(exit_code::PASSED)
}

#[cfg(feature = "goose")]
fn closed(spec: LoadSpec, out: &std::path::Path) -> Result<()> {
    Ok(crate::load::closed::run(spec, out)?)
}

#[cfg(not(feature = "goose"))]
fn closed(_spec: LoadSpec, _out: &std::path::Path) -> Result<()> {
    Err(anyhow::anyhow!("this shakedown was built without the feature `goose`, which closed load needs"))
        .blame_input()
}
