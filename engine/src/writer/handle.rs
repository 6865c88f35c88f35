//! The handle: how the rest of the engine reaches the writer.

use crate::machine::command::Command;
use crate::machine::id::{TaskId, WorkflowId};
use crate::machine::polls::{self, Polled};
use crate::machine::workflow::{TaskInContext, Workflow};
use crate::machine::{Event, Rejection, State};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// Requests that may wait for the writer. More are refused: a queue without end is a promise that isn't kept.
const WAITING: usize = 8192;
/// Between two tries to get a word in when so many wait.
const DRAIN_AGAIN: Duration = Duration::from_millis(5);

/// Why the writer could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// No space for the journal. Nothing happened.
    #[error("the engine's disk is full ({0}); nothing was changed, free space and try again")]
    Full(Arc<str>),
    /// More requests wait than the bound allows. Nothing happened.
    #[error(
        "the engine is overloaded: {WAITING} requests wait already; nothing was changed, try again later"
    )]
    Overloaded,
    /// The database did not take it, and never will. Nothing happened.
    #[error("the database did not take it ({0}); nothing was changed, try again")]
    RolledBack(Arc<str>),
    /// This node does not lead. Nothing happened.
    #[error("this node does not lead the journal at the moment; nothing was changed, try again")]
    NotLeading,
    /// The database did not say whether it took it. It may or may not have been carried out.
    #[error(
        "the database did not say whether it took it; it may or may not have been carried out: look before you repeat it"
    )]
    Unknown,
    /// The engine is stopping. The request may or may not have been carried out.
    #[error("the engine is stopping; the request may or may not have been carried out")]
    Stopping,
}

/// Why a command has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The machine refused it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The writer could not take it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Something for the writer.
pub enum Request {
    /// Decide a command; the reply sees the state after it.
    Decide(Command, Box<dyn Reply>),
    /// Look at the state.
    Read(Box<dyn Reply>),
    /// Carry out a worker's word on a task, and if that ended it hand out the next of its type.
    UpdateAndPoll(UpdateAndPoll),
    /// Hand out tasks, waiting for them if there are none.
    Poll(Poll),
    /// Carry out a command, and wait for its workflow.
    Watch(Watch),
    /// Let nobody wait any more: the engine is stopping.
    Drain,
    /// Answer when a search finds everything that is durable now.
    Flush(oneshot::Sender<()>),
    /// Tell whether an append is possible.
    Check(oneshot::Sender<Result<(), Unavailable>>),
}

impl Request {
    /// Answers that it was not taken.
    pub fn refuse(self, why: &Unavailable) {
        match self {
            Self::Decide(_, reply) | Self::Read(reply) => reply.send(Err(why.clone())),
            Self::UpdateAndPoll(asked) => drop(asked.to.send(Err(why.clone().into()))),
            Self::Poll(poll) => drop(poll.to.send(Err(why.clone()))),
            Self::Watch(watch) => drop(watch.to.send(Err(why.clone().into()))),
            Self::Check(to) => drop(to.send(Err(why.clone()))),
            // Who waits for a flush sees that nobody answers any more.
            Self::Drain | Self::Flush(_) => {}
        }
    }
}

/// A poll that may wait.
pub struct Poll {
    /// The queue's name.
    pub queue: Arc<str>,
    /// What it asks for and who asks.
    pub polled: Polled,
    /// At most so many tasks.
    pub count: usize,
    /// Milliseconds to wait for the first task.
    pub wait_ms: u64,
    /// Gets the tasks; nobody listens when the client has gone, and then it gets none.
    pub to: oneshot::Sender<Result<Vec<TaskInContext>, Unavailable>>,
}

/// A start or a signal, and the wish to see what comes of it: the workflow's end, or that it waits for somebody.
pub struct Watch {
    /// What to carry out first.
    pub command: Command,
    /// Reference names of tasks whose end is enough.
    pub tasks: Vec<String>,
    /// Milliseconds to wait.
    pub wait_ms: u64,
    /// Gets what was seen.
    pub to: oneshot::Sender<Result<Seen, Failure>>,
}

/// A workflow as somebody who waited for it sees it.
pub struct Seen {
    /// Its id.
    pub id: WorkflowId,
    /// The workflow; `None` = it has left memory.
    pub workflow: Option<Box<Workflow>>,
    /// What was waited for has not come.
    pub timed_out: bool,
}

/// A worker's word on a task, and the wish for the next.
pub struct UpdateAndPoll {
    /// The word.
    pub command: Command,
    /// The task that it is on.
    pub task: TaskId,
    /// Who asks.
    pub worker: Option<Arc<str>>,
    /// Gets the next task, if the word ended this one and there is one at once.
    pub to: oneshot::Sender<Result<Option<TaskInContext>, Failure>>,
}

/// Two steps of an answer: look at the state inside the batch, send when the batch is durable.
pub trait Reply: Send {
    /// Sees the state right after the decision (or the rejection) of its own command.
    fn look(&mut self, state: &State, outcome: Result<&[Event], Rejection>);
    /// Sends what was seen, or why nothing happened.
    fn send(self: Box<Self>, durable: Result<(), Unavailable>);
}

struct Pending<T, F> {
    view: Option<F>,
    seen: Option<Result<T, Rejection>>,
    to: oneshot::Sender<Result<T, Failure>>,
}

impl<T: Send, F: FnOnce(&State, &[Event]) -> T + Send> Reply for Pending<T, F> {
    fn look(&mut self, state: &State, outcome: Result<&[Event], Rejection>) {
        let view = self.view.take();
        self.seen = view.map(|view| outcome.map(|events| view(state, events)));
    }

    fn send(self: Box<Self>, durable: Result<(), Unavailable>) {
        let answer = match (durable, self.seen) {
            (Ok(()), Some(seen)) => seen.map_err(Failure::Rejected),
            (Ok(()), None) => Err(Unavailable::Stopping.into()),
            (Err(why), _) => Err(why.into()),
        };
        // Nobody listens when the client has gone; what was decided stands.
        let _ = self.to.send(answer);
    }
}

/// Reaches the writer from any task; cheap to clone. The writer ends when the last one is dropped.
#[derive(Clone)]
pub struct Handle {
    requests: SyncSender<Request>,
}

impl Handle {
    /// A handle and the end that the writer takes requests from.
    #[must_use]
    pub fn channel() -> (Self, Receiver<Request>) {
        let (requests, taken) = sync_channel(WAITING);
        (Self { requests }, taken)
    }

    /// Carries out a command; `view` sees the state right after it, and the events that it made.
    ///
    /// # Errors
    /// [`Failure`]: refused, or not taken.
    pub async fn decide<T, F>(&self, command: Command, view: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&State, &[Event]) -> T + Send + 'static,
    {
        self.ask(view, |reply| Request::Decide(command, reply)).await
    }

    /// Carries out each command on its own, in order; they share syncs. Answers what became of each.
    pub async fn decide_each(&self, commands: Vec<Command>) -> Vec<Result<(), Failure>> {
        let asked: Vec<_> = commands
            .into_iter()
            .map(|command| self.begin(|_: &State, _: &[Event]| (), |reply| Request::Decide(command, reply)))
            .collect();
        let mut done = Vec::with_capacity(asked.len());
        for answer in asked {
            done.push(match answer {
                Ok(answer) => answer.await.unwrap_or(Err(Failure::Unavailable(Unavailable::Stopping))),
                Err(unavailable) => Err(unavailable.into()),
            });
        }
        done
    }

    /// Looks at the state; what is seen is durable when this returns.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn read<T, F>(&self, view: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&State) -> T + Send + 'static,
    {
        self.ask(|state, _| view(state), Request::Read).await
    }

    /// Whether the writer takes requests and can append.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn check(&self) -> Result<(), Unavailable> {
        let (to, answer) = oneshot::channel();
        self.send(Request::Check(to))?;
        answer.await.unwrap_or(Err(Unavailable::Stopping))
    }

    /// Returns when a search finds everything that was durable before.
    ///
    /// # Errors
    /// [`Unavailable`]; never that something may have happened.
    pub async fn flush(&self) -> Result<(), Unavailable> {
        let (to, answer) = oneshot::channel();
        // Nothing was to be changed: a writer that goes has refused it, and whoever leads next may be asked.
        let gone = || Unavailable::NotLeading;
        self.send(Request::Flush(to))
            .map_err(|why| if why == Unavailable::Stopping { gone() } else { why })?;
        answer.await.map_err(|_| gone())
    }

    /// Ends all waiting polls with nothing, now and from now on: the engine is stopping. Waits for room among the requests,
    /// which the writer makes.
    pub async fn drain(&self) {
        // A writer that is gone has nobody waiting.
        while let Err(Unavailable::Overloaded) = self.send(Request::Drain) {
            tokio::time::sleep(DRAIN_AGAIN).await;
        }
    }

    /// Tasks of a type for the workers of a domain, waiting up to `wait_ms` for the first.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn poll(
        &self,
        kind: Arc<str>,
        domain: Option<Arc<str>>,
        worker: Option<Arc<str>>,
        count: usize,
        wait_ms: u64,
    ) -> Result<Vec<TaskInContext>, Unavailable> {
        let (to, answer) = oneshot::channel();
        let queue = polls::queue(&kind, domain.as_ref());
        let polled = Polled { kind, domain, worker, at: 0 };
        self.send(Request::Poll(Poll { queue, polled, count, wait_ms, to }))?;
        answer.await.unwrap_or(Err(Unavailable::Stopping))
    }

    /// Carries out a start or a signal, then waits for the workflow's end, for the end of one of its tasks, or until it
    /// waits for somebody, at most `wait_ms`.
    ///
    /// # Errors
    /// [`Failure`]: refused, or not taken.
    pub async fn watch(&self, command: Command, tasks: Vec<String>, wait_ms: u64) -> Result<Seen, Failure> {
        let (to, answer) = oneshot::channel();
        self.send(Request::Watch(Watch { command, tasks, wait_ms, to }))?;
        answer.await.unwrap_or(Err(Failure::Unavailable(Unavailable::Stopping)))
    }

    /// Carries out a worker's word on a task; answers the next task of the same type if that ended it. One batch.
    ///
    /// # Errors
    /// [`Failure`]: refused, or not taken.
    pub async fn update_and_poll(
        &self,
        command: Command,
        task: TaskId,
        worker: Option<Arc<str>>,
    ) -> Result<Option<TaskInContext>, Failure> {
        let (to, answer) = oneshot::channel();
        self.send(Request::UpdateAndPoll(UpdateAndPoll { command, task, worker, to }))?;
        answer.await.unwrap_or(Err(Failure::Unavailable(Unavailable::Stopping)))
    }

    async fn ask<T, F>(&self, view: F, request: impl FnOnce(Box<dyn Reply>) -> Request) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&State, &[Event]) -> T + Send + 'static,
    {
        self.begin(view, request)?.await.unwrap_or(Err(Failure::Unavailable(Unavailable::Stopping)))
    }

    fn begin<T, F>(
        &self,
        view: F,
        request: impl FnOnce(Box<dyn Reply>) -> Request,
    ) -> Result<oneshot::Receiver<Result<T, Failure>>, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&State, &[Event]) -> T + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        self.send(request(Box::new(Pending { view: Some(view), seen: None, to })))?;
        Ok(answer)
    }

    fn send(&self, request: Request) -> Result<(), Unavailable> {
        self.requests.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(_) => Unavailable::Overloaded,
            TrySendError::Disconnected(_) => Unavailable::Stopping,
        })
    }
}
