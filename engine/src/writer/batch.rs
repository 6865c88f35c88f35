//! One batch: the events decided so far, and the answers that wait for them to be durable.

use super::handle::{Failure, Poll, Reply, Request, Seen, Unavailable, UpdateAndPoll, Watch};
use super::keeper::Keeper;
use super::keys::{self, Keys};
use super::waiting::{Waiter, Waiting};
use super::watching::{self, Due, Watcher};
use crate::archive::{Archive, ArchiveError};
use crate::machine::command::Command;
use crate::machine::id::WorkflowId;
use crate::machine::polls::Polled;
use crate::machine::workflow::{TaskInContext, Workflow};
use crate::machine::{Event, Rejection, State, decide};
use crate::metrics::Observation;
use crate::store::Frame;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Bytes of a frame after which a batch takes nothing more: bounds memory and the time to the next sync.
const MAX_FRAME: usize = 8 << 20;

/// Things that workflows owe each other done in one batch, ends not counted: bounds the time to the next sync.
const MAX_SETTLED: usize = 1024;

/// An answer that waits for its batch to be durable.
pub(super) enum Answer {
    Reply(Box<dyn Reply>),
    Tasks(oneshot::Sender<Result<Vec<TaskInContext>, Unavailable>>, Vec<TaskInContext>),
    Check(oneshot::Sender<Result<(), Unavailable>>),
    Seen(oneshot::Sender<Result<Seen, Failure>>, Result<Seen, Rejection>),
    /// What was seen of a command that stands, whatever becomes of this batch.
    Watched(oneshot::Sender<Result<Seen, Failure>>, Seen),
    Next(oneshot::Sender<Result<Option<TaskInContext>, Failure>>, Result<Option<TaskInContext>, Rejection>),
}

impl Answer {
    pub fn send(self, durable: Result<(), Unavailable>) {
        match self {
            Self::Reply(reply) => reply.send(durable),
            Self::Check(to) => drop(to.send(durable)),
            Self::Seen(to, seen) => {
                let answer = durable.map_err(Failure::from).and_then(|()| seen.map_err(Failure::from));
                drop(to.send(answer));
            }
            // "Nothing was changed" would have it carried out once more.
            Self::Watched(to, seen) => {
                drop(to.send(durable.map(|()| seen).map_err(|_| Failure::from(Unavailable::Unknown))));
            }
            Self::Next(to, next) => {
                let answer = durable.map_err(Failure::from).and_then(|()| next.map_err(Failure::from));
                drop(to.send(answer));
            }
            // A client that has gone leaves its tasks to their lease.
            Self::Tasks(to, tasks) => drop(to.send(durable.map(|()| tasks))),
        }
    }
}

impl From<Due> for Answer {
    fn from(due: Due) -> Self {
        let Due { to, seen, stands } = due;
        if stands { Self::Watched(to, seen) } else { Self::Seen(to, Ok(seen)) }
    }
}

pub(super) struct Batch<'a> {
    state: &'a mut State,
    waiting: &'a mut Waiting,
    archive: &'a dyn Archive,
    keys: Keys<'a>,
    /// What ended before this is not kept any more, whether or not it is gone from the archive already.
    kept_since: u64,
    now: u64,
    frame: Frame,
    /// Workflows that its events changed.
    changed: Vec<WorkflowId>,
    observed: Vec<Observation>,
    requests: usize,
    /// Workflows that had ended and were read back for a command.
    read_back: Vec<WorkflowId>,
    flushes: Vec<oneshot::Sender<()>>,
    checked: bool,
    /// Things owed that were done.
    settled: usize,
    /// Sent first: who gets a task carries the flow on, who hears of the past can wait a moment.
    handed: Vec<Answer>,
    answers: Vec<Answer>,
}

/// What a batch leaves to be made durable.
pub(super) struct Finished {
    pub frame: Frame,
    pub answers: Vec<Answer>,
    pub changed: Vec<WorkflowId>,
    pub observed: Vec<Observation>,
    pub requests: usize,
    pub read_back: Vec<WorkflowId>,
    pub flushes: Vec<oneshot::Sender<()>>,
}

impl<'a> Batch<'a> {
    pub fn new(state: &'a mut State, waiting: &'a mut Waiting, keeper: &'a Keeper, now: u64) -> Self {
        Self {
            state,
            waiting,
            archive: keeper.archive().as_ref(),
            keys: Keys::new(keeper.archive().as_ref()),
            kept_since: keeper.kept_since(now),
            now,
            frame: Frame::default(),
            changed: Vec::new(),
            observed: Vec::new(),
            requests: 0,
            read_back: Vec::new(),
            flushes: Vec::new(),
            checked: false,
            settled: 0,
            handed: Vec::new(),
            answers: Vec::new(),
        }
    }

    pub fn fire_timers(&mut self, limit: usize) {
        // Firing timers is never refused: it does what is due, which may be nothing.
        let _ = self.decide(Command::FireTimers { limit });
    }

    /// Looks at which requests are about to be taken: what they need is looked up together.
    pub fn expect<'r>(&mut self, requests: impl Iterator<Item = &'r Request>) {
        self.keys.expect(self.state, requests);
    }

    /// True when the archive need not be asked for it.
    pub fn is_at_hand(&self, request: &Request) -> bool {
        let command = match request {
            Request::Decide(command, _) | Request::Watch(Watch { command, .. }) => command,
            Request::UpdateAndPoll(asked) => &asked.command,
            _ => return true,
        };
        let mut named = command.workflows().into_iter().chain(command.kin(self.state));
        named.all(|id| self.is_in_memory(id))
            && keys::unknown(self.state, command).is_none_or(|(name, key)| self.keys.is_settled(name, key))
    }

    pub fn take(&mut self, request: Request) {
        self.requests += 1;
        match request {
            Request::Decide(command, mut reply) => {
                let decided = self.decide(command);
                reply.look(self.state, decided.as_deref().map_err(Rejection::clone));
                self.answers.push(Answer::Reply(reply));
            }
            Request::Read(mut reply) => {
                reply.look(self.state, Ok(&[]));
                self.answers.push(Answer::Reply(reply));
            }
            Request::Poll(poll) => self.poll(poll),
            Request::Watch(watch) => self.watch(watch),
            Request::UpdateAndPoll(asked) => self.update_and_poll(asked),
            Request::Drain => self.waiting.drain(),
            Request::Flush(to) => self.flushes.push(to),
            Request::Check(to) => {
                self.checked = true;
                self.answers.push(Answer::Check(to));
            }
        }
    }

    /// Hands tasks that can be polled now to those who wait for them.
    pub fn serve_waiting(&mut self) {
        let mut queues = self.state.take_touched();
        let delayed = self.waiting.queues();
        queues.extend(delayed);
        for queue in queues {
            self.serve_queue(&queue);
        }
        if !self.waiting.watching.is_empty() {
            let served = self.waiting.watching.served(self.state, &self.changed);
            self.answers.extend(served.into_iter().map(Answer::from));
        }
        self.expire_waiting();
    }

    /// Answers polls whose time is over with nothing.
    pub fn expire_waiting(&mut self) {
        let unseen = self.waiting.watching.expired(self.state, self.now);
        self.answers.extend(unseen.into_iter().map(Answer::from));
        let expired = self.waiting.expired(self.now);
        self.answers.extend(expired.into_iter().map(|waiter| Answer::Tasks(waiter.poll.to, Vec::new())));
    }

    /// True while the frame is small enough to take more.
    pub fn has_room(&self) -> bool {
        self.frame.len() < MAX_FRAME
    }

    /// True when somebody asked whether an append is possible.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    pub fn finish(mut self) -> Finished {
        self.handed.append(&mut self.answers);
        self.changed.sort_unstable();
        self.changed.dedup();
        Finished {
            frame: self.frame,
            answers: self.handed,
            changed: self.changed,
            observed: self.observed,
            requests: self.requests,
            read_back: self.read_back,
            flushes: self.flushes,
        }
    }

    fn serve_queue(&mut self, queue: &str) {
        while self.state.next_hand_out(queue, self.now).is_some_and(|at| at <= self.now) {
            let Some(Waiter { poll, .. }) = self.waiting.next(queue) else { return };
            let tasks = self.hand_out(&poll);
            self.handed.push(Answer::Tasks(poll.to, tasks));
        }
    }

    fn update_and_poll(&mut self, asked: UpdateAndPoll) {
        let UpdateAndPoll { command, task, worker, to } = asked;
        let extends = matches!(command, Command::ExtendLease { .. });
        let next = self.decide(command).map(|_| {
            let (workflow, record) = self.state.task(task)?;
            let ended = record.status.is_terminal() && !extends;
            let queue = ended.then(|| workflow.queue(record))?;
            let (kind, domain) = (Arc::clone(&workflow.node(record).queue), record.domain.clone());
            let polled = Polled { kind, domain, worker: worker.clone(), at: self.now };
            self.state.note_poll(&queue, polled);
            self.serve_queue(&queue);
            self.start_tasks(queue, worker, 1).pop()
        });
        self.handed.push(Answer::Next(to, next));
    }

    fn watch(&mut self, watch: Watch) {
        let Watch { command, tasks, wait_ms, to } = watch;
        let named = command.workflows().first().copied();
        let key = command.key().map(|(name, key)| (name.to_owned(), key.to_owned()));
        let decided = self.decide(command);
        let id = decided.map(|events| {
            let began = events.iter().find_map(|event| match event {
                Event::WorkflowStarted { id, .. } => Some(*id),
                _ => None,
            });
            // A start that left it at the workflow which has its key made no event.
            let keyed = || key.and_then(|(name, key)| Some(self.state.keyed(&name, &key)?.id));
            named
                .or(began)
                .or_else(keyed)
                .ok_or_else(|| Rejection::Invalid("the command names no workflow".into()))
        });
        match id.and_then(|id| id) {
            Err(rejection) => self.answers.push(Answer::Seen(to, Err(rejection))),
            Ok(id) => match watching::seen(self.state, id, &tasks) {
                Some(seen) => self.answers.push(Answer::Seen(to, Ok(seen))),
                None => self.waiting.watch(Watcher::new(id, tasks, self.now + wait_ms, to)),
            },
        }
    }

    fn poll(&mut self, poll: Poll) {
        self.state.note_poll(&poll.queue, Polled { at: self.now, ..poll.polled.clone() });
        // Those who wait already come first; one who has gone gets nothing.
        self.serve_queue(&poll.queue);
        if poll.to.is_closed() {
            return;
        }
        let tasks = self.hand_out(&poll);
        if tasks.is_empty() && poll.wait_ms > 0 {
            self.waiting.add(Waiter { until: self.now + poll.wait_ms, poll });
        } else {
            self.answers.push(Answer::Tasks(poll.to, tasks));
        }
    }

    fn hand_out(&mut self, poll: &Poll) -> Vec<TaskInContext> {
        self.start_tasks(Arc::clone(&poll.queue), poll.polled.worker.clone(), poll.count)
    }

    fn start_tasks(&mut self, queue: Arc<str>, worker: Option<Arc<str>>, count: usize) -> Vec<TaskInContext> {
        let started = self.decide(Command::Poll { queue, worker, count }).unwrap_or_default();
        let handed = started.iter().filter_map(|event| match event {
            Event::Task { id, seq, .. } => self.state.workflow(*id)?.in_context(*seq),
            _ => None,
        });
        handed.collect()
    }

    /// Decides and evolves one command; answers its events.
    fn decide(&mut self, command: Command) -> Result<Vec<Event>, Rejection> {
        // Nothing was decided yet: what can't be read back concerns this command alone.
        self.fetch(&command).map_err(|error| match error {
            ArchiveError::Away { .. } => Rejection::Away(error.to_string()),
            _ => Rejection::Unreadable(error.to_string()),
        })?;
        let events = self.carry_out(command)?;
        self.settle();
        Ok(events)
    }

    /// Does what workflows owe each other by now. What an end brings with it is in the same frame, whatever its
    /// size; children are started as long as there is room.
    pub fn settle(&mut self) {
        while let Some((at, ..)) = self.state.indexes().next_owed() {
            if at > self.now || (at > 0 && (self.settled >= MAX_SETTLED || !self.has_room())) {
                return;
            }
            self.settled += 1;
            // Nothing that is owed is refused, and doing it takes it off the list.
            let done = self.carry_out(Command::Settle).unwrap_or_default();
            debug_assert!(!done.is_empty(), "something owed was not done");
            if done.is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<Vec<Event>, Rejection> {
        let events = decide(self.state, command, self.now)?;
        for event in &events {
            self.state.evolve(event);
            self.frame.push(event);
            self.observed.extend(Observation::of(event, self.state));
            if let Some(id) = event.workflow().filter(|id| self.changed.last() != Some(id)) {
                self.changed.push(id);
            }
        }
        Ok(events)
    }

    /// What the decision looks at and has left memory comes back.
    fn fetch(&mut self, command: &Command) -> Result<(), ArchiveError> {
        for id in command.workflows() {
            self.read_back(id)?;
        }
        if let Some((name, key)) = keys::unknown(self.state, command)
            && let Some(id) = self.keys.of(name, key)?
        {
            self.read_back(id)?;
        }
        let mut asked = BTreeSet::new();
        loop {
            let kin = command.kin(self.state);
            let news: Vec<_> = kin.into_iter().filter(|id| asked.insert(*id)).collect();
            if news.is_empty() {
                return Ok(());
            }
            news.into_iter().try_for_each(|id| self.read_back(id))?;
        }
    }

    /// Whether it is there, or known to be gone.
    fn is_in_memory(&self, id: WorkflowId) -> bool {
        self.state.workflow(id).is_some() || self.state.removed().contains(&id)
    }

    /// A workflow that ended and left memory comes back from the archive.
    fn read_back(&mut self, id: WorkflowId) -> Result<(), ArchiveError> {
        if self.is_in_memory(id) {
            return Ok(());
        }
        let old = |old: &Workflow| old.status.is_terminal() && old.ended_at < self.kept_since;
        if let Some(workflow) = self.archive.load(id)?.filter(|workflow| !old(workflow)) {
            self.state.restore(workflow);
            self.read_back.push(id);
        }
        Ok(())
    }
}
