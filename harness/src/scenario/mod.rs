//! Scenarios: one strict TOML file that holds the workload, the load and the gates.

pub mod catalogue;
pub mod distribution;
pub mod drill;
mod extend;
pub mod fault;
#[cfg(test)]
mod fuzz;
pub mod load;
pub mod overrides;
pub mod read;
pub mod slots;
pub mod speed;
pub mod suite;
pub mod target;
pub mod units;
pub mod validate;

use distribution::Distribution;
use drill::{LinkEntry, Probes, Recovery, StopWhen};
use fault::FaultEntry;
use load::{Arrivals, Mode, Part, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_chaos::substrate::database::Settings;
use shakedown_reports::gate::Gate;
use slots::Slots;
use speed::Speed;
use std::collections::BTreeMap;
use target::Engine;
use units::RealTime;

/// A scenario as its file writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name; part of the run directory's name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Ids of the planned cases that it gives evidence for.
    #[serde(default)]
    pub covers: Vec<String>,
    /// True: a suite isn't green when this machine can't run it.
    #[serde(default)]
    pub required: bool,
    /// True: it means to saturate the machine, so the driver's CPU alone invalidates nothing.
    #[serde(default)]
    pub shared_cpu: bool,
    /// True: the disk's own append and sync is measured before and after the load.
    #[serde(default)]
    pub disk_probe: bool,
    /// Fixes every draw.
    pub seed: u64,
    /// Workflow seconds per real second.
    pub speed: Speed,
    /// Durations are drawn between (1 − spread) and 1 times the table's.
    #[serde(default)]
    pub spread: f64,
    /// Instead of `spread`: what each duration of the table is multiplied with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_factor: Option<Distribution>,
    /// How the workers behave.
    #[serde(default)]
    pub workers: Workers,
    /// Real-time timers that replace those of the task definitions.
    #[serde(default, skip_serializing_if = "Timers::is_empty")]
    pub timers: Timers,
    /// The workflows, by the name that levels use.
    pub workflow: BTreeMap<String, WorkflowSource>,
    /// Levels of load, run one after another.
    pub level: Vec<Level>,
    /// Probes beside the only level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// By what recovery is measured, where there are faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The reference engine that the run starts.
    #[serde(default, skip_serializing_if = "Engine::is_default")]
    pub engine: Engine,
    /// The pair of PostgreSQL databases that the engine's store is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Settings>,
    /// Connections through proxies that are there already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link: Vec<LinkEntry>,
    /// Faults that are injected while the load runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault: Vec<FaultEntry>,
    /// When the run is stopped before its plan is through.
    #[serde(default, skip_serializing_if = "StopWhen::is_empty")]
    pub stop_when: StopWhen,
    /// Bounds on measures.
    #[serde(default)]
    pub gate: Vec<Gate>,
}

/// Where a workflow comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowSource {
    /// The Conductor definition (JSON), relative to the scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// The table of durations (CSV), relative to the scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durations: Option<String>,
    /// Its column with the durations, workflow seconds; without it, the first whose name ends in `_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Its column with the predecessors, when the definition is to be checked against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_column: Option<String>,
    /// Tables of the steps inside tasks, by reference name; the same column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<String, String>,
    /// Task definitions (JSON array); tasks without one get a plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definitions: Option<String>,
}

/// How the harness's workers behave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// Share of executions that end in FAILED, drawn per attempt.
    pub failure_rate: f64,
    /// Share of executions that end in FAILED_WITH_TERMINAL_ERROR, drawn per attempt.
    pub terminal_failure_rate: f64,
    /// Processes that share the slots of every pool; 0: the harness itself does the work. Faults can hit processes only.
    pub processes: u32,
}

impl Default for Workers {
    fn default() -> Self {
        Self { failure_rate: 0.0, terminal_failure_rate: 0.0, processes: 0 }
    }
}

/// Timers of task definitions, in real time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// `retryDelaySeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<RealTime>,
    /// `maxRetryDelaySeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retry_delay: Option<RealTime>,
    /// `responseTimeoutSeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<RealTime>,
    /// `timeoutSeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<RealTime>,
    /// `pollTimeoutSeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_timeout: Option<RealTime>,
}

impl Timers {
    /// The fields of a task definition that are set, and to what.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, RealTime)> {
        [
            ("retryDelaySeconds", self.retry_delay),
            ("maxRetryDelaySeconds", self.max_retry_delay),
            ("responseTimeoutSeconds", self.response_timeout),
            ("timeoutSeconds", self.attempt_timeout),
            ("pollTimeoutSeconds", self.poll_timeout),
        ]
        .into_iter()
        .filter_map(|(field, value)| value.map(|value| (field, value)))
    }

    fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }
}

/// A level of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Its name; the prefix of its measures.
    pub name: String,
    /// Which of the scenario's workflows it starts; or a `mix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Several workflows, each with its share of the starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<Part>,
    /// How load is offered.
    #[serde(default)]
    pub mode: Mode,
    /// Closed load: workflows in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Closed load: workflows that each place in flight starts, one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<u32>,
    /// Open load: how arrivals lie within a stage; `poisson` unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// Open load: workflows in flight past which arrivals are shed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_cap: Option<u32>,
    /// Open load: true when shedding is what it studies, so that reaching the cap does not invalidate the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_shed: bool,
    /// Open load: how long a start that was refused, or not answered, is sent again, each time with the idempotency key
    /// of the first; without it, it is sent once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_starts: Option<RealTime>,
    /// Bytes that the input of each workflow is padded with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<Distribution>,
    /// Slots of the pools of workers.
    pub slots: Slots,
    /// Real time that a workflow has to become terminal.
    pub drain: RealTime,
    /// Open load: stages, one after another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

impl Level {
    /// The scenario's names of all workflows that it starts.
    pub fn workflows(&self) -> impl Iterator<Item = &str> {
        self.workflow.iter().chain(self.mix.iter().map(|part| &part.workflow)).map(String::as_str)
    }

    /// Closed load: workflows kept in flight. Open load: the most in flight.
    pub fn in_flight(&self) -> u32 {
        self.concurrency.or(self.in_flight_cap).unwrap_or(0)
    }
}
