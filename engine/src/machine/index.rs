//! Derived indexes: queues of tasks that wait for a worker, and timers. Both can be rebuilt from the aggregates.

use super::deadline;
use super::definition::Kind;
use super::id::WorkflowId;
use super::status::TaskStatus;
use super::workflow::{Task, Workflow};
use std::collections::{BTreeMap, BTreeSet};

/// Position in a queue: ready first, then oldest workflow, then scheduling order.
type QueueEntry = (u64, WorkflowId, u32);

/// A timer: when, of which workflow, of which record (0 = the workflow itself).
pub type Timer = (u64, WorkflowId, u32);

/// Queues and timers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    queues: BTreeMap<String, BTreeSet<QueueEntry>>,
    timers: BTreeSet<Timer>,
}

/// What one workflow contributes to the indexes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entries {
    queued: Vec<(String, QueueEntry)>,
    timers: Vec<Timer>,
}

impl Entries {
    /// What the record `seq` contributes.
    #[must_use]
    pub fn of_task(workflow: &Workflow, seq: u32) -> Self {
        let mut entries = Self::default();
        if let Some(task) = workflow.task(seq) {
            entries.add(workflow, task);
        }
        entries
    }

    /// What a whole workflow contributes.
    #[must_use]
    pub fn of_workflow(workflow: &Workflow) -> Self {
        let mut entries = Self::default();
        for task in workflow.open_tasks() {
            entries.add(workflow, task);
        }
        entries.timers.extend(deadline::of_workflow(workflow).map(|at| (at, workflow.id, 0)));
        entries
    }

    /// Queues that these entries are in.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.queued.iter().map(|(queue, _)| queue.as_str())
    }

    fn add(&mut self, workflow: &Workflow, task: &Task) {
        let node = workflow.node(task);
        if task.status == TaskStatus::Scheduled && node.kind == Kind::Simple && !workflow.status.is_terminal()
        {
            self.queued.push((node.task.name.clone(), (task.ready_at, workflow.id, task.seq)));
        }
        self.timers.extend(deadline::of_task(workflow, task).map(|at| (at, workflow.id, task.seq)));
    }
}

impl Indexes {
    /// Takes entries out.
    pub fn remove(&mut self, entries: &Entries) {
        for (queue, entry) in &entries.queued {
            if let Some(set) = self.queues.get_mut(queue) {
                set.remove(entry);
            }
        }
        for timer in &entries.timers {
            self.timers.remove(timer);
        }
    }

    /// Puts entries in.
    pub fn insert(&mut self, entries: Entries) {
        for (queue, entry) in entries.queued {
            self.queues.entry(queue).or_default().insert(entry);
        }
        self.timers.extend(entries.timers);
    }

    /// The first tasks of a queue that can be polled at `now`, at most `count`.
    pub fn ready(&self, queue: &str, now: u64, count: usize) -> impl Iterator<Item = (WorkflowId, u32)> {
        let set = self.queues.get(queue).into_iter().flatten();
        set.take_while(move |(ready_at, _, _)| *ready_at <= now).take(count).map(|(_, id, seq)| (*id, *seq))
    }

    /// When the head of a queue can be polled.
    #[must_use]
    pub fn next_ready(&self, queue: &str) -> Option<u64> {
        self.queues.get(queue)?.first().map(|(ready_at, _, _)| *ready_at)
    }

    /// Tasks in a queue, those that cannot be polled yet included.
    #[must_use]
    pub fn depth(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(0, BTreeSet::len)
    }

    /// Every queue with its depth.
    pub fn depths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.queues.iter().map(|(name, set)| (name.as_str(), set.len()))
    }

    /// The first timer.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timer> {
        self.timers.first().copied()
    }

    /// Timers that are due at `now`, earliest first.
    pub fn due(&self, now: u64) -> impl Iterator<Item = Timer> {
        self.timers.iter().take_while(move |(at, _, _)| *at <= now).copied()
    }

    /// Without empty queues, for comparing with indexes built anew.
    #[must_use]
    pub fn compacted(&self) -> Self {
        let filled = self.queues.iter().filter(|(_, set)| !set.is_empty());
        Self {
            queues: filled.map(|(name, set)| (name.clone(), set.clone())).collect(),
            timers: self.timers.clone(),
        }
    }
}
