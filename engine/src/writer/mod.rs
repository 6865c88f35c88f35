//! The writer: takes a batch of requests, decides and evolves them one after another, appends all their events
//! in one synced write, and only then answers anybody. The order is written here and nowhere else.
//!
//! Reads are answered with the batch that they saw, so nobody is shown state that is not yet durable. A poll
//! that finds its queue empty waits here, and is served inside the batch that fills the queue.

mod batch;
mod handle;
mod waiting;

pub use handle::{Failure, Handle, Poll, Reply, Request, Unavailable};

use crate::machine::{Event, State};
use crate::store::{self, AppendError, Store, StoreError};
use batch::Batch;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use waiting::Waiting;

/// Requests in one batch: bounds the time between two syncs, and so everybody's wait.
const BATCH: usize = 1024;
/// Timers fired in one batch.
const TIMERS: usize = 1024;
/// Bytes that a trial append writes after a full disk: more than most batches, or the next one would fail again.
const TRIAL: usize = 256 * 1024;
/// The writer looks at the clock at least so often.
const IDLE: Duration = Duration::from_secs(1);

/// Why the writer ended.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The journal can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An append did not clearly succeed: memory is ahead of the disk, and only a replay tells what is there.
    #[error("{0}; the engine stops so that a restart replays what the disk holds")]
    Append(AppendError),
}

/// Tells the time in epoch milliseconds. An argument, so that tests own the time.
pub type Clock = Box<dyn Fn() -> u64 + Send>;

/// The one who changes the state.
pub struct Writer {
    store: Box<dyn Store>,
    state: State,
    position: u64,
    waiting: Waiting,
    clock: Clock,
    last_now: u64,
    /// Set while the disk is full: nothing is decided until a trial append succeeds.
    full: Option<Arc<str>>,
}

impl Writer {
    /// A writer whose state is what the store's journal says.
    ///
    /// # Errors
    /// [`WriterError::Store`] when the journal can't be read.
    pub fn open(mut store: Box<dyn Store>, clock: Clock) -> Result<Self, WriterError> {
        let (state, position) = replay(store.as_mut())?;
        Ok(Self { store, state, position, waiting: Waiting::default(), clock, last_now: 0, full: None })
    }

    /// Frames in the journal.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Works until every [`Handle`] is gone.
    ///
    /// # Errors
    /// [`WriterError`] when an append did not clearly succeed; nothing of that batch was answered.
    pub fn run(mut self, requests: &Receiver<Request>) -> Result<(), WriterError> {
        let mut taken = Vec::with_capacity(BATCH);
        loop {
            let now = self.now();
            match requests.recv_timeout(self.until_next_event(now)) {
                Ok(first) => taken.push(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            taken.extend(requests.try_iter().take(BATCH - 1));
            self.step(&mut taken)?;
        }
    }

    /// One batch: decide and evolve, append and sync, answer.
    fn step(&mut self, taken: &mut Vec<Request>) -> Result<(), WriterError> {
        let now = self.now();
        if self.full.is_some() && !self.try_to_recover()? {
            self.refuse_writes(taken, now);
            return Ok(());
        }
        let mut batch = Batch::new(&mut self.state, &mut self.waiting, now);
        batch.fire_timers(TIMERS);
        for request in taken.drain(..) {
            batch.take(request);
        }
        batch.serve_waiting();
        let (events, answers) = batch.finish();
        match self.append(&events) {
            Ok(()) => answers.into_iter().for_each(|answer| answer.send(Ok(()))),
            Err(AppendError::Full(why)) => {
                let why: Arc<str> = why.into();
                self.full_disk(&why)?;
                answers.into_iter().for_each(|answer| answer.send(Err(Unavailable::Full(Arc::clone(&why)))));
            }
            Err(broken) => return Err(WriterError::Append(broken)),
        }
        Ok(())
    }

    fn append(&mut self, events: &[Event]) -> Result<(), AppendError> {
        if events.is_empty() {
            return Ok(());
        }
        self.store.append(self.position, &store::encode(events))?;
        self.position += 1;
        Ok(())
    }

    /// The batch was rolled back on disk: memory goes back too, by the one path that there is.
    fn full_disk(&mut self, why: &Arc<str>) -> Result<(), WriterError> {
        tracing::error!(why = why.as_ref(), "the disk is full: answering 507 until there is space");
        self.full = Some(Arc::clone(why));
        (self.state, self.position) = replay(self.store.as_mut())?;
        Ok(())
    }

    fn try_to_recover(&mut self) -> Result<bool, WriterError> {
        match self.store.append(self.position, &store::padding(TRIAL)) {
            Ok(()) => {
                self.position += 1;
                self.full = None;
                tracing::info!("the disk has space again");
                Ok(true)
            }
            Err(AppendError::Full(_)) => Ok(false),
            Err(broken) => Err(WriterError::Append(broken)),
        }
    }

    /// Reads see what is durable; everything else is told that the disk is full.
    fn refuse_writes(&mut self, taken: &mut Vec<Request>, now: u64) {
        let full = || Unavailable::Full(self.full.clone().unwrap_or_default());
        let mut batch = Batch::new(&mut self.state, &mut self.waiting, now);
        for request in taken.drain(..) {
            match request {
                Request::Read(_) | Request::Drain => batch.take(request),
                Request::Decide(_, reply) => reply.send(Err(full())),
                Request::Poll(poll) => drop(poll.to.send(Err(full()))),
                Request::Check(to) => drop(to.send(Err(full()))),
            }
        }
        batch.expire_waiting();
        let (_, answers) = batch.finish();
        answers.into_iter().for_each(|answer| answer.send(Ok(())));
    }

    /// How long the writer may sleep: until a timer, a delayed task that someone waits for, or a poll's end.
    fn until_next_event(&self, now: u64) -> Duration {
        let timer = self.state.indexes().next_timer().map(|(at, ..)| at);
        let waiting = self.waiting.next_event(&self.state);
        let next = timer.into_iter().chain(waiting).min();
        let sleep = next.map_or(IDLE, |at| Duration::from_millis(at.saturating_sub(now)));
        // A full disk is tried at the pace of requests, or once an idle period.
        if self.full.is_some() { IDLE } else { sleep.min(IDLE) }
    }

    /// The clock, never going back: time in the journal is in order.
    fn now(&mut self) -> u64 {
        self.last_now = self.last_now.max((self.clock)());
        self.last_now
    }
}

fn replay(store: &mut dyn Store) -> Result<(State, u64), WriterError> {
    let mut state = State::default();
    let position = store.replay(&mut |frame| {
        store::decode(frame)?.iter().for_each(|event| state.evolve(event));
        Ok(())
    })?;
    state.take_touched();
    Ok((state, position))
}
