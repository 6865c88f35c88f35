//! The aggregate: one workflow with its task records. It changes by events only.

use super::event::{Scheduled, SnapshotNumber, Start, TaskChange, WorkflowChange};
use super::id::{TaskId, WorkflowId};
use super::payload::Payload;
use super::polls;
use super::snapshot::{Node, NodeIndex, Snapshot};
use super::status::WorkflowStatus;
pub use super::task::Task;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A task record with what of its workflow a worker is told.
#[derive(Debug, Clone)]
pub struct TaskInContext {
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The definitions that it runs under.
    pub snapshot: Arc<Snapshot>,
    /// What the workflow's start asked for.
    pub start: Arc<Start>,
    /// The record.
    pub task: Arc<Task>,
}

/// One workflow. Its JSON, without its definitions, is what the archive keeps: fields may be added with a default.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// Number of the definitions that it runs under.
    pub snapshot_number: SnapshotNumber,
    /// Those definitions.
    #[serde(skip, default = "Snapshot::none")]
    pub snapshot: Arc<Snapshot>,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// What its start asked for.
    pub start: Arc<Start>,
    /// Its output; null until it ended.
    pub output: Payload,
    /// Why it is not completed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reason: Option<Arc<str>>,
    /// When it started.
    pub created_at: u64,
    /// Last change.
    pub updated_at: u64,
    /// When it ended; 0 before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ended_at: u64,
    /// Last resume or retry; 0 = never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retried_at: u64,
    /// The record that brought it to its end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failed_by: Option<u32>,
    /// Its failure workflow has to be started.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alarm: bool,
    /// Whom its end concerns has been told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settled: bool,
    /// Its task records, in scheduling order. A number is never used twice, so that a late word on a record that
    /// was removed meets no other.
    pub tasks: Vec<Arc<Task>>,
    /// Number of the last record that was made, removed ones included.
    #[serde(default)]
    last_seq: u32,
    /// Numbers of the records that are not terminal, ascending.
    #[serde(skip)]
    open: Vec<u32>,
    /// Number of the latest record of each node; 0 = none. As long as the flow has come, so that nobody looks further.
    #[serde(skip)]
    latest: Vec<u32>,
    /// Frames of the journal that are in it: all that have a lower position.
    #[serde(default)]
    pub as_of: u64,
}

/// True for what a reader takes for granted when it is not there.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Workflow {
    /// A workflow as its start made it.
    #[must_use]
    pub fn started(
        at: u64,
        id: WorkflowId,
        number: SnapshotNumber,
        snapshot: Arc<Snapshot>,
        start: Start,
    ) -> Self {
        Self {
            id,
            snapshot_number: number,
            status: WorkflowStatus::Running,
            start: Arc::new(start),
            output: Payload::default(),
            reason: None,
            created_at: at,
            updated_at: at,
            ended_at: 0,
            retried_at: 0,
            failed_by: None,
            alarm: false,
            settled: false,
            tasks: Vec::new(),
            last_seq: 0,
            open: Vec::new(),
            latest: Vec::new(),
            snapshot,
            as_of: 0,
        }
    }

    /// A workflow that was read back gets the definitions that it runs under.
    pub fn attach(&mut self, snapshot: Arc<Snapshot>) {
        self.open =
            self.tasks.iter().filter(|task| !task.status.is_terminal()).map(|task| task.seq).collect();
        self.last_seq = self.last_seq.max(self.tasks.last().map_or(0, |task| task.seq));
        self.snapshot = snapshot;
        self.find_latest();
    }

    /// The same workflow begun anew: without records, under these definitions. Numbers go on.
    #[must_use]
    pub fn restarted(&self, at: u64, number: SnapshotNumber, snapshot: Arc<Snapshot>, start: Start) -> Self {
        Self { last_seq: self.last_seq, ..Self::started(at, self.id, number, snapshot, start) }
    }

    /// The record with number `seq`.
    #[must_use]
    pub fn task(&self, seq: u32) -> Option<&Arc<Task>> {
        self.tasks.get(self.slot(seq)?)
    }

    /// Where the record `seq` is: as many places before its number as records were removed, if none before it
    /// stayed; else it is looked for.
    fn slot(&self, seq: u32) -> Option<usize> {
        let removed = self.last_seq as usize - self.tasks.len();
        let likely = (seq as usize).checked_sub(1 + removed);
        let is_there = |slot: &usize| self.tasks.get(*slot).is_some_and(|task| task.seq == seq);
        likely.filter(is_there).or_else(|| self.tasks.binary_search_by_key(&seq, |task| task.seq).ok())
    }

    /// The record with number `seq`, with its context.
    #[must_use]
    pub fn in_context(&self, seq: u32) -> Option<TaskInContext> {
        let task = Arc::clone(self.task(seq)?);
        let (snapshot, start) = (Arc::clone(&self.snapshot), Arc::clone(&self.start));
        Some(TaskInContext { workflow: self.id, snapshot, start, task })
    }

    /// The latest record of a node.
    #[must_use]
    pub fn latest(&self, node: NodeIndex) -> Option<&Arc<Task>> {
        self.task(*self.latest.get(node as usize).filter(|seq| **seq > 0)?)
    }

    /// One more than the last node that has a record.
    #[must_use]
    pub fn reached(&self) -> NodeIndex {
        self.latest.len() as NodeIndex
    }

    /// Records that are not terminal, in scheduling order.
    pub fn open_tasks(&self) -> impl DoubleEndedIterator<Item = &Arc<Task>> {
        self.open.iter().filter_map(|seq| self.task(*seq))
    }

    /// The definition of a record's task.
    #[must_use]
    pub fn node(&self, task: &Task) -> &Node {
        self.snapshot.node(task.node)
    }

    /// Number of the next record.
    #[must_use]
    pub fn next_seq(&self) -> u32 {
        self.last_seq + 1
    }

    /// True when it has ended and somebody whom that concerns has not been told.
    #[must_use]
    pub fn owes_word(&self) -> bool {
        self.status.is_terminal() && !self.settled && (self.alarm || self.start.parent.is_some())
    }

    /// Name of the queue that a record waits in.
    #[must_use]
    pub fn queue(&self, task: &Task) -> Arc<str> {
        polls::queue(&self.node(task).queue, task.domain.as_ref())
    }

    /// The public id of a record.
    #[must_use]
    pub fn task_id(&self, task: &Task) -> TaskId {
        self.id.task(task.seq)
    }

    /// Applies a change of the workflow itself.
    pub fn change(&mut self, at: u64, change: &WorkflowChange) {
        self.updated_at = at;
        match change {
            WorkflowChange::Paused => self.status = WorkflowStatus::Paused,
            WorkflowChange::Resumed => {
                self.status = WorkflowStatus::Running;
                self.retried_at = at;
            }
            WorkflowChange::Retried => {
                self.status = WorkflowStatus::Running;
                self.retried_at = at;
                self.ended_at = 0;
                self.reason = None;
                self.failed_by = None;
                self.alarm = false;
                self.settled = false;
                self.output = Payload::default();
            }
            WorkflowChange::Relabeled { input, correlation_id } => {
                let start = Arc::make_mut(&mut self.start);
                start.input = input.clone().unwrap_or_else(|| start.input.clone());
                start.correlation_id = correlation_id.clone().or(start.correlation_id.take());
            }
            WorkflowChange::RecordsRemoved { seqs } => self.remove_records(seqs),
            WorkflowChange::Settled { failure_workflow } => {
                self.settled = true;
                self.alarm = false;
                if let Some(told) = failure_workflow {
                    let mut output = self.output.object();
                    output.insert("conductor.failure_workflow".into(), (&**told).into());
                    self.output = output.into();
                }
            }
            WorkflowChange::Ended { status, reason, output, failed_by, alarm } => {
                self.failed_by = *failed_by;
                self.alarm = *alarm;
                self.settled = false;
                self.status = *status;
                self.reason.clone_from(reason);
                self.output = output.clone();
                self.ended_at = at;
            }
        }
    }

    /// Applies a change of the record `seq`.
    pub fn change_task(&mut self, at: u64, seq: u32, change: &TaskChange) {
        self.updated_at = at;
        if let TaskChange::Scheduled(scheduled) = change {
            self.schedule(at, seq, scheduled);
            return;
        }
        let Some(slot) = self.slot(seq) else { return };
        let task = Arc::make_mut(&mut self.tasks[slot]);
        task.change(at, change);
        let terminal = task.status.is_terminal();
        match self.open.binary_search(&seq) {
            Ok(position) if terminal => {
                self.open.remove(position);
            }
            Err(position) if !terminal => self.open.insert(position, seq),
            _ => {}
        }
    }

    fn schedule(&mut self, at: u64, seq: u32, scheduled: &Scheduled) {
        debug_assert_eq!(seq, self.next_seq(), "records are numbered without gaps");
        if let Some(old) = scheduled.retry_of.and_then(|old| self.slot(old)) {
            Arc::make_mut(&mut self.tasks[old]).retried = true;
        }
        let task = Task::scheduled(at, seq, scheduled);
        if !task.status.is_terminal() {
            self.open.push(seq);
        }
        self.set_latest(scheduled.node, seq);
        self.tasks.push(Arc::new(task));
        self.last_seq = seq;
    }

    fn remove_records(&mut self, seqs: &[u32]) {
        let gone = |seq: u32| seqs.binary_search(&seq).is_ok();
        self.tasks.retain(|task| !gone(task.seq));
        self.open.retain(|seq| !gone(*seq));
        self.find_latest();
    }

    fn find_latest(&mut self) {
        self.latest.clear();
        for slot in 0..self.tasks.len() {
            let (node, seq) = (self.tasks[slot].node, self.tasks[slot].seq);
            self.set_latest(node, seq);
        }
    }

    fn set_latest(&mut self, node: NodeIndex, seq: u32) {
        let index = node as usize;
        if index < self.snapshot.nodes.len() {
            self.latest.resize(self.latest.len().max(index + 1), 0);
            self.latest[index] = seq;
        }
    }
}
