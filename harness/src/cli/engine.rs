//! `shakedown engine`: the reference engine as a process. The only file that knows the engine from within.

use crate::failure::{Blame, Result};
use crate::run::interrupt::Interrupt;
use shakedown_engine::backup::{backup, restore};
use shakedown_engine::{NodeOptions, Options, StoreUrl};
use shakedown_reports::exit_code;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Run the reference engine until SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Address of the REST API; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the journal is kept: sqlite:PATH, postgres://USER@HOST:PORT,HOST:PORT/DATABASE or memory. Give the
    /// password of PostgreSQL in PGPASSWORD or by ?passfile=PATH.
    #[arg(long, value_name = "STORE", default_value = "sqlite:engine.db")]
    store: String,
    /// Days that a workflow is kept after its end; without it, for ever.
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<f64>,
    /// Where the other nodes on the same PostgreSQL store reach this one; without it, where it listens.
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
    /// Name of this node among those.
    #[arg(long, value_name = "NAME", default_value = "engine")]
    node: String,
    /// Seconds for which a leader's word is good: so long a node that hangs or dies is waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    lease: f64,
}

/// What else can be done with an engine's store.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Copy a SQLite store into a new folder, while an engine runs on it or not, and read the copy back.
    Backup {
        /// The store: sqlite:PATH.
        #[arg(long, value_name = "STORE", default_value = "sqlite:engine.db")]
        store: String,
        /// The folder to make.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Make a SQLite store of a backup, where there is none; then start an engine on it.
    Restore {
        /// The folder of the backup.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The store to make: sqlite:PATH.
        #[arg(long, value_name = "STORE", default_value = "sqlite:engine.db")]
        store: String,
    },
}

impl Action {
    fn carry_out(self) -> Result<u8> {
        match self {
            Self::Backup { store, to } => {
                let path = file_of(&store).blame_input()?;
                let taken = backup(&path, &to)?;
                let bytes = taken.journal.bytes + taken.archive.bytes;
                println!(
                    "backed up {store} into {}: {bytes} bytes, journal up to frame {}, {} workflows in memory; read back",
                    to.display(),
                    taken.position,
                    taken.in_memory
                );
            }
            Self::Restore { from, store } => {
                let path = file_of(&store).blame_input()?;
                let taken = restore(&from, &path)?;
                println!(
                    "restored {store} from {}: journal up to frame {}, {} workflows in memory",
                    from.display(),
                    taken.position,
                    taken.in_memory
                );
            }
        }
        Ok(exit_code::PASSED)
    }
}

fn file_of(store: &str) -> anyhow::Result<PathBuf> {
    match parse(store)? {
        StoreUrl::Sqlite(path) => Ok(path),
        other => anyhow::bail!(
            "{other} is no SQLite store; for PostgreSQL take a base backup and keep the write-ahead log \
             (pg_basebackup, see docs/postgres.md)"
        ),
    }
}

fn parse(store: &str) -> anyhow::Result<StoreUrl> {
    Ok(match store.parse().map_err(anyhow::Error::msg)? {
        StoreUrl::Postgres(address) => {
            StoreUrl::Postgres(Box::new(address.or_password(std::env::var("PGPASSWORD").ok())))
        }
        other => other,
    })
}

/// Serves until it is told to stop.
///
/// # Errors
/// The store or the address can't be used, or the engine failed.
pub async fn run(args: Args) -> Result<u8> {
    if let Some(action) = args.action {
        return action.carry_out();
    }
    let store = parse(&args.store).blame_input()?;
    let interrupt = Interrupt::listen("stopping (again: end at once)")?;
    let retention = args.retention_days.map(retention).transpose().blame_input()?;
    let lease = lease(args.lease).blame_input()?;
    let node = NodeOptions { name: args.node, advertise: args.advertise, lease };
    let options = Options { listen: args.listen, store, retention, node };
    shakedown_engine::serve(options, async move { interrupt.asked().await }).await?;
    Ok(exit_code::PASSED)
}

fn retention(days: f64) -> anyhow::Result<Duration> {
    let kept = Duration::try_from_secs_f64(days * 86_400.0);
    kept.map_err(|error| {
        anyhow::anyhow!("--retention-days {days} is not a number of days: {error}; give one such as 30")
    })
}

fn lease(seconds: f64) -> anyhow::Result<Duration> {
    let lease = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if (0.1..=60.0).contains(&lease.as_secs_f64()) {
        return Ok(lease);
    }
    anyhow::bail!("--lease {seconds} is not usable; give seconds between 0.1 and 60, such as 1")
}
