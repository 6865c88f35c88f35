//! `shakedown proxy`: a fault proxy with Toxiproxy's API as a process.

use crate::failure::{Blame, Result};
use crate::run::interrupt::Interrupt;
use anyhow::Context;
use shakedown_chaos::proxy::server::{Server, ServerError};
use shakedown_reports::exit_code;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run a fault proxy with Toxiproxy's API until SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address of the API; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8474")]
    listen: SocketAddr,
    /// Proxies to begin with: a JSON array, as POST /populate takes it, with toxics too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Fixes every draw of every toxic.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Serves until it is told to stop.
///
/// # Errors
/// The address or the file can't be used, or the server failed.
pub async fn run(args: Args) -> Result<u8> {
    let config = args.config.as_ref().map(|path| {
        let text = std::fs::read(path);
        text.with_context(|| format!("cannot read the proxies of --config {}", path.display()))
    });
    let config = config.transpose().blame_input()?;
    let interrupt = Interrupt::listen("stopping (again: end at once)")?;
    let server = Server::bind(args.listen, args.seed).await?;
    if let Some(config) = config {
        let populated = server.populate(&config).await;
        let file = || args.config.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        match populated {
            Err(error @ ServerError::Proxies { .. }) => {
                return Err(error).with_context(|| format!("--config {}", file())).blame_input();
            }
            populated => tracing::info!(proxies = populated?, "created the proxies of {}", file()),
        }
    }
    super::print_out(&format!("listening on http://{}\n", server.address()))?;
    server.serve(async move { interrupt.asked().await }).await?;
    Ok(exit_code::PASSED)
}
