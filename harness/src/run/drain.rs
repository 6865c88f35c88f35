//! After the load, while workers still work: what nobody watched comes to its end too.
//!
//! Probes are not watched, and neither is a workflow whose start was never answered. They belong to the load all the
//! same: read back half done they would look stuck.

use super::Stage;
use crate::clock;
use crate::load::watch::is_terminal;
use crate::target::conductor::status_in;
use shakedown_reports::history::{Outcome, Start};
use std::time::Duration;

/// From one look at a workflow to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Returns when every workflow of `starts` that nobody watched has ended, or when `within` is over.
pub async fn unwatched(stage: &Stage<'_>, starts: &[Start], within: Duration) {
    let give_up_ns = clock::now_ns() + clock::nanos(within);
    let probes = |start: &&Start| stage.plan.levels.iter().any(|one| one.probes && one.name == start.level);
    for start in starts {
        if clock::now_ns() >= give_up_ns {
            return;
        }
        let ids = match (start.outcome, &start.workflow_id) {
            (Outcome::Unknown, _) => found(stage, start).await,
            (Outcome::Ok, _) if start.tries > 1 => found(stage, start).await,
            (Outcome::Ok, Some(id)) if probes(&start) => vec![id.clone()],
            _ => continue,
        };
        for id in ids {
            while clock::now_ns() < give_up_ns && !ended(stage, &id).await {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        if stage.interrupt.is_asked() {
            return;
        }
    }
}

/// The workflows that a start of unknown fate made.
async fn found(stage: &Stage<'_>, start: &Start) -> Vec<String> {
    let Some(name) = stage.plan.template_of(start) else { return Vec::new() };
    let (_, found) = stage.host.target.correlated(name, &start.correlation_id).await;
    found.unwrap_or_default().into_iter().map(|workflow| workflow.workflow_id).collect()
}

/// True when it has ended, and when the target does not know it: then there is nothing to wait for.
async fn ended(stage: &Stage<'_>, id: &str) -> bool {
    let sent = stage.host.target.status(id).await;
    sent.status == Some(404) || status_in(&sent).is_some_and(|status| is_terminal(&status))
}
