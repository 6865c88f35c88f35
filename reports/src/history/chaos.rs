//! What the harness saw of faults: their injections, what became of nodes, and work that was begun.

use super::{Execution, Outcome, Reported};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far an injection of a fault has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPhase {
    /// It is in the ledger, and about to be applied.
    Intended,
    /// It is known to be in effect since `at_ns`: this is t₀.
    Applied,
    /// It was tried, and nobody can say that it took effect.
    NotApplied,
    /// This machine can't do it; nothing was tried.
    NotRun,
    /// What was to set it off never came, or nobody had its role when it did; nothing was tried.
    Missed,
    /// It is being undone.
    Healing,
    /// It is known to be undone since `at_ns`: this is t_h.
    Healed,
    /// Undoing it was tried, and nobody can say that it worked.
    NotHealed,
}

impl FaultPhase {
    /// True when anything was done about the fault by then.
    #[must_use]
    pub fn was_tried(self) -> bool {
        !matches!(self, Self::NotRun | Self::Missed)
    }
}

/// An injection of a fault came a step further.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultMark {
    /// Name of the fault in the scenario.
    pub fault: String,
    /// Which injection of it, from 1.
    pub injection: u32,
    /// How far it has come.
    pub phase: FaultPhase,
    /// Since when that is known.
    pub at_ns: u64,
    /// The node or link that the role stood for, once it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What shows it, or why it can't be shown: `process 4711 is gone (signal 9)`.
    pub evidence: String,
}

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeChange {
    /// Its process runs.
    Started,
    /// It says that it is ready.
    Ready,
    /// Its process is gone.
    Ended,
    /// Its supervisor gives it up.
    GivenUp,
    /// It stands by from now on: others serve in its place, and nobody misses it.
    StandsBy,
    /// A text that a fault waits for came up in its log.
    Marker,
}

/// Something became of a node of the target, or of a process of the harness that faults may hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeMark {
    /// The node: `engine`, `worker-2`.
    pub node: String,
    /// What became of it.
    pub change: NodeChange,
    /// When.
    pub at_ns: u64,
    /// Its process.
    pub pid: u32,
    /// More, for people: `signal 9`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A worker process took a task in hand. The execution that ends it carries the same nonce; without one, the worker
/// was ended in the middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
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
    /// Pool that does it.
    pub pool: String,
    /// Name of the worker.
    pub worker: String,
    /// Attempt, from 0.
    pub attempt: u32,
    /// `pollCount` as handed out.
    pub poll_count: u32,
    /// Unique to this execution.
    pub nonce: String,
    /// Nonces of the predecessors as the task's input carried them, by reference name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<String, String>,
    /// When the answer that handed the task out was read.
    pub polled_ns: u64,
    /// When the work began.
    pub started_ns: u64,
    /// How long the plan wants the work to take, real nanoseconds.
    pub planned_ns: u64,
    /// `scheduledTime` of the record, the target's clock.
    pub scheduled_ms: u64,
    /// `startTime` of the record, the target's clock.
    pub server_started_ms: u64,
    /// `responseTimeoutSeconds` of the record: the lease.
    pub lease_s: f64,
}

/// What became of work that was begun.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// When the work ended.
    pub finished_ns: u64,
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
    /// Seconds of workflow time that each step took.
    pub steps_s: BTreeMap<String, f64>,
    /// When the last sign of life was sent that the target acknowledged.
    pub extended_ns: Option<u64>,
}

impl End {
    /// Of a worker that was ended in the middle. Whether it had reported by then is not known: if its result counts, the
    /// target's record carries its nonce.
    pub fn cut_off(at_ns: u64) -> Self {
        Self {
            finished_ns: at_ns,
            reported: Reported::Nothing,
            update_sent_ns: at_ns,
            update_done_ns: at_ns,
            outcome: Outcome::Unknown,
            status: None,
            tries: 0,
            steps_s: BTreeMap::new(),
            extended_ns: None,
        }
    }
}

impl Begun {
    /// The whole execution.
    pub fn ended(self, end: End) -> Execution {
        Execution {
            level: self.level,
            index: self.index,
            workflow_id: self.workflow_id,
            task_id: self.task_id,
            reference: self.reference,
            task_type: self.task_type,
            pool: self.pool,
            worker: self.worker,
            attempt: self.attempt,
            poll_count: self.poll_count,
            nonce: self.nonce,
            after: self.after,
            polled_ns: self.polled_ns,
            started_ns: self.started_ns,
            finished_ns: end.finished_ns,
            planned_ns: self.planned_ns,
            reported: end.reported,
            update_sent_ns: end.update_sent_ns,
            update_done_ns: end.update_done_ns,
            outcome: end.outcome,
            status: end.status,
            tries: end.tries,
            scheduled_ms: self.scheduled_ms,
            server_started_ms: self.server_started_ms,
            lease_s: self.lease_s,
            extended_ns: end.extended_ns,
            steps_s: end.steps_s,
        }
    }
}

/// Somebody who looks after the target took a step: the manager of a pair of databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepMark {
    /// Who: `database`.
    pub who: String,
    /// Which step: `detected`, `fenced`, `promoted`, `writable` …
    pub step: String,
    /// The node that it concerns.
    pub node: String,
    /// CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// What shows it.
    pub text: String,
}

/// Writes of somebody who had been led past meanwhile, and what became of them: whether a fence bites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateWritesMark {
    /// Who was led past: `engine`, by its own count of writes; `database`, by its manager's, which tried them.
    pub who: String,
    /// The node.
    pub node: String,
    /// When they had been counted.
    pub at_ns: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that were carried out: there is no fence.
    pub accepted: u64,
    /// Those of which nobody can say.
    pub unknown: u64,
}

/// What an old primary has that the new one has not, asked of both: what the failover lost by the databases' own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlyThereMark {
    /// The old primary.
    pub node: String,
    /// When both had been asked.
    pub at_ns: u64,
    /// Ids of workflows, and nonces of outputs where the question tells those too.
    pub keys: Vec<String>,
}

/// Whether the target still does what it did before the load: a workflow of one task is started, done and read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aftermath {
    /// When that was known.
    pub at_ns: u64,
    /// What did not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How far this machine's figures are off: what `shakedown calibrate` found, on the machine that made the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// When it was made, epoch milliseconds.
    pub made_ms: u64,
    /// Most by which a planted outage was told too short or too long, milliseconds.
    pub outage_error_ms: f64,
    /// Interval between probes while it was measured, milliseconds.
    pub probe_interval_ms: f64,
    /// Most by which a percentile of a known law was off, as a share.
    pub percentile_error: f64,
    /// Breaches that were planted.
    pub planted: u64,
    /// Of those, found by the check that they belong to.
    pub found: u64,
    /// Findings that nobody had planted.
    pub invented: u64,
}
