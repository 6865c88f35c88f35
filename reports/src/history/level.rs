//! What the harness saw of levels of load as a whole.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A level of load begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelMark {
    /// Name of the level, as in the plan.
    pub level: String,
    /// When it began.
    pub at_ns: u64,
    /// Slots of each pool in force during the level.
    pub slots: BTreeMap<String, u32>,
}

/// A level of load is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelEnd {
    /// Name of the level.
    pub level: String,
    /// When it ended.
    pub at_ns: u64,
    /// True when load was shed because a cap of the driver was reached.
    pub cap_reached: bool,
}

/// An arrival that the driver held back: it was due, and never asked of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shed {
    /// Name of the level.
    pub level: String,
    /// Index of the workflow in its level's plan.
    pub index: u64,
    /// When the plan wanted it.
    pub due_ns: u64,
    /// When it was held back.
    pub at_ns: u64,
    /// Workflows in flight at that instant.
    pub in_flight: u64,
}
