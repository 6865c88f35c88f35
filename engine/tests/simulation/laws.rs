//! The laws of one workflow: what a client may be shown of it, given what was asked and what was shown before.

use crate::cast::{self, Part};
use crate::oracle::{Claim, Hand, Judged, Known, Moment, Record, View, What, hold, is_success, is_terminal};
use serde_json::Value;

impl Claim {
    pub fn is_like(&self, what: &What) -> bool {
        match (&self.what, what) {
            (What::Report { seq, status, .. }, What::Report { seq: of, status: wanted, .. }) => {
                (seq, status) == (of, wanted)
            }
            (mine, other) => mine == other,
        }
    }

    /// True for what may end the record `seq`.
    pub fn may_end(&self, seq: u32) -> bool {
        match &self.what {
            What::Report { seq: of, .. } => *of == seq,
            What::Terminate | What::Retry | What::Resume | What::Restart | What::Remove => true,
            What::Pause | What::ResetCallbacks | What::Extend { .. } => false,
        }
    }
}

impl Known {
    pub fn claimed(&self, what: impl Fn(&Claim) -> bool) -> bool {
        self.claims.iter().any(what)
    }

    pub fn reported(&self, seq: u32, wanted: &str, as_output: Option<&Value>) -> bool {
        self.claimed(|claim| match &claim.what {
            What::Report { seq: of, status, output } => {
                *of == seq && *status == wanted && as_output.is_none_or(|expected| expected == output)
            }
            _ => false,
        })
    }

    /// When a hand-out is surely over by itself, its last sign having come at `sign`.
    pub fn over_at(&self, hand: &Hand, sign: u64) -> u64 {
        let kind = self.plot.part(&hand.reference).and_then(|part| cast::kind(part.kind));
        let Some(kind) = kind else { return 0 };
        (sign + kind.lease).min(kind.attempt.map_or(u64::MAX, |attempt| hand.at + attempt))
    }

    pub fn may_have_ended_well(&self, reference: &str) -> bool {
        let optional = self.plot.part(reference).is_some_and(|part| part.optional);
        optional
            || self
                .hands
                .iter()
                .any(|(seq, hand)| hand.reference == reference && self.reported(*seq, "COMPLETED", None))
    }

    /// True when a worker completed `reference` with this output.
    pub fn was_told(&self, reference: &str, output: &Value) -> bool {
        let mut hands = self.hands.iter().filter(|(_, hand)| hand.reference == reference);
        hands.any(|(seq, _)| self.reported(*seq, "COMPLETED", Some(output)))
    }

    pub fn records(&self, view: &View) -> Judged {
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
        for record in view.records.iter().filter(|record| record.by_worker) {
            let seq = record.seq;
            let part = self.plot.part(&record.reference).ok_or("a record of no part")?;
            self.record(view, record, seq, part).map_err(|why| format!("record {seq}: {why}"))?;
        }
        Ok(())
    }

    pub fn record(&self, view: &View, record: &Record, seq: u32, part: &Part) -> Judged {
        let ended_well = |reference: &&str| {
            view.records.iter().any(|record| record.reference == **reference && is_success(record.status))
        };
        hold(part.after.iter().all(ended_well), || format!("it came before {:?}", part.after))?;
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

    pub fn earliest_timeout(&self, record: &Record, seq: u32, kind: &cast::Kind) -> u64 {
        let poll = kind.poll.unwrap_or(u64::MAX);
        match self.hands.get(&seq) {
            Some(hand) => self.over_at(hand, hand.sure_sign).min(hand.at.saturating_add(poll)),
            None => record.scheduled_at + kind.lease.min(kind.attempt.unwrap_or(u64::MAX)).min(poll),
        }
    }

    pub fn status(&self, view: &View) -> Judged {
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

    pub fn due(&self, view: &View) -> u64 {
        self.plot.timeout.map_or(u64::MAX, |limit| view.created_at.max(view.retried_at) + limit)
    }

    /// What ran out was acted on.
    pub fn late(&self, view: &View, moment: Moment) -> Judged {
        if !moment.timers || view.status != "RUNNING" || view.retried_at == moment.now {
            return Ok(());
        }
        hold(moment.now < self.due(view), || "it should have timed out".to_owned())?;
        for (seq, hand) in &self.hands {
            // Only a restart takes records away.
            let Some(record) = view.record(*seq) else {
                hold(self.claimed(|claim| claim.what == What::Restart), || format!("record {seq} is gone"))?;
                continue;
            };
            let over = moment.now >= self.over_at(hand, hand.maybe_sign.max(hand.last_at));
            hold(record.status != "IN_PROGRESS" || record.polls > hand.polls || !over, || {
                format!("the lease of record {seq} ran out")
            })?;
        }
        Ok(())
    }

    /// What was shown before stays so, unless somebody asked for a change.
    pub fn follows(&self, number: u64, before: &View, view: &View) -> Judged {
        let asked = |what: What| self.claimed(|claim| claim.number > number && claim.what == what);
        hold(view.updated_at >= before.updated_at, || "it went back in time".to_owned())?;
        let last = before.records.last().map_or(0, |record| record.seq);
        let is_new = |record: &Record| record.seq > last;
        let restart = |claim: &Claim| {
            claim.number > number && claim.at == view.created_at && claim.what == What::Restart
        };
        if self.claimed(restart) && view.records.first().is_some_and(is_new) {
            return hold(view.records.iter().all(is_new), || "a restart left records".to_owned());
        }
        hold(view.created_at == before.created_at, || "it began anew".to_owned())?;
        let revival = |claim: &Claim| {
            claim.number > number
                && claim.at == view.retried_at
                && matches!(claim.what, What::Resume | What::Retry)
        };
        let revived = self.claimed(revival);
        hold(revived || view.retried_at == before.retried_at, || "nobody revived it".to_owned())?;
        let terminated = view.status == "TERMINATED" && asked(What::Terminate);
        let stays = match before.status {
            "RUNNING" => view.status != "PAUSED" || asked(What::Pause),
            "PAUSED" => view.status == "PAUSED" || revived || terminated,
            "COMPLETED" => view.status == "COMPLETED" && view.retried_at == before.retried_at,
            ended => revived || terminated || (view.status == ended && view.ended_at == before.ended_at),
        };
        hold(stays, || format!("it can't go from {} to {}", before.status, view.status))?;
        hold(view.records.len() >= before.records.len(), || "records are gone".to_owned())?;
        for (old, new) in before.records.iter().zip(&view.records) {
            let seq = old.seq;
            self.record_follows(old, new, seq, revived).map_err(|why| format!("record {seq}: {why}"))?;
        }
        Ok(())
    }

    pub fn record_follows(&self, old: &Record, new: &Record, seq: u32, revived: bool) -> Judged {
        let same = (old.seq, &old.reference, old.attempt) == (new.seq, &new.reference, new.attempt);
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
