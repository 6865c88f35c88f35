//! A gate: a bound on a measure, with a verdict.

use serde::{Deserialize, Serialize};

/// Three values of truth. The worst wins; an empty set is unknown. No evidence is not a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The evidence says yes.
    Pass,
    /// There is not enough evidence.
    Unknown,
    /// The evidence says no.
    Fail,
}

/// A gate as a scenario writes it (`[[gate]]`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What it says, in the words of the people who sign off.
    pub name: String,
    /// The [`crate::measure::Measure`] that it bounds, by name.
    pub measure: String,
    /// The least allowed value, in the measure's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The most allowed value, in the measure's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// True for a gate on the workflow's own durations: unknown when the orchestrator's overhead passes 2 % at 1x.
    #[serde(default)]
    pub duration: bool,
}
