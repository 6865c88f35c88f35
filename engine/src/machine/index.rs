//! Derived indexes: queues of tasks that wait for a worker, what workers have, and timers. All can be rebuilt from the
//! aggregates.

use super::deadline;
use super::definition::Kind;
use super::id::WorkflowId;
use super::status::TaskStatus;
use super::workflow::{Task, Workflow};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Position in a queue among tasks of one priority: ready first, then oldest workflow, then scheduling order.
type QueueEntry = (u64, WorkflowId, u32);

/// A timer: when, of which workflow, of which record (0 = the workflow itself).
pub type Timer = (u64, WorkflowId, u32);

/// Queues, what workers have, and timers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    queues: BTreeMap<Arc<str>, Queue>,
    /// By type and queue: tasks that are with workers.
    in_progress: BTreeMap<Arc<str>, BTreeMap<Arc<str>, usize>>,
    timers: BTreeSet<Timer>,
    /// What one workflow has to do to another, by the instant from which on: at once (0), or a child to start.
    owed: BTreeSet<Timer>,
}

/// Tasks that wait for a worker, highest priority first. One that is not ready yet holds up nobody of its priority or
/// of another.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Queue {
    /// The type of its tasks.
    kind: Arc<str>,
    tasks: BTreeMap<Reverse<u8>, BTreeSet<QueueEntry>>,
}

/// What a record contributes besides timers.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Queued { queue: Arc<str>, kind: Arc<str>, priority: Reverse<u8>, entry: QueueEntry },
    InProgress { queue: Arc<str>, kind: Arc<str> },
}

/// What one workflow contributes to the indexes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entries {
    places: Vec<Place>,
    timers: Vec<Timer>,
    owed: Vec<Timer>,
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
        if workflow.snapshot.has_children {
            let ended = workflow.tasks.iter().filter(|task| task.status.is_terminal());
            entries.owed.extend(ended.filter_map(|task| deadline::owed(workflow, task)));
        }
        entries.owed.extend(workflow.owes_word().then_some((0, workflow.id, 0)));
        entries
    }

    /// Queues that these entries are in.
    pub fn queues(&self) -> impl Iterator<Item = &Arc<str>> {
        self.places.iter().filter_map(|place| match place {
            Place::Queued { queue, .. } => Some(queue),
            Place::InProgress { .. } => None,
        })
    }

    fn add(&mut self, workflow: &Workflow, task: &Task) {
        let node = workflow.node(task);
        let open = node.kind == Kind::Simple && !workflow.status.is_terminal();
        let place = |queue, kind| match task.status {
            TaskStatus::Scheduled => {
                let priority = Reverse(workflow.start.priority);
                Some(Place::Queued { queue, kind, priority, entry: (task.ready_at, workflow.id, task.seq) })
            }
            TaskStatus::InProgress => Some(Place::InProgress { queue, kind }),
            _ => None,
        };
        if open {
            self.places.extend(place(workflow.queue(task), Arc::clone(&node.queue)));
        }
        self.timers.extend(deadline::of_task(workflow, task).map(|at| (at, workflow.id, task.seq)));
        self.owed.extend(deadline::owed(workflow, task));
    }
}

impl Indexes {
    /// Takes entries out.
    pub fn remove(&mut self, entries: &Entries) {
        for place in &entries.places {
            match place {
                Place::Queued { queue, priority, entry, .. } => {
                    if let Some(queue) = self.queues.get_mut(queue) {
                        queue.remove(*priority, entry);
                    }
                }
                Place::InProgress { queue, kind } => {
                    if let Some(count) = self.in_progress.get_mut(kind).and_then(|kind| kind.get_mut(queue)) {
                        *count -= 1;
                    }
                }
            }
        }
        for timer in &entries.timers {
            self.timers.remove(timer);
        }
        for timer in &entries.owed {
            self.owed.remove(timer);
        }
    }

    /// Puts entries in.
    pub fn insert(&mut self, entries: Entries) {
        for place in entries.places {
            match place {
                Place::Queued { queue, kind, priority, entry } => {
                    let queue = self.queues.entry(queue);
                    let queue = queue.or_insert_with(|| Queue { kind, tasks: BTreeMap::new() });
                    queue.tasks.entry(priority).or_default().insert(entry);
                }
                Place::InProgress { queue, kind } => {
                    *self.in_progress.entry(kind).or_default().entry(queue).or_default() += 1;
                }
            }
        }
        self.timers.extend(entries.timers);
        self.owed.extend(entries.owed);
    }

    /// The first tasks of a queue that can be polled at `now`, at most `count`.
    pub fn ready(&self, queue: &str, now: u64, count: usize) -> impl Iterator<Item = (WorkflowId, u32)> {
        let all = self.queues.get(queue).into_iter().flat_map(|queue| queue.tasks.values());
        let ready = all.flat_map(move |tasks| tasks.iter().take_while(move |(at, _, _)| *at <= now));
        ready.take(count).map(|(_, id, seq)| (*id, *seq))
    }

    /// When the first task of a queue can be polled, and the type of its tasks.
    #[must_use]
    pub fn next_ready(&self, queue: &str) -> Option<(u64, &Arc<str>)> {
        let queue = self.queues.get(queue)?;
        let firsts = queue.tasks.values().filter_map(|tasks| tasks.first());
        firsts.map(|(ready_at, _, _)| *ready_at).min().map(|at| (at, &queue.kind))
    }

    /// Tasks in a queue, those that cannot be polled yet included.
    #[must_use]
    pub fn depth(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(0, Queue::len)
    }

    /// Every queue with its depth.
    pub fn depths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.queues.iter().map(|(name, queue)| (&**name, queue.len()))
    }

    /// Tasks of a type that are with workers, over all domains.
    #[must_use]
    pub fn in_progress(&self, kind: &str) -> usize {
        self.in_progress.get(kind).map_or(0, |queues| queues.values().sum())
    }

    /// Every queue of which workers have or had tasks, with how many they have.
    pub fn all_in_progress(&self) -> impl Iterator<Item = (&str, usize)> {
        let queues = self.in_progress.values().flatten();
        queues.map(|(queue, count)| (&**queue, *count))
    }

    /// The first timer.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timer> {
        self.timers.first().copied()
    }

    /// The first thing that one workflow owes another.
    #[must_use]
    pub fn next_owed(&self) -> Option<Timer> {
        self.owed.first().copied()
    }

    /// Timers that are due at `now`, earliest first.
    pub fn due(&self, now: u64) -> impl Iterator<Item = Timer> {
        self.timers.iter().take_while(move |(at, _, _)| *at <= now).copied()
    }

    /// Without empty queues and zeros, for comparing with indexes built anew.
    #[must_use]
    pub fn compacted(&self) -> Self {
        let filled = self.queues.iter().filter(|(_, queue)| queue.len() > 0);
        let busy = self.in_progress.iter().filter_map(|(kind, queues)| {
            let busy = queues.iter().filter(|(_, count)| **count > 0);
            let busy: BTreeMap<_, _> = busy.map(|(name, count)| (Arc::clone(name), *count)).collect();
            (!busy.is_empty()).then(|| (Arc::clone(kind), busy))
        });
        Self {
            queues: filled.map(|(name, queue)| (Arc::clone(name), queue.clone())).collect(),
            in_progress: busy.collect(),
            timers: self.timers.clone(),
            owed: self.owed.clone(),
        }
    }
}

impl Queue {
    fn len(&self) -> usize {
        self.tasks.values().map(BTreeSet::len).sum()
    }

    fn remove(&mut self, priority: Reverse<u8>, entry: &QueueEntry) {
        if let Some(tasks) = self.tasks.get_mut(&priority) {
            tasks.remove(entry);
            if tasks.is_empty() {
                self.tasks.remove(&priority);
            }
        }
    }
}
