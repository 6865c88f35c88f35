//! What a failover lost, by the databases' own word: what the old primary has that the new one has not. It is asked before
//! the old one is rewound, alone, and takes no writes meanwhile.

use super::super::config::Changing;
use super::super::event::{Finding, Shown};
use super::super::pair::{Pair, STATEMENT_WITHIN};
use super::super::sql::{Door, Session};
use super::super::{DatabaseError, Side};
use super::act::blocking;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long the question may take: it may read all that a run has written.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the old primary may take to stop in order; then it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Asks both.
///
/// # Errors
/// The old one does not come up, or either refuses the question.
pub async fn compare(pair: &Arc<Pair>, side: Side) -> Result<Shown, DatabaseError> {
    let question = pair.settings.compare.clone();
    let question = question.ok_or_else(|| DatabaseError::State("there is nothing to compare".to_owned()))?;
    let within = Duration::from_millis(pair.settings.rejoin_within_ms);
    blocking(pair, move |pair| {
        let cluster = pair.cluster(side);
        // Its links are cut since it was fenced, so that nobody follows it.
        cluster.configure(&Changing { read_only: true, ..Changing::default() })?;
        cluster.start_alone(within)
    })
    .await?;
    let asked = ask_both(pair, side, &question).await;
    // Whatever it said, it must not run when it is rewound.
    blocking(pair, move |pair| pair.cluster(side).stop(STOP_WITHIN)).await?;
    let (old, new) = asked?;
    let only_there: Vec<String> = old.difference(&new).cloned().collect();
    let text = format!(
        "{} of {} answers of the old primary are not among the {} of the new one",
        only_there.len(),
        old.len(),
        new.len()
    );
    Ok(Shown { text, finding: Finding::OnlyThere(only_there) })
}

async fn ask_both(
    pair: &Arc<Pair>,
    side: Side,
    question: &str,
) -> Result<(BTreeSet<String>, BTreeSet<String>), DatabaseError> {
    let old = answers(&pair.client_door(side), question).await?;
    Ok((old, answers(&pair.client_door(side.other()), question).await?))
}

async fn answers(door: &Door, question: &str) -> Result<BTreeSet<String>, DatabaseError> {
    let session = Session::open(door, STATEMENT_WITHIN).await?;
    let rows = session.ask(question, &[], ANSWER_WITHIN).await?;
    let text = |row: &tokio_postgres::Row| {
        row.try_get(0).map_err(|error| {
            DatabaseError::Settings(format!("compare must answer one column of type text: {error}"))
        })
    };
    rows.iter().map(text).collect()
}
