//! The target of a run: the reference engine as a child process of ours, or a server that somebody else runs.

use crate::failure::{Blame, Result};
use crate::program;
use crate::target::conductor::Conductor;
use anyhow::Context;
use shakedown_chaos::substrate::local::{Node, Ready, Spec};
use std::path::Path;
use std::time::Duration;

/// Opening a store and binding a port; a long replay has its own time on top of that in no scenario yet.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long the engine has to end in order.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A target that can be used.
#[derive(Debug)]
pub struct Host {
    /// Its client.
    pub target: Conductor,
    /// Its process, when it is ours.
    pub node: Option<Node>,
}

impl Host {
    /// True when the harness started the reference engine itself.
    pub fn is_ours(&self) -> bool {
        self.node.is_some()
    }

    /// Why our own target is no longer there, if it isn't.
    pub fn lost(&mut self) -> Option<String> {
        let node = self.node.as_mut()?;
        match node.exit_status() {
            Ok(None) => None,
            Ok(Some(status)) => {
                Some(format!("the engine ended ({status}); the end of its log:\n{}", node.log_tail()))
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Ends the engine in order; a server of somebody else is left alone.
    pub async fn stop(self) -> Result<()> {
        let Some(mut node) = self.node else { return Ok(()) };
        let stopped = tokio::task::spawn_blocking(move || node.stop(STOP_WITHIN)).await;
        stopped.context("the task that stops the engine panicked")?.context("the engine can't be ended")?;
        Ok(())
    }
}

/// Starts the reference engine on a store in `folder`, or takes the server at `url`.
///
/// # Errors
/// The URL isn't one (wrong arguments), or the engine does not come up.
pub async fn provision(url: Option<&str>, folder: &Path, logs: &Path) -> Result<Host> {
    if let Some(url) = url {
        return Ok(Host { target: Conductor::new(url).blame_input()?, node: None });
    }
    let program = program::path().context("cannot find out which program this is, to start it as engine")?;
    let store = format!("sqlite:{}", folder.join("engine.db").display());
    let spec = Spec {
        name: "the engine".to_owned(),
        program,
        args: vec!["engine".into(), "--listen".into(), "127.0.0.1:0".into(), "--store".into(), store.into()],
        env: vec![],
        log: logs.join("engine.log"),
        ready: Some(Ready { prefix: "listening on ".to_owned(), within: READY_WITHIN }),
    };
    // Spawned by a thread that lives as long as the process, awaited by one that may be reaped.
    let spawned = tokio::task::spawn_blocking(move || Node::spawn(&spec)).await;
    let node = spawned.context("the task that starts the engine panicked")??;
    let target = Conductor::new(node.ready_text().trim()).context("the engine told no address")?;
    Ok(Host { target, node: Some(node) })
}
