//! Phases: what those who look after the target did about an injection, step by step (the manager of a database pair).

use super::flow::seconds;
use crate::history::History;
use serde::{Deserialize, Serialize};

/// A step that was taken, the first of its kind after t₀.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseTaken {
    /// Who took it: `database`.
    pub who: String,
    /// Which: `detected`, `fenced`, `promoted`, `writable` …
    pub step: String,
    /// After t₀, seconds.
    pub s: f64,
    /// What shows it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// The steps from `t0` to `until_ns`, in their order.
pub(super) fn taken(history: &History, t0: u64, until_ns: u64) -> Vec<PhaseTaken> {
    let mut taken: Vec<PhaseTaken> = Vec::new();
    for mark in history.steps.iter().filter(|mark| (t0..until_ns).contains(&mark.at_ns)) {
        if taken.iter().any(|phase| phase.who == mark.who && phase.step == mark.step) {
            continue;
        }
        let (who, step, text) = (mark.who.clone(), mark.step.clone(), mark.text.clone());
        taken.push(PhaseTaken { who, step, s: seconds(t0, mark.at_ns), text });
    }
    taken
}
