//! A journal in PostgreSQL: each frame is one statement, one round trip and one transaction, which moves the head row
//! on the condition that it is where this writer left it. Whoever else has moved it since fences this one off.
//!
//! An append whose outcome nobody told is settled by a *barrier*: over a new connection the same holder gets a new
//! epoch, in a commit that returned without a warning. What an older connection may still be about to do fails from
//! then on, and whatever was committed before is as durable as the barrier; the position in the head row says whether
//! the frame is among it.

mod settle;

pub(crate) use settle::not_behind;

use super::frame::FRAME_VERSION;
use super::{AppendError, Apply, Store, StoreError};
use crate::archive::PostgresArchive;
use crate::clock;
use crate::metrics::NodeCounts;
use crate::postgres::head::{self, Candidate, Head, signed, unsigned};
use crate::postgres::session::{Session, Trouble};
use crate::postgres::{Address, Caller, schema};
use settle::AGAIN;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a statement may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);
/// How long a leader's word is good, when nobody says otherwise.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// Frames read in one go.
const AT_ONCE: i64 = 64;
/// Frames that go with one append when they are not needed any more.
const FORGOTTEN_AT_ONCE: u64 = 8;

/// The last frames are kept although nobody needs them to start: followers read them a moment later than they come.
const KEPT: u64 = 1024;

const APPEND: &str = "WITH h AS (UPDATE head SET position = position + 1, beat = beat + 1
         WHERE position = $1 AND epoch = $2 RETURNING 1)
     INSERT INTO frame (position, epoch, version, frame) SELECT $1, $2, $3, $4 FROM h";

/// The lower bound spares a walk over the remains of what went before.
const APPEND_AND_FORGET: &str = "WITH h AS (UPDATE head SET position = position + 1, beat = beat + 1
         WHERE position = $1 AND epoch = $2 RETURNING 1),
     gone AS (DELETE FROM frame WHERE position >= $5 AND position < $6 AND EXISTS (SELECT 1 FROM h))
     INSERT INTO frame (position, epoch, version, frame) SELECT $1, $2, $3, $4 FROM h";

const FRAMES: &str =
    "SELECT position, version, frame, epoch FROM frame WHERE position >= $1 ORDER BY position LIMIT $2";

/// A frame as it was read, with the epoch of its writer.
pub(crate) struct Read {
    pub position: u64,
    pub version: i64,
    pub frame: Vec<u8>,
    pub epoch: u64,
}

/// The next frames from a position on.
pub(crate) fn frames(session: &mut Session, from: u64) -> Result<Vec<Read>, Trouble> {
    let rows = session.query(FRAMES, &[&signed(from), &AT_ONCE])?;
    let read = |row: &tokio_postgres::Row| Read {
        position: unsigned(row.get(0)),
        version: i64::from(row.get::<_, i32>(1)),
        frame: row.get(2),
        epoch: unsigned(row.get(3)),
    };
    Ok(rows.iter().map(read).collect())
}

/// The lead that a process has taken, and the session that took it.
pub(crate) struct Term {
    pub session: Session,
    pub me: Candidate,
    pub epoch: u64,
    pub position: u64,
    /// Just before the statement that took it was sent: from there the lease counts.
    pub since: Duration,
}

/// Keeps frames in PostgreSQL, as long as nobody else takes the lead.
pub struct Postgres {
    caller: Caller,
    me: Candidate,
    /// `None` after a failure.
    session: Option<Session>,
    /// A process of the server that may still be at a statement of ours.
    abandoned: Option<(i32, String)>,
    epoch: u64,
    /// Position of the next frame.
    position: u64,
    /// Position of the first frame that is kept, as far as known.
    first: u64,
    /// Frames before this are not needed.
    needed: u64,
    /// When the last statement was sent that proved the lead.
    held_at: Duration,
    lease: Duration,
    counts: Arc<NodeCounts>,
}

impl Postgres {
    /// Opens or makes the store, and takes the lead as soon as nobody else has it: for an engine of one node.
    ///
    /// # Errors
    /// [`StoreError`]: not reachable, of another program, of a newer engine, or led by an engine that lives.
    pub fn open(address: &Address, node: &str) -> Result<(Self, Arc<PostgresArchive>), StoreError> {
        let caller = Caller { address: address.clone(), node: node.to_owned(), deadline: DEADLINE };
        let counts = Arc::<NodeCounts>::default();
        let archive = Arc::new(PostgresArchive::new(caller.clone(), Arc::clone(&counts)));
        let lease_ms = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        let me = Candidate { holder: new_holder(), node: node.to_owned(), url: String::new(), lease_ms };
        let (mut session, _) = schema::open(&caller)?;
        let failed = |trouble: Trouble| schema::failed(&caller, &trouble);
        let mut seen = head::read(&mut session).map_err(failed)?;
        let mut since = clock::monotonic();
        let begun = since;
        while !is_free(&seen, since) {
            if clock::monotonic() > begun + patience(&seen) * 3 {
                let why = format!("{address} is led by the node {} at {}, which lives", seen.node, seen.url);
                let why = format!("{why}; stop it, or give this engine a schema of its own (?schema=NAME)");
                return Err(StoreError::Database { why, may_pass: false });
            }
            std::thread::sleep(AGAIN);
            let now = head::read(&mut session).map_err(failed)?;
            if (now.epoch, now.beat) != (seen.epoch, seen.beat) {
                since = clock::monotonic();
            }
            seen = now;
        }
        let since = clock::monotonic();
        let taken = head::take(&mut session, &seen, &me).map_err(failed)?;
        let (epoch, position) = taken.ok_or_else(|| StoreError::Database {
            why: format!(
                "another node took the lead of {address} at the same moment; start again to follow it"
            ),
            may_pass: true,
        })?;
        archive.lead(&me.holder);
        let term = Term { session, me, epoch, position, since };
        Ok((Self::new(caller, term, counts), archive))
    }

    pub(crate) fn new(caller: Caller, term: Term, counts: Arc<NodeCounts>) -> Self {
        let Term { mut session, me, epoch, position, since } = term;
        // Where it can't be read, nothing is forgotten until the next replay.
        let first = session.query("SELECT min(position) FROM frame", &[]);
        let first = first.ok().and_then(|rows| rows.first()?.get::<_, Option<i64>>(0)).map_or(0, unsigned);
        let lease = Duration::from_millis(me.lease_ms);
        Self {
            caller,
            me,
            session: Some(session),
            abandoned: None,
            epoch,
            position,
            first,
            needed: 0,
            held_at: since,
            lease,
            counts,
        }
    }

    fn insert(&mut self, position: u64, frame: &[u8]) -> Result<u64, Trouble> {
        let lost = || Trouble::Doubt("there is no connection".to_owned());
        let session = self.session.as_mut().ok_or_else(lost)?;
        let (at, epoch, version) = (signed(position), signed(self.epoch), FRAME_VERSION as i32);
        let forgotten = self.needed.min(position.saturating_sub(KEPT)).min(self.first + FORGOTTEN_AT_ONCE);
        if forgotten <= self.first {
            return session.execute(APPEND, &[&at, &epoch, &version, &frame]);
        }
        let (first, to) = (signed(self.first), signed(forgotten));
        let appended = session.execute(APPEND_AND_FORGET, &[&at, &epoch, &version, &frame, &first, &to])?;
        if appended == 1 {
            self.first = forgotten;
        }
        Ok(appended)
    }
}

/// A name for a process that wants to lead, different each time.
pub(crate) fn new_holder() -> String {
    format!("{:016x}{:08x}", clock::entropy(), std::process::id())
}

/// How long a head that does not move is looked at before its leader is given up. The follower's clock runs since it
/// saw the beat, which is later than the leader sent it: a tenth more is for clocks that do not run alike.
pub(crate) fn patience(seen: &Head) -> Duration {
    Duration::from_millis(seen.lease_ms + seen.lease_ms / 10)
}

/// True when the lead may be taken: it was given up, or its holder showed no sign of life since `since`.
pub(crate) fn is_free(seen: &Head, since: Duration) -> bool {
    seen.holder.is_empty() || clock::monotonic() >= since + patience(seen)
}

impl Store for Postgres {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        if !self.session.as_ref().is_some_and(Session::is_open) {
            // Nothing was sent yet: what is found out here is certain.
            let found =
                self.settle("there is no connection").inspect_err(|error| self.count_fenced(error))?;
            self.expect(found, position)?;
        }
        let begun = clock::monotonic();
        let why = match self.insert(position, frame) {
            Ok(1) => {
                (self.held_at, self.position) = (begun, position + 1);
                self.counts.acknowledge(self.epoch, self.position);
                return Ok(());
            }
            Ok(_) => None,
            Err(trouble) if trouble.is_full() => return Err(AppendError::Full(trouble.to_string())),
            Err(trouble) => Some(trouble.to_string()),
        };
        let refused = "the head row is not where this engine left it";
        match self.settle(why.as_deref().unwrap_or(refused)) {
            Ok(next) if next == position + 1 => {
                self.counts.settled_kept.fetch_add(1, Ordering::Relaxed);
                self.position = next;
                self.counts.acknowledge(self.epoch, next);
                Ok(())
            }
            Ok(next) if next == position => {
                self.counts.settled_gone.fetch_add(1, Ordering::Relaxed);
                Err(AppendError::RolledBack(why.unwrap_or_else(|| refused.to_owned())))
            }
            Ok(next) => self.expect(next, position),
            // Told by the server, it is certain that the frame is not there; else it may have got in before.
            Err(AppendError::Fenced(fenced)) if why.is_some() => {
                Err(AppendError::Broken(format!("{fenced}; meanwhile another node took the lead")))
            }
            Err(error) => {
                self.count_fenced(&error);
                Err(error)
            }
        }
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        let caller = self.caller.clone();
        let (mut next, mut first, mut epoch) = (0, None, 0);
        loop {
            let read = self.read(|session| frames(session, next))?;
            if read.is_empty() {
                break;
            }
            for Read { position, version, frame, epoch: of } in read {
                // What a frame needs of the archive may be slow to come: the lead is held meanwhile.
                self.hold().map_err(|error| schema::failed(&caller, &Trouble::Doubt(error.to_string())))?;
                check_frame(&caller, (position, version), first.map(|_| next))?;
                self.counts.late_accepted.fetch_add(u64::from(of < epoch), Ordering::Relaxed);
                epoch = epoch.max(of);
                first.get_or_insert(position);
                apply(position, &frame)
                    .map_err(|why| schema::corrupt(&caller, format!("frame {position}: {why}")))?;
                next = position + 1;
            }
        }
        let head = self.read(head::read)?;
        if head.holder != self.me.holder {
            let why = format!("{} is led by the node {} by now", caller.address, head.node);
            return Err(StoreError::Database { why, may_pass: true });
        }
        if head.position != next {
            let why = format!("its journal ends before frame {next}, the head row says {}", head.position);
            return Err(schema::corrupt(&caller, why));
        }
        self.first = first.unwrap_or(0);
        self.position = next;
        Ok(next)
    }

    fn forget(&mut self, position: u64) {
        self.needed = self.needed.max(position);
    }

    fn hold(&mut self) -> Result<(), AppendError> {
        let now = clock::monotonic();
        if now < self.held_at + self.lease / 3 {
            return Ok(());
        }
        let epoch = self.epoch;
        let why = match self.session.as_mut().map(|session| head::beat(session, epoch)) {
            Some(Ok(true)) => {
                self.held_at = now;
                return Ok(());
            }
            Some(Ok(false)) => "the head row is not where this engine left it".to_owned(),
            Some(Err(trouble)) => trouble.to_string(),
            None => "there is no connection".to_owned(),
        };
        let next = self.settle(&why)?;
        self.expect(next, self.position)
    }

    fn hold_every(&self) -> Option<Duration> {
        Some(self.lease / 3)
    }

    fn has_time(&self) -> bool {
        clock::monotonic() < self.held_at + self.lease / 2
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn close(&mut self) {
        let epoch = self.epoch;
        let Some(session) = &mut self.session else { return };
        match head::release(session, epoch) {
            Ok(()) => tracing::info!(epoch, "gave the lead up"),
            Err(trouble) => tracing::warn!(%trouble, "could not give the lead up; it runs out by itself"),
        }
    }
}

/// Refuses a frame of a newer engine, or one that does not follow the one before.
pub(crate) fn check_frame(
    caller: &Caller,
    (position, version): (u64, i64),
    expected: Option<u64>,
) -> Result<(), StoreError> {
    if version > FRAME_VERSION {
        let path = caller.address.to_string().into();
        return Err(StoreError::Newer { path, found: version, known: FRAME_VERSION });
    }
    match expected {
        Some(expected) if expected != position => {
            let why = format!("frame {expected} is missing, the next one is {position}");
            Err(schema::corrupt(caller, why))
        }
        _ => Ok(()),
    }
}
