//! A disaster and the way back: both databases are destroyed, and one becomes the latest backup with the archived log.

use super::super::pair::{Pair, STATEMENT_WITHIN};
use super::super::sql::Session;
use super::super::vault::Vault;
use super::super::{DatabaseError, Side};
use super::act::blocking;
use crate::clock;
use std::sync::Arc;
use std::time::Duration;

/// How long the log from the archive may take to be replayed.
const REPLAY_WITHIN: Duration = Duration::from_secs(120);
/// How often a database in recovery is asked whether it still is.
const ASK_EVERY: Duration = Duration::from_millis(10);

fn vault(pair: &Pair) -> Result<&Vault, DatabaseError> {
    pair.vault.as_ref().ok_or_else(|| DatabaseError::State("the databases have no archive".to_owned()))
}

/// Kills both, the primary first, and removes all of their data; the archive and the base copies stay.
pub async fn destroy(pair: &Arc<Pair>) -> Result<String, DatabaseError> {
    let gone = blocking(pair, |pair| {
        vault(pair)?.latest()?;
        let primary = pair.primary();
        let both = [primary, primary.other()].map(|side| pair.cluster(side));
        for cluster in both {
            cluster.crash()?;
        }
        let mut told = Vec::new();
        for cluster in both {
            told.push(format!("{} of {}", cluster.empty()?, cluster.data.display()));
        }
        Ok(format!(
            "both are killed, and their data is removed: {}; {}",
            told.join(", "),
            vault(pair)?.told()
        ))
    });
    let gone = gone.await?;
    for side in [Side::First, Side::Second] {
        pair.cut(side, true).await?;
    }
    Ok(gone)
}

/// Puts the latest base copy in the place of a database. Blocks.
pub fn put_back(pair: &Pair, side: Side) -> Result<String, DatabaseError> {
    let base = vault(pair)?.latest()?;
    // An attempt before may have come further.
    pair.cluster(side).crash()?;
    pair.cluster(side).become_backup(&base)?;
    Ok(format!("{} is copied to where the data was", base.display()))
}

/// Starts it, and returns when it has the log to its end and is in recovery no more.
pub async fn replay(pair: &Arc<Pair>, side: Side) -> Result<String, DatabaseError> {
    if pair.cluster(side).node.running().is_none() {
        blocking(pair, move |pair| pair.cluster(side).start(REPLAY_WITHIN)).await?;
    }
    let session = Session::open(&pair.cluster(side).door(), STATEMENT_WITHIN).await?;
    let deadline = clock::after(REPLAY_WITHIN);
    while session.value::<bool>("SELECT pg_is_in_recovery()", STATEMENT_WITHIN).await? {
        if clock::until(deadline).is_zero() {
            let name = side.name();
            return Err(DatabaseError::State(format!(
                "{name} is in recovery for {REPLAY_WITHIN:?}; see its log"
            )));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    pair.cut(side, false).await?;
    let ask = "SELECT coalesce(pg_last_wal_replay_lsn()::text, 'its end')";
    let end: String = session.value(ask, STATEMENT_WITHIN).await?;
    Ok(format!("it has the archived log up to {end}, and is in recovery no more"))
}
