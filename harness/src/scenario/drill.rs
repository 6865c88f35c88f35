//! What a scenario says of probes, of how recovery is measured, and of when a run is to be stopped.

use super::units::RealTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Probes: durable writes at a fixed rate beside the load, which tell what users see of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// The scenario's workflow that each probe starts: one of one task.
    pub workflow: String,
    /// Probes per real second; clocks resolve to its inverse.
    #[serde(default = "rate_per_s")]
    pub rate_per_s: f64,
    /// A probe that is answered later counts as failed.
    #[serde(default = "deadline")]
    pub deadline: RealTime,
    /// Slots of the pools that do the tasks of probes.
    #[serde(default = "slots")]
    pub slots: u32,
}

fn rate_per_s() -> f64 {
    20.0
}

fn deadline() -> RealTime {
    RealTime(0.5)
}

fn slots() -> u32 {
    8
}

/// A connection that goes through a proxy which is there already: on a Toxiproxy, or on a `shakedown proxy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkEntry {
    /// Its name: faults are on `link:NAME`. Of `clients` and `workers` the harness itself connects through it.
    pub name: String,
    /// The API of the server of proxies: `http://HOST:8474`.
    pub toxiproxy: String,
    /// Name of its proxy there.
    pub proxy: String,
    /// Where clients connect, `HOST:PORT`; without it, the proxy's port on the host of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A path that an HTTP server behind it answers. Faults are then seen from a client's side; without it, only what the
    /// proxy's API says counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
}

/// By what recovery is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// Real time before the first fault that gives the steady-state band; the warm-up before it is cut.
    pub baseline: RealTime,
    /// How long a figure must stay inside the band to count as back.
    pub settle: RealTime,
    /// How far throughput may lie below the baseline's, as a share.
    pub throughput_band: f64,
    /// True: the same plan is run once more without its faults, and the report shows the difference.
    pub control: bool,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { baseline: RealTime(3.0), settle: RealTime(1.0), throughput_band: 0.2, control: false }
    }
}

/// When a run is stopped before its plan is through: whatever is in force is healed, and the run is judged as it is.
///
/// A file called `stop` in the run directory stops a run too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopWhen {
    /// More starts than this were refused or not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_starts: Option<u64>,
    /// Less is free on the disk of the run directory, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_mib: Option<u64>,
    /// Less memory is available on the machine, MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_free_mib: Option<u64>,
    /// The load took longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<RealTime>,
}

impl StopWhen {
    /// True when it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
