//! What is done when nobody told what came of an append: a barrier over a new connection makes the journal certain.

use super::Postgres;
use crate::clock;
use crate::postgres::head::{self, Head};
use crate::postgres::session::{Session, Trouble};
use crate::postgres::{connect, schema};
use crate::store::{AppendError, StoreError};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long an unknown outcome is looked into before its commands are answered "unknown".
const SETTLE: Duration = Duration::from_secs(5);
/// Time between two tries of that.
pub(super) const AGAIN: Duration = Duration::from_millis(20);
impl Postgres {
    /// Finds out what is there after an outcome that nobody told; answers the position of the next frame.
    pub(super) fn settle(&mut self, why: &str) -> Result<u64, AppendError> {
        tracing::warn!(why, epoch = self.epoch, "making sure of the journal by a barrier");
        let begun = clock::monotonic();
        self.abandon();
        loop {
            match self.barrier() {
                Ok(Some(position)) => {
                    tracing::info!(position, epoch = self.epoch, "the journal is certain again");
                    return Ok(position);
                }
                Ok(None) => return Err(AppendError::Fenced(why.to_owned())),
                Err(again) if clock::monotonic() > begun + SETTLE => {
                    return Err(AppendError::Broken(format!("{why}; then for {SETTLE:?}: {again}")));
                }
                Err(again) => {
                    tracing::debug!(again, "not certain yet");
                    self.abandon();
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }

    /// Nobody else appends while the holder is the same, so this never is otherwise.
    pub(super) fn expect(&self, found: u64, position: u64) -> Result<(), AppendError> {
        if found == position {
            return Ok(());
        }
        Err(AppendError::Broken(format!("{found} is the next frame of the journal, {position} was expected")))
    }

    pub(super) fn count_fenced(&self, error: &AppendError) {
        let fenced = matches!(error, AppendError::Fenced(_));
        self.counts.late_refused.fetch_add(u64::from(fenced), Ordering::Relaxed);
    }

    /// Lets a session go whose server process may still be at work.
    fn abandon(&mut self) {
        if let Some(session) = self.session.take() {
            self.abandoned = Some(session.backend.clone());
        }
    }

    /// Reads, over a new connection when this one has ended meanwhile.
    pub(super) fn read<T>(
        &mut self,
        look: impl Fn(&mut Session) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        if let Some(session) = &mut self.session {
            match look(session) {
                Err(Trouble::Doubt(why)) => tracing::debug!(why, "reading again"),
                done => return done.map_err(|trouble| schema::failed(&self.caller, &trouble)),
            }
        }
        let settled = self.settle("the connection ended while the journal was read");
        let lost = |why: String| schema::failed(&self.caller, &Trouble::Doubt(why));
        settled.map_err(|error| lost(error.to_string()))?;
        let Some(session) = &mut self.session else { return Err(lost("there is no connection".to_owned())) };
        look(session).map_err(|trouble| schema::failed(&self.caller, &trouble))
    }

    fn barrier(&mut self) -> Result<Option<u64>, String> {
        let mut session = connect::to_primary(&self.caller).map_err(|unreachable| unreachable.why)?;
        if let Some(backend) = &self.abandoned {
            head::end_backend(&mut session, backend).map_err(|trouble| trouble.to_string())?;
        }
        let seen = head::read(&mut session).map_err(|trouble| trouble.to_string())?;
        not_behind(&seen, self.epoch, self.position, &session.host)?;
        let begun = clock::monotonic();
        let settled = head::barrier(&mut session, &self.me.holder);
        let backend = session.backend.clone();
        match settled {
            Ok(Some((epoch, position))) => {
                (self.epoch, self.held_at) = (epoch, begun);
                self.counts.epoch.store(epoch, Ordering::Relaxed);
                (self.session, self.abandoned) = (Some(session), None);
                Ok(Some(position))
            }
            Ok(None) => Ok(None),
            Err(trouble) => {
                self.abandoned = Some(backend);
                Err(trouble.to_string())
            }
        }
    }
}

/// A server that knows less than was acknowledged is not the one that acknowledged it.
pub(crate) fn not_behind(seen: &Head, epoch: u64, position: u64, host: &str) -> Result<(), String> {
    if seen.epoch >= epoch && seen.position >= position {
        return Ok(());
    }
    Err(format!(
        "{host} has the journal up to frame {} of epoch {}, and frame {position} of epoch {epoch} was acknowledged: it \
         is an old primary, or a standby that was promoted without having everything; fence it off, or restart all \
         engines to go on without what is lost",
        seen.position, seen.epoch
    ))
}
