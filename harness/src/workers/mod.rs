//! The harness's own workers: they poll, "work" for as long as the plan says, and report, as workers do in production.
//!
//! One long-polling loop for each task type (Conductor has no poll over several types) feeds the pool of slots of the
//! agent that does the type. Every execution is journalled.

pub mod assignment;
mod lease;
mod poller;
pub mod pool;
pub mod spec;
pub mod tail;
pub mod timer;
mod update;
mod work;

pub use work::real_ns;

use crate::journal::Journal;
use crate::scenario::Workers;
use crate::target::conductor::Conductor;
use assignment::Assignments;
use pool::Pool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use timer::Timer;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a poll waits at a server that answers as soon as it has one task.
pub const PATIENT_POLL: Duration = Duration::from_secs(2);
/// How long it waits at a server of unknown kind: one that waits for *all* the tasks that were asked for would
/// otherwise hold back the ones that it has. The same as Conductor's own clients use.
pub const CAUTIOUS_POLL: Duration = Duration::from_millis(100);

/// What a fleet of workers is made of.
#[derive(Debug)]
pub struct FleetSpec {
    /// Where they poll.
    pub target: Conductor,
    /// What they know of the run.
    pub assignments: Assignments,
    /// Where executions go.
    pub journal: Journal,
    /// Prefix of worker names and nonces; unique among everything that works on the target.
    pub tag: String,
    /// Workflow seconds per real second.
    pub speed: f64,
    /// For drawn failures.
    pub seed: u64,
    /// How they behave.
    pub behaviour: Workers,
    /// How long one poll waits.
    pub poll_wait: Duration,
    /// True: a record tells when work begins too, so that what a killed worker had in hand is known.
    pub tell_begun: bool,
}

/// What every worker shares.
#[derive(Debug)]
struct Shared {
    spec: FleetSpec,
    timer: Timer,
    executions: AtomicU64,
    stop: watch::Receiver<bool>,
}

/// Running workers.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
    pools: BTreeMap<String, Arc<Pool>>,
    pollers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Fleet {
    /// Starts workers for every task type of the assignments. Their pools have no slots yet.
    ///
    /// # Errors
    /// The system has no thread left for the timer.
    pub fn start(spec: FleetSpec) -> std::io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let types = spec.assignments.types();
        let shared =
            Arc::new(Shared { spec, timer: Timer::start()?, executions: AtomicU64::new(0), stop: stopped });
        let mut pools: BTreeMap<String, Arc<Pool>> = BTreeMap::new();
        let mut pollers = JoinSet::new();
        for (task_type, agent) in types {
            let pool = pools.entry(agent.clone()).or_insert_with(|| Arc::new(Pool::new(&agent)));
            pollers.spawn(poller::run(Arc::clone(&shared), task_type, Arc::clone(pool)));
        }
        Ok(Self { shared, pools, pollers, stop })
    }

    /// Sets the slots of pools by name.
    pub fn resize(&self, slots: &BTreeMap<String, u32>) {
        for (name, slots) in slots {
            if let Some(pool) = self.pools.get(name) {
                pool.resize(*slots);
            }
        }
    }

    /// Names of the pools.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        self.pools.keys().map(String::as_str)
    }

    /// Executions that were reported so far.
    pub fn executions(&self) -> u64 {
        self.shared.executions.load(Ordering::Relaxed)
    }

    /// Ends all workers: polls are dropped, work in progress is given up and journalled as such.
    pub async fn stop(mut self) {
        // Without receivers everybody has stopped already.
        let _ = self.stop.send(true);
        while self.pollers.join_next().await.is_some() {}
    }
}

impl Shared {
    /// Returns when the fleet is told to stop.
    async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that the fleet is gone: the same.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}
