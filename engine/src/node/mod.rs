//! Several nodes on one store: one leads, the others follow the journal and hand requests on to it.
//!
//! The head row is the fence: whatever a node believes, what it appends without the lead is refused. The lease is for
//! what is only looked at: the leader's word is good for that long after it sent its last successful move of the head,
//! by its own monotonic clock; a follower takes the lead when the head has not moved for longer than that since it saw
//! it, by its own. Neither reads a wall clock, and a node that was stopped finds out before it answers.

mod follow;
mod forward;

pub use forward::{HOP, routed};

use crate::archive::PostgresArchive;
use crate::clock;
use crate::metrics::{Metrics, NodeCounts};
use crate::postgres::{Caller, schema};
use crate::store::{DEADLINE, LEASE, Postgres, StoreError};
use crate::writer::{Ended, Request, Unavailable, Writer, WriterError};
use follow::{Follower, Taken};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::watch;

/// A follower looks at the head so often.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// A node that ends waits so long for another to take the lead; they look every few milliseconds.
const HANDOVER: Duration = Duration::from_millis(500);
/// And so long after that for clients to take their connections elsewhere.
const FAREWELL: Duration = Duration::from_millis(500);
/// A start waits so long for a database that is not there yet.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two tries of that.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// How a node presents itself.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Name of the node.
    pub name: String,
    /// Where other nodes reach it; `None` = where it listens.
    pub advertise: Option<String>,
    /// How long a leader's word is good.
    pub lease: Duration,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { name: "engine".to_owned(), advertise: None, lease: LEASE }
    }
}

/// The node that leads, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub node: String,
    /// Where it is reached.
    pub url: String,
    /// The epoch of its lead.
    pub epoch: u64,
}

/// What a node is at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It has not read the journal yet.
    Starting,
    /// It decides.
    Leading,
    /// It reads, and hands requests on.
    Following(Option<Leader>),
}

/// What the API sees of the node that it belongs to.
#[derive(Clone)]
pub struct View {
    /// Name of the node.
    pub name: String,
    /// What it is at the moment.
    pub role: watch::Receiver<Role>,
    /// What it counts.
    pub counts: Arc<NodeCounts>,
    /// How long a request waits for a leader to be found.
    pub patience: Duration,
    /// True as soon as it is to end.
    leaving: Arc<AtomicBool>,
}

/// A node of several, before it runs.
pub(crate) struct Node {
    caller: Caller,
    options: NodeOptions,
    url: String,
    archive: Arc<PostgresArchive>,
    counts: Arc<NodeCounts>,
    metrics: Arc<Metrics>,
    role: watch::Sender<Role>,
    retention: Option<Duration>,
    /// What tells the store from others.
    store: String,
    leaving: Arc<AtomicBool>,
}

impl View {
    /// Returns when the node does not lead any more, another does, and clients had the time to hear that it ends: from
    /// now on every answer closes its connection. Where nobody takes the lead it does not wait for long: it may be the
    /// only one.
    pub async fn handed_over(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        let mut role = self.role.clone();
        let other = role.wait_for(|role| matches!(role, Role::Following(Some(_))));
        if tokio::time::timeout(HANDOVER, other).await.is_ok() {
            tokio::time::sleep(FAREWELL).await;
        }
    }

    /// True when this node has read the journal, and could take over.
    pub(crate) fn is_warm(&self) -> bool {
        self.counts.warm.load(Ordering::Relaxed)
    }

    /// True when clients should not send the next request to this node.
    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}

impl Node {
    /// Opens or makes the store; waits a moment for a database that is not there yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(
        address: &crate::postgres::Address,
        options: NodeOptions,
        url: String,
        retention: Option<Duration>,
    ) -> Result<Self, StoreError> {
        let caller = Caller { address: address.clone(), node: options.name.clone(), deadline: DEADLINE };
        let begun = clock::monotonic();
        let store = loop {
            match schema::open(&caller) {
                Ok((_, store)) => break store,
                Err(StoreError::Database { why, may_pass: true })
                    if clock::monotonic() < begun + PATIENCE =>
                {
                    tracing::warn!(why, "waiting for the database");
                    std::thread::sleep(TRY_EVERY);
                }
                Err(error) => return Err(error),
            }
        };
        let counts = Arc::<NodeCounts>::default();
        let archive = Arc::new(PostgresArchive::new(caller.clone(), Arc::clone(&counts)));
        let metrics = Arc::new(Metrics::of_node(Arc::clone(&counts)));
        let (role, _) = watch::channel(Role::Starting);
        let leaving = Arc::default();
        Ok(Self { caller, options, url, archive, counts, metrics, role, retention, store, leaving })
    }

    /// What the API sees of it.
    pub fn view(&self) -> View {
        View {
            name: self.options.name.clone(),
            role: self.role.subscribe(),
            counts: Arc::clone(&self.counts),
            patience: self.options.lease * 2 + Duration::from_millis(500),
            leaving: Arc::clone(&self.leaving),
        }
    }

    /// The archive of the store.
    pub fn archive(&self) -> Arc<PostgresArchive> {
        Arc::clone(&self.archive)
    }

    /// What is counted.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Follows and leads, in turns, until every handle is gone.
    ///
    /// # Errors
    /// [`WriterError`] when the journal can't be read: what passes by itself is waited for.
    pub fn run(self, requests: &Receiver<Request>) -> Result<(), WriterError> {
        loop {
            let Some(taken) = self.follow(requests)? else { return Ok(()) };
            match self.lead(taken, requests) {
                Ok(Ended::Released) => return Ok(()),
                Ok(Ended::Left) => {
                    self.look_on(requests);
                    return Ok(());
                }
                Err(error) if may_follow(&error) => {
                    tracing::warn!(%error, node = self.options.name, "lost the lead, following from now on");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Follows until the lead is taken; `None` = every handle is gone.
    fn follow(&self, requests: &Receiver<Request>) -> Result<Option<Taken>, WriterError> {
        let mut follower = Follower::new(self);
        // What is queued from a lead before does not wait for the first look, which may read the whole journal.
        let mut pause = Duration::ZERO;
        loop {
            match refuse_for(pause, requests) {
                Heard::Nothing => {}
                Heard::Drain => {
                    self.look_on(requests);
                    return Ok(None);
                }
                Heard::Gone => return Ok(None),
            }
            if let Some(taken) = follower.look()? {
                return Ok(Some(taken));
            }
            pause = LOOK_EVERY;
        }
    }

    /// The process is about to end: it takes no lead, and hands on what still comes, until every handle is gone.
    fn look_on(&self, requests: &Receiver<Request>) {
        let mut follower = Follower::new(self);
        while refuse_for(LOOK_EVERY, requests) != Heard::Gone {
            follower.look_on();
        }
    }

    fn lead(&self, taken: Taken, requests: &Receiver<Request>) -> Result<Ended, WriterError> {
        let Taken { term, replayed } = taken;
        let (epoch, position) = (term.epoch, term.position);
        self.counts.epoch.store(epoch, Ordering::Relaxed);
        self.counts.taken.fetch_add(1, Ordering::Relaxed);
        let store = Postgres::new(self.caller.clone(), term, Arc::clone(&self.counts));
        let opened = (Box::new(store) as Box<_>, self.archive() as Arc<_>);
        let time = Box::new(clock::steady());
        let mut writer = Writer::lead(opened, replayed, time, self.retention, self.metrics());
        tracing::info!(node = self.options.name, epoch, position, "leading");
        self.counts.leading.store(true, Ordering::Relaxed);
        self.role.send_replace(Role::Leading);
        let ended = writer.work(requests);
        // At once: the end of the writer takes a while, and what comes meanwhile is for the next leader.
        self.counts.leading.store(false, Ordering::Relaxed);
        self.role.send_replace(Role::Following(None));
        // Nor does what is queued wait for it.
        requests.try_iter().for_each(|request| writer.refuse(request));
        match ended {
            // A wish to stop that came too late for this lead is no wish to take the next.
            Err(error) if writer.is_draining() && may_follow(&error) => Ok(Ended::Left),
            ended => ended,
        }
    }
}

/// True for what concerns this lead and not the engine: somebody else may have the lead, or this one later.
fn may_follow(error: &WriterError) -> bool {
    use crate::archive::ArchiveError::{Away, Deposed};
    matches!(
        error,
        WriterError::Deposed(_)
            | WriterError::Append(_)
            | WriterError::Archive(Away { .. } | Deposed { .. })
            | WriterError::Store(
                StoreError::Database { .. } | StoreError::Archive(Away { .. } | Deposed { .. })
            )
    )
}

/// What a node hears while it does not lead.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// It is to end.
    Drain,
    /// Nothing can come any more.
    Gone,
}

/// Refuses what comes for a while.
fn refuse_for(time: Duration, requests: &Receiver<Request>) -> Heard {
    let until = clock::monotonic() + time;
    loop {
        match requests.recv_timeout(until.saturating_sub(clock::monotonic())) {
            Ok(Request::Drain) => return Heard::Drain,
            Ok(request) => request.refuse(&Unavailable::NotLeading),
            Err(RecvTimeoutError::Timeout) => return Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => return Heard::Gone,
        }
    }
}
