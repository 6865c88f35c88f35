//! `shakedown calibration-target` and `calibration-outage`: the calibration's stand-in as a process, and what ends and
//! begins its outages.

use crate::calibrate::script::Script;
use crate::calibrate::stand_in;
use crate::calibrate::truth::{Style, Truth};
use crate::failure::{Blame, Result};
use crate::run::interrupt::Interrupt;
use crate::target::http::Http;
use anyhow::{Context, anyhow};
use hyper::Method;
use shakedown_reports::exit_code;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Run the calibration's stand-in.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of the REST API; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What to do wrong, as JSON.
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// Where to write down what was done.
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
}

/// Serves until it is told to stop.
///
/// # Errors
/// The script can't be read, or the address or the file can't be had.
pub async fn run(args: Args) -> Result<u8> {
    let path = args.script.display().to_string();
    let text = std::fs::read_to_string(&args.script).with_context(|| format!("cannot read {path}"));
    let script: Script = serde_json::from_str(&text.blame_input()?)
        .with_context(|| format!("{path} is no script"))
        .blame_input()?;
    let truth = Truth::create(&args.truth)?;
    let interrupt = Interrupt::listen("stopping (again: end at once)")?;
    stand_in::serve(args.listen, script, truth, &interrupt).await?;
    Ok(exit_code::PASSED)
}

/// Begin or end an outage of the stand-in.
#[derive(Debug, clap::Args)]
pub struct OutageArgs {
    /// What to do.
    #[command(subcommand)]
    what: Outage,
}

#[derive(Debug, clap::Subcommand)]
enum Outage {
    /// Begin one.
    Begin {
        /// What clients are to see of it.
        style: Style,
        /// URL of the stand-in's control.
        control: String,
    },
    /// End the one that is on; no harm is done when none is.
    End {
        /// URL of the stand-in's control.
        control: String,
    },
    /// Exit code 0 while one is on, else 1.
    Verify {
        /// URL of the stand-in's control.
        control: String,
    },
}

/// How long the stand-in has to answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Tells the stand-in.
///
/// # Errors
/// It does not answer, or could not do it.
pub async fn outage(args: OutageArgs) -> Result<u8> {
    let (method, url, no) = match args.what {
        Outage::Begin { style, control } => {
            (Method::POST, format!("{control}/outage/begin/{}", style.word()), None)
        }
        Outage::End { control } => (Method::POST, format!("{control}/outage/end"), None),
        Outage::Verify { control } => (Method::GET, format!("{control}/outage"), Some(409)),
    };
    let exchange = Http::new().send(method, &url, None, WITHIN).await;
    if no.is_some() && exchange.status == no {
        return Ok(exit_code::FAILED);
    }
    match exchange.error() {
        None => Ok(exit_code::PASSED),
        Some(error) => Err(anyhow!("the stand-in did not do as it was told at {url}: {error}").into()),
    }
}
