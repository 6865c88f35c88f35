//! What a manager does next: decided from what it saw, without a clock, a process or a socket.

mod ruin;

use super::super::event::Shown;
use super::super::settings::{Fence, Rejoin, Settings};
use super::super::{Event, Phase, Side};
use super::step::{How, Step};
use std::collections::VecDeque;

/// How long after a failed step the next attempt is, nanoseconds.
const AGAIN_AFTER_NS: u64 = 500_000_000;

/// What a manager sees at one look.
#[derive(Debug, Clone)]
pub struct Look {
    /// When it was over.
    pub at_ns: u64,
    /// The probing write: how far the primary's log is, or why it failed.
    pub write: Result<u64, String>,
    /// The primary's process is gone, and may be started.
    pub primary_gone: bool,
    /// The other one.
    pub peer: Peer,
    /// For how long a write has been waiting for the standby.
    pub waits_ns: u64,
}

/// How the other database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// It is gone, and somebody keeps it away.
    Away,
    /// It is gone, and may be started.
    Gone,
    /// Its process is there and does not answer.
    Hung,
    /// It answers, and does not stream.
    Answers,
    /// It streams, and has the log up to here on disk.
    Streams(u64),
}

/// What the other database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    Standby,
    /// A primary of before: what it wrote since is nobody's.
    Former,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Joining {
    how: How,
    since_ns: u64,
}

/// The manager's mind.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    primary: Side,
    other: Other,
    /// Commits wait for the standby: it has all that was acknowledged.
    waits: bool,
    /// The standby can take over.
    redundant: bool,
    failures: u32,
    queue: VecDeque<Step>,
    not_before_ns: u64,
    /// It was started as a standby, and does not stream yet.
    joining: Option<Joining>,
    /// How it is made one next, when another way than the usual one.
    next_how: Option<How>,
    /// The position that the standby must reach to count as one that has everything.
    target: Option<u64>,
    /// Since when an asynchronous standby does not stream.
    silent_ns: Option<u64>,
    /// The primary of before is to be asked what it has.
    to_compare: bool,
    /// The data of both is destroyed, or is to be: nobody is started, whatever is seen.
    ruined: bool,
    events: Vec<Event>,
}

impl Machine {
    /// That of a pair that is whole, with `db-1` as its primary.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let waits = settings.is_synchronous();
        Self {
            settings,
            primary: Side::First,
            other: Other::Standby,
            waits,
            redundant: true,
            failures: 0,
            queue: VecDeque::new(),
            not_before_ns: 0,
            joining: None,
            next_how: None,
            target: None,
            silent_ns: None,
            to_compare: false,
            ruined: false,
            events: Vec::new(),
        }
    }

    /// Who is the primary.
    #[must_use]
    pub fn primary(&self) -> Side {
        self.primary
    }

    /// True when the next failover is possible.
    #[must_use]
    pub fn is_redundant(&self) -> bool {
        self.redundant
    }

    /// What is to be done now, if anything; [`Machine::done`] or [`Machine::failed`] is told how it went.
    #[must_use]
    pub fn next(&self, now_ns: u64) -> Option<Step> {
        self.queue.front().copied().filter(|_| now_ns >= self.not_before_ns)
    }

    /// What happened since this was asked last.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Takes what was seen.
    pub fn look(&mut self, look: &Look) {
        if !self.queue.is_empty() || self.ruined {
            return;
        }
        match &look.write {
            Ok(head) => {
                self.failures = 0;
                self.tend(look, *head);
            }
            Err(why) => self.missed(look, why),
        }
    }

    /// An operator asks for the roles to change.
    pub fn switch(&mut self, at_ns: u64) {
        let (old, new) = (self.primary, self.primary.other());
        let why = match (self.queue.is_empty() && self.failures == 0 && !self.ruined, self.redundant) {
            (false, _) => "a failover goes on",
            (true, false) => "the standby has not everything",
            (true, true) => {
                self.tell(Phase::SwitchoverBegun, at_ns, old, String::new());
                self.queue.extend([Step::StopInOrder(old), Step::Promote(new)]);
                self.queue.extend([Step::AwaitWritable(new), Step::Repoint(new)]);
                return;
            }
        };
        self.tell(Phase::SwitchoverRefused, at_ns, old, why.to_owned());
    }

    fn missed(&mut self, look: &Look, why: &str) {
        self.failures += 1;
        if self.failures == 1 {
            self.tell(Phase::FailedFirstProbe, look.at_ns, self.primary, why.to_owned());
        }
        if self.failures < self.settings.attempts {
            return;
        }
        if self.failures == self.settings.attempts {
            let text = format!("{} writes in a row failed, the last one: {why}", self.failures);
            self.tell(Phase::Detected, look.at_ns, self.primary, text);
        }
        let (old, new) = (self.primary, self.primary.other());
        // A standby that lacks what was acknowledged must not take over: rather nobody writes until the old one can.
        let has_all = if self.settings.is_synchronous() { self.waits } else { self.redundant };
        let is_there = !matches!(look.peer, Peer::Away | Peer::Gone);
        if self.other == Other::Standby && has_all && is_there {
            self.queue.extend([Step::Fence(old), Step::Promote(new), Step::AwaitWritable(new)]);
            self.queue.push_back(Step::Repoint(new));
            if self.settings.fence == Fence::Kill {
                self.queue.push_back(Step::TryLate(old));
            }
        } else if look.primary_gone {
            self.queue.push_back(Step::Restart(old));
        } else if look.peer == Peer::Gone && self.other == Other::Standby {
            self.rejoin(How::Start);
        }
    }

    /// The primary writes: looks after the other one.
    fn tend(&mut self, look: &Look, head: u64) {
        let other = self.primary.other();
        let timeout_ns = self.settings.standby_timeout_ms * 1_000_000;
        // Whether commits wait is seen from a write: an order whose answer was lost may have been carried out all the same.
        if self.settings.is_synchronous() && look.waits_ns >= timeout_ns {
            (self.waits, self.redundant) = (false, false);
            self.queue.push_back(Step::Degrade(self.primary));
        } else if !self.settings.is_synchronous() {
            self.watch_silence(look, timeout_ns);
        }
        match (look.peer, self.other) {
            (Peer::Away | Peer::Hung, _) => {}
            (Peer::Gone, Other::Standby) => self.rejoin(How::Start),
            (Peer::Gone, Other::Former) if self.to_compare => self.queue.push_back(Step::Compare(other)),
            (Peer::Gone, Other::Former) => self.rejoin(match self.settings.rejoin {
                Rejoin::Rewind => How::Rewind,
                Rejoin::Copy => How::Copy,
            }),
            (Peer::Answers | Peer::Streams(_), Other::Former) => {
                self.queue.extend([Step::TryLate(other), Step::Stop(other)]);
            }
            (Peer::Answers, Other::Standby) => self.hurry(look),
            (Peer::Streams(position), Other::Standby) => self.streams(look, head, position),
        }
    }

    /// An asynchronous standby holds nobody up: that it is lost is only seen from its silence.
    fn watch_silence(&mut self, look: &Look, timeout_ns: u64) {
        if !self.redundant || matches!(look.peer, Peer::Streams(_)) {
            self.silent_ns = None;
        } else if look.at_ns.saturating_sub(*self.silent_ns.get_or_insert(look.at_ns)) >= timeout_ns {
            (self.redundant, self.silent_ns) = (false, None);
            let text = "the standby does not stream".to_owned();
            self.tell(Phase::Degraded, look.at_ns, self.primary, text);
        }
    }

    /// A standby that was started and does not stream in time is copied anew.
    fn hurry(&mut self, look: &Look) {
        let Some(Joining { how, since_ns }) = self.joining else { return };
        if look.at_ns.saturating_sub(since_ns) < self.settings.rejoin_within_ms * 1_000_000 {
            return;
        }
        let other = self.primary.other();
        let text = format!(
            "it does not stream {} ms after it was started ({how:?})",
            self.settings.rejoin_within_ms
        );
        self.tell(Phase::Trouble, look.at_ns, other, text);
        (self.joining, self.next_how) = (None, Some(How::Copy));
        self.queue.push_back(Step::Stop(other));
    }

    fn streams(&mut self, look: &Look, head: u64, position: u64) {
        if let Some(Joining { how, .. }) = self.joining.take() {
            let how = match how {
                How::Start => "started again as it was",
                How::Rewind => "by pg_rewind",
                How::Copy => "copied anew",
            };
            self.tell(Phase::Rejoined, look.at_ns, self.primary.other(), how.to_owned());
        }
        self.next_how = None;
        if self.redundant {
            return;
        }
        // A standby that hangs is listed as streaming for a while: it must get to what was written meanwhile.
        if position < *self.target.get_or_insert(head) {
            return;
        }
        self.target = None;
        if self.settings.is_synchronous() {
            self.queue.push_back(Step::Restore(self.primary));
        } else {
            self.redundant = true;
            self.tell(
                Phase::RedundancyRestored,
                look.at_ns,
                self.primary.other(),
                "it has everything".to_owned(),
            );
        }
    }

    fn rejoin(&mut self, how: How) {
        let how = self.next_how.unwrap_or(how);
        self.queue.push_back(Step::Rejoin(self.primary.other(), how));
    }

    /// A step is done; told with what shows it.
    pub fn done(&mut self, step: Step, at_ns: u64, shown: Shown) {
        self.queue.pop_front();
        match step {
            Step::Fence(side) | Step::StopInOrder(side) => self.tell(Phase::Fenced, at_ns, side, shown),
            Step::Promote(side) => {
                (self.primary, self.other) = (side, Other::Former);
                (self.waits, self.redundant, self.failures) = (false, false, 0);
                (self.joining, self.next_how, self.target, self.silent_ns) = (None, None, None, None);
                self.to_compare = self.settings.compare.is_some();
                self.tell(Phase::Promoted, at_ns, side, shown);
            }
            Step::AwaitWritable(side) => self.tell(Phase::Writable, at_ns, side, shown),
            Step::TryLate(side) => self.tell(Phase::LateWrites, at_ns, side, shown),
            Step::Compare(side) => {
                self.to_compare = false;
                self.tell(Phase::Compared, at_ns, side, shown);
            }
            Step::Repoint(side) => {
                self.ruined = false;
                self.tell(Phase::Repointed, at_ns, side, shown);
            }
            Step::Destroy(_) | Step::PutBack(_) | Step::Replay(_) => self.rebuilt(step, at_ns, shown),
            Step::Stop(_) => {}
            Step::Restart(side) => {
                self.failures = 0;
                self.tell(Phase::Restarted, at_ns, side, shown);
            }
            Step::Rejoin(_, how) => {
                self.other = Other::Standby;
                (self.joining, self.target) = (Some(Joining { how, since_ns: at_ns }), None);
            }
            Step::Degrade(side) => self.tell(Phase::Degraded, at_ns, side, shown),
            Step::Restore(side) => {
                (self.waits, self.redundant) = (true, true);
                self.tell(Phase::RedundancyRestored, at_ns, side.other(), shown);
            }
        }
    }

    /// A step could not be begun, and no other way would be better: it is tried again as it is.
    pub fn postponed(&mut self, step: Step, at_ns: u64, why: String) {
        self.failed(step, at_ns, why);
        if let Step::Rejoin(_, how) = step {
            self.next_how = Some(how);
        }
    }

    /// A step failed: what is tried next.
    pub fn failed(&mut self, step: Step, at_ns: u64, why: String) {
        self.not_before_ns = at_ns + AGAIN_AFTER_NS;
        let side = step.side();
        match step {
            // What was begun is brought to its end: nobody knows how far it came, and two primaries must not be.
            Step::Fence(_) | Step::Promote(_) | Step::AwaitWritable(_) | Step::Repoint(_) | Step::Stop(_) => {
            }
            Step::Destroy(_) | Step::PutBack(_) | Step::Replay(_) => {}
            Step::StopInOrder(_) => {
                self.queue.clear();
                self.queue.push_back(Step::Restart(side));
                return self.tell(Phase::SwitchoverRefused, at_ns, side, why);
            }
            Step::Rejoin(..) => {
                self.next_how = Some(How::Copy);
                self.queue.clear();
            }
            Step::TryLate(_) => {
                self.queue.pop_front();
            }
            // It is asked once: what is lost is known without it, and redundancy must not wait for it.
            Step::Compare(_) => {
                self.to_compare = false;
                self.queue.pop_front();
            }
            Step::Restart(_) | Step::Degrade(_) | Step::Restore(_) => self.queue.clear(),
        }
        self.tell(Phase::Trouble, at_ns, side, format!("{step:?}: {why}"));
    }

    fn tell(&mut self, phase: Phase, at_ns: u64, side: Side, shown: impl Into<Shown>) {
        let Shown { text, finding } = shown.into();
        self.events.push(Event { phase, at_ns, side, text, finding });
    }
}
