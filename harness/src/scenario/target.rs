//! What a scenario says of the target that a run starts for itself: the nodes of the reference engine and their store.

use super::units::RealTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reference engine of a run. With `--target` there is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// How many nodes share the store; more than one only on PostgreSQL.
    pub nodes: u32,
    /// How many nodes of another build of the engine (`--green PROGRAM`) stand by, for a fault that lets them take over.
    pub green: u32,
    /// Where it keeps its journal.
    pub store: Store,
    /// How long a leader's word is good: so long a node that hangs or dies is waited for.
    pub lease: RealTime,
}

/// Where the engine keeps its journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// A SQLite file in the run directory.
    #[default]
    Sqlite,
    /// The pair of PostgreSQL databases that `[database]` describes.
    Postgres,
}

impl Default for Engine {
    fn default() -> Self {
        Self { nodes: 1, green: 0, store: Store::Sqlite, lease: RealTime(1.0) }
    }
}

impl Engine {
    /// True when it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// How many nodes there are, those that stand by too.
    pub fn count(&self) -> usize {
        self.names().len() + self.green_names().len()
    }

    /// The names of the nodes that run from the beginning.
    pub fn names(&self) -> Vec<String> {
        match (self.nodes, self.green) {
            (1, 0) => vec![ENGINE.to_owned()],
            (nodes, 0) => numbered(ENGINE, nodes),
            (nodes, _) => numbered(&format!("{ENGINE}-{BLUE}"), nodes),
        }
    }

    /// The names of the nodes that stand by.
    pub fn green_names(&self) -> Vec<String> {
        numbered(&format!("{ENGINE}-{GREEN}"), self.green)
    }
}

fn numbered(prefix: &str, count: u32) -> Vec<String> {
    (1..=count).map(|number| format!("{prefix}-{number}")).collect()
}

/// What runs from the beginning, where there are two sets of nodes.
pub const BLUE: &str = "blue";
/// What stands by.
pub const GREEN: &str = "green";
/// Name of the engine's only node; of several the beginning of their names.
pub const ENGINE: &str = "engine";
