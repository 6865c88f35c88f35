//! The ledger of truth: what was asked for, what was acknowledged, and what became of it.

use super::InjectionResult;
use super::flow::{acknowledged_at, seconds};
use crate::check::{Fate, completion_fate, start_fate};
use crate::history::{Execution, Outcome, Reported};
use crate::joined::{Joined, TERMINAL, WorkflowRun};
use crate::rewind;
use serde::{Deserialize, Serialize};

/// What kind an operation is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A start of a workflow.
    Start,
    /// A completion of a task.
    Completion,
}

impl OperationKind {
    /// Its name in the plural, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Start => "starts",
            Self::Completion => "completions",
        }
    }
}

/// What became of the operations of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// The kind.
    pub kind: OperationKind,
    /// Asked for.
    pub tried: u64,
    /// Answered with a yes.
    pub acknowledged: u64,
    /// Answered with a no: nothing happened.
    pub refused: u64,
    /// Not answered, or with an error that leaves it open.
    pub unknown: u64,
    /// Acknowledged, and absent at the final reads.
    pub lost: u64,
    /// Acknowledged, and never read back.
    pub undecided: u64,
    /// Of the unknown, those that are present: legal.
    pub recovered: u64,
    /// Present, though refused or never tried: illegal.
    pub unexpected: u64,
}

/// An acknowledged operation that is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LostOperation {
    /// Its kind.
    pub kind: OperationKind,
    /// The workflow that it belongs to.
    pub workflow: String,
    /// When it was acknowledged, real seconds since the start of the run.
    pub acknowledged_s: f64,
    /// What became of it.
    pub what: String,
}

/// What was asked for, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// By kind.
    pub operations: Vec<Operations>,
    /// Ended workflows that ran again, or whose end changed.
    pub resurrected: u64,
    /// Workflows whose end was seen at least twice, so that it can be told.
    pub ends_seen_twice: u64,
    /// What was lost, the oldest first.
    pub lost: Vec<LostOperation>,
}

impl Ledger {
    /// Acknowledged operations of all kinds.
    pub fn acknowledged(&self) -> u64 {
        self.operations.iter().map(|o| o.acknowledged).sum()
    }

    /// Lost operations of all kinds; `None` when none is known to be, and not all were read back.
    pub fn lost(&self) -> Option<u64> {
        let lost: u64 = self.operations.iter().map(|o| o.lost).sum();
        (lost > 0 || self.operations.iter().all(|o| o.undecided == 0)).then_some(lost)
    }

    /// Present, though refused or never tried, of all kinds.
    pub fn unexpected(&self) -> u64 {
        self.operations.iter().map(|o| o.unexpected).sum()
    }
}

/// An acknowledged operation.
#[derive(Debug)]
struct Acknowledged {
    kind: OperationKind,
    at_ns: u64,
    workflow: String,
    fate: Fate,
}

/// Every acknowledged operation of a run, in the order of the acknowledgements.
#[derive(Debug)]
pub(super) struct Losses {
    all: Vec<Acknowledged>,
}

impl Losses {
    pub(super) fn of(run: &Joined<'_>) -> Self {
        let mut all: Vec<Acknowledged> = Vec::new();
        for workflow in run.workflows() {
            let label = || workflow.label();
            if let Some((at_ns, fate)) = acknowledged_at(workflow).zip(start_fate(workflow)) {
                all.push(Acknowledged { kind: OperationKind::Start, at_ns, workflow: label(), fate });
            }
            for execution in completions(workflow).filter(|e| e.outcome == Outcome::Ok) {
                all.push(Acknowledged {
                    kind: OperationKind::Completion,
                    at_ns: execution.update_done_ns,
                    workflow: label(),
                    fate: completion_fate(workflow, execution),
                });
            }
        }
        all.sort_by_key(|a| a.at_ns);
        Self { all }
    }

    pub(super) fn ledger(&self, run: &Joined<'_>) -> Ledger {
        let began_ns = run.history.header.started_ns;
        let lost = self.all.iter().filter_map(|a| match &a.fate {
            Fate::Lost(what) => Some(LostOperation {
                kind: a.kind,
                workflow: a.workflow.clone(),
                acknowledged_s: seconds(began_ns, a.at_ns),
                what: what.clone(),
            }),
            Fate::Kept | Fate::NotRead => None,
        });
        let twice: Vec<bool> = run.workflows().filter_map(resurrected).collect();
        Ledger {
            operations: vec![self.starts(run), self.completions(run)],
            resurrected: twice.iter().filter(|back| **back).count() as u64,
            ends_seen_twice: twice.len() as u64,
            lost: lost.collect(),
        }
    }

    fn starts(&self, run: &Joined<'_>) -> Operations {
        let count =
            |which: &dyn Fn(&WorkflowRun<'_>) -> bool| run.workflows().filter(|w| which(w)).count() as u64;
        let with = |outcome: Outcome| count(&|w| w.start.is_some_and(|s| s.outcome == outcome));
        let present = |w: &WorkflowRun<'_>| w.finals.iter().any(|f| f.found);
        Operations {
            kind: OperationKind::Start,
            tried: count(&|w| w.start.is_some()),
            acknowledged: with(Outcome::Ok),
            refused: with(Outcome::Failed),
            unknown: with(Outcome::Unknown),
            recovered: count(&|w| w.start.is_some_and(|s| s.outcome == Outcome::Unknown) && present(w)),
            unexpected: count(&|w| {
                w.start.is_none_or(|s| s.outcome == Outcome::Failed && s.tries == 1) && present(w)
            }),
            ..self.judged(OperationKind::Start)
        }
    }

    fn completions(&self, run: &Joined<'_>) -> Operations {
        let of = |which: &dyn Fn(&WorkflowRun<'_>, &Execution) -> bool| {
            let all = run.workflows().flat_map(|w| completions(w).map(move |e| (w, e)));
            all.filter(|(w, e)| which(w, e)).count() as u64
        };
        let with = |outcome: Outcome| of(&|_, e| e.outcome == outcome);
        // Of several tries an earlier one may have been taken that was not answered.
        let refused_once = |e: &Execution| e.outcome == Outcome::Failed && e.tries == 1;
        Operations {
            kind: OperationKind::Completion,
            tried: of(&|_, _| true),
            acknowledged: with(Outcome::Ok),
            refused: with(Outcome::Failed),
            unknown: with(Outcome::Unknown),
            recovered: of(&|w, e| e.outcome == Outcome::Unknown && is_kept(w, e)),
            unexpected: of(&|w, e| refused_once(e) && is_kept(w, e)),
            ..self.judged(OperationKind::Completion)
        }
    }

    /// What is known of the acknowledged ones of a kind.
    fn judged(&self, kind: OperationKind) -> Operations {
        let of_kind = || self.all.iter().filter(|a| a.kind == kind);
        Operations {
            kind,
            tried: 0,
            acknowledged: 0,
            refused: 0,
            unknown: 0,
            lost: of_kind().filter(|a| matches!(a.fate, Fate::Lost(_))).count() as u64,
            undecided: of_kind().filter(|a| matches!(a.fate, Fate::NotRead)).count() as u64,
            recovered: 0,
            unexpected: 0,
        }
    }
}

fn completions<'a>(workflow: &'a WorkflowRun<'_>) -> impl Iterator<Item = &'a Execution> {
    workflow.executions.iter().copied().filter(|e| e.reported == Reported::Completed)
}

fn is_kept(workflow: &WorkflowRun<'_>, execution: &Execution) -> bool {
    workflow.kept_nonce(&execution.reference) == Some(execution.nonce.as_str())
}

/// Whether an end was undone or became another one; `None` when it was seen less than twice.
fn resurrected(workflow: &WorkflowRun<'_>) -> Option<bool> {
    let seen = workflow.observed.map(|o| o.status.as_str());
    let read = workflow.readings().into_iter().filter(|f| f.found).map(|f| f.status.as_str());
    let statuses: Vec<&str> = seen.into_iter().chain(read).collect();
    let first = statuses.iter().position(|s| TERMINAL.contains(s))?;
    let after = &statuses[first + 1..];
    (!after.is_empty()).then(|| after.iter().any(|s| *s != statuses[first]))
}

/// Puts what was lost down to the injections: what was acknowledged while one was in force to that, what was
/// acknowledged before one to the next, and what nothing followed to the last. A backup takes nothing away: it is passed
/// over.
pub(super) fn attribute(losses: &Losses, run: &Joined<'_>, injections: &mut [InjectionResult]) {
    let began_ns = run.history.header.started_ns;
    let mut order: Vec<usize> = (0..injections.len()).filter(|i| injections[*i].took_effect()).collect();
    order.sort_by(|a, b| {
        let at = |i: &usize| injections[*i].applied_s.unwrap_or(0.0);
        at(a).total_cmp(&at(b))
    });
    let mut undecided = vec![0u64; injections.len()];
    for i in &order {
        injections[*i].lost = Some(0);
        injections[*i].lost_s = Some(0.0);
    }
    order.retain(|i| !rewind::is_backup(&injections[*i].what));
    let over_s: Vec<f64> = order.iter().map(|i| over_s(&injections[*i])).collect();
    for operation in &losses.all {
        let at_s = seconds(began_ns, operation.at_ns);
        let Some(place) = over_s.iter().position(|over| at_s <= *over).or(order.len().checked_sub(1)) else {
            return;
        };
        let injection = &mut injections[order[place]];
        injection.acknowledged += 1;
        match operation.fate {
            Fate::Kept => {}
            Fate::NotRead => undecided[order[place]] += 1,
            Fate::Lost(_) => {
                injection.lost = injection.lost.map(|n| n + 1);
                let before_s = injection.applied_s.unwrap_or(0.0) - at_s;
                injection.lost_s = injection.lost_s.map(|s| s.max(before_s));
            }
        }
    }
    for (injection, undecided) in injections.iter_mut().zip(undecided) {
        // What is known to be lost is lost, whatever the rest is.
        if undecided > 0 && injection.lost == Some(0) {
            injection.lost = None;
            injection.lost_s = None;
        }
    }
}

/// Until when an acknowledgement belongs to an injection: it is in force, or service is not yet back.
fn over_s(injection: &InjectionResult) -> f64 {
    let applied_s = injection.applied_s.unwrap_or(0.0);
    let served_s = applied_s + injection.clocks.first_success.at_least_s().unwrap_or(0.0);
    served_s.max(injection.healed_s.unwrap_or(applied_s))
}
