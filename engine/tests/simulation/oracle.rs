//! The oracle: what clients were told, and what of it must and may be so. It is written from the API's contract and
//! shares nothing with the engine but ids: it knows what was asked, what was answered, and what was shown.
//!
//! Whatever a client asked and was not refused is a *claim*: it may have happened. What happened must have a claim
//! that brought it about, or a limit that ran out; and what was shown to anybody stays so.

use crate::cast::Plot;
use serde_json::Value;
use shakedown_engine::machine::id::{TaskId, WorkflowId};
use std::collections::BTreeMap;

/// What a client asks of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Pause,
    Resume,
    Retry,
    Restart,
    ResetCallbacks,
    Remove,
    Terminate,
    Report { seq: u32, status: &'static str, output: Value },
    Extend { seq: u32 },
}

/// A workflow as a client reads it.
#[derive(Debug, Clone)]
pub struct View {
    pub status: &'static str,
    pub created_at: u64,
    pub updated_at: u64,
    pub ended_at: u64,
    pub retried_at: u64,
    pub records: Vec<Record>,
}

/// A task record as a client reads it.
#[derive(Debug, Clone)]
pub struct Record {
    pub seq: u32,
    pub reference: String,
    pub by_worker: bool,
    pub attempt: u32,
    pub status: &'static str,
    pub output: Value,
    pub polls: u32,
    pub scheduled_at: u64,
    pub ended_at: u64,
}

/// When something was shown: by which request, and whether the engine had looked at its timers.
#[derive(Clone, Copy)]
pub struct Moment {
    pub number: u64,
    pub now: u64,
    pub timers: bool,
}

pub struct Claim {
    pub number: u64,
    pub at: u64,
    pub what: What,
}

/// A hand-out: when first, and the last signs of life, as they surely and as they may have come.
pub struct Hand {
    pub reference: String,
    pub at: u64,
    pub last_at: u64,
    pub number: u64,
    pub polls: u32,
    pub sure_sign: u64,
    pub maybe_sign: u64,
}

/// A task as it was handed to a worker.
pub struct Handed {
    pub task: TaskId,
    pub reference: String,
    pub polls: u32,
    pub ready_at: u64,
    pub input: Value,
}

pub struct Known {
    pub plot: &'static Plot,
    pub seen: Option<(u64, View)>,
    pub claims: Vec<Claim>,
    pub hands: BTreeMap<u32, Hand>,
    /// It was not found, and need not be.
    pub gone: bool,
    /// Its removal was acknowledged.
    pub removed: bool,
}

pub struct Oracle {
    known: BTreeMap<WorkflowId, Known>,
    pub retention: Option<u64>,
}

pub type Judged = Result<(), String>;

pub fn hold(holds: bool, law: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(law()) }
}

pub fn is_terminal(status: &str) -> bool {
    !matches!(status, "RUNNING" | "PAUSED" | "SCHEDULED" | "IN_PROGRESS")
}

pub fn is_success(status: &str) -> bool {
    matches!(status, "COMPLETED" | "COMPLETED_WITH_ERRORS")
}

impl View {
    pub fn record(&self, seq: u32) -> Option<&Record> {
        self.records.iter().find(|record| record.seq == seq)
    }
}

impl Oracle {
    /// One that knows nothing yet; what ended may be forgotten after `retention` milliseconds.
    pub fn new(retention: Option<u64>) -> Self {
        Self { known: BTreeMap::new(), retention }
    }

    /// A workflow exists: its start was acknowledged, or found out.
    pub fn exists(&mut self, id: WorkflowId, plot: &'static Plot) {
        let fresh = || Known {
            plot,
            seen: None,
            claims: Vec::new(),
            hands: BTreeMap::new(),
            gone: false,
            removed: false,
        };
        self.known.entry(id).or_insert_with(fresh);
    }

    pub fn workflows(&self) -> Vec<WorkflowId> {
        self.known.keys().copied().collect()
    }

    pub fn status(&self, id: WorkflowId) -> Option<&'static str> {
        let known = self.known.get(&id)?;
        if known.gone { Some("GONE") } else { Some(known.seen.as_ref()?.1.status) }
    }

    /// Workflows that a search must find, and those that it may find.
    pub fn found(&self, now: u64) -> (Vec<WorkflowId>, Vec<WorkflowId>) {
        let may: Vec<_> = self.known.iter().filter(|(_, known)| !known.removed).collect();
        let must = may.iter().filter(|(_, known)| !self.may_be_forgotten(known, now)).map(|(id, _)| **id);
        (must.collect(), may.iter().map(|(id, _)| **id).collect())
    }

    pub fn ask(&mut self, number: u64, id: WorkflowId, what: What, at: u64) {
        let Some(known) = self.known.get_mut(&id) else { return };
        if let What::Extend { seq } = what
            && let Some(hand) = known.hands.get_mut(&seq)
        {
            hand.maybe_sign = at;
        }
        known.claims.push(Claim { number, at, what });
    }

    /// The request was refused: nothing happened.
    pub fn refuse(&mut self, number: u64, id: WorkflowId) {
        if let Some(known) = self.known.get_mut(&id) {
            known.claims.retain(|claim| claim.number != number);
        }
    }

    /// A request was answered with success: what it asked for is so.
    pub fn accept(&mut self, id: WorkflowId, what: &What, view: &View, now: u64) -> Judged {
        let holds = match what {
            What::Pause => view.status == "PAUSED",
            What::Terminate => view.status == "TERMINATED",
            What::Restart => view.created_at == now && !is_terminal(view.status),
            What::ResetCallbacks | What::Remove => true,
            What::Resume | What::Retry => view.retried_at == now,
            What::Report { seq, status, .. } => self.took(id, *seq, status, view, now),
            What::Extend { seq } => {
                let hand = self.known.get_mut(&id).and_then(|known| known.hands.get_mut(seq));
                let open = view.record(*seq).filter(|record| record.status == "IN_PROGRESS");
                // A lease that is over is not extended.
                if let (Some(hand), Some(_)) = (hand, open) {
                    hand.sure_sign = now;
                }
                true
            }
        };
        hold(holds, || format!("{what:?} of {id} was acknowledged, and the workflow is {view:?}"))
    }

    /// Whoever holds a task within its lease is heard.
    fn took(&self, id: WorkflowId, seq: u32, reported: &str, view: &View, now: u64) -> bool {
        let (Some(known), Some(record)) = (self.known.get(&id), view.record(seq)) else {
            return false;
        };
        let held = known.hands.get(&seq).is_some_and(|hand| {
            let revived = known.claimed(|claim| {
                claim.at >= hand.at
                    && matches!(claim.what, What::Resume | What::Retry | What::Restart | What::Terminate)
            });
            let spoken = |claim: &Claim| matches!(&claim.what, What::Report { seq: of, .. } if *of == seq);
            let alone = known.claims.iter().filter(|claim| spoken(claim)).count() == 1;
            alone && !revived && now < known.over_at(hand, hand.sure_sign)
        });
        if !held || is_terminal(view.status) {
            return true;
        }
        match reported {
            "IN_PROGRESS" => record.status == "SCHEDULED",
            "FAILED" => matches!(record.status, "FAILED" | "COMPLETED_WITH_ERRORS"),
            "FAILED_WITH_TERMINAL_ERROR" => {
                matches!(record.status, "FAILED_WITH_TERMINAL_ERROR" | "COMPLETED_WITH_ERRORS")
            }
            other => record.status == other,
        }
    }

    /// A worker was handed a task.
    pub fn hand(&mut self, handed: Handed, number: u64, now: u64) -> Judged {
        let Handed { task, reference, polls, ready_at, input } = handed;
        let reference = reference.as_str();
        hold(ready_at <= now, || format!("{task} was handed out before its time"))?;
        let known = self.known.get_mut(&task.workflow).ok_or("a task of nobody's workflow was handed out")?;
        let part = known.plot.part(reference).ok_or_else(|| format!("{reference} is not in the plot"))?;
        for before in part.after {
            hold(known.may_have_ended_well(before), || format!("{reference} before {before}, {task}"))?;
        }
        if reference == "last" {
            for branch in ["y", "z"] {
                let joined = &input["joined"][branch];
                hold(known.was_told(branch, joined), || {
                    format!("the join of {task} has not {branch}: {input}")
                })?;
            }
        }
        for (seq, hand) in known.hands.iter().filter(|(_, hand)| hand.reference == reference) {
            let called_back = What::Report { seq: *seq, status: "IN_PROGRESS", output: Value::Null };
            let over = if *seq == task.sequence {
                known.claimed(|claim| claim.number >= hand.number && claim.is_like(&called_back))
            } else {
                now >= known.over_at(hand, hand.sure_sign)
                    || known.claimed(|claim| claim.number >= hand.number && claim.may_end(*seq))
            };
            hold(over, || format!("{reference} of {task} was handed out while record {seq} of it is held"))?;
        }
        if let Some((_, view)) = &known.seen {
            let revived = known.claimed(|claim| {
                claim.at >= view.ended_at && matches!(claim.what, What::Retry | What::Restart)
            });
            let over = is_terminal(view.status) && view.ended_at < now && !revived;
            hold(!over, || format!("{task} was handed out after its workflow was {}", view.status))?;
        }
        let first_at = known.hands.get(&task.sequence).map_or(now, |hand| hand.at);
        let reference = reference.to_owned();
        let hand =
            Hand { reference, at: first_at, last_at: now, number, polls, sure_sign: now, maybe_sign: now };
        known.hands.insert(task.sequence, hand);
        Ok(())
    }

    /// A restart takes the records of the run before it away.
    pub fn may_lack_records(&self, id: WorkflowId) -> bool {
        self.known.get(&id).is_some_and(|known| known.claimed(|claim| claim.what == What::Restart))
    }

    /// A workflow can't be found.
    pub fn miss(&mut self, id: WorkflowId, now: u64) -> Judged {
        let forgotten = self.known.get(&id).is_none_or(|known| self.may_be_forgotten(known, now));
        self.known.get_mut(&id).into_iter().for_each(|known| known.gone = true);
        hold(forgotten, || format!("{id} was acknowledged and is not found"))
    }

    fn may_be_forgotten(&self, known: &Known, now: u64) -> bool {
        let seen = known.seen.as_ref().map_or(u64::MAX, |(_, view)| view.updated_at);
        let old = self.retention.is_some_and(|kept| now >= seen.saturating_add(kept));
        old || known.claimed(|claim| claim.what == What::Remove)
    }

    /// A removal was acknowledged: no search finds it from now on.
    pub fn removed(&mut self, id: WorkflowId) {
        if let Some(known) = self.known.get_mut(&id) {
            (known.gone, known.removed) = (true, true);
        }
    }

    /// A client was shown a workflow.
    pub fn show(&mut self, id: WorkflowId, view: View, moment: Moment) -> Judged {
        let known = self.known.get_mut(&id).ok_or_else(|| format!("{id} is nobody's workflow"))?;
        let judged =
            known.records(&view).and_then(|()| known.status(&view)).and_then(|()| known.late(&view, moment));
        let judged = judged.and_then(|()| match &known.seen {
            Some((number, before)) => known.follows(*number, before, &view),
            None => Ok(()),
        });
        judged.map_err(|why| format!("{why}; {id} is {view:?}, it was {:?}", known.seen))?;
        hold(!known.removed, || format!("{id} was removed, and is shown"))?;
        known.seen = Some((moment.number, view));
        known.gone = false;
        Ok(())
    }
}
