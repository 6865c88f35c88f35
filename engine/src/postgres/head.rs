//! The head row: who leads, until where the journal goes, and the beat that shows that the leader lives. Every
//! transaction of a leader moves it or locks it, on the condition that it is still the leader's.

use super::session::{Session, Trouble};

/// The head row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub store: String,
    /// Position of the next frame.
    pub position: u64,
    /// Goes up by one with every change of the leader, and whenever a leader makes sure of its past.
    pub epoch: u64,
    /// Goes up with every sign of life of the leader.
    pub beat: u64,
    /// The process that leads, by a name of its own; empty when the lead was given up.
    pub holder: String,
    /// Name of the node that leads.
    pub node: String,
    /// Where the other nodes reach it.
    pub url: String,
    /// How long the leader's word is good, milliseconds.
    pub lease_ms: u64,
    /// The archive's.
    pub low_water: u64,
}

/// Who wants to lead.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub holder: String,
    pub node: String,
    pub url: String,
    pub lease_ms: u64,
}

const READ: &str = "SELECT store, position, epoch, beat, holder, node, url, lease_ms,
     (SELECT low_water FROM archive) FROM head";

const TAKE: &str =
    "UPDATE head SET epoch = epoch + 1, beat = beat + 1, holder = $3, node = $4, url = $5, lease_ms = $6
     WHERE epoch = $1 AND beat = $2 RETURNING epoch, position";

/// The same holder gets a new epoch: whatever an old connection of its own may still carry out fails from here on.
const BARRIER: &str =
    "UPDATE head SET epoch = epoch + 1, beat = beat + 1 WHERE holder = $1 RETURNING epoch, position";

const BEAT: &str = "UPDATE head SET beat = beat + 1 WHERE epoch = $1";

const RELEASE: &str = "UPDATE head SET holder = '', url = '', beat = beat + 1 WHERE epoch = $1";

pub(crate) fn read(session: &mut Session) -> Result<Head, Trouble> {
    let rows = session.query(READ, &[])?;
    let row = rows.first().ok_or_else(|| Trouble::Doubt("the head row is missing".to_owned()))?;
    Ok(Head {
        store: row.get(0),
        position: unsigned(row.get(1)),
        epoch: unsigned(row.get(2)),
        beat: unsigned(row.get(3)),
        holder: row.get(4),
        node: row.get(5),
        url: row.get(6),
        lease_ms: unsigned(row.get(7)),
        low_water: unsigned(row.get(8)),
    })
}

/// Takes the lead from who had it at that beat; `None` when it has moved. Answers the new epoch and the position.
pub(crate) fn take(
    session: &mut Session,
    seen: &Head,
    candidate: &Candidate,
) -> Result<Option<(u64, u64)>, Trouble> {
    let Candidate { holder, node, url, lease_ms } = candidate;
    let (epoch, beat, lease_ms) = (signed(seen.epoch), signed(seen.beat), signed(*lease_ms));
    let rows = session.query(TAKE, &[&epoch, &beat, holder, node, url, &lease_ms])?;
    Ok(rows.first().map(|row| (unsigned(row.get(0)), unsigned(row.get(1)))))
}

/// Makes sure of everything before: answers the new epoch and the position, or `None` when somebody else leads.
pub(crate) fn barrier(session: &mut Session, holder: &str) -> Result<Option<(u64, u64)>, Trouble> {
    let rows = session.query(BARRIER, &[&holder])?;
    Ok(rows.first().map(|row| (unsigned(row.get(0)), unsigned(row.get(1)))))
}

/// A sign of life; false when the epoch is another.
pub(crate) fn beat(session: &mut Session, epoch: u64) -> Result<bool, Trouble> {
    Ok(session.execute(BEAT, &[&signed(epoch)])? == 1)
}

/// Gives the lead up, so that nobody waits for the lease to run out.
pub(crate) fn release(session: &mut Session, epoch: u64) -> Result<(), Trouble> {
    session.execute(RELEASE, &[&signed(epoch)]).map(drop)
}

/// Ends a server's process of ours that may still be at a statement nobody waits for any more, and hold its locks.
pub(crate) fn end_backend(session: &mut Session, (pid, began): &(i32, String)) -> Result<(), Trouble> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid = $1 AND backend_start::text = $2 AND usename = current_user";
    session.query(sql, &[pid, began]).map(drop)
}

/// PostgreSQL's integers are signed.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    value.unsigned_abs()
}
