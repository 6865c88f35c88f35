//! The archivist: a thread that saves slices in the order in which they were handed over.

use crate::archive::{Archive, ArchiveError, Slice};
use crate::machine::id::WorkflowId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Slices that may wait: more would only hold memory.
const WAITING: usize = 8;
/// Slices saved between two syncs at most.
const SYNC_EVERY: usize = 32;
/// With nothing to do for so long, what was saved is synced.
const IDLE: Duration = Duration::from_secs(1);
/// A full disk is tried again after so long.
const FULL: Duration = Duration::from_millis(250);
/// Workflows forgotten in one transaction.
const PRUNE: usize = 500;

/// What became of an order.
pub(super) enum Report {
    /// These workflows are saved as of these positions, and have ended; those are removed.
    Saved(Vec<(WorkflowId, u64)>, Vec<WorkflowId>),
    /// Frames before this position are not needed any more.
    Durable(u64),
    /// Saving failed in a way that does not mend itself.
    Failed(ArchiveError),
}

enum Order {
    Save(Box<Slice>, Vec<oneshot::Sender<()>>),
    Prune { ended_before: u64 },
}

pub(super) struct Archivist {
    orders: Option<Sender<Order>>,
    reports: Receiver<Report>,
    waiting: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Without a thread: the desk, and what lies on it.
    by_hand: Option<(Desk, Receiver<Order>)>,
}

impl Archivist {
    pub fn start(archive: Arc<dyn Archive>) -> Self {
        let mut archivist = Self::by_hand(archive);
        let Some((mut desk, taken)) = archivist.by_hand.take() else { return archivist };
        desk.full = FULL;
        let tell = desk.tell.clone();
        let thread = std::thread::Builder::new().name("archivist".into()).spawn(move || desk.run(&taken));
        if let Err(error) = &thread {
            let why = format!("cannot start the archivist's thread: {error}");
            let failed = ArchiveError::Broken { path: String::new(), why };
            drop(tell.send(Report::Failed(failed)));
        }
        archivist.thread = thread.ok();
        archivist
    }

    /// One without a thread: it works when [`Archivist::work`] is called, so that a simulation says when.
    pub fn by_hand(archive: Arc<dyn Archive>) -> Self {
        let (orders, taken) = channel();
        let (tell, reports) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let desk = Desk {
            archive,
            tell,
            waiting: Arc::clone(&waiting),
            stopping: Arc::clone(&stopping),
            full: Duration::ZERO,
            low_water: None,
            unsynced: 0,
        };
        Self { orders: Some(orders), reports, waiting, stopping, thread: None, by_hand: Some((desk, taken)) }
    }

    /// Carries out the next order, or without one syncs; true when there was one. Only for one without a thread.
    pub fn work(&mut self) -> bool {
        let Some((desk, taken)) = &mut self.by_hand else { return false };
        let order = taken.try_recv().ok();
        let was_order = order.is_some();
        let done = match order {
            Some(order) => desk.carry_out(order),
            None => desk.sync(),
        };
        if let Err(error) = done {
            drop(desk.tell.send(Report::Failed(error)));
            self.by_hand = None;
        }
        was_order
    }

    pub fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Acquire) < WAITING
    }

    /// Saves a slice, then answers those who wait for it.
    pub fn save(&self, slice: Slice, then: Vec<oneshot::Sender<()>>) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.order(Order::Save(Box::new(slice), then));
    }

    pub fn prune(&self, ended_before: u64) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.order(Order::Prune { ended_before });
    }

    pub fn report(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    fn order(&self, order: Order) {
        // An archivist that ended has said why.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
    }
}

impl Drop for Archivist {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.orders = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The archivist's side.
struct Desk {
    archive: Arc<dyn Archive>,
    tell: Sender<Report>,
    waiting: Arc<AtomicUsize>,
    /// Set when nobody waits any more: a full disk is not waited for then.
    stopping: Arc<AtomicBool>,
    /// A full disk is tried again after so long.
    full: Duration,
    /// Of the last slice saved and not synced.
    low_water: Option<u64>,
    unsynced: usize,
}

impl Desk {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let done = match orders.recv_timeout(IDLE) {
                Ok(order) => self.carry_out(order),
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Err(error) = done {
                drop(self.tell.send(Report::Failed(error)));
                return;
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> Result<(), ArchiveError> {
        let done = match order {
            Order::Save(slice, then) => self.save(&slice, then),
            Order::Prune { ended_before } => self.prune(ended_before),
        };
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        done
    }

    fn save(&mut self, slice: &Slice, then: Vec<oneshot::Sender<()>>) -> Result<(), ArchiveError> {
        if !slice.is_empty() {
            self.while_full(|archive| archive.save(slice))?;
            let ended = slice.workflows.iter().filter(|workflow| workflow.status.is_terminal());
            drop(self.tell.send(Report::Saved(
                ended.map(|workflow| (workflow.id, workflow.as_of)).collect(),
                slice.removed.clone(),
            )));
            self.low_water = Some(slice.low_water);
            self.unsynced += 1;
        }
        for to in then {
            // Who asked may have gone.
            let _ = to.send(());
        }
        if self.unsynced >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), ArchiveError> {
        let Some(low_water) = self.low_water.take() else { return Ok(()) };
        self.unsynced = 0;
        self.while_full(|archive| archive.sync())?;
        drop(self.tell.send(Report::Durable(low_water)));
        Ok(())
    }

    fn prune(&mut self, ended_before: u64) -> Result<(), ArchiveError> {
        // A stop does not wait for the rest. The log is copied in between, or it would hold all that goes.
        for pruned in 1.. {
            let gone = self.while_full(|archive| archive.prune(ended_before, PRUNE))?;
            if gone < PRUNE || self.stopping.load(Ordering::Acquire) {
                break;
            }
            if pruned % SYNC_EVERY == 0 {
                self.while_full(|archive| archive.sync())?;
            }
        }
        Ok(())
    }

    /// A full disk or a lost connection is waited for: the journal keeps what is not saved.
    fn while_full<T>(
        &self,
        attempt: impl Fn(&dyn Archive) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        loop {
            match attempt(self.archive.as_ref()) {
                Err(ArchiveError::Full { path, why }) if !self.stopping.load(Ordering::Acquire) => {
                    tracing::warn!(
                        path,
                        why,
                        "no space for the archive; the journal keeps what is not saved"
                    );
                    std::thread::sleep(self.full);
                }
                Err(ArchiveError::Away { path, why }) if !self.stopping.load(Ordering::Acquire) => {
                    tracing::warn!(path, why, "the archive is away; the journal keeps what is not saved");
                    std::thread::sleep(self.full);
                }
                other => return other,
            }
        }
    }
}
