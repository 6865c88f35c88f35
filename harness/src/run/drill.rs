//! The drill of a run: its faults, injected while the load runs, and told of in the history.

use super::Stage;
use anyhow::Context as _;
use shakedown_chaos::drill::{Drill, FaultEvent, Phase, Sink};
use shakedown_reports::history::{Begun, FaultMark, FaultPhase, Record};
use std::sync::Arc;

/// Begins to inject the plan's faults; `began_ns` is the beginning of the level that they belong to.
///
/// # Errors
/// The system has no threads left.
pub fn begin(stage: &Stage<'_>, began_ns: u64) -> anyhow::Result<Option<Drill>> {
    if stage.plan.schedule.is_empty() {
        return Ok(None);
    }
    let journal = stage.journal.clone();
    let sink: Sink = Arc::new(move |event| journal.write(Record::Fault(mark(event))));
    let local = stage.host.cast.local();
    let ledger = Arc::clone(local.ledger());
    let drill = Drill::start(stage.plan.schedule.clone(), began_ns, local, ledger, sink);
    drill.map(Some).context("the faults can't be injected")
}

/// Tells a drill of work that was begun.
pub fn feed(drill: &Drill, begun: &[Begun]) {
    for one in begun {
        drill.feed("begun");
        drill.feed(&format!("begun:{}", one.pool));
        if one.pool != one.task_type {
            drill.feed(&format!("begun:{}", one.task_type));
        }
    }
}

/// Heals everything. What could not be healed has its record in the history, and stays in the ledger.
///
/// # Errors
/// The task that heals panicked.
pub async fn finish(drill: Drill) -> anyhow::Result<()> {
    let healed = tokio::task::spawn_blocking(move || drill.finish()).await;
    for unhealed in healed.context("the task that heals panicked")? {
        eprintln!(
            "shakedown: {} ({}) on {} is not healed: {}; `shakedown heal` with this run directory tries again",
            unhealed.fault, unhealed.injection, unhealed.thing, unhealed.evidence
        );
    }
    Ok(())
}

fn mark(event: FaultEvent) -> FaultMark {
    FaultMark {
        fault: event.fault,
        injection: event.injection,
        phase: match event.phase {
            Phase::Intended => FaultPhase::Intended,
            Phase::Applied => FaultPhase::Applied,
            Phase::NotApplied => FaultPhase::NotApplied,
            Phase::NotRun => FaultPhase::NotRun,
            Phase::Missed => FaultPhase::Missed,
            Phase::Healing => FaultPhase::Healing,
            Phase::Healed => FaultPhase::Healed,
            Phase::NotHealed => FaultPhase::NotHealed,
        },
        at_ns: event.at_ns,
        node: event.node,
        evidence: event.evidence,
    }
}
