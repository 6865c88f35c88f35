//! The parent's side of the load child: start it, and take over what it recorded.

use super::spec::{BEGAN, LoadSpec};
use crate::program;
use anyhow::Context as _;
use shakedown_chaos::substrate::local::{Node, Ready, Spec};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The child says when the level began; it has its own start-up and one request to do before.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);

/// A running load child.
#[derive(Debug)]
pub struct LoadChild {
    /// Its process.
    pub node: Node,
    /// When the level began, monotonic nanoseconds.
    pub began_ns: u64,
    /// Where it writes its records.
    pub records: PathBuf,
}

/// Starts the load of one level; its files go to `folder`. Blocks until the load begins.
///
/// # Errors
/// The files can't be written, or the child does not come up.
pub fn start(spec: &LoadSpec, folder: &Path) -> anyhow::Result<LoadChild> {
    let file = |kind: &str| folder.join(format!("load-{}.{kind}", spec.level));
    let (spec_file, records) = (file("spec.json"), file("jsonl"));
    let text = serde_json::to_vec_pretty(spec)?;
    std::fs::write(&spec_file, text).with_context(|| format!("cannot write {}", spec_file.display()))?;
    let program = program::path().context("cannot find out which program this is, to start it as load")?;
    let node = Node::spawn(&Spec {
        name: format!("the load of level {}", spec.level),
        program,
        args: vec!["load".into(), "--spec".into(), spec_file.into(), "--out".into(), records.clone().into()],
        env: vec![],
        log: file("log"),
        ready: Some(Ready { prefix: BEGAN.to_owned(), within: BEGIN_WITHIN }),
    })?;
    let began_ns =
        node.ready_text().parse().context("the load child said something else than when it began")?;
    Ok(LoadChild { node, began_ns, records })
}
