//! `run SCENARIO --shrink`: after a failure, the smallest schedule of faults that still fails.

use super::judge;
use crate::failure::Result;
use crate::run::interrupt::Interrupt;
use crate::run::prepare::Order;
use crate::run::{self, Place};
use crate::scenario::fault::{AfterEvent, FaultEntry, Moment};
use crate::scenario::units::RealTime;
use crate::shrink::{shrink, verdict};
use anyhow::Context as _;
use shakedown_chaos::schedule::{Due, Injection};
use shakedown_reports::exit_code;
use std::path::Path;

/// A fault shorter than this is not made shorter.
const SHORTEST_S: f64 = 0.1;
/// The scenario with the smallest schedule, in the run directory of the failure.
const FILE: &str = "shrunk.toml";

/// Shrinks the schedule of a run that failed, and writes the scenario that is left into its directory.
///
/// # Errors
/// A run of a smaller schedule could not be made.
pub async fn run(order: &Order, place: &Place, interrupt: &Interrupt, failed: &Path) -> Result<()> {
    let drawn = run::schedule(order)?;
    let entries = drawn.iter().filter_map(|injection| exactly(order, injection)).collect::<Vec<_>>();
    eprintln!("shakedown: shrinking {} injections; each schedule is played up to 5 times", entries.len());
    let inside = Place { out: failed.join("shrink"), ..place.clone() };
    let fails = async |schedule: &[FaultEntry]| fails(order, &inside, interrupt, schedule).await;
    let kept = shrink(entries, shorter, fails).await?;
    let path = failed.join(FILE);
    let left = with(order, &kept);
    let text = toml::to_string(&left.scenario).context("cannot write the scenario as TOML")?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let names: Vec<&str> = kept.iter().map(|fault| fault.name.as_str()).collect();
    match names.is_empty() {
        true => eprintln!(
            "shakedown: it fails without any fault: look at the load, the workers or the gates first"
        ),
        false => eprintln!("shakedown: the smallest schedule that fails has {}", names.join(", ")),
    }
    eprintln!("shakedown: again: shakedown run {}", path.display());
    Ok(())
}

/// Plays a schedule until it is known whether it fails. An invalid or unknown run is no failure.
async fn fails(order: &Order, place: &Place, interrupt: &Interrupt, schedule: &[FaultEntry]) -> Result<bool> {
    let (order, mut failed, mut tried) = (with(order, schedule), 0, 0);
    loop {
        if let Some(known) = verdict(failed, tried) {
            return Ok(known);
        }
        if interrupt.is_asked() {
            return Ok(false);
        }
        let directory = run::run(&order, place, interrupt).await?;
        let summary = judge::quietly(&directory)?;
        tried += 1;
        failed += u32::from(summary.exit_code == exit_code::FAILED);
        eprintln!(
            "shakedown: {} faults: exit {} ({failed} of {tried} failed)",
            schedule.len(),
            summary.exit_code
        );
    }
}

/// The order with these faults and no others, and without gates on faults that are gone.
fn with(order: &Order, schedule: &[FaultEntry]) -> Order {
    let mut smaller = order.without_faults();
    let kept = |measure: &str| {
        let prefix = measure.split_once('/').map(|(prefix, _)| prefix);
        schedule.iter().any(|fault| Some(fault.name.as_str()) == prefix)
    };
    let gates = order.scenario.gate.iter().filter(|gate| kept(&gate.measure)).cloned();
    smaller.scenario.gate.extend(gates);
    smaller.scenario.fault = schedule.to_vec();
    if let Some(recovery) = &mut smaller.scenario.recovery {
        recovery.control = false;
    }
    smaller
}

/// An injection as a fault that comes once, exactly when it was drawn to come.
fn exactly(order: &Order, drawn: &Injection) -> Option<FaultEntry> {
    let planned = order.scenario.fault.iter().find(|fault| fault.name == drawn.name)?;
    let mut entry = FaultEntry { at: None, after: None, every: None, times: 1, ..planned.clone() };
    match &drawn.due {
        Due::At(at) => entry.at = Some(Moment::Exactly(RealTime(at.as_secs_f64()))),
        Due::Event { name, nth } => {
            entry.after = Some(AfterEvent { event: name.clone(), nth: *nth, to: None });
        }
        Due::Marker { .. } | Due::File { .. } => {}
    }
    if planned.times > 1 {
        entry.name = format!("{}-{}", planned.name, drawn.injection);
    }
    Some(entry)
}

fn shorter(fault: &FaultEntry) -> Option<FaultEntry> {
    let half_s = fault.lasts?.seconds() / 2.0;
    (half_s >= SHORTEST_S).then(|| FaultEntry { lasts: Some(RealTime(half_s)), ..fault.clone() })
}
