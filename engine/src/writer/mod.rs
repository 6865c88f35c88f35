//! The writer: takes a batch of requests, decides and evolves them one after another, appends all their events
//! in one synced write, and only then answers anybody. The order is written here and nowhere else.
//!
//! Reads are answered with the batch that they saw, so nobody is shown state that is not yet durable. A poll
//! that finds its queue empty waits here, and is served inside the batch that fills the queue.

mod archivist;
mod batch;
mod ended;
mod full;
mod gather;
mod handle;
mod keeper;
mod keys;
mod replay;
mod waiting;
mod watching;

pub(crate) use ended::Ended;
pub use ended::WriterError;
pub use handle::{Failure, Handle, Poll, Reply, Request, Seen, Unavailable, UpdateAndPoll, Watch};

use crate::machine::State;
use crate::metrics::{Metrics, Stopwatch};
use crate::store::{AppendError, Frame, Opened, Store};
use archivist::Archivist;
use batch::{Answer, Batch, Finished};
use full::Full;
use gather::Gather;
use keeper::Keeper;
pub(crate) use replay::{Replay, Replayed, replay};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;
use waiting::Waiting;

/// Requests in one batch: bounds the time between two syncs, and so everybody's wait.
const BATCH: usize = 1024;
/// Timers fired in one batch.
const TIMERS: usize = 1024;
/// The writer looks at the clock at least so often.
const IDLE: Duration = Duration::from_secs(1);
/// After a replay no timer fires for so long, milliseconds: nobody could poll or report while the engine was away.
const RESTART_GRACE_MS: u64 = 1000;
/// Whether an append is possible is known for so long after one, milliseconds.
const PROOF_OF_HEALTH_MS: u64 = 5000;

/// Tells the time in epoch milliseconds. An argument, so that tests own the time.
pub type Clock = Box<dyn Fn() -> u64 + Send>;

/// The one who changes the state.
pub struct Writer {
    store: Box<dyn Store>,
    state: State,
    position: u64,
    waiting: Waiting,
    gather: Gather,
    keeper: Keeper,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Added to the clock, so that time goes on from what the journal has seen.
    ahead: u64,
    last_now: u64,
    quiet_until: u64,
    appended_at: u64,
    full: Option<Full>,
}

impl Writer {
    /// A writer whose state is what the archive and the journal say. What ended is kept for `retention`, or for ever.
    ///
    /// # Errors
    /// [`WriterError::Store`] when they can't be read.
    pub fn open(opened: Opened, clock: Clock, retention: Option<Duration>) -> Result<Self, WriterError> {
        let archivist = Archivist::start(Arc::clone(&opened.1));
        Self::with(archivist, opened, clock, retention)
    }

    /// A writer that goes on where a follower has got to, and counts into `metrics`.
    pub(crate) fn lead(
        opened: Opened,
        replayed: Replayed,
        clock: Clock,
        retention: Option<Duration>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let archivist = Archivist::start(Arc::clone(&opened.1));
        let writer = Self::at(archivist, opened, replayed, clock, retention);
        Self { metrics, ..writer }
    }

    /// The same without a thread: nothing happens but in [`Writer::step`] and [`Writer::archive`], so that a
    /// simulation owns the order of everything.
    ///
    /// # Errors
    /// As for [`Writer::open`].
    pub fn by_hand(opened: Opened, clock: Clock, retention: Option<Duration>) -> Result<Self, WriterError> {
        let archivist = Archivist::by_hand(Arc::clone(&opened.1));
        Self::with(archivist, opened, clock, retention)
    }

    fn with(
        archivist: Archivist,
        opened: Opened,
        clock: Clock,
        retention: Option<Duration>,
    ) -> Result<Self, WriterError> {
        let (mut store, archive) = opened;
        let replayed = replay(store.as_mut(), archive.as_ref())?;
        Ok(Self::at(archivist, (store, archive), replayed, clock, retention))
    }

    fn at(
        archivist: Archivist,
        (store, archive): Opened,
        replayed: Replayed,
        clock: Clock,
        retention: Option<Duration>,
    ) -> Self {
        let Replayed { state, position, changed } = replayed;
        let ahead = state.last_at().saturating_sub(clock());
        let now = clock() + ahead;
        let quiet_until = if position > 0 { now + RESTART_GRACE_MS } else { 0 };
        let retention_ms = retention.map(|kept| u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
        let mut keeper = Keeper::new(archive, archivist, retention_ms);
        keeper.begin(&state, changed, now);
        Self {
            store,
            state,
            position,
            waiting: Waiting::default(),
            gather: Gather::default(),
            keeper,
            metrics: Arc::default(),
            clock,
            ahead,
            last_now: now,
            quiet_until,
            appended_at: 0,
            full: None,
        }
    }

    /// What this writer counts.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Frames in the journal.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Works until every [`Handle`] is gone; a store that others share it leaves to them as soon as it is drained.
    ///
    /// # Errors
    /// [`WriterError`] when an append did not clearly succeed; nothing of that batch was answered.
    pub fn run(mut self, requests: &Receiver<Request>) -> Result<(), WriterError> {
        self.work(requests).map(|_ended| ())
    }

    /// The same, and tells which of both it was. Dropping the writer afterwards waits for what its archivist is at.
    pub(crate) fn work(&mut self, requests: &Receiver<Request>) -> Result<Ended, WriterError> {
        let mut taken = VecDeque::with_capacity(BATCH);
        loop {
            if taken.is_empty() {
                let now = self.now();
                match requests.recv_timeout(self.until_next_event(now)) {
                    Ok(first) => taken.push_back(first),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        self.store.close();
                        return Ok(Ended::Released);
                    }
                }
            }
            if let Some(delay) = self.gather.delay().filter(|_| !taken.is_empty()) {
                std::thread::sleep(delay);
            }
            taken.extend(requests.try_iter().take(BATCH.saturating_sub(taken.len())));
            self.gather.learn(taken.len());
            if let Err(error) = self.step(&mut taken) {
                if self.store.is_shared() {
                    self.leave_to_others(&mut taken);
                }
                return Err(error);
            }
            if self.waiting.is_draining() && self.store.is_shared() {
                self.leave_to_others(&mut taken);
                self.store.close();
                return Ok(Ended::Left);
            }
        }
    }

    /// The process goes on without the lead: nobody is left without an answer.
    fn leave_to_others(&mut self, taken: &mut VecDeque<Request>) {
        self.waiting.refuse(&Unavailable::NotLeading);
        taken.drain(..).for_each(|request| self.refuse(request));
    }

    /// Answers a request after the lead is gone; a wish to stop is kept in mind.
    pub(crate) fn refuse(&mut self, request: Request) {
        match request {
            Request::Drain => self.waiting.drain(),
            other => other.refuse(&Unavailable::NotLeading),
        }
    }

    /// True when the engine is stopping.
    pub(crate) fn is_draining(&self) -> bool {
        self.waiting.is_draining()
    }

    /// The next piece of the archivist's work, for a writer opened by hand; true when a slice waited for it.
    pub fn archive(&mut self) -> bool {
        self.keeper.work()
    }

    /// One batch: decide and evolve, append and sync, answer. What a full frame leaves is for the next one.
    ///
    /// # Errors
    /// [`WriterError`] when an append did not clearly succeed; nothing of that batch was answered.
    pub fn step(&mut self, taken: &mut VecDeque<Request>) -> Result<(), WriterError> {
        let now = self.now();
        self.waiting.watching.begin_frame(self.position);
        if self.full.is_some() && !self.try_to_recover(now)? {
            return self.refuse_writes(taken, now);
        }
        let mut batch = Batch::new(&mut self.state, &mut self.waiting, &self.keeper, now);
        if now >= self.quiet_until {
            batch.fire_timers(TIMERS);
        }
        batch.settle();
        batch.expect(taken.iter());
        while batch.has_room()
            && let Some(request) = taken.pop_front()
        {
            batch.take(request);
            // What is read back for a batch may be slow to come, and its append renews the lead. What was read for it is
            // used up first: the next batch would have to ask again.
            if !self.store.has_time() && taken.front().is_some_and(|next| !batch.is_at_hand(next)) {
                break;
            }
        }
        batch.serve_waiting();
        let proof = batch.is_checked() && now >= self.appended_at + PROOF_OF_HEALTH_MS;
        let Finished { frame, answers, changed, observed, requests, read_back, flushes } = batch.finish();
        let (position, bytes, stopwatch) = (self.position, frame.len(), Stopwatch::start());
        match self.append(frame, proof, now) {
            Ok(()) => answers.into_iter().for_each(|answer| answer.send(Ok(()))),
            Err(error) => return self.take_back(error, answers, flushes, now),
        }
        if self.position > position {
            self.metrics.appended(requests, bytes, stopwatch.seconds(), observed);
        }
        changed.into_iter().for_each(|id| self.keeper.changed(&self.state, id, position, now));
        read_back.into_iter().for_each(|id| self.keeper.let_go_again(&mut self.state, id));
        flushes.into_iter().for_each(|to| self.keeper.flush(to, self.position));
        self.keep(now)
    }

    /// Nothing of a batch is there, or nobody knows: its answers say so, and memory goes back to what is durable.
    fn take_back(
        &mut self,
        error: AppendError,
        answers: Vec<Answer>,
        flushes: Vec<oneshot::Sender<()>>,
        now: u64,
    ) -> Result<(), WriterError> {
        let why = match error {
            AppendError::Full(why) => Unavailable::Full(why.into()),
            AppendError::RolledBack(why) => Unavailable::RolledBack(why.into()),
            AppendError::Fenced(why) => {
                answers.into_iter().for_each(|answer| answer.send(Err(Unavailable::NotLeading)));
                return Err(WriterError::Deposed(why));
            }
            broken @ AppendError::Broken(_) => {
                if self.store.is_shared() {
                    answers.into_iter().for_each(|answer| answer.send(Err(Unavailable::Unknown)));
                }
                return Err(WriterError::Append(broken));
            }
        };
        self.waiting.watching.take_back(&why);
        answers.into_iter().for_each(|answer| answer.send(Err(why.clone())));
        // Searches go on with what there is.
        for to in flushes {
            let _ = to.send(());
        }
        // Last: what was told is certain, whatever becomes of the reading.
        self.start_over(now)
    }

    /// What is saved leaves, what is due is handed over: the work between two batches, a slice of it.
    fn keep(&mut self, now: u64) -> Result<(), WriterError> {
        if let Some(needed) = self.keeper.turn(&mut self.state, self.position, now)? {
            self.store.forget(needed);
        }
        Ok(())
    }

    /// Appends what the batch decided; with nothing decided, only to prove that it can. What was only looked at is
    /// the present as long as nobody else leads.
    fn append(&mut self, frame: Frame, proof: bool, now: u64) -> Result<(), AppendError> {
        if frame.is_empty() && !proof {
            return self.hold();
        }
        let bytes = frame.into_bytes();
        let appended = self.store.append(self.position, &bytes);
        if let Err(AppendError::Full(why)) = &appended {
            tracing::error!(why, "the disk is full: answering 507 until there is space");
            self.full = Some(Full::of(why, bytes.len(), now));
        }
        appended?;
        self.moved_on();
        self.appended_at = now;
        Ok(())
    }

    /// Proves that what memory says is the present. Nothing was to be appended, so nothing of it can be there: whoever leads
    /// next may be asked the same.
    fn hold(&mut self) -> Result<(), AppendError> {
        self.store.hold().map_err(|error| match error {
            AppendError::Broken(why) if self.store.is_shared() => AppendError::Fenced(why),
            error => error,
        })
    }

    fn moved_on(&mut self) {
        self.position += 1;
        self.state.begin_frame(self.position);
        self.waiting.watching.begin_frame(self.position);
    }

    /// The batch was rolled back on disk: memory goes back too, by the one path that there is.
    fn start_over(&mut self, now: u64) -> Result<(), WriterError> {
        // The old state goes first: there need not be room for two.
        self.state = State::default();
        let replayed = replay(self.store.as_mut(), self.keeper.archive().as_ref())?;
        (self.state, self.position) = (replayed.state, replayed.position);
        self.keeper.begin(&self.state, replayed.changed, now);
        tracing::info!(frames = self.position, "back at what the disk holds");
        Ok(())
    }

    /// How long the writer may sleep: until a timer, a delayed task that someone waits for, or a poll's end.
    fn until_next_event(&self, now: u64) -> Duration {
        let timer = self.state.indexes().next_timer().map(|(at, ..)| at.max(self.quiet_until));
        let waiting = self.waiting.next_event(&self.state, now);
        let kept = self.keeper.next_due(now);
        let owed = self.state.indexes().next_owed().map(|(at, ..)| at);
        let next = timer.into_iter().chain(owed).chain(waiting).chain(kept).min();
        let sleep = next.map_or(IDLE, |at| Duration::from_millis(at.saturating_sub(now)));
        // A full disk is tried at the pace of requests, or once an idle period.
        let idle = self.store.hold_every().unwrap_or(IDLE).min(IDLE);
        if self.full.is_some() { idle } else { sleep.min(idle) }
    }

    /// The engine's time: it goes on from what the journal has seen, and never back.
    fn now(&mut self) -> u64 {
        self.last_now = self.last_now.max((self.clock)() + self.ahead);
        self.last_now
    }
}
