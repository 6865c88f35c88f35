//! Outages that the recovery clocks tell beside those that the stand-in had.

use super::compare::Row;
use super::pass::Passed;
use super::truth::Deed;
use shakedown_reports::history::FaultPhase;

/// Most by which one may be off beyond the interval between two probes, milliseconds.
const ALLOWED_MS: f64 = 20.0;

/// One row a planned outage, and the interval between probes, milliseconds.
pub fn rows(passed: &Passed) -> (Vec<Row>, f64) {
    let interval_ms =
        passed.summary.recovery.as_ref().and_then(|recovery| {
            recovery.availability.iter().map(|probes| probes.interval_ms).reduce(f64::max)
        });
    let interval_ms = interval_ms.unwrap_or(0.0);
    let mut outages: Vec<&Deed> =
        passed.deeds.iter().filter(|deed| matches!(deed, Deed::Outage { .. })).collect();
    outages.sort_by_key(|deed| began(deed));
    let row = |fault: &String| {
        // The stand-in's outage that the fault's injection falls into.
        let t0 = passed
            .history
            .faults
            .iter()
            .find(|mark| mark.fault == *fault && mark.phase == FaultPhase::Applied);
        let planted = t0.and_then(|t0| outages.iter().rev().find(|deed| began(deed) <= t0.at_ns));
        let (what, planted_ms) = match planted {
            Some(Deed::Outage { style, began_ns, ended_ns }) => (
                format!("outage {fault} ({})", style.word()),
                milliseconds(ended_ns.saturating_sub(*began_ns)),
            ),
            _ => (format!("outage {fault}, which the stand-in did not have"), f64::NAN),
        };
        let told =
            passed.summary.measure(&format!("{fault}/first_success_s")).and_then(|measure| measure.value);
        Row::difference(what, planted_ms, told.map(|seconds| seconds * 1e3), interval_ms + ALLOWED_MS)
    };
    let planned: Vec<String> = passed.plan.injections.iter().map(|one| one.fault.clone()).collect();
    (planned.iter().map(row).collect(), interval_ms)
}

fn began(deed: &Deed) -> u64 {
    match deed {
        Deed::Outage { began_ns, .. } => *began_ns,
        _ => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "some seconds in nanoseconds are far below 2^53")]
fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}
