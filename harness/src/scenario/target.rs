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
        Self { nodes: 1, store: Store::Sqlite, lease: RealTime(1.0) }
    }
}

impl Engine {
    /// True when it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The names of its nodes.
    pub fn names(&self) -> Vec<String> {
        match self.nodes {
            1 => vec![ENGINE.to_owned()],
            nodes => (1..=nodes).map(|number| format!("{ENGINE}-{number}")).collect(),
        }
    }
}

/// Name of the engine's only node; of several the beginning of their names.
pub const ENGINE: &str = "engine";
/// Whichever of several nodes leads when a fault is due: `node:leader`.
pub const LEADER: &str = "leader";
