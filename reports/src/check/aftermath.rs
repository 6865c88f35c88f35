//! Aftermath: when the load is over, the target works as it did before: what only looks healed is found out.

use super::Evidence;
use crate::joined::Joined;

pub(super) fn check(run: &Joined<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    if let Some(seen) = &run.history.aftermath {
        evidence.looked();
        if let Some(problem) = &seen.problem {
            evidence.found("after the load".to_owned(), None, problem.clone());
        }
    }
    evidence
}
