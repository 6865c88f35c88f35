//! The supervisor of one node: a thread that starts it, waits for its end, and starts it again on the same arguments.

use super::backups::Backups;
use super::kit::Kit;
use super::life::{Brought, Ended, Readiness};
use super::lives::{Shared, State, supervise};
use super::standby::Proof;
use super::{NodeSpec, Sink, Supervision};
use crate::clock;
use crate::process::{self, Identity};
use crate::substrate::NodeError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a node that was sent SIGKILL may take to be gone: the kernel may have to write its pages or end its I/O.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// A node under supervision.
pub struct Supervised {
    pub(super) shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    before_kill: OnceLock<Box<dyn Fn() + Send + Sync>>,
    pub(super) proof: OnceLock<Proof>,
    backups: Backups,
}

impl Supervised {
    /// Takes a node under supervision; it runs as soon as it is [wanted](Self::want).
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(spec: NodeSpec, kit: Kit, sink: Sink) -> std::io::Result<Self> {
        let held = spec.supervision == Supervision::Manager;
        let (state, cage) = (Mutex::new(State { held, ..State::default() }), kit.cage(&spec));
        let shared = Arc::new(Shared { spec, kit, cage, sink, state, changed: Condvar::new() });
        let watched = Arc::clone(&shared);
        let name = format!("node-{}", shared.spec.spec.name);
        let thread = std::thread::Builder::new().name(name).spawn(move || supervise(&watched))?;
        let (thread, before_kill) = (Mutex::new(Some(thread)), OnceLock::new());
        Ok(Self { shared, thread, before_kill, proof: OnceLock::new(), backups: Backups::default() })
    }

    /// Its name, roles and arguments.
    #[must_use]
    pub fn spec(&self) -> &NodeSpec {
        &self.shared.spec
    }

    /// What was made ready for faults before it was started.
    #[must_use]
    pub fn kit(&self) -> &Kit {
        &self.shared.kit
    }

    /// Its backups.
    #[must_use]
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    /// Its process, while there is one.
    #[must_use]
    pub fn running(&self) -> Option<Identity> {
        self.lock().running.as_ref().map(|running| running.identity)
    }

    /// How often it was started so far.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.lock().life
    }

    /// Wants it to run, also when it was given up; whoever [keeps it away](Self::fell) still does. Returns the number of
    /// the life that is then its next, or its present one.
    pub fn want(&self) -> u64 {
        self.wanted(0)
    }

    /// Lets it back, once for each [`fell`](Self::fell) and [`end`](Self::end), and wants it to run; it does so when
    /// nobody else keeps it away. Returns the same as [`want`](Self::want).
    pub fn let_back(&self) -> u64 {
        self.wanted(1)
    }

    fn wanted(&self, fewer_away: u32) -> u64 {
        let mut state = self.lock();
        let next = if state.running.is_some() { state.life } else { state.life + 1 };
        state.wanted = true;
        state.away = state.away.saturating_sub(fewer_away);
        state.unasked = 0;
        self.shared.changed.notify_all();
        next
    }

    /// Waits until life `life` is ready, or, when that one does not come up, a later one: its supervisor may start it
    /// again. The time that others keep it away is not counted. Blocks.
    ///
    /// # Errors
    /// It was given up, or stands by, or did not come up within `limit`: why the last life that was seen did not.
    pub fn await_ready(&self, life: u64, limit: Duration) -> Result<Readiness, NodeError> {
        self.await_life((life, false), limit, |state| state.over || !state.wanted)
    }

    /// The same for somebody who can't wait until others let it back: that they keep it away is a failure at once.
    ///
    /// # Errors
    /// As [`Supervised::await_ready`], and it is kept away.
    pub fn await_unhindered(&self, life: u64, limit: Duration) -> Result<Readiness, NodeError> {
        self.await_life((life, false), limit, |state| state.over || !state.wanted || state.away > 0)
    }

    /// The same of a life that is only for whoever [let it start](Self::release_alone).
    ///
    /// # Errors
    /// As [`Supervised::await_unhindered`].
    pub fn await_alone(&self, life: u64, limit: Duration) -> Result<Readiness, NodeError> {
        self.await_life((life, true), limit, |state| state.over || !state.wanted || state.away > 0)
    }

    /// The same of its first life alone: what does not come up the first time is not waited for.
    ///
    /// # Errors
    /// It did not come up, or not within `limit`.
    pub fn await_first(&self, limit: Duration) -> Result<Readiness, NodeError> {
        self.await_only(1, limit)
    }

    /// The same of life `life` alone.
    ///
    /// # Errors
    /// It did not come up, or not within `limit`.
    pub fn await_only(&self, life: u64, limit: Duration) -> Result<Readiness, NodeError> {
        let has_failed = |state: &State| state.failed.as_ref().is_some_and(|(failed, _)| *failed >= life);
        self.await_life((life, false), limit, |state| state.over || has_failed(state))
    }

    fn await_life(
        &self,
        (life, alone): (u64, bool),
        limit: Duration,
        hopeless: impl Fn(&State) -> bool,
    ) -> Result<Readiness, NodeError> {
        let mut state = self.lock();
        let mut deadline = clock::after(limit);
        loop {
            let is_meant = |ready: &&Readiness| ready.life >= life && ready.alone == alone;
            if let Some(ready) = state.ready.as_ref().filter(is_meant) {
                return Ok(ready.clone());
            }
            if state.stands_by {
                return Err(NodeError::StandsBy { name: self.shared.spec.spec.name.clone() });
            }
            let hopeless = hopeless(&state);
            if hopeless || clock::until(deadline).is_zero() {
                let why = state.failed.take_if(|(failed, _)| *failed >= life).map(|(_, error)| error);
                drop(state);
                let otherwise = || if hopeless { self.not_running() } else { self.not_ready(limit) };
                return Err(why.unwrap_or_else(otherwise));
            }
            let away = state.away > 0;
            state = match self.shared.changed.wait_timeout(state, clock::until(deadline)) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            if away {
                deadline = clock::after(limit);
            }
        }
    }

    /// From now on `deed` is done right before a fault kills it; only the first such deed counts.
    pub fn before_kill(&self, deed: Box<dyn Fn() + Send + Sync>) {
        let _ = self.before_kill.set(deed);
    }

    /// SIGKILL; its supervisor starts it again, after `again_after` if that is given. Blocks until it is gone.
    ///
    /// # Errors
    /// It doesn't run, or the system refuses.
    pub fn kill(&self, again_after: Option<Duration>) -> Result<Brought, NodeError> {
        self.before_kill.get().into_iter().for_each(|deed| deed());
        let (life, sent_ns) = self.send(libc::SIGKILL, |state| {
            (state.asked, state.again_after) = (true, again_after);
        })?;
        self.gone(life, sent_ns)
    }

    /// SIGKILL; it stays away until whoever did this [lets it back](Self::let_back), however this comes out. Blocks until
    /// it is gone.
    ///
    /// # Errors
    /// It doesn't run, or the system refuses.
    pub fn fell(&self) -> Result<Brought, NodeError> {
        self.keep_away();
        let (life, sent_ns) = self.send(libc::SIGKILL, |_| ())?;
        self.gone(life, sent_ns)
    }

    /// Its stop signal, then SIGKILL after `grace`; it stays away until whoever did this [lets it back](Self::let_back), however
    /// this comes out. Blocks until it is gone.
    ///
    /// # Errors
    /// It doesn't run, or the system refuses.
    pub fn end(&self, grace: Duration) -> Result<Brought, NodeError> {
        self.keep_away();
        let (life, sent_ns) = self.send(self.shared.spec.stop_signal, |_| ())?;
        self.end_life(life, sent_ns, grace)
    }

    /// Ends it with `signal` (SIGKILL after `grace`) for somebody who then works on its data: it is not started until
    /// they [release](Self::release) it, though it stays as wanted as it was. `None`: it did not run. Blocks until it
    /// is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn hold(&self, signal: i32, grace: Duration) -> Result<Option<Brought>, NodeError> {
        self.lock().held = true;
        match self.send(signal, |_| ()) {
            Ok((life, sent_ns)) => self.end_life(life, sent_ns, grace).map(Some),
            Err(NodeError::NotRunning { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets it start, now if it is wanted; returns the number of the life that is then its next.
    pub fn release(&self) -> u64 {
        self.let_start(false)
    }

    /// Lets it start for the caller alone, who [holds](Self::hold) it again afterwards: whoever
    /// [waits for it to be back](Self::await_ready) goes on waiting, and nobody is told of this life.
    pub fn release_alone(&self) -> u64 {
        self.let_start(true)
    }

    fn let_start(&self, alone: bool) -> u64 {
        let mut state = self.lock();
        (state.held, state.alone) = (false, alone);
        self.shared.changed.notify_all();
        state.life + 1
    }

    /// True when it is gone, and is to run as soon as it is [released](Self::release).
    #[must_use]
    pub fn waits_for_release(&self) -> bool {
        let state = self.lock();
        // Between its end and its rest it is still to be seen how long that is.
        let rests = state.rests || state.again_after.is_some();
        state.running.is_none() && state.held && state.wanted && state.away == 0 && !rests
    }

    pub(super) fn end_life(&self, life: u64, sent_ns: u64, grace: Duration) -> Result<Brought, NodeError> {
        if let Some(ended) = self.await_end(life, grace) {
            return Ok(Brought { sent_ns, ended });
        }
        match self.send(libc::SIGKILL, |_| ()) {
            // It ended between the two.
            Err(NodeError::NotRunning { .. }) | Ok(_) => self.gone(life, sent_ns),
            Err(error) => Err(error),
        }
    }

    /// Waits until life `life` has ended, `limit` at most. Blocks.
    #[must_use]
    pub fn await_end(&self, life: u64, limit: Duration) -> Option<Ended> {
        self.wait(limit, |state| state.ended.filter(|ended| ended.life >= life))
    }

    /// How its last life ended.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.lock().ended
    }

    fn keep_away(&self) {
        self.lock().away += 1;
    }

    /// Ends it for good; SIGTERM first when there is any `grace`. Blocks.
    ///
    /// # Errors
    /// It is still there though it got SIGKILL: the kernel does not let go of it.
    pub fn retire(&self, grace: Duration) -> Result<(), NodeError> {
        {
            let mut state = self.lock();
            (state.wanted, state.over) = (false, true);
            self.shared.changed.notify_all();
        }
        if grace.is_zero() || self.end(grace).is_err() {
            let _ = self.send(libc::SIGKILL, |_| ());
        }
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        if self.wait(GONE_WITHIN, |state| state.ended_for_good.then_some(())).is_none() {
            // Its thread waits on for the kernel; nobody waits for its thread.
            return Err(self.still_there());
        }
        // It can only have panicked, which it has said itself.
        let _ = thread.join();
        Ok(())
    }

    fn gone(&self, life: u64, sent_ns: u64) -> Result<Brought, NodeError> {
        let ended = self.await_end(life, GONE_WITHIN).ok_or_else(|| self.still_there())?;
        Ok(Brought { sent_ns, ended })
    }

    fn still_there(&self) -> NodeError {
        NodeError::StillThere { name: self.shared.spec.spec.name.clone(), within: GONE_WITHIN }
    }

    /// Sends a signal to the running process, with a change to the state that nobody can come between.
    pub(super) fn send(&self, signal: i32, change: impl FnOnce(&mut State)) -> Result<(u64, u64), NodeError> {
        let mut state = self.lock();
        let name = &self.shared.spec.spec.name;
        let Some(running) = &state.running else { return Err(self.not_running()) };
        let pid = running.identity.pid;
        let sent_ns = clock::now_ns();
        match process::send(&running.descriptor, signal) {
            Err(source) if source.raw_os_error() != Some(libc::ESRCH) => {
                Err(NodeError::Control { name: name.clone(), pid, source })
            }
            _ => {
                change(&mut state);
                Ok((state.life, sent_ns))
            }
        }
    }

    fn wait<T>(&self, limit: Duration, mut done: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let deadline = clock::after(limit);
        let mut state = self.lock();
        loop {
            if let Some(value) = done(&mut state) {
                return Some(value);
            }
            let left = clock::until(deadline);
            if left.is_zero() {
                return None;
            }
            state = match self.shared.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn not_running(&self) -> NodeError {
        NodeError::NotRunning { name: self.shared.spec.spec.name.clone() }
    }

    fn not_ready(&self, within: Duration) -> NodeError {
        let Supervised { shared, .. } = self;
        let (name, log) = (shared.spec.spec.name.clone(), shared.spec.spec.log.clone());
        let tail = crate::substrate::log_tail::of(&log);
        NodeError::NotReady { name, within, log, tail }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // Whoever wants to know whether it is gone has retired it before.
        let _ = self.retire(Duration::ZERO);
    }
}
