//! What the engine's nodes counted of writes after they had been led past: read from each when the load is over.

use super::Stage;
use crate::clock;
use crate::target::conductor::Conductor;
use shakedown_reports::history::{LateWritesMark, Record};

const REFUSED: &str = "shakedown_late_writes_refused_total";
const ACCEPTED: &str = "shakedown_late_writes_accepted_total";

/// Asks every node. One that is away tells nothing, and one that was started again since has forgotten: the check then
/// misses them. A node that shares its store with nobody does not count them.
pub async fn read(stage: &Stage<'_>) {
    for (name, url) in stage.host.nodes() {
        let Some((refused, accepted)) = counts(url).await else { continue };
        stage.journal.write(Record::LateWrites(LateWritesMark {
            who: "engine".to_owned(),
            node: name.clone(),
            at_ns: clock::now_ns(),
            refused,
            accepted,
            unknown: 0,
        }));
    }
}

async fn counts(url: &str) -> Option<(u64, u64)> {
    let exchange = Conductor::new(url).ok()?.metrics().await;
    if exchange.error().is_some() {
        return None;
    }
    let text = String::from_utf8_lossy(&exchange.body);
    Some((counter(&text, REFUSED)?, counter(&text, ACCEPTED)?))
}

/// The value of a series without labels.
fn counter(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let text = "# TYPE a counter\na_more 7\na 3\n";
        assert_eq!((counter(text, "a"), counter(text, "b")), (Some(3), None));
    }
}
