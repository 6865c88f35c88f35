//! What the parent tells the load child: one JSON file.

use serde::{Deserialize, Serialize};

/// How the line on standard output begins that says when the level began (monotonic ns): when the first place in
/// flight fell free, or the instant from which the schedule counts.
pub const BEGAN: &str = "load began at ";

/// One level of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadSpec {
    /// Base URL of the target's REST API.
    pub base: String,
    /// Name of the run, the first part of every correlation id.
    pub run: String,
    /// Name of the level.
    pub level: String,
    /// Workflow definitions that it starts.
    pub definitions: Vec<Definition>,
    /// What to start, by index.
    pub workflows: Vec<ToStart>,
    /// How load is offered.
    pub shape: Shape,
    /// How long a workflow has to become terminal, real nanoseconds.
    pub drain_ns: u64,
    /// How long one start may take to be answered, milliseconds.
    pub start_within_ms: u64,
    /// How long a start that was refused or not answered is sent again, milliseconds; 0: it is sent once.
    pub retry_for_ms: u64,
    /// False: nobody watches what becomes of the workflows (probes).
    pub watch: bool,
}

/// A workflow definition at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
}

/// One workflow to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToStart {
    /// Place of its definition in the list.
    pub definition: usize,
    /// How long it takes when nothing waits, real nanoseconds.
    pub expected_ns: u64,
    /// Open load: when it is due, nanoseconds after the level's beginning.
    pub due_ns: u64,
    /// Bytes that its input is padded with.
    pub input_bytes: u64,
}

/// How load is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// So many in flight, each place so often.
    Closed {
        /// Workflows in flight.
        concurrency: u32,
        /// Workflows that each place in flight starts, one after another.
        waves: u32,
    },
    /// Each when it is due.
    Open {
        /// Workflows in flight past which arrivals are shed.
        in_flight_cap: u32,
    },
}

impl LoadSpec {
    /// The correlation id of a workflow.
    pub fn correlation_id(&self, index: u64) -> String {
        format!("{}/{}/{index}", self.run, self.level)
    }

    /// The body of the request that starts a workflow.
    pub fn start_request(&self, index: u64) -> serde_json::Value {
        let to_start = self.to_start(index);
        let definition = &self.definitions[to_start.definition];
        let mut body = serde_json::json!({
            "name": definition.name, "version": definition.version, "correlationId": self.correlation_id(index),
            "input": { "project": format!("{}-{index}", self.level), "index": index },
        });
        if self.retry_for_ms > 0 {
            body["idempotencyKey"] = self.correlation_id(index).into();
            body["idempotencyStrategy"] = "RETURN_EXISTING".into();
        }
        if to_start.input_bytes > 0 {
            let bytes = usize::try_from(to_start.input_bytes).unwrap_or(0);
            body["input"]["padding"] = "x".repeat(bytes).into();
        }
        body
    }

    /// What to start at an index; the parent wrote one for each that it asks for.
    pub fn to_start(&self, index: u64) -> ToStart {
        let nothing = ToStart { definition: 0, expected_ns: 0, due_ns: 0, input_bytes: 0 };
        usize::try_from(index).ok().and_then(|at| self.workflows.get(at)).copied().unwrap_or(nothing)
    }
}
