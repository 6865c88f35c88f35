//! What the parent tells the load child: one JSON file.

use serde::{Deserialize, Serialize};

/// How the line on standard output begins that says when the first place in flight fell free (monotonic ns).
pub const BEGAN: &str = "load began at ";

/// One level of closed load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadSpec {
    /// Base URL of the target's REST API.
    pub base: String,
    /// Name of the run, the first part of every correlation id.
    pub run: String,
    /// Name of the level.
    pub level: String,
    /// Name of the workflow definition.
    pub workflow: String,
    /// Its version.
    pub version: u64,
    /// Workflows in flight.
    pub concurrency: u32,
    /// Workflows that each place in flight starts, one after another.
    pub waves: u32,
    /// How long each workflow takes when nothing waits, real nanoseconds, by index.
    pub expected_ns: Vec<u64>,
    /// How long a workflow has to become terminal, real nanoseconds.
    pub drain_ns: u64,
}
