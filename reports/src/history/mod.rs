//! The history: what the harness itself saw in a run, one JSON object a line (`history.jsonl`).
//!
//! The harness writes it, this crate reads it; the format is fixed here. Instants named `*_ns` are
//! CLOCK_MONOTONIC nanoseconds of the machine that drives the load, comparable over its processes.
//! Instants named `*_ms` are the target's own wall clock (epoch milliseconds) and are only ever compared
//! with each other.

mod chaos;
mod level;
mod read;
mod usage;

pub use chaos::{Aftermath, Begun, Calibration, End, FaultMark, FaultPhase, NodeChange, NodeMark, StepMark};
pub use level::{LevelEnd, LevelMark, Shed};
pub use read::History;
pub use usage::{DiskSyncs, HostUsage, Resource};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the format; a reader refuses a newer one, and fields that it does not know. So a release that
/// adds a field raises it.
pub const SCHEMA_VERSION: u32 = 4;

/// The oldest version that is still read. Format 1 was never released; its resource samples told CPU and memory only.
pub const OLDEST_VERSION: u32 = 2;

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// Always the first line.
    Header(Header),
    /// A level of load began.
    LevelBegan(LevelMark),
    /// Everything that a level started is terminal, or its drain time is over.
    LevelEnded(LevelEnd),
    /// The load asked the target to start a workflow.
    Start(Start),
    /// An arrival of open load that was not sent, because too many workflows were in flight.
    Shed(Shed),
    /// The load saw a workflow terminal (or gave up waiting for it).
    Observed(Observed),
    /// One of the harness's workers did a task.
    Execution(Execution),
    /// A request to the target other than a start or an update, which have their own records, and other than a poll
    /// that handed tasks out, which their executions tell of.
    Call(Call),
    /// A workflow read back from the target after the run.
    Final(FinalWorkflow),
    /// What one process of the run uses.
    Resource(Resource),
    /// What the whole machine uses.
    Host(HostUsage),
    /// How long the disk takes to append and sync.
    DiskSyncs(DiskSyncs),
    /// An injection of a fault came a step further.
    Fault(FaultMark),
    /// Something became of a node.
    Node(NodeMark),
    /// A worker process took a task in hand.
    Begun(Begun),
    /// Somebody who looks after the target took a step.
    Step(StepMark),
    /// Whether the target still works when the load is over.
    Aftermath(Aftermath),
    /// How far this machine's figures are off.
    Calibration(Calibration),
    /// Something that a reader of the run should know (a target that restarted, a cap that was hit).
    Note(Note),
    /// Always the last line of a whole history: without it the run was cut off.
    Footer(Footer),
}

/// What was run, on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Name of the run directory.
    pub run: String,
    /// Name of the scenario.
    pub scenario: String,
    /// The seed of the plan.
    pub seed: u64,
    /// Workflow seconds per real second.
    pub speed: f64,
    /// Base URL of the target's REST API.
    pub target: String,
    /// True when the harness started the reference engine itself.
    pub embedded: bool,
    /// Version of shakedown.
    pub version: String,
    /// Wall clock at the start, epoch milliseconds.
    pub started_ms: u64,
    /// The monotonic clock at the same instant.
    pub started_ns: u64,
    /// `cores`, `memory_mib`, `kernel`, `os`: for "same machine?" in comparisons.
    pub machine: BTreeMap<String, String>,
    /// `shared_cpu` of the scenario: the driver's CPU alone invalidates nothing.
    #[serde(default)]
    pub shared_cpu: bool,
    /// Arguments of `shakedown` that run the same plan again; empty when the writer did not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Acknowledged.
    Ok,
    /// The target said no: nothing happened.
    Failed,
    /// It may have happened (time-out, reset, 5xx after sending).
    Unknown,
}

/// A start of a workflow, as the client saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Name of the level.
    pub level: String,
    /// Index of the workflow in its level's plan.
    pub index: u64,
    /// The correlation id that was sent; unique in the run.
    pub correlation_id: String,
    /// When the plan wanted it (closed load: when the slot fell free).
    pub due_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// When it was answered, or given up.
    pub done_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// HTTP status, when there was one.
    pub status: Option<u16>,
    /// The id that the target gave.
    pub workflow_id: Option<String>,
    /// Why it is not ok.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Requests that were sent for it: a client that retries names its start by an idempotency key.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub tries: u32,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_once(n: &u32) -> bool {
    *n == 1
}

/// The load saw a workflow's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Name of the level.
    pub level: String,
    /// Index of the workflow in its level's plan.
    pub index: u64,
    /// The target's id.
    pub workflow_id: String,
    /// When a read first showed it terminal, or when the load gave up.
    pub done_ns: u64,
    /// The status that was read (`COMPLETED`, `FAILED`, `TIMED_OUT`, `TERMINATED`; `RUNNING` when given up).
    pub status: String,
    /// Largest gap between the read that showed it terminal and the one before: the error of `done_ns`.
    pub resolution_ns: u64,
}

/// What a worker reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reported {
    /// COMPLETED.
    Completed,
    /// FAILED: may be retried.
    Failed,
    /// FAILED_WITH_TERMINAL_ERROR.
    FailedTerminally,
    /// IN_PROGRESS with a callback.
    InProgress,
    /// Nothing: the worker was ended in the middle.
    Nothing,
}

/// One execution of a task by a worker of the harness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// Name of the level, from the correlation id; empty when the workflow isn't ours.
    pub level: String,
    /// Index of the workflow in its level's plan.
    pub index: u64,
    /// The target's id of the workflow.
    pub workflow_id: String,
    /// The target's id of the task.
    pub task_id: String,
    /// The task's reference name in the definition.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its type (queue).
    pub task_type: String,
    /// Pool that did it.
    pub pool: String,
    /// Name of the worker.
    pub worker: String,
    /// Attempt, from 0 (`retryCount` of the record).
    pub attempt: u32,
    /// `pollCount` as handed out.
    pub poll_count: u32,
    /// Unique to this execution; goes into the output.
    pub nonce: String,
    /// Nonces of the predecessors as the task's input carried them, by reference name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<String, String>,
    /// When the answer that handed the task out was read.
    pub polled_ns: u64,
    /// When the work began (a slot of the pool was free).
    pub started_ns: u64,
    /// When the work ended.
    pub finished_ns: u64,
    /// How long the plan wanted the work to take, real nanoseconds.
    pub planned_ns: u64,
    /// What was reported.
    pub reported: Reported,
    /// When the first update was sent.
    pub update_sent_ns: u64,
    /// When the update was answered or given up.
    pub update_done_ns: u64,
    /// What became of the update.
    pub outcome: Outcome,
    /// HTTP status of the last update.
    pub status: Option<u16>,
    /// Updates sent, the first included.
    pub tries: u32,
    /// `scheduledTime` of the record, the target's clock.
    pub scheduled_ms: u64,
    /// `startTime` of the record, the target's clock.
    pub server_started_ms: u64,
    /// `responseTimeoutSeconds` of the record: the lease.
    pub lease_s: f64,
    /// When the last sign of life was sent that the target acknowledged: the lease counts from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_ns: Option<u64>,
    /// Seconds of workflow time that each step inside the task took, where it has steps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps_s: BTreeMap<String, f64>,
}

/// A plain request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Name of the level; empty for the polls of workers, which serve any level, and outside of levels.
    pub level: String,
    /// What was asked: `status`, `workflow`, `poll_empty` (answered, with nothing to do), `poll` (not answered with
    /// a yes) …
    pub op: String,
    /// When it was sent.
    pub sent_ns: u64,
    /// When it was answered or given up.
    pub done_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// HTTP status, when there was one.
    pub status: Option<u16>,
}

/// A workflow as the target tells it after the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalWorkflow {
    /// Name of the level.
    pub level: String,
    /// Index of the workflow in its level's plan.
    pub index: u64,
    /// Which reading of it: the first when the load is over, the second after everything was verified again.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub reading: u32,
    /// The id that was asked for.
    pub workflow_id: String,
    /// False: the target does not know it.
    pub found: bool,
    /// Status as told; empty when not found.
    pub status: String,
    /// `reasonForIncompletion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `createTime`, the target's clock.
    pub created_ms: u64,
    /// `endTime`, the target's clock; 0 when open.
    pub ended_ms: u64,
    /// Its task records.
    pub tasks: Vec<FinalTask>,
}

/// A task record as the target tells it after the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalTask {
    /// The target's id.
    pub task_id: String,
    /// Reference name.
    #[serde(rename = "ref")]
    pub reference: String,
    /// `taskType`.
    pub task_type: String,
    /// Status.
    pub status: String,
    /// Attempt, from 0.
    pub attempt: u32,
    /// `pollCount`.
    pub poll_count: u32,
    /// The nonce in the stored output.
    pub nonce: Option<String>,
    /// `scheduledTime`, the target's clock.
    pub scheduled_ms: u64,
    /// `startTime`, the target's clock; 0 when never started.
    pub started_ms: u64,
    /// `endTime`, the target's clock; 0 when open.
    pub ended_ms: u64,
    /// `reasonForIncompletion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A remark on the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// When.
    pub at_ns: u64,
    /// One sentence.
    pub text: String,
    /// What it is about, free form.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footer {
    /// When.
    pub at_ns: u64,
    /// False when the run stopped before its plan was through (interrupted, target lost).
    pub complete: bool,
    /// Why it is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// True when a person interrupted it.
    #[serde(default)]
    pub interrupted: bool,
}
