//! Programs that are run to their end for a node: caged as nodes are, so that none outlives us.

use super::{Cage, Node, NodeError, Spec};
use std::time::Duration;

/// How long the last that it said may take to be in its log.
const OUTPUT_WITHIN: Duration = Duration::from_secs(1);

/// Why an errand was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum ErrandError {
    /// It can't be started or awaited.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It failed, or took too long; in words.
    #[error("{0}")]
    Failed(String),
}

/// Runs a program to its end, and returns the last that it said. Blocks.
///
/// # Errors
/// It can't be started, fails, or is not done within `limit`; it is gone then.
pub(super) fn run(spec: &Spec, cage: &Cage, limit: Duration) -> Result<String, ErrandError> {
    let mut node = Node::launch(spec, cage)?;
    let status = node.wait(limit)?;
    node.await_output(OUTPUT_WITHIN);
    match status {
        Some(status) if status.success() => Ok(node.log_tail()),
        Some(status) => {
            let (log, tail) = (spec.log.display(), node.log_tail());
            Err(ErrandError::Failed(format!("{status}; the end of {log}:\n{tail}")))
        }
        None => Err(ErrandError::Failed(format!("not done within {limit:?}; it is ended"))),
    }
}
