//! The pair as a harness has it: started, hurt, switched over, listened to, stopped.

use super::binaries::Binaries;
use super::event::{Event, News, Phase, Sink};
use super::keeper::PairKeeper;
use super::manager::{self, Order};
use super::pair::Pair;
use super::place;
use super::settings::{Settings, Timer};
use super::sql::Door;
use super::{DatabaseError, Side};
use crate::inject::Switch;
use crate::inject::pause::freeze;
use crate::process::Identity;
use crate::role::{Role, Seat};
use crate::substrate::link::block_on;
use crate::substrate::local::{Brought, Local};
use crate::substrate::{Doubt, Known, NodeError, NotRun};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A manager that is not in the middle of something begins at once.
const BEGUN_WITHIN: Duration = Duration::from_secs(10);
/// The old primary may have to be copied anew.
const OVER_WITHIN: Duration = Duration::from_secs(50);

/// A pair of databases with its manager. Its verbs block: call them from threads that may wait. Dropping it ends both
/// databases at once.
pub struct Database {
    pair: Arc<Pair>,
    news: Arc<News>,
    redundant: Arc<AtomicBool>,
    orders: UnboundedSender<Order>,
    manager: Mutex<Option<JoinHandle<()>>>,
}

impl Database {
    /// Whether this machine can run one, and with what.
    ///
    /// # Errors
    /// It can't: why, and how it could.
    pub fn can_run() -> Result<Binaries, NotRun> {
        super::binaries::locate()
    }

    /// Brings up a primary, its standby and their manager. Logs go into `folder`, files too where the databases' user
    /// gets there. From then on `db.primary`, `db.standby` and, with links (`local` must have its proxy server then),
    /// `link:db.primary`, `link:db.standby` and `link:db.replication` are roles that faults on `local` can be aimed at.
    /// `sink` is told of every step.
    ///
    /// # Errors
    /// This machine can't, or they did not come up; nothing is left of them then.
    pub fn start(
        local: &Arc<Local>,
        folder: &Path,
        settings: Settings,
        sink: Sink,
    ) -> Result<Self, DatabaseError> {
        let pair = Arc::new(Pair::start(Arc::clone(local), folder, settings)?);
        let (orders, received) = unbounded_channel();
        let (news, redundant) = (Arc::new(News::new(sink)), Arc::new(AtomicBool::new(true)));
        let (tended, told, known) = (Arc::clone(&pair), Arc::clone(&news), Arc::clone(&redundant));
        let run = move || manager::run(&tended, &told, &known, received);
        let thread = std::thread::Builder::new().name("database-manager".to_owned()).spawn(run);
        let no_thread = |error| DatabaseError::State(format!("there is no thread for the manager: {error}"));
        let manager = thread.map_err(no_thread).inspect_err(|_| pair.stop(Duration::ZERO))?;
        // Weak: the substrate must not keep alive what keeps the substrate alive.
        let cast = Arc::downgrade(&pair);
        if pair.settings.cut_at_kill {
            [Side::First, Side::Second].into_iter().for_each(|side| cut_at_kill(&pair, side));
        }
        local.add_casting(Arc::new(move |role: &Role| cast.upgrade()?.cast(role)));
        local.add_switch(Arc::new(Switcher {
            news: Arc::clone(&news),
            orders: orders.clone(),
            begun: Mutex::new(0),
        }));
        local.add_keeper(Arc::new(PairKeeper::new(&pair, &news, &orders)));
        Ok(Self { pair, news, redundant, orders, manager: Mutex::new(Some(manager)) })
    }

    /// What it goes by.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.pair.settings
    }

    /// The timers of its configuration, to be printed beside what was measured.
    #[must_use]
    pub fn timers(&self) -> Vec<Timer> {
        self.pair.settings.timers()
    }

    /// The programs that it runs.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.pair.binaries
    }

    /// What clients connect to: both hosts, of which they take the one that takes writes. Holds the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.pair.url()
    }

    /// One address for clients that know only one: it is led to the primary; `None` without links. Holds the password.
    #[must_use]
    pub fn moving_url(&self) -> Option<String> {
        self.pair.moving_url()
    }

    /// Where the files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.pair.folder()
    }

    /// Which of the two has a seat now.
    #[must_use]
    pub fn seated(&self, seat: Seat) -> Side {
        match seat {
            Seat::Primary => self.pair.primary(),
            Seat::Standby => self.pair.primary().other(),
        }
    }

    /// How to get at one of the two as superuser in the clients' database, past all links.
    #[must_use]
    pub fn door(&self, side: Side) -> Door {
        self.pair.client_door(side)
    }

    /// The first process of one of the two, while it runs.
    #[must_use]
    pub fn process(&self, side: Side) -> Option<Identity> {
        self.pair.cluster(side).node.running()
    }

    /// True when the next failover is possible, and loses nothing where commits wait.
    #[must_use]
    pub fn is_redundant(&self) -> bool {
        self.redundant.load(Ordering::Acquire)
    }

    /// Every step so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.news.all()
    }

    /// Waits for a step, the first of its kind from the `after`th event on. Blocks.
    ///
    /// # Errors
    /// It does not come within `limit`; it says what came instead.
    pub fn await_phase(&self, phase: Phase, after: usize, limit: Duration) -> Result<Event, DatabaseError> {
        self.news.await_phase(phase, after, limit).ok_or_else(|| {
            let came: Vec<String> = self.events().iter().skip(after).map(ToString::to_string).collect();
            let came = if came.is_empty() { "nothing".to_owned() } else { came.join("; ") };
            DatabaseError::State(format!("{} did not come within {limit:?}; what came: {came}", phase.name()))
        })
    }

    /// Kills all of one of the two at once, as a machine that loses its power, with its replication link cut at that
    /// instant where the settings say so. The manager brings it back. Blocks until it is gone.
    ///
    /// # Errors
    /// It doesn't run, or is still there.
    pub fn kill(&self, seat: Seat) -> Result<Brought, DatabaseError> {
        Ok(self.pair.cluster(self.seated(seat)).node.kill(None)?)
    }

    /// Stops every process of one of the two: it hangs, and the kernel goes on taking its connections. Blocks until all
    /// are known to be stopped.
    ///
    /// # Errors
    /// It doesn't run, or some of it runs on.
    pub fn pause(&self, seat: Seat) -> Result<Paused, DatabaseError> {
        let side = self.seated(seat);
        let name = side.name().to_owned();
        let server = self.process(side).ok_or(DatabaseError::Node(NodeError::NotRunning { name }))?;
        let mut paused = Paused { side, at_ns: 0, processes: Vec::new() };
        let frozen = freeze(server, &mut paused.processes, &mut |_| Ok(()));
        paused.at_ns = frozen.map_err(|doubt| DatabaseError::State(doubt.evidence))?;
        Ok(paused)
    }

    /// Stops one of the two in order; the manager brings it back, as a primary or standby, as things are then. Blocks
    /// until it is gone.
    ///
    /// # Errors
    /// It is still there.
    pub fn restart(&self, seat: Seat, grace: Duration) -> Result<Option<Brought>, DatabaseError> {
        self.pair.cluster(self.seated(seat)).stop(grace)
    }

    /// Cuts the link by which the standby follows, or heals it: what was on its way is lost.
    ///
    /// # Errors
    /// There is no link, or its proxy doesn't do so.
    pub fn cut_replication(&self, is_cut: bool) -> Result<(), DatabaseError> {
        if !self.pair.settings.links {
            return Err(DatabaseError::State(
                "there is no link to cut; start the pair with links = true".to_owned(),
            ));
        }
        block_on(self.pair.cut_replication(self.pair.primary(), is_cut))
    }

    /// Asks for the roles to change, without loss; events tell how that goes.
    ///
    /// # Errors
    /// The manager has ended.
    pub fn switch_over(&self) -> Result<(), DatabaseError> {
        let sent = self.orders.send(Order::Switchover);
        sent.map_err(|_| DatabaseError::State("the manager of the databases has ended".to_owned()))
    }

    /// Ends the manager, then both databases: in order within `grace`, else at once. Blocks.
    pub fn stop(&self, grace: Duration) {
        let _ = self.orders.send(Order::End);
        let manager = self.manager.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(manager) = manager {
            // It can only have panicked, which it has said itself.
            let _ = manager.join();
            self.pair.stop(grace);
        }
        place::remove_abandoned(&std::env::temp_dir());
    }
}

/// Changes the roles of the pair for a drill.
struct Switcher {
    news: Arc<News>,
    orders: UnboundedSender<Order>,
    /// How many events there were when the last change was asked for.
    begun: Mutex<usize>,
}

impl Switcher {
    fn set_begun(&self, events: usize) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }

    fn await_one(&self, phase: Phase, within: Duration) -> Result<Known, Doubt> {
        let after = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = || {
            let refused = self.news.await_phase(Phase::SwitchoverRefused, after, Duration::ZERO);
            refused.map_or_else(
                || format!("{} did not come within {within:?}", phase.name()),
                |event| event.to_string(),
            )
        };
        let event = self.news.await_phase(phase, after, within).ok_or_else(|| Doubt::new(refused()))?;
        Ok(Known { at_ns: event.at_ns, evidence: event.to_string() })
    }
}

impl Switch for Switcher {
    fn has(&self, role: &Role) -> bool {
        *role == Role::Database(Seat::Primary)
    }

    fn begin(&self) -> Result<Known, Doubt> {
        let ordered = self.news.all().len();
        self.set_begun(ordered);
        let ended = |_| Doubt::new("the manager of the databases has ended");
        self.orders.send(Order::Switchover).map_err(ended)?;
        let begun = self.await_one(Phase::SwitchoverBegun, BEGUN_WITHIN)?;
        // What was going on before is none of the change.
        self.set_begun(self.news.first(Phase::SwitchoverBegun, ordered));
        Ok(begun)
    }

    fn is_over(&self) -> Result<Known, Doubt> {
        self.await_one(Phase::RedundancyRestored, OVER_WITHIN)
    }
}

/// Has the replication link of a primary cut right before a fault kills it.
fn cut_at_kill(pair: &Arc<Pair>, side: Side) {
    let cut = Arc::downgrade(pair);
    pair.cluster(side).node.before_kill(Box::new(move || {
        let Some(pair) = cut.upgrade().filter(|pair| pair.primary() == side) else { return };
        if let Err(error) = block_on(pair.cut_replication(side, true)) {
            tracing::warn!("the replication link was not cut at the kill of {}: {error}", side.name());
        }
    }));
}

/// A database that hangs. Dropping it lets it go on, if it is still there.
#[derive(Debug)]
pub struct Paused {
    /// Which.
    pub side: Side,
    /// CLOCK_MONOTONIC: since when.
    pub at_ns: u64,
    processes: Vec<Identity>,
}

impl Drop for Paused {
    fn drop(&mut self) {
        // Children first: the server must not see them stopped.
        for process in self.processes.iter().rev() {
            // One that can't be told is gone: the fence killed it.
            let _ = process.signal(libc::SIGCONT);
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}
