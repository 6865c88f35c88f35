//! The lives of a supervised node: its thread starts it, waits for its end, and starts it again or gives it up.

use super::kit::Kit;
use super::life::{Ended, Readiness};
use super::{NodeChange, NodeEvent, NodeSpec, Sink, Supervision};
use crate::clock;
use crate::process::{self, Identity};
use crate::substrate::{Cage, Node, NodeError};
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// A node that lived this long and then ended unasked is not in a loop of crashes: it is counted from 1 again.
const LIVED_WELL: Duration = Duration::from_secs(60);

/// What a supervisor and its thread share.
pub(super) struct Shared {
    pub(super) spec: NodeSpec,
    pub(super) kit: Kit,
    pub(super) cage: Cage,
    pub(super) sink: Sink,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// It is to run; no longer when its supervisor has given it up.
    pub(super) wanted: bool,
    /// How many keep it away all the same, each until it lets it back.
    pub(super) away: u32,
    /// Nobody needs it any more: the thread is to end.
    pub(super) over: bool,
    /// How often it was started.
    pub(super) life: u64,
    /// Its process, from when it is started until it is reaped.
    pub(super) running: Option<Running>,
    /// The last life that was ready, and since when.
    pub(super) ready: Option<Readiness>,
    /// The last life that ended, and how.
    pub(super) ended: Option<Ended>,
    /// Why the last life did not come up.
    pub(super) failed: Option<(u64, NodeError)>,
    /// Its thread has ended.
    pub(super) ended_for_good: bool,
    /// Its next end was asked for.
    pub(super) asked: bool,
    /// It is started again this long after its next end, whatever its supervision says.
    pub(super) again_after: Option<Duration>,
    /// How often it ended unasked in a row.
    pub(super) unasked: u32,
    /// Somebody works on its data: it isn't started until they are done.
    pub(super) held: bool,
    /// It is started only for them: to everybody else it is not back.
    pub(super) alone: bool,
    /// It waits until the time is over that its end was to last.
    pub(super) rests: bool,
    /// It does not run, though it may be wanted, until it takes over from others.
    pub(super) stands_by: bool,
}

impl State {
    fn is_to_run(&self) -> bool {
        self.wanted && self.away == 0 && !self.held && !self.stands_by
    }
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) identity: Identity,
    pub(super) descriptor: OwnedFd,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_managed(&self) -> bool {
        self.spec.supervision == Supervision::Manager
    }

    pub(super) fn tell(&self, change: NodeChange, pid: u32, at_ns: u64, text: &str) {
        let node = self.spec.spec.name.clone();
        (self.sink)(NodeEvent { node, change, pid, at_ns, text: text.to_owned() });
    }
}

/// One life after another, until nobody needs it any more.
pub(super) fn supervise(shared: &Shared) {
    let _farewell = Farewell(shared);
    while await_wanted(shared) {
        let lived = live(shared);
        rest(shared, lived);
    }
}

/// Waits until it is to run; `false` when it never will again.
fn await_wanted(shared: &Shared) -> bool {
    let mut state = shared.lock();
    while !state.is_to_run() && !state.over {
        state = shared.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    !state.over
}

/// One life: started, ready, ended. Tells how long it was ready; `None`: it never was.
fn live(shared: &Shared) -> Option<Duration> {
    let launched = Node::launch(&shared.spec.spec, &shared.cage);
    let (mut node, life, alone) = match launched.and_then(|node| take_up(shared, node)) {
        Ok(taken) => taken,
        Err(error) => {
            let mut state = shared.lock();
            state.life += 1;
            state.failed = Some((state.life, error));
            state.held |= shared.is_managed();
            shared.changed.notify_all();
            return None;
        }
    };
    let pid = node.pid();
    // To everybody else it is not back, and a clock that stops at what is told here would stop too early.
    let tell = |change, at_ns, text: &str| {
        if !alone {
            shared.tell(change, pid, at_ns, text);
        }
    };
    let ready = node.await_ready().map(str::to_owned);
    let at_ns = clock::now_ns();
    let ready_ns = ready.is_ok().then_some(at_ns);
    match ready {
        Ok(text) => {
            tell(NodeChange::Ready, at_ns, &text);
            shared.lock().ready = Some(Readiness { life, pid, at_ns, text, alone });
        }
        Err(error) => shared.lock().failed = Some((life, error)),
    }
    shared.changed.notify_all();
    let status = node.wait_for_ever();
    let at_ns = clock::now_ns();
    let mut state = shared.lock();
    state.running = None;
    // Before anybody hears of its end: they may let it start again at once.
    state.held |= shared.is_managed();
    if let Ok(status) = status {
        let ended = Ended { life, pid, at_ns, status };
        state.ended = Some(ended);
        drop(state);
        shared.changed.notify_all();
        tell(NodeChange::Ended, at_ns, &ended.how());
    }
    ready_ns.map(|ready_ns| Duration::from_nanos(at_ns.saturating_sub(ready_ns)))
}

/// Its process is there: which life that is, and whether it is [for one alone](State::alone).
fn take_up(shared: &Shared, node: Node) -> Result<(Node, u64, bool), NodeError> {
    let at_ns = clock::now_ns();
    let pid = node.pid();
    let control = |source| NodeError::Control { name: shared.spec.spec.name.clone(), pid, source };
    let descriptor = process::descriptor(pid).map_err(control)?;
    let identity = Identity::of(pid).unwrap_or(Identity { pid, start_ticks: 0 });
    let (life, alone) = {
        let mut state = shared.lock();
        state.life += 1;
        state.running = Some(Running { identity, descriptor });
        if state.over || state.held || state.stands_by {
            // It was given up, held, or told to stand by while it was being started.
            drop(node);
            state.running = None;
            return Err(NodeError::NotRunning { name: shared.spec.spec.name.clone() });
        }
        (state.life, state.alone)
    };
    shared.changed.notify_all();
    if !alone {
        shared.tell(NodeChange::Started, pid, at_ns, "");
    }
    Ok((node, life, alone))
}

/// After an end: waits as long as the supervision says, or gives the node up.
fn rest(shared: &Shared, lived: Option<Duration>) {
    let mut state = shared.lock();
    let (asked, again_after) = (std::mem::take(&mut state.asked), state.again_after.take());
    if !state.wanted || state.away > 0 || state.over || state.stands_by {
        return;
    }
    let delay = match (again_after, shared.spec.supervision) {
        (Some(delay), _) => Some(delay),
        (None, Supervision::Manager) => return,
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
        shared.changed.notify_all();
        let text = if lived.is_some() { "it ended" } else { "it did not come up" };
        shared.tell(NodeChange::GivenUp, 0, clock::now_ns(), text);
        return;
    };
    let deadline = clock::after(delay);
    state.rests = true;
    let waits = |state: &State| !state.over && state.wanted && state.away == 0 && !state.stands_by;
    while waits(&state) && !clock::until(deadline).is_zero() {
        let left = clock::until(deadline);
        state = match shared.changed.wait_timeout(state, left) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
    state.rests = false;
}

/// Tells that the thread of a node has ended, however it ended.
struct Farewell<'s>(&'s Shared);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.0.lock().ended_for_good = true;
        self.0.changed.notify_all();
    }
}
