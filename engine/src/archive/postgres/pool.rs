//! Sessions that are lent out, a bounded number at once: a server takes only so many, and other nodes need some too.
//! None leads to a server that knows less than this node: an old primary that is still there has not what ended since.

use crate::clock;
use crate::postgres::Caller;
use crate::postgres::connect::{self, Unreachable};
use crate::postgres::head;
use crate::postgres::session::Session;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a session is kept open that nobody needs: one that is opened anew costs both sides milliseconds of work.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// Sessions lent at once; who comes then waits.
pub const LENT: usize = 16;
/// Of these at most so many for who only looks, which may be many and take long: the writer, which holds the lead, must not
/// wait for them.
pub const FOR_LOOKERS: usize = 12;
/// How long one waits for that.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    back: Condvar,
}

#[derive(Default)]
struct State {
    /// The one that came back last is lent first, so that what is too many grows old.
    idle: Vec<Known>,
    lent: usize,
}

/// A session, and the epoch that its server is known to have reached.
struct Known {
    session: Session,
    epoch: u64,
    last_used: Duration,
}

/// A session that goes back to its pool; one that is of no more use is to be dropped by [`Lent::give_up`].
pub(super) struct Lent<'p> {
    pool: &'p Pool,
    session: Option<Known>,
}

impl Pool {
    /// Lends a session that was kept, or a new one, to a server that has reached `epoch`, while fewer than `most` are lent.
    ///
    /// # Errors
    /// [`Unreachable`]: no server takes writes, the one that does is behind, or all sessions were lent for too long.
    pub fn lend(&self, caller: &Caller, epoch: u64, most: usize) -> Result<Lent<'_>, Unreachable> {
        let (mut state, waited) = self
            .back
            .wait_timeout_while(self.state(), PATIENCE, |state| state.lent >= most)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            let why = format!("{most} sessions of {} were busy for {} s", caller.address, PATIENCE.as_secs());
            return Err(Unreachable { why, may_pass: true });
        }
        state.lent += 1;
        state.idle.retain(|known| known.epoch >= epoch && known.session.is_open());
        let session = state.idle.pop();
        drop(state);
        let mut lent = Lent { pool: self, session };
        if lent.session.is_none() {
            let session = up_to_date(caller, epoch)?;
            lent.session = Some(Known { session, epoch, last_used: clock::monotonic() });
        }
        Ok(lent)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// The session; `None` when it was given up.
    pub fn session(&mut self) -> Option<&mut Session> {
        self.session.as_mut().map(|known| &mut known.session)
    }

    /// It is not lent again, nor are those that were kept: what broke it has broken them too.
    pub fn give_up(&mut self) {
        self.session = None;
        self.pool.state().idle.clear();
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.lent -= 1;
        if let Some(known) = self.session.take() {
            let last_used = clock::monotonic();
            state.idle.retain(|other| last_used < other.last_used + KEPT_FOR);
            state.idle.push(Known { last_used, ..known });
        }
        drop(state);
        // Who waits may be one for whom there are still too many lent.
        self.pool.back.notify_all();
    }
}

fn up_to_date(caller: &Caller, epoch: u64) -> Result<Session, Unreachable> {
    let mut session = connect::to_primary(caller)?;
    if epoch > 0 {
        let away = |why| Unreachable { why, may_pass: true };
        let head = head::read(&mut session).map_err(|trouble| away(trouble.to_string()))?;
        if head.epoch < epoch {
            return Err(away(format!(
                "{} is an old primary: its epoch is {}, and epoch {epoch} was seen",
                session.host, head.epoch
            )));
        }
    }
    Ok(session)
}
