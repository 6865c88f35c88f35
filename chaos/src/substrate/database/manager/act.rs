//! What a manager does: one function a step, each with a limit, each with what shows that it is done.

use super::super::config::Changing;
use super::super::event::{Finding, LateWrites, Shown};
use super::super::pair::{Pair, STATEMENT_WITHIN};
use super::super::settings::Fence;
use super::super::sql::{Session, SqlError};
use super::super::{DatabaseError, Side};
use super::rebuild;
use super::step::{How, Step};
use crate::clock;
use std::sync::Arc;
use std::time::Duration;

/// How long a database may take to stop in order; then it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long a standby may take to get the last of a primary that stopped in order.
const LAST_WITHIN: Duration = Duration::from_secs(5);
/// How many writes are tried on a fenced database, and how long each has.
const LATE_WRITES: u32 = 10;
const LATE_WITHIN: Duration = Duration::from_secs(1);
/// A write that a client could make, and one that a fence which does not hold lets through at once: it does not wait for a
/// standby that is a primary by now.
const LATE_WRITE: &str = "SET synchronous_commit = local; INSERT INTO shakedown_late VALUES (1)";

/// Does a step, and returns what shows that it is done.
///
/// # Errors
/// It isn't, as far as anybody can say.
pub async fn perform(pair: &Arc<Pair>, step: Step) -> Result<Shown, DatabaseError> {
    let text = match step {
        Step::TryLate(side) => return Ok(try_late(pair, side).await),
        Step::Compare(side) => return super::compare::compare(pair, side).await,
        Step::Fence(side) => fence(pair, side).await,
        Step::StopInOrder(side) => stop_in_order(pair, side).await,
        Step::Promote(side) => promote(pair, side).await,
        Step::AwaitWritable(side) => await_writable(pair, side).await,
        Step::Repoint(side) => {
            pair.repoint(side).await?;
            Ok(format!("clients are led to port {}", pair.client_port(side)))
        }
        Step::Stop(side) => stop(pair, side).await,
        Step::Restart(side) => restart(pair, side).await,
        Step::Rejoin(side, how) => rejoin(pair, side, how).await,
        Step::Destroy(_) => rebuild::destroy(pair).await,
        Step::PutBack(side) => blocking(pair, move |pair| rebuild::put_back(pair, side)).await,
        Step::Replay(side) => rebuild::replay(pair, side).await,
        Step::Degrade(side) => {
            let session = Session::open(&pair.cluster(side).door(), STATEMENT_WITHIN).await?;
            pair.wait_for(&session, None).await?;
            Ok("commits don't wait for the standby any more".to_owned())
        }
        Step::Restore(side) => {
            let session = Session::open(&pair.cluster(side).door(), STATEMENT_WITHIN).await?;
            pair.wait_for(&session, Some(side.other())).await?;
            Ok("it has everything, and commits wait for it".to_owned())
        }
    };
    Ok(text?.into())
}

/// Runs verbs that block on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    pair: &Arc<Pair>,
    verb: impl FnOnce(&Pair) -> Result<T, DatabaseError> + Send + 'static,
) -> Result<T, DatabaseError> {
    let pair = Arc::clone(pair);
    let ran = tokio::task::spawn_blocking(move || verb(&pair)).await;
    ran.unwrap_or_else(|error| Err(DatabaseError::State(format!("a step of the manager panicked: {error}"))))
}

async fn fence(pair: &Arc<Pair>, side: Side) -> Result<String, DatabaseError> {
    pair.cut(side, true).await?;
    let links = if pair.settings.links { "its links are cut; " } else { "" };
    blocking(pair, move |pair| {
        let cluster = pair.cluster(side);
        if pair.settings.fence == Fence::Kill || cluster.node.running().is_none() {
            return Ok(match cluster.crash()? {
                Some(brought) => {
                    format!("{links}process {} is gone ({})", brought.ended.pid, brought.ended.how())
                }
                None => format!("{links}it was gone already"),
            });
        }
        let waits_for = pair.settings.is_synchronous().then(|| side.other().name().to_owned());
        let told = cluster.forbid_writes(&Changing { waits_for, read_only: true, ..Changing::default() })?;
        Ok(format!("{links}{} processes of it are told to refuse writes when they go on", told.len()))
    })
    .await
}

async fn stop_in_order(pair: &Arc<Pair>, side: Side) -> Result<String, DatabaseError> {
    let stopped = blocking(pair, move |pair| {
        let cluster = pair.cluster(side);
        match cluster.stop(STOP_WITHIN)? {
            Some(brought) if brought.ended.status.success() => {
                Ok((brought.ended.how(), cluster.last_checkpoint()?))
            }
            // Its last checkpoint is an old one then, and tells nothing of what it acknowledged since.
            otherwise => Err(DatabaseError::State(format!(
                "{} did not stop in order ({}): nobody knows whether the standby has everything",
                side.name(),
                otherwise.map_or_else(|| "it was gone already".to_owned(), |brought| brought.ended.how())
            ))),
        }
    });
    let (how, last) = stopped.await?;
    let standby = pair.cluster(side.other());
    let session = Session::open(&standby.door(), STATEMENT_WITHIN).await?;
    let deadline = clock::after(LAST_WITHIN);
    loop {
        let ask = "SELECT (pg_last_wal_receive_lsn() - '0/0')::bigint";
        let has = session.value::<Option<i64>>(ask, STATEMENT_WITHIN).await?.map_or(0, i64::cast_unsigned);
        // The record of the last checkpoint begins there: beyond it, it was received.
        if has > last {
            pair.cut(side, true).await?;
            return Ok(format!("stopped in order ({how}); {} has its log to the end", standby.name));
        }
        if clock::until(deadline).is_zero() {
            let lacks = last - has;
            return Err(DatabaseError::State(format!(
                "{} stopped, and {} lacks {lacks} bytes of its log after {LAST_WITHIN:?}: it must not take over",
                side.name(),
                standby.name
            )));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Done also when it was done before: the answer to an earlier attempt may have been lost.
async fn promote(pair: &Arc<Pair>, side: Side) -> Result<String, DatabaseError> {
    let within = Duration::from_millis(pair.settings.promote_within_ms);
    if pair.cluster(side).node.running().is_none() {
        blocking(pair, move |pair| pair.cluster(side).start(within)).await?;
    }
    let session = Session::open(&pair.cluster(side).door(), STATEMENT_WITHIN).await?;
    if session.value::<bool>("SELECT pg_is_in_recovery()", STATEMENT_WITHIN).await? {
        let ask = format!("SELECT pg_promote(true, {})", within.as_secs().max(1));
        if !session.value::<bool>(&ask, within + STATEMENT_WITHIN).await? {
            return Err(DatabaseError::State(format!("pg_promote was not done within {within:?}")));
        }
    }
    // Links that were cut when it was fenced itself lead somewhere again.
    pair.cut(side, false).await?;
    Ok("pg_promote returned; it is in recovery no more".to_owned())
}

async fn await_writable(pair: &Arc<Pair>, side: Side) -> Result<String, DatabaseError> {
    let session = Session::open(&pair.cluster(side).door(), STATEMENT_WITHIN).await?;
    let write = "UPDATE shakedown_probe SET n = n + 1 WHERE kind = 'alone' RETURNING n";
    let n: i64 = session.value(write, STATEMENT_WITHIN).await?;
    Ok(format!("probing write {n} went through"))
}

/// Tries writes as a client could that knows of no failover, past the links.
async fn try_late(pair: &Arc<Pair>, side: Side) -> Shown {
    let door = pair.cluster(side).door();
    let mut late = LateWrites::default();
    let mut last = String::new();
    for _ in 0..LATE_WRITES {
        let outcome = write_late(&door).await;
        late.count(&outcome);
        last = outcome.err().map_or(last, |error| error.to_string());
    }
    let LateWrites { refused, accepted, unknown } = late;
    let text = format!(
        "{refused} refused, {accepted} accepted, {unknown} unknown of {LATE_WRITES} late writes; the last: {last}"
    );
    Shown { text, finding: Finding::LateWrites(late) }
}

async fn write_late(door: &super::super::sql::Door) -> Result<(), SqlError> {
    let session = Session::open(door, LATE_WITHIN).await?;
    session.run(LATE_WRITE, LATE_WITHIN).await
}

async fn stop(pair: &Arc<Pair>, side: Side) -> Result<String, DatabaseError> {
    let brought = blocking(pair, move |pair| pair.cluster(side).stop(STOP_WITHIN)).await?;
    Ok(brought.map(|brought| brought.ended.how()).unwrap_or_default())
}

async fn restart(pair: &Arc<Pair>, side: Side) -> Result<String, DatabaseError> {
    pair.cut(side, false).await?;
    let within = Duration::from_millis(pair.settings.rejoin_within_ms);
    let ready = blocking(pair, move |pair| pair.cluster(side).start(within)).await?;
    Ok(format!("started again where it was, as process {}", ready.pid))
}

async fn rejoin(pair: &Arc<Pair>, side: Side, how: How) -> Result<String, DatabaseError> {
    let primary = pair.cluster(side.other()).door();
    if how == How::Rewind {
        // pg_rewind goes by the timeline of the last checkpoint, and a promotion does not wait for one.
        let session = Session::open(&primary, STATEMENT_WITHIN).await?;
        session.run("CHECKPOINT", Duration::from_secs(60)).await?;
    }
    pair.cut(side, false).await?;
    let within = Duration::from_millis(pair.settings.rejoin_within_ms);
    blocking(pair, move |pair| {
        let cluster = pair.cluster(side);
        match how {
            How::Start => {}
            How::Rewind => cluster.rewind_to(&primary)?,
            How::Copy => cluster.copy_from(&primary)?,
        }
        cluster.configure(&pair.as_standby(side))?;
        cluster.start(within)
    })
    .await?;
    Ok(String::new())
}
