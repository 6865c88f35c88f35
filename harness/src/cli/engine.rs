//! `shakedown engine`: the reference engine as a process. The only file that knows the engine from within.

use crate::failure::{Blame, Result};
use crate::run::interrupt::Interrupt;
use shakedown_engine::{Options, StoreUrl};
use shakedown_reports::exit_code;
use std::net::SocketAddr;

/// Run the reference engine until SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of the REST API; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the journal is kept: sqlite:PATH or memory.
    #[arg(long, value_name = "STORE", default_value = "sqlite:engine.db")]
    store: String,
}

/// Serves until it is told to stop.
///
/// # Errors
/// The store or the address can't be used, or the engine failed.
pub async fn run(args: Args) -> Result<u8> {
    let store: StoreUrl = args.store.parse().map_err(anyhow::Error::msg).blame_input()?;
    let interrupt = Interrupt::listen("stopping (again: end at once)")?;
    let options = Options { listen: args.listen, store };
    shakedown_engine::serve(options, async move { interrupt.asked().await }).await?;
    Ok(exit_code::PASSED)
}
