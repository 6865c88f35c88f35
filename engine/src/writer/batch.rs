//! One batch: the events decided so far, and the answers that wait for them to be durable.

use super::handle::{Poll, Reply, Request, Unavailable};
use super::waiting::{Waiter, Waiting};
use crate::machine::command::Command;
use crate::machine::workflow::TaskInContext;
use crate::machine::{Event, Rejection, State, decide};
use std::sync::Arc;
use tokio::sync::oneshot;

/// An answer that waits for its batch to be durable.
pub(super) enum Answer {
    Reply(Box<dyn Reply>),
    Tasks(oneshot::Sender<Result<Vec<TaskInContext>, Unavailable>>, Vec<TaskInContext>),
    Check(oneshot::Sender<Result<(), Unavailable>>),
}

impl Answer {
    pub fn send(self, durable: Result<(), Unavailable>) {
        match self {
            Self::Reply(reply) => reply.send(durable),
            // A client that has gone leaves its tasks to their lease.
            Self::Check(to) => drop(to.send(durable)),
            Self::Tasks(to, tasks) => drop(to.send(durable.map(|()| tasks))),
        }
    }
}

pub(super) struct Batch<'a> {
    state: &'a mut State,
    waiting: &'a mut Waiting,
    now: u64,
    events: Vec<Event>,
    /// Sent first: who gets a task carries the flow on, who hears of the past can wait a moment.
    handed: Vec<Answer>,
    answers: Vec<Answer>,
}

impl<'a> Batch<'a> {
    pub fn new(state: &'a mut State, waiting: &'a mut Waiting, now: u64) -> Self {
        Self { state, waiting, now, events: Vec::new(), handed: Vec::new(), answers: Vec::new() }
    }

    pub fn fire_timers(&mut self, limit: usize) {
        // Firing timers is never refused: it does what is due, which may be nothing.
        let _ = self.decide(Command::FireTimers { limit });
    }

    pub fn take(&mut self, request: Request) {
        match request {
            Request::Decide(command, mut reply) => {
                let decided = self.decide(command);
                let outcome = decided.map(|first| &self.events[first..]);
                reply.look(self.state, outcome);
                self.answers.push(Answer::Reply(reply));
            }
            Request::Read(mut reply) => {
                reply.look(self.state, Ok(&[]));
                self.answers.push(Answer::Reply(reply));
            }
            Request::Poll(poll) => self.poll(poll),
            Request::Drain => self.waiting.drain(),
            Request::Check(to) => self.answers.push(Answer::Check(to)),
        }
    }

    /// Hands tasks that can be polled now to those who wait for them.
    pub fn serve_waiting(&mut self) {
        let mut queues = self.state.take_touched();
        let delayed = self.waiting.queues();
        queues.extend(delayed.iter().map(|queue| queue.to_string()));
        for queue in queues {
            self.serve_queue(&queue);
        }
        self.expire_waiting();
    }

    /// Answers polls whose time is over with nothing.
    pub fn expire_waiting(&mut self) {
        let expired = self.waiting.expired(self.now);
        self.answers.extend(expired.into_iter().map(|waiter| Answer::Tasks(waiter.poll.to, Vec::new())));
    }

    pub fn finish(mut self) -> (Vec<Event>, Vec<Answer>) {
        self.handed.append(&mut self.answers);
        (self.events, self.handed)
    }

    fn serve_queue(&mut self, queue: &str) {
        while self.state.indexes().next_ready(queue).is_some_and(|at| at <= self.now) {
            let Some(Waiter { poll, .. }) = self.waiting.next(queue) else { return };
            let tasks = self.hand_out(&poll);
            self.handed.push(Answer::Tasks(poll.to, tasks));
        }
    }

    fn poll(&mut self, poll: Poll) {
        let tasks = self.hand_out(&poll);
        if tasks.is_empty() && poll.wait_ms > 0 {
            self.waiting.add(Waiter { until: self.now + poll.wait_ms, poll });
        } else {
            self.answers.push(Answer::Tasks(poll.to, tasks));
        }
    }

    fn hand_out(&mut self, poll: &Poll) -> Vec<TaskInContext> {
        let (queue, worker) = (Arc::clone(&poll.queue), poll.worker.clone());
        let Ok(first) = self.decide(Command::Poll { queue, worker, count: poll.count }) else {
            return Vec::new();
        };
        let handed = self.events[first..].iter().filter_map(|event| match event {
            Event::Task { id, seq, .. } => self.state.workflow(*id)?.in_context(*seq),
            _ => None,
        });
        handed.collect()
    }

    /// Decides and evolves one command; answers where its events begin.
    fn decide(&mut self, command: Command) -> Result<usize, Rejection> {
        let first = self.events.len();
        let events = decide(self.state, command, self.now)?;
        events.iter().for_each(|event| self.state.evolve(event));
        self.events.extend(events);
        Ok(first)
    }
}
