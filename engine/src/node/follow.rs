//! A follower: reads the journal as it grows, so that its state is at hand, and takes the lead when it is free.

use super::{Leader, Node, Role};
use crate::archive::{SNAPSHOT, recover_by};
use crate::clock;
use crate::postgres::head::{self, Candidate, Head, signed, unsigned};
use crate::postgres::session::{Session, Trouble};
use crate::postgres::{connect, schema};
use crate::store::{self, StoreError, Term, check_frame, frames, is_free, new_holder, not_behind};
use crate::writer::{Replay, Replayed, WriterError};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks for what can leave memory.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// So often may a start over find journal and archive at odds: a leader cuts the journal off meanwhile.
const ODD: u32 = 20;

/// The lead, and the state at its beginning.
pub(super) struct Taken {
    pub term: Term,
    pub replayed: Replayed,
}

/// The state as far as it was read.
struct Warm {
    replay: Replay,
    /// Position of the next frame.
    next: u64,
    /// Epoch and checksum of the last frame that was read.
    last: Option<(u64, u32)>,
    tidied_at: Duration,
}

pub(super) struct Follower<'n> {
    node: &'n Node,
    session: Option<Session>,
    warm: Option<Warm>,
    /// The head as last seen, and since when it has not moved.
    seen: Option<(Head, Duration)>,
    odd: u32,
    /// The last trouble that was told: each is told once.
    told: String,
}

impl<'n> Follower<'n> {
    pub fn new(node: &'n Node) -> Self {
        Self { node, session: None, warm: None, seen: None, odd: 0, told: String::new() }
    }

    /// One look: reads what is new, and takes the lead when it is free.
    ///
    /// # Errors
    /// [`WriterError`] when the journal can't be read and waiting does not help.
    pub fn look(&mut self) -> Result<Option<Taken>, WriterError> {
        match self.try_look() {
            Ok(taken) => {
                self.odd = 0;
                self.told.clear();
                Ok(taken)
            }
            Err(error) => Ok(self.endure(error).map(|()| None)?),
        }
    }

    /// One look at who leads, and no more.
    pub fn look_on(&mut self) {
        let session = self.session.take().filter(Session::is_open).map_or_else(|| self.connect(), Ok);
        let seen = session.and_then(|mut session| {
            let head = head::read(&mut session).map_err(|trouble| self.failed(&trouble))?;
            Ok((session, head))
        });
        if let Ok((session, head)) = seen {
            self.tell_role(&head);
            self.session = Some(session);
        }
    }

    /// What passes by itself is waited for.
    fn endure(&mut self, error: StoreError) -> Result<(), StoreError> {
        let is_odd = matches!(
            error,
            StoreError::Corrupt { .. } | StoreError::Archive(crate::archive::ArchiveError::Mismatch { .. })
        );
        match error {
            StoreError::Newer { .. } => return Err(error),
            _ if is_odd && self.odd >= ODD => return Err(error),
            _ => {}
        }
        self.odd += u32::from(is_odd);
        (self.session, self.warm) = (None, self.warm.take().filter(|_| !is_odd));
        let text = error.to_string();
        if text != self.told {
            tracing::warn!(why = text, node = self.node.options.name, "cannot follow at the moment");
            self.told = text;
        }
        Ok(())
    }

    fn try_look(&mut self) -> Result<Option<Taken>, StoreError> {
        let mut session = match self.session.take().filter(Session::is_open) {
            Some(session) => session,
            None => self.connect()?,
        };
        let head = head::read(&mut session).map_err(|trouble| self.failed(&trouble))?;
        self.note(&head);
        let since = self.seen.as_ref().map_or(Duration::ZERO, |(_, since)| *since);
        // Requests need not wait until this node has read the journal.
        if !is_free(&head, since) {
            self.tell_role(&head);
        }
        self.node.counts.warm.store(self.warm.is_some(), Ordering::Relaxed);
        self.catch_up(&mut session, head.position, head.low_water)?;
        if !is_free(&head, since) {
            self.session = Some(session);
            return Ok(None);
        }
        self.take(session, &head)
    }

    /// Takes the lead, unless the head has moved since it was seen, and reads the rest.
    fn take(&mut self, mut session: Session, seen: &Head) -> Result<Option<Taken>, StoreError> {
        let node = self.node;
        let lease_ms = u64::try_from(node.options.lease.as_millis()).unwrap_or(u64::MAX);
        let (holder, name) = (new_holder(), node.options.name.clone());
        let me = Candidate { holder, node: name, url: node.url.clone(), lease_ms };
        let since = clock::monotonic();
        let taken = match head::take(&mut session, seen, &me) {
            Ok(taken) => taken,
            Err(trouble) => {
                // The server's process may hang at it, waiting for a standby, and hold the head row.
                self.end(&session);
                return Err(self.failed(&trouble));
            }
        };
        let Some((epoch, position)) = taken else {
            self.session = Some(session);
            return Ok(None);
        };
        node.archive.lead(&me.holder);
        self.catch_up(&mut session, position, seen.low_water)?;
        let Some(warm) = self.warm.take() else { return Ok(None) };
        let replayed = warm.replay.finish(position);
        self.seen = None;
        Ok(Some(Taken { term: Term { session, me, epoch, position, since }, replayed }))
    }

    /// Ends the server's process of a session that is given up, over another one.
    fn end(&self, session: &Session) {
        let other = connect::to_primary(&self.node.caller);
        if let Ok(mut other) = other
            && let Err(trouble) = head::end_backend(&mut other, &session.backend)
        {
            tracing::debug!(%trouble, "could not end a process of the database");
        }
    }

    fn connect(&mut self) -> Result<Session, StoreError> {
        let mut session = connect::to_primary(&self.node.caller).map_err(schema::away)?;
        let head = head::read(&mut session).map_err(|trouble| self.failed(&trouble))?;
        let refuse = |why: String| StoreError::Database { why, may_pass: true };
        if head.store != self.node.store {
            return Err(refuse(format!(
                "{} is another cluster: it has the store {}, this engine works with {}; list only servers that \
                 replicate one another",
                session.host, head.store, self.node.store
            )));
        }
        // What this process got acknowledged when it led counts for as long as it lives, not only in that lead.
        let seen = self.seen.as_ref().map_or((0, 0), |(seen, _)| (seen.epoch, seen.position));
        for (epoch, position) in [seen, self.node.counts.acknowledged()] {
            not_behind(&head, epoch, position, &session.host).map_err(refuse)?;
        }
        if self.warm.as_ref().is_some_and(|warm| !is_as_read(&mut session, warm, &head)) {
            tracing::info!("what was read is not what the journal has now; reading it again");
            self.warm = None;
        }
        Ok(session)
    }

    fn note(&mut self, head: &Head) {
        let moved = |(seen, _): &(Head, Duration)| (seen.epoch, seen.beat) != (head.epoch, head.beat);
        self.node.counts.epoch.store(head.epoch, Ordering::Relaxed);
        match &mut self.seen {
            Some(seen) if !moved(seen) => {}
            // Now, after it was read: a follower's patience begins no earlier than the leader's lease.
            seen => *seen = Some((head.clone(), clock::monotonic())),
        }
    }

    fn tell_role(&self, head: &Head) {
        let leader = Leader { node: head.node.clone(), url: head.url.clone(), epoch: head.epoch };
        let role = Role::Following((!head.holder.is_empty()).then_some(leader));
        self.node.role.send_if_modified(|now| {
            let changed = *now != role;
            *now = role;
            changed
        });
    }

    fn catch_up(&mut self, session: &mut Session, to: u64, low_water: u64) -> Result<(), StoreError> {
        let mut warm = match self.warm.take().filter(|warm| warm.next <= to) {
            Some(warm) => warm,
            None => self.begin(session)?,
        };
        self.read(session, &mut warm, to)?;
        let now = clock::monotonic();
        if now >= warm.tidied_at + TIDY_EVERY {
            warm.tidied_at = now;
            warm.replay.tidy(warm.next, low_water);
        }
        self.node.counts.position.store(warm.next, Ordering::Relaxed);
        self.node.counts.warm.store(true, Ordering::Relaxed);
        self.warm = Some(warm);
        Ok(())
    }

    /// The state from the archive as it was at one instant, and where the frames go on from there. They are read outside of
    /// the transaction: what they need of the archive may take longer than a transaction may idle.
    fn begin(&self, session: &mut Session) -> Result<Warm, StoreError> {
        session.batch(SNAPSHOT).map_err(|trouble| self.failed(&trouble))?;
        let head = head::read(session).map_err(|trouble| self.failed(&trouble))?;
        let recovered = recover_by(|running| self.node.archive.recover_in(session, running))?;
        let replay = Replay::from(recovered);
        let first = session.query("SELECT min(position) FROM frame", &[]);
        let first = first.map_err(|trouble| self.failed(&trouble))?;
        let first = first.first().and_then(|row| row.get::<_, Option<i64>>(0)).map_or(0, unsigned);
        replay.check(first, head.position)?;
        // Frames before the low water mark are in the archive as they are.
        let next = first.max(replay.low_water());
        session.batch("COMMIT").map_err(|trouble| self.failed(&trouble))?;
        Ok(Warm { next, replay, last: None, tidied_at: clock::monotonic() })
    }

    fn read(&self, session: &mut Session, warm: &mut Warm, to: u64) -> Result<(), StoreError> {
        let (caller, archive) = (&self.node.caller, self.node.archive.as_ref());
        while warm.next < to {
            let read = frames(session, warm.next).map_err(|trouble| self.failed(&trouble))?;
            if read.is_empty() {
                let why = format!("its journal ends before frame {}, the head row says {to}", warm.next);
                return Err(schema::corrupt(caller, why));
            }
            for one in read {
                check_frame(caller, (one.position, one.version), Some(warm.next))?;
                let damaged = |why: String| schema::corrupt(caller, format!("frame {}: {why}", one.position));
                let events = store::decode(&one.frame).map_err(damaged)?;
                warm.replay.frame(archive, one.position, &events)?;
                let late = warm.last.is_some_and(|(epoch, _)| one.epoch < epoch);
                self.node.counts.late_accepted.fetch_add(u64::from(late), Ordering::Relaxed);
                warm.last = Some((one.epoch, crc32fast::hash(&one.frame)));
                warm.next = one.position + 1;
            }
        }
        Ok(())
    }

    fn failed(&self, trouble: &Trouble) -> StoreError {
        schema::failed(&self.node.caller, trouble)
    }
}

/// True when the last frame that was read is still there: what a standby did not have may vanish in a failover.
fn is_as_read(session: &mut Session, warm: &Warm, head: &Head) -> bool {
    let (Some((epoch, sum)), Some(position)) = (warm.last, warm.next.checked_sub(1)) else {
        return warm.next <= head.position;
    };
    let rows = session.query("SELECT epoch, frame FROM frame WHERE position = $1", &[&signed(position)]);
    let row = rows.ok().and_then(|mut rows| rows.pop());
    row.is_some_and(|row| unsigned(row.get(0)) == epoch && crc32fast::hash(row.get::<_, &[u8]>(1)) == sum)
}
