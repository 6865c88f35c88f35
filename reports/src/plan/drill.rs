//! The part of a plan that is about faults: what is injected when, what recovery is allowed to take, and the terms
//! by which recovery is measured.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One planned injection of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// Name of the fault in the scenario.
    pub fault: String,
    /// Which injection of it, from 1.
    pub injection: u32,
    /// The level in which it is due.
    pub level: String,
    /// Kind of the fault: `kill`, `partition`.
    pub what: String,
    /// The role that it hurts, resolved when it is due: `engine`, `worker:codegen`, `link:workers`.
    pub on: String,
    /// What sets it off, in words: `8.2 s after the level began`.
    pub trigger: String,
    /// When it is due, real seconds after the beginning of the level; `None` when an event sets it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_s: Option<f64>,
    /// How long it stays in force, real seconds; `None` when it is over at once (a kill).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_s: Option<f64>,
    /// The fault with all its figures, as the scenario has it.
    pub details: Value,
    /// What recovery and loss are allowed to be.
    #[serde(default)]
    pub allow: Allowance,
    /// Configured timers whose sum predicts the recovery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<ConfiguredTimer>,
}

/// What a scenario allows: objectives, beside which the report puts what was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allowance {
    /// Longest time to the first success, real seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_success_s: Option<f64>,
    /// Longest time until backlog and age are back inside the band, real seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered_s: Option<f64>,
    /// Most acknowledged operations lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// The most that an acknowledged operation which was lost may be older than t₀, real seconds: the age of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_within_s: Option<f64>,
}

/// A timer of the configuration that recovery has to wait for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredTimer {
    /// What it is: `response time-out of a task`.
    pub name: String,
    /// Real seconds.
    pub seconds: f64,
}

/// The terms by which recovery is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Real seconds before the first fault that give the steady-state band; the warm-up before them is cut.
    pub baseline_s: f64,
    /// How long a figure must stay inside the band to count as back, real seconds.
    pub settle_s: f64,
    /// A probe answered later than this counts as failed, real seconds.
    pub probe_deadline_s: f64,
    /// How far throughput may lie below the baseline's, as a share.
    pub throughput_band: f64,
    /// Both databases are to be asked, at each failover, what only one of them has.
    #[serde(default)]
    pub compares: bool,
}
