//! When a run was disturbed by its own faults: stretches in which the harness's accounts of itself can't be held
//! against it, because the target was down or the machine was starved on purpose.

use crate::history::{FaultMark, FaultPhase, History, NodeChange};
use std::collections::BTreeMap;

/// How long after a fault its waves still count: what piled up is worked off.
const WAVES_NS: u64 = 2_000_000_000;

/// The stretches, from the first that was done about a fault until it was undone (or the node that it killed was ready
/// again) and a little longer.
pub(crate) fn stretches(history: &History) -> Vec<(u64, u64)> {
    let mut injections: BTreeMap<(&str, u32), Vec<&FaultMark>> = BTreeMap::new();
    for mark in history.faults.iter().filter(|m| m.phase.was_tried()) {
        injections.entry((&mark.fault, mark.injection)).or_default().push(mark);
    }
    injections.into_values().filter_map(|marks| stretch(history, &marks)).collect()
}

fn stretch(history: &History, marks: &[&FaultMark]) -> Option<(u64, u64)> {
    let from = marks.iter().map(|m| m.at_ns).min()?;
    let last = marks.iter().map(|m| m.at_ns).max()?;
    let healed = marks.iter().any(|m| m.phase == FaultPhase::Healed);
    let being_healed = marks.iter().any(|m| matches!(m.phase, FaultPhase::Healing | FaultPhase::NotHealed));
    let node = marks.iter().rev().find_map(|m| m.node.as_deref());
    let changes = history.nodes.iter().filter(|m| Some(m.node.as_str()) == node && m.at_ns >= from);
    let ready = changes.filter(|m| m.change == NodeChange::Ready).map(|m| m.at_ns).min();
    let until = match (healed, being_healed) {
        (false, true) => u64::MAX,
        (true, _) => last,
        (false, false) => last.max(ready.unwrap_or(last)),
    };
    Some((from, until.saturating_add(WAVES_NS)))
}

/// True when something that lasted from one instant to another met one of the stretches.
pub(crate) fn meets(stretches: &[(u64, u64)], from_ns: u64, to_ns: u64) -> bool {
    stretches.iter().any(|(from, to)| from_ns < *to && *from < to_ns)
}
