//! The oracle: what clients were told, and what of it must and may be so. It is written from the API's contract and
//! shares nothing with the engine but ids: it knows what was asked, what was answered, and what was shown.
//!
//! Whatever a client asked and was not refused is a *claim*: it may have happened. What happened must have a claim
//! that brought it about, or a limit that ran out; and what was shown to anybody stays so.

use crate::cast::{self, Part, Plot};
use serde_json::Value;
use shakedown_engine::machine::id::{TaskId, WorkflowId};
use std::collections::BTreeMap;

/// What a client asks of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Pause,
    Resume,
    Retry,
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

struct Claim {
    number: u64,
    at: u64,
    what: What,
}

/// A hand-out: when first, and the last signs of life, as they surely and as they may have come.
struct Hand {
    reference: String,
    at: u64,
    last_at: u64,
    number: u64,
    polls: u32,
    sure_sign: u64,
    maybe_sign: u64,
}

/// A task as it was handed to a worker.
pub struct Handed {
    pub task: TaskId,
    pub reference: String,
    pub polls: u32,
    pub ready_at: u64,
    pub input: Value,
}

struct Known {
    plot: &'static Plot,
    seen: Option<(u64, View)>,
    claims: Vec<Claim>,
    hands: BTreeMap<u32, Hand>,
}

pub struct Oracle {
    known: BTreeMap<WorkflowId, Known>,
    pub retention: Option<u64>,
}

type Judged = Result<(), String>;

fn hold(holds: bool, law: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(law()) }
}

fn is_terminal(status: &str) -> bool {
    !matches!(status, "RUNNING" | "PAUSED" | "SCHEDULED" | "IN_PROGRESS")
}

fn is_success(status: &str) -> bool {
    matches!(status, "COMPLETED" | "COMPLETED_WITH_ERRORS")
}

impl Oracle {
    /// One that knows nothing yet; what ended may be forgotten after `retention` milliseconds.
    pub fn new(retention: Option<u64>) -> Self {
        Self { known: BTreeMap::new(), retention }
    }

    /// A workflow exists: its start was acknowledged, or found out.
    pub fn exists(&mut self, id: WorkflowId, plot: &'static Plot) {
        let fresh = || Known { plot, seen: None, claims: Vec::new(), hands: BTreeMap::new() };
        self.known.entry(id).or_insert_with(fresh);
    }

    pub fn workflows(&self) -> Vec<WorkflowId> {
        self.known.keys().copied().collect()
    }

    pub fn status(&self, id: WorkflowId) -> Option<&'static str> {
        Some(self.known.get(&id)?.seen.as_ref()?.1.status)
    }

    /// Workflows that a search must find, and those that it may find.
    pub fn found(&self, now: u64) -> (usize, usize) {
        let must = self.known.values().filter(|known| !self.may_be_forgotten(known, now)).count();
        (must, self.known.len())
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
            What::Resume | What::Retry => view.retried_at == now,
            What::Report { seq, status, .. } => self.took(id, *seq, status, view, now),
            What::Extend { seq } => {
                let hand = self.known.get_mut(&id).and_then(|known| known.hands.get_mut(seq));
                let open = view.records.get(*seq as usize - 1).filter(|record| record.status == "IN_PROGRESS");
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
        let (Some(known), Some(record)) = (self.known.get(&id), view.records.get(seq as usize - 1)) else {
            return false;
        };
        let held = known.hands.get(&seq).is_some_and(|hand| {
            let revived = known.claimed(|claim| {
                claim.at >= hand.at && matches!(claim.what, What::Resume | What::Retry | What::Terminate)
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
            "FAILED_WITH_TERMINAL_ERROR" => matches!(record.status, "FAILED_WITH_TERMINAL_ERROR" | "COMPLETED_WITH_ERRORS"),
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
            let revived =
                known.claimed(|claim| claim.at >= view.ended_at && matches!(claim.what, What::Retry));
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

    /// A workflow can't be found.
    pub fn miss(&self, id: WorkflowId, now: u64) -> Judged {
        let Some(known) = self.known.get(&id) else { return Ok(()) };
        hold(self.may_be_forgotten(known, now), || format!("{id} was acknowledged and is not found"))
    }

    fn may_be_forgotten(&self, known: &Known, now: u64) -> bool {
        let seen = known.seen.as_ref().map_or(u64::MAX, |(_, view)| view.updated_at);
        self.retention.is_some_and(|kept| now >= seen.saturating_add(kept))
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
        known.seen = Some((moment.number, view));
        Ok(())
    }
}

impl Claim {
    fn is_like(&self, what: &What) -> bool {
        match (&self.what, what) {
            (What::Report { seq, status, .. }, What::Report { seq: of, status: wanted, .. }) => {
                (seq, status) == (of, wanted)
            }
            (mine, other) => mine == other,
        }
    }

    /// True for what may end the record `seq`.
    fn may_end(&self, seq: u32) -> bool {
        match &self.what {
            What::Report { seq: of, .. } => *of == seq,
            What::Terminate | What::Retry | What::Resume => true,
            What::Pause | What::Extend { .. } => false,
        }
    }
}

impl Known {
    fn claimed(&self, what: impl Fn(&Claim) -> bool) -> bool {
        self.claims.iter().any(what)
    }

    fn reported(&self, seq: u32, wanted: &str, as_output: Option<&Value>) -> bool {
        self.claimed(|claim| match &claim.what {
            What::Report { seq: of, status, output } => {
                *of == seq && *status == wanted && as_output.is_none_or(|expected| expected == output)
            }
            _ => false,
        })
    }

    /// When a hand-out is surely over by itself, its last sign having come at `sign`.
    fn over_at(&self, hand: &Hand, sign: u64) -> u64 {
        let kind = self.plot.part(&hand.reference).and_then(|part| cast::kind(part.kind));
        let Some(kind) = kind else { return 0 };
        (sign + kind.lease).min(kind.attempt.map_or(u64::MAX, |attempt| hand.at + attempt))
    }

    fn may_have_ended_well(&self, reference: &str) -> bool {
        let optional = self.plot.part(reference).is_some_and(|part| part.optional);
        optional
            || self
                .hands
                .iter()
                .any(|(seq, hand)| hand.reference == reference && self.reported(*seq, "COMPLETED", None))
    }

    /// True when a worker completed `reference` with this output.
    fn was_told(&self, reference: &str, output: &Value) -> bool {
        let mut hands = self.hands.iter().filter(|(_, hand)| hand.reference == reference);
        hands.any(|(seq, _)| self.reported(*seq, "COMPLETED", Some(output)))
    }

    fn records(&self, view: &View) -> Judged {
        for part in self.plot.parts {
            let of_part = || view.records.iter().filter(|record| record.reference == part.reference);
            let (good, open) = (
                of_part().filter(|record| is_success(record.status)).count(),
                of_part().filter(|record| !is_terminal(record.status)).count(),
            );
            hold(good + open <= 1, || {
                format!("{} ended well {good} times, is open {open} times", part.reference)
            })?;
        }
        for (record, seq) in view.records.iter().zip(1..).filter(|(record, _)| record.by_worker) {
            let part = self.plot.part(&record.reference).ok_or("a record of no part")?;
            self.record(view, record, seq, part).map_err(|why| format!("record {seq}: {why}"))?;
        }
        Ok(())
    }

    fn record(&self, view: &View, record: &Record, seq: u32, part: &Part) -> Judged {
        let ended_well = |reference: &&str| {
            view.records.iter().any(|record| record.reference == **reference && is_success(record.status))
        };
        hold(part.after.iter().all(|before| ended_well(before)), || {
            format!("it came before {:?}", part.after)
        })?;
        let revivals =
            self.claims.iter().filter(|claim| matches!(claim.what, What::Retry | What::Resume)).count();
        let kind = cast::kind(part.kind).ok_or("a record of no kind")?;
        hold(record.attempt as usize <= kind.retries as usize + revivals, || "too many attempts".to_owned())?;
        let has_reason = match record.status {
            "SCHEDULED" | "IN_PROGRESS" => !is_terminal(view.status),
            "COMPLETED" => self.reported(seq, "COMPLETED", Some(&record.output)),
            "COMPLETED_WITH_ERRORS" => part.optional,
            "FAILED" | "FAILED_WITH_TERMINAL_ERROR" => {
                self.reported(seq, record.status, Some(&record.output))
            }
            "CANCELED" => {
                is_terminal(view.status) || view.retried_at > 0 || self.reported(seq, "CANCELED", None)
            }
            "TIMED_OUT" => record.ended_at >= self.earliest_timeout(record, seq, kind),
            _ => false,
        };
        hold(has_reason, || "nobody brought it to its status".to_owned())
    }

    fn earliest_timeout(&self, record: &Record, seq: u32, kind: &cast::Kind) -> u64 {
        let poll = kind.poll.unwrap_or(u64::MAX);
        match self.hands.get(&seq) {
            Some(hand) => self.over_at(hand, hand.sure_sign).min(hand.at.saturating_add(poll)),
            None => record.scheduled_at + kind.lease.min(kind.attempt.unwrap_or(u64::MAX)).min(poll),
        }
    }

    fn status(&self, view: &View) -> Judged {
        let any = |status: &str| view.records.iter().any(|record| record.status == status);
        let is_done = |part: &Part| {
            let mut good = view.records.iter().filter(|record| is_success(record.status));
            good.any(|record| record.reference == part.reference)
        };
        let open = view.records.iter().filter(|record| !is_terminal(record.status));
        let (by_worker, open) = (open.clone().filter(|record| record.by_worker).count(), open.count());
        let done = self.plot.parts.iter().all(is_done);
        let may_be = match view.status {
            "RUNNING" => by_worker > 0 && !done,
            "PAUSED" => self.claimed(|claim| claim.what == What::Pause),
            "COMPLETED" => done && open == 0,
            "FAILED" => open == 0 && (any("FAILED") || any("FAILED_WITH_TERMINAL_ERROR")),
            "TIMED_OUT" => open == 0 && (any("TIMED_OUT") || self.due(view) <= view.ended_at),
            "TERMINATED" => {
                open == 0 && (self.claimed(|claim| claim.what == What::Terminate) || any("CANCELED"))
            }
            _ => false,
        };
        hold(may_be, || format!("it can't be {}", view.status))
    }

    fn due(&self, view: &View) -> u64 {
        self.plot.timeout.map_or(u64::MAX, |limit| view.created_at.max(view.retried_at) + limit)
    }

    /// What ran out was acted on.
    fn late(&self, view: &View, moment: Moment) -> Judged {
        if !moment.timers || view.status != "RUNNING" || view.retried_at == moment.now {
            return Ok(());
        }
        hold(moment.now < self.due(view), || "it should have timed out".to_owned())?;
        for (seq, hand) in &self.hands {
            let record = view.records.get(*seq as usize - 1).ok_or("a record that was handed out is gone")?;
            let over = moment.now >= self.over_at(hand, hand.maybe_sign.max(hand.last_at));
            hold(record.status != "IN_PROGRESS" || record.polls > hand.polls || !over, || {
                format!("the lease of record {seq} ran out")
            })?;
        }
        Ok(())
    }

    /// What was shown before stays so, unless somebody asked for a change.
    fn follows(&self, number: u64, before: &View, view: &View) -> Judged {
        let asked = |what: What| self.claimed(|claim| claim.number > number && claim.what == what);
        hold(view.updated_at >= before.updated_at && view.created_at == before.created_at, || {
            "it went back in time".to_owned()
        })?;
        let revived = view.retried_at != before.retried_at;
        let revival =
            |claim: &Claim| claim.at == view.retried_at && matches!(claim.what, What::Resume | What::Retry);
        hold(!revived || self.claimed(revival), || "nobody revived it".to_owned())?;
        let terminated = view.status == "TERMINATED" && asked(What::Terminate);
        let stays = match before.status {
            "RUNNING" => view.status != "PAUSED" || asked(What::Pause),
            "PAUSED" => view.status == "PAUSED" || revived || terminated,
            "COMPLETED" => view.status == "COMPLETED" && !revived,
            ended => revived || terminated || (view.status == ended && view.ended_at == before.ended_at),
        };
        hold(stays, || format!("it can't go from {} to {}", before.status, view.status))?;
        hold(view.records.len() >= before.records.len(), || "records are gone".to_owned())?;
        for ((old, new), seq) in before.records.iter().zip(&view.records).zip(1..) {
            self.record_follows(old, new, seq, revived).map_err(|why| format!("record {seq}: {why}"))?;
        }
        Ok(())
    }

    fn record_follows(&self, old: &Record, new: &Record, seq: u32, revived: bool) -> Judged {
        let same =
            (&old.reference, old.attempt, old.by_worker) == (&new.reference, new.attempt, new.by_worker);
        hold(same && new.polls >= old.polls, || "it is another one, or was polled less".to_owned())?;
        let forgiven = new.status == "COMPLETED_WITH_ERRORS" && old.status != "COMPLETED";
        let reopened = !old.by_worker && old.status == "CANCELED" && revived;
        let stays = match old.status {
            "SCHEDULED" => true,
            "IN_PROGRESS" => new.status != "SCHEDULED" || self.reported(seq, "IN_PROGRESS", None),
            ended => forgiven || reopened || (new.status == ended && new.output == old.output),
        };
        hold(stays, || format!("it went from {} to {}", old.status, new.status))
    }
}
