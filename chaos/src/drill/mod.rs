//! A drill: a schedule that is played on a substrate. Each injection has a thread of its own that waits for what sets
//! it off, injects, looks whether that worked, waits, heals, and looks again. However the drill ends, all is healed.

mod holds;
mod signals;

use crate::clock;
use crate::fault::Fault;
use crate::heal;
use crate::ledger::{Ledger, Stage};
use crate::schedule::{Due, Injection};
use crate::substrate::{Aimed, Doubt, Force, Known, Pen, Substrate, Unaimed};
use holds::Holds;
use signals::Signals;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How much longer than planned a fault may be in force before somebody else heals it.
const OVERTIME: Duration = Duration::from_secs(30);

/// How far an injection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It is in the ledger, and about to be applied.
    Intended,
    /// It is known to be in force since `at_ns`.
    Applied,
    /// It was tried, and nobody can say that it took effect.
    NotApplied,
    /// Nothing was tried: this machine can't do it.
    NotRun,
    /// Nothing was tried: what was to set it off did not come, or nobody had the role when it did.
    Missed,
    /// It is being undone.
    Healing,
    /// It is known to be undone since `at_ns`.
    Healed,
    /// Undoing it was tried, and nobody can say that it worked.
    NotHealed,
}

/// An injection came a step further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEvent {
    /// Name of the fault.
    pub fault: String,
    /// Which injection of it, from 1.
    pub injection: u32,
    /// How far it has come.
    pub phase: Phase,
    /// CLOCK_MONOTONIC: since when that is known.
    pub at_ns: u64,
    /// The node or link that the role stood for, once it is resolved.
    pub node: Option<String>,
    /// What shows it, or why it can't be shown.
    pub evidence: String,
}

/// Is told of every step, from several threads; must return soon.
pub type Sink = Arc<dyn Fn(FaultEvent) + Send + Sync>;

/// Something that could not be healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealed {
    /// Name of the fault.
    pub fault: String,
    /// Which injection of it.
    pub injection: u32,
    /// The node or link.
    pub thing: String,
    /// What was tried, and what was seen instead.
    pub evidence: String,
}

/// A drill that goes on. Dropping it heals everything.
pub struct Drill {
    signals: Arc<Signals>,
    threads: Vec<JoinHandle<()>>,
    unhealed: Arc<Mutex<Vec<Unhealed>>>,
}

/// What every injection needs.
struct Stagehand {
    substrate: Arc<dyn Substrate>,
    ledger: Arc<Ledger>,
    sink: Sink,
    signals: Arc<Signals>,
    holds: Arc<Holds>,
    unhealed: Arc<Mutex<Vec<Unhealed>>>,
}

impl Drill {
    /// Begins to play a schedule whose beginning is (or will be) at `origin_ns`.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub fn start(
        injections: Vec<Injection>,
        origin_ns: u64,
        substrate: Arc<dyn Substrate>,
        ledger: Arc<Ledger>,
        sink: Sink,
    ) -> std::io::Result<Self> {
        let (signals, unhealed) = (Arc::new(Signals::new(origin_ns)), Arc::default());
        let holds: Arc<Holds> = Arc::default();
        let mut drill = Self { signals, threads: Vec::new(), unhealed };
        for injection in injections {
            let hand = Stagehand {
                substrate: Arc::clone(&substrate),
                ledger: Arc::clone(&ledger),
                sink: Arc::clone(&sink),
                signals: Arc::clone(&drill.signals),
                holds: Arc::clone(&holds),
                unhealed: Arc::clone(&drill.unhealed),
            };
            let name = format!("fault-{}", injection.name);
            let thread = std::thread::Builder::new().name(name).spawn(move || hand.play(&injection))?;
            drill.threads.push(thread);
        }
        Ok(drill)
    }

    /// Tells it that the harness saw an event of that name.
    pub fn feed(&self, event: &str) {
        self.signals.feed(event);
    }

    /// How many injections are not over yet.
    #[must_use]
    pub fn open(&self) -> usize {
        self.threads.iter().filter(|thread| !thread.is_finished()).count()
    }

    /// Heals everything and returns what could not be healed. What has not begun does not begin any more. Blocks.
    pub fn finish(mut self) -> Vec<Unhealed> {
        self.end();
        std::mem::take(&mut *self.unhealed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(&mut self) {
        self.signals.end();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself, and has written that it did not heal.
            let _ = thread.join();
        }
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stagehand {
    /// One injection from its trigger to its end.
    fn play(&self, injection: &Injection) {
        if !self.await_due(&injection.due) {
            let evidence = format!("it was never set off: {} did not come", injection.due);
            self.tell(injection, Phase::Missed, clock::now_ns(), None, evidence);
            return;
        }
        let Aimed { things, mut force } = match self.substrate.aim(injection) {
            Ok(aimed) => aimed,
            Err(why) => {
                let phase = if matches!(why, Unaimed::NotRun(_)) { Phase::NotRun } else { Phase::Missed };
                self.tell(injection, phase, clock::now_ns(), None, why.to_string());
                return;
            }
        };
        let thing = things.join(", ");
        let waited = match self.holds.take(injection, &things) {
            Ok(waited) => waited,
            Err(why) => {
                self.tell(injection, Phase::NotApplied, clock::now_ns(), Some(&thing), why);
                return;
            }
        };
        let too_late = waited && self.signals.is_over();
        if too_late {
            let evidence = "the end came before another one of its kind was healed".to_owned();
            self.tell(injection, Phase::Missed, clock::now_ns(), Some(&thing), evidence);
        }
        let undone = too_late || self.act(injection, &things, force.as_mut());
        self.holds.over(injection, &things, undone);
    }

    /// An injection that is due; tells whether it is known to be undone.
    fn act(&self, injection: &Injection, things: &[String], force: &mut dyn Force) -> bool {
        let thing = &*things.join(", ");
        // Until it is known to be in force: it may have to be applied and undone first, and nobody else must undo it
        // in the meantime.
        let within = may_last(injection).map(|lasts| lasts.saturating_add(injection.fault.takes()));
        let fault = Some(&injection.fault);
        let id = match self.ledger.intend(&injection.name, injection.injection, thing, fault, within) {
            Ok(id) => id,
            Err(error) => {
                let evidence = error.to_string();
                self.tell(injection, Phase::NotApplied, clock::now_ns(), Some(thing), evidence);
                // Nothing was done.
                return true;
            }
        };
        self.tell(injection, Phase::Intended, clock::now_ns(), Some(thing), String::new());
        let act = Act { hand: self, injection, thing, id };
        // A force that panics must not leave what it did: heal is still asked for.
        let applied = catch_unwind(AssertUnwindSafe(|| force.apply(&Pen::new(&self.ledger, id))));
        let applied = applied.unwrap_or_else(|_| Err(panicked()));
        act.came(Phase::Applied, Phase::NotApplied, &applied);
        if let Ok(known) = &applied {
            self.holds.applied(injection, things, known.at_ns);
            act.wait(known.at_ns, force);
        }
        self.holds.healing(injection, things);
        self.tell(injection, Phase::Healing, clock::now_ns(), Some(thing), String::new());
        let healed = match catch_unwind(AssertUnwindSafe(|| force.heal())) {
            Ok(Ok(known)) => Ok(known),
            // What undoes it is tried all the same; but its force looks at more than the ledger does, and is not at ease.
            Ok(Err(doubt)) => {
                Err(act.undo(doubt).map_or_else(|doubt| doubt, |known| Doubt::new(known.evidence)))
            }
            Err(_) => act.undo(panicked()),
        };
        act.came(Phase::Healed, Phase::NotHealed, &healed);
        healed.is_ok()
    }

    fn await_due(&self, due: &Due) -> bool {
        match due {
            Due::At(after) => self.signals.await_time(*after),
            Due::Event { name, nth } => self.signals.await_event(name, *nth),
            Due::Marker { on, text, nth } => {
                let mut watch = signals::Watch::of_logs(self.substrate.logs(on), text, *nth);
                self.signals.await_seen(&mut watch)
            }
            Due::File { path } => self.signals.await_seen(&mut signals::Watch::of_file(path.clone())),
        }
    }

    fn tell(&self, injection: &Injection, phase: Phase, at_ns: u64, thing: Option<&str>, evidence: String) {
        let (fault, node) = (injection.name.clone(), thing.map(str::to_owned));
        (self.sink)(FaultEvent { fault, injection: injection.injection, phase, at_ns, node, evidence });
    }
}

/// One injection that has begun.
struct Act<'a> {
    hand: &'a Stagehand,
    injection: &'a Injection,
    thing: &'a str,
    id: u64,
}

impl Act<'_> {
    /// Writes and tells how a step came out.
    fn came(&self, good: Phase, bad: Phase, outcome: &Result<Known, Doubt>) {
        let (phase, at_ns, evidence) = match outcome {
            Ok(known) => (good, known.at_ns, known.evidence.clone()),
            Err(doubt) => (bad, clock::now_ns(), doubt.evidence.clone()),
        };
        let stage = match phase {
            Phase::Applied => Stage::Applied,
            Phase::Healed => Stage::Healed,
            Phase::NotHealed => Stage::NotHealed,
            _ => Stage::NotApplied,
        };
        let written = match stage {
            Stage::Applied => self.hand.ledger.applied(self.id, at_ns, &evidence, may_last(self.injection)),
            _ => self.hand.ledger.came(self.id, stage, at_ns, &evidence),
        };
        if let Err(error) = written {
            // What undoes it is on disk already; only that it came so far is not.
            tracing::warn!("{error}");
        }
        if phase == Phase::NotHealed {
            let unhealed = Unhealed {
                fault: self.injection.name.clone(),
                injection: self.injection.injection,
                thing: self.thing.to_owned(),
                evidence: evidence.clone(),
            };
            self.hand.unhealed.lock().unwrap_or_else(PoisonError::into_inner).push(unhealed);
        }
        self.hand.tell(self.injection, phase, at_ns, Some(self.thing), evidence);
    }

    /// Undoes by the ledger what its force could not undo; tells of both.
    fn undo(&self, doubt: Doubt) -> Result<Known, Doubt> {
        let account = self.hand.ledger.account()?;
        let deed = account.open().find(|deed| deed.id == self.id).ok_or_else(|| doubt.clone())?;
        let (step, whole) = heal::undo(deed, heal::Circumstances { same_boot: true, goes_on: true });
        let evidence = format!("{}; by the ledger: {}", doubt.evidence, step.evidence);
        if whole { Ok(Known { at_ns: clock::now_ns(), evidence }) } else { Err(Doubt { evidence }) }
    }

    /// Keeps the fault in force until it is over or the drill ends.
    fn wait(&self, applied_ns: u64, force: &mut dyn Force) {
        let over_ns = match (self.injection.lasts, &self.injection.fault) {
            (Some(lasts), _) => applied_ns.saturating_add(clock::nanos(lasts)),
            (None, fault) if Fault::passes(fault) => return,
            (None, _) => u64::MAX,
        };
        let mut next = force.hold();
        while self.hand.signals.sleep_until(next.map_or(over_ns, |pause| over_ns.min(clock::after(pause)))) {
            if clock::until(over_ns).is_zero() {
                return;
            }
            next = force.hold();
        }
    }
}

/// How long after it is in force it is to be undone at the latest; `None`: it lasts until the end.
fn may_last(injection: &Injection) -> Option<Duration> {
    injection.lasts.map(|lasts| lasts.saturating_add(injection.fault.takes()).saturating_add(OVERTIME))
}

fn panicked() -> Doubt {
    Doubt::new("the injector panicked")
}
