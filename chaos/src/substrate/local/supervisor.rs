//! The supervisor of one node: a thread that starts it, waits for its end, and starts it again on the same arguments.

use super::kit::Kit;
use super::life::{Brought, Ended, Readiness};
use super::{NodeChange, NodeEvent, NodeSpec, Sink, Supervision};
use crate::clock;
use crate::process::{self, Identity};
use crate::substrate::{Cage, Node, NodeError};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a node that was sent SIGKILL may take to be gone: the kernel may have to write its pages or end its I/O.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// A node that lived this long and then ended unasked is not in a loop of crashes: it is counted from 1 again.
const LIVED_WELL: Duration = Duration::from_secs(60);

/// A node under supervision.
pub struct Supervised {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    spec: NodeSpec,
    kit: Kit,
    cage: Cage,
    sink: Sink,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// It is to run.
    wanted: bool,
    /// Nobody needs it any more: the thread is to end.
    over: bool,
    /// How often it was started.
    life: u64,
    /// Its process, from when it is started until it is reaped.
    running: Option<Running>,
    /// The last life that was ready, and since when.
    ready: Option<Readiness>,
    /// The last life that ended, and how.
    ended: Option<Ended>,
    /// Why the last life did not come up.
    failed: Option<(u64, NodeError)>,
    /// Its next end was asked for.
    asked: bool,
    /// It is started again this long after its next end, whatever its supervision says.
    again_after: Option<Duration>,
    /// How often it ended unasked in a row.
    unasked: u32,
}

#[derive(Debug)]
struct Running {
    identity: Identity,
    descriptor: OwnedFd,
}

impl Supervised {
    /// Takes a node under supervision; it runs as soon as it is [wanted](Self::want).
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(spec: NodeSpec, kit: Kit, sink: Sink) -> std::io::Result<Self> {
        let (state, cage) = (Mutex::new(State::default()), kit.cage(&spec));
        let shared = Arc::new(Shared { spec, kit, cage, sink, state, changed: Condvar::new() });
        let watched = Arc::clone(&shared);
        let name = format!("node-{}", shared.spec.spec.name);
        let thread = std::thread::Builder::new().name(name).spawn(move || supervise(&watched))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
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

    /// Wants it to run; returns the number of the life that is then its next, or its present one.
    pub fn want(&self) -> u64 {
        let mut state = self.lock();
        let next = if state.running.is_some() { state.life } else { state.life + 1 };
        state.wanted = true;
        state.unasked = 0;
        self.shared.changed.notify_all();
        next
    }

    /// Waits until life `life`, or a later one, is ready. Blocks.
    ///
    /// # Errors
    /// It did not come up, or not within `limit`.
    pub fn await_ready(&self, life: u64, limit: Duration) -> Result<Readiness, NodeError> {
        let done = |state: &mut State| {
            if let Some(ready) = state.ready.as_ref().filter(|ready| ready.life >= life) {
                return Some(Ok(ready.clone()));
            }
            let failed = state.failed.take_if(|(failed, _)| *failed >= life).map(|(_, error)| Err(error));
            // Nobody will start it any more: nothing is left to wait for.
            failed.or_else(|| state.over.then(|| Err(self.not_running())))
        };
        self.wait(limit, done).unwrap_or_else(|| Err(self.not_ready(limit)))
    }

    /// SIGKILL; its supervisor starts it again, after `again_after` if that is given. Blocks until it is gone.
    ///
    /// # Errors
    /// It doesn't run, or the system refuses.
    pub fn kill(&self, again_after: Option<Duration>) -> Result<Brought, NodeError> {
        let (life, sent_ns) = self.send(libc::SIGKILL, |state| {
            (state.asked, state.again_after) = (true, again_after);
        })?;
        self.gone(life, sent_ns)
    }

    /// SIGKILL; it stays away until it is wanted again. Blocks until it is gone.
    ///
    /// # Errors
    /// It doesn't run, or the system refuses.
    pub fn fell(&self) -> Result<Brought, NodeError> {
        let (life, sent_ns) = self.send(libc::SIGKILL, |state| state.wanted = false)?;
        self.gone(life, sent_ns)
    }

    /// SIGTERM, then SIGKILL after `grace`; it stays away until it is wanted again. Blocks until it is gone.
    ///
    /// # Errors
    /// It doesn't run, or the system refuses.
    pub fn end(&self, grace: Duration) -> Result<Brought, NodeError> {
        let (life, sent_ns) = self.send(libc::SIGTERM, |state| state.wanted = false)?;
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

    /// Ends it for good; SIGTERM first when there is any `grace`. It is gone when this returns. Blocks.
    pub fn retire(&self, grace: Duration) {
        {
            let mut state = self.lock();
            (state.wanted, state.over) = (false, true);
            self.shared.changed.notify_all();
        }
        if grace.is_zero() || self.end(grace).is_err() {
            let _ = self.send(libc::SIGKILL, |_| ());
        }
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It can only have panicked, which it has said itself.
            let _ = thread.join();
        }
    }

    fn gone(&self, life: u64, sent_ns: u64) -> Result<Brought, NodeError> {
        let ended = self.await_end(life, GONE_WITHIN).ok_or_else(|| NodeError::StillThere {
            name: self.shared.spec.spec.name.clone(),
            within: GONE_WITHIN,
        })?;
        Ok(Brought { sent_ns, ended })
    }

    /// Sends a signal to the running process, with a change to the state that nobody can come between.
    fn send(&self, signal: i32, change: impl FnOnce(&mut State)) -> Result<(u64, u64), NodeError> {
        let mut state = self.lock();
        let name = &self.shared.spec.spec.name;
        let Some(running) = &state.running else {
            change(&mut state);
            return Err(self.not_running());
        };
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.retire(Duration::ZERO);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn tell(&self, change: NodeChange, pid: u32, at_ns: u64, text: &str) {
        let node = self.spec.spec.name.clone();
        (self.sink)(NodeEvent { node, change, pid, at_ns, text: text.to_owned() });
    }
}

/// One life after another, until nobody needs it any more.
fn supervise(shared: &Shared) {
    while await_wanted(shared) {
        let lived = live(shared);
        rest(shared, lived);
    }
}

/// Waits until it is to run; `false` when it never will again.
fn await_wanted(shared: &Shared) -> bool {
    let mut state = shared.lock();
    while !state.wanted && !state.over {
        state = shared.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    !state.over
}

/// One life: started, ready, ended. Tells how long it was ready; `None`: it never was.
fn live(shared: &Shared) -> Option<Duration> {
    let launched = Node::launch(&shared.spec.spec, &shared.cage);
    let mut node = match launched.and_then(|node| take_up(shared, node)) {
        Ok(node) => node,
        Err(error) => {
            let mut state = shared.lock();
            state.life += 1;
            state.failed = Some((state.life, error));
            shared.changed.notify_all();
            return None;
        }
    };
    let pid = node.pid();
    let life = shared.lock().life;
    let ready = node.await_ready().map(str::to_owned);
    let at_ns = clock::now_ns();
    let ready_ns = ready.is_ok().then_some(at_ns);
    match ready {
        Ok(text) => {
            shared.tell(NodeChange::Ready, pid, at_ns, &text);
            shared.lock().ready = Some(Readiness { life, pid, at_ns, text });
        }
        Err(error) => shared.lock().failed = Some((life, error)),
    }
    shared.changed.notify_all();
    let status = node.wait_for_ever();
    let at_ns = clock::now_ns();
    let mut state = shared.lock();
    state.running = None;
    if let Ok(status) = status {
        let ended = Ended { life, pid, at_ns, status };
        state.ended = Some(ended);
        drop(state);
        shared.changed.notify_all();
        shared.tell(NodeChange::Ended, pid, at_ns, &ended.how());
    }
    ready_ns.map(|ready_ns| Duration::from_nanos(at_ns.saturating_sub(ready_ns)))
}

fn take_up(shared: &Shared, node: Node) -> Result<Node, NodeError> {
    let at_ns = clock::now_ns();
    let pid = node.pid();
    let control = |source| NodeError::Control { name: shared.spec.spec.name.clone(), pid, source };
    let descriptor = process::descriptor(pid).map_err(control)?;
    let identity = Identity::of(pid).unwrap_or(Identity { pid, start_ticks: 0 });
    {
        let mut state = shared.lock();
        state.life += 1;
        state.running = Some(Running { identity, descriptor });
        if state.over {
            // It was given up while it was being started.
            drop(node);
            state.running = None;
            return Err(NodeError::NotRunning { name: shared.spec.spec.name.clone() });
        }
    }
    shared.changed.notify_all();
    shared.tell(NodeChange::Started, pid, at_ns, "");
    Ok(node)
}

/// After an end: waits as long as the supervision says, or gives the node up.
fn rest(shared: &Shared, lived: Option<Duration>) {
    let mut state = shared.lock();
    let (asked, again_after) = (std::mem::take(&mut state.asked), state.again_after.take());
    if !state.wanted || state.over {
        return;
    }
    let delay = match (again_after, shared.spec.supervision) {
        (Some(delay), _) => Some(delay),
        (None, Supervision::Never) => None,
        (None, Supervision::Again { after, .. }) if asked => Some(after),
        (None, Supervision::Again { after, at_most }) => {
            let well = lived.is_some_and(|lived| lived >= LIVED_WELL);
            state.unasked = if well { 1 } else { state.unasked + 1 };
            (state.unasked <= at_most).then_some(after)
        }
    };
    let Some(delay) = delay else {
        state.wanted = false;
        drop(state);
        let text = if lived.is_some() { "it ended" } else { "it did not come up" };
        shared.tell(NodeChange::GivenUp, 0, clock::now_ns(), text);
        return;
    };
    let deadline = clock::after(delay);
    while !state.over && state.wanted && !clock::until(deadline).is_zero() {
        let left = clock::until(deadline);
        state = match shared.changed.wait_timeout(state, left) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}
