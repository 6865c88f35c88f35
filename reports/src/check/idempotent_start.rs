//! Idempotent start: one correlation id, one workflow, however often the start was sent.

use super::Evidence;
use crate::joined::Joined;
use std::collections::BTreeSet;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for workflow in run.workflows() {
        let ids: BTreeSet<&str> =
            workflow.finals.iter().filter(|f| f.found).map(|f| f.workflow_id.as_str()).collect();
        if ids.is_empty() {
            continue;
        }
        evidence.looked();
        if ids.len() > 1 {
            let all = ids.iter().copied().collect::<Vec<_>>().join(", ");
            evidence.found(workflow.label(), None, format!("one start made {} workflows: {all}", ids.len()));
        }
    }
    evidence
}
