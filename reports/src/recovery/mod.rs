//! Recovery: for every injection of a fault, what it did, for how long, and what was lost.
//!
//! Everything is on the harness's own clock, so a fault that moves the target's clock moves none of it. The
//! definitions stand in `docs/recovery.md`.

mod allowance;
mod band;
mod control;
mod flow;
mod incident;
mod loss;
mod measures;
mod phase;
mod probes;
mod reading;
mod view;

pub use allowance::AllowanceResult;
pub use band::{Limit, Steady};
pub use control::{Control, Effect, control};
pub use loss::{Ledger, LostOperation, OperationKind, Operations};
pub use phase::PhaseTaken;
pub use probes::Availability;
pub use reading::Reading;

pub(crate) use flow::Waiting;
pub(crate) use measures::all as measures;
pub(crate) use probes::{Tick, available, ticks};

use crate::gate::Verdict;
use crate::joined::Joined;
use crate::plan::drill::{ConfiguredTimer, Terms};
use serde::{Deserialize, Serialize};
use view::LevelView;

/// What a run with faults showed of recovery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The terms by which it was measured; `None` when the plan has none, and then no clock can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// The steady state of every level with faults.
    pub steady: Vec<Steady>,
    /// The injections in the order of the plan.
    pub injections: Vec<InjectionResult>,
    /// Availability, by level of probes.
    pub availability: Vec<Availability>,
    /// What was asked for, what was acknowledged, and what became of it.
    pub ledger: Ledger,
    /// The worst of the injections that were tried; unknown when none was.
    pub verdict: Verdict,
}

/// How far an injection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In effect and, where it is one that lasts, undone.
    Done,
    /// In effect; nobody can say that it was undone.
    NotHealed,
    /// Nobody can say that it took effect.
    NotApplied,
    /// This machine can't do it.
    NotRun,
    /// The run never came to it.
    Missed,
}

/// One injection of a fault, and what came of it. Instants are real seconds since the start of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InjectionResult {
    /// Name of the fault.
    pub fault: String,
    /// Which injection of it, from 1.
    pub injection: u32,
    /// Name of the level in which it was due.
    pub level: String,
    /// Kind of the fault: `kill`.
    pub what: String,
    /// The role that it hurt.
    pub on: String,
    /// What the role stood for, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What set it off.
    pub trigger: String,
    /// How far it came.
    pub state: State,
    /// What shows that it took effect, or why it did not.
    pub evidence: String,
    /// t₀: since when it is known to be in effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_s: Option<f64>,
    /// t_h: since when it is known to be undone; of a kill, when the process was ready again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healed_s: Option<f64>,
    /// Until when what followed is put down to it: the next fault, or the end of the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_until_s: Option<f64>,
    /// Names of faults that were in force at the same time, whose effect can't be told from this one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together_with: Vec<String>,
    /// The clocks.
    pub clocks: Clocks,
    /// How far apart the probes were around it, seconds: what the first two clocks are told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_s: Option<f64>,
    /// Probes that failed or were late until it had recovered, of all that were due by then.
    pub probes_failed: u64,
    /// Probes that were due by then.
    pub probes: u64,
    /// Starts of the load that were refused or not answered until it had recovered, of all that were due by then.
    pub starts_failed: u64,
    /// Starts of the load that were due by then.
    pub starts: u64,
    /// Most tasks that waited at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backlog: Option<u64>,
    /// The longest that a task had waited at any instant, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_age_max_s: Option<f64>,
    /// Acknowledged operations lost to it; `None` when that can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Acknowledged operations that it could have lost.
    pub acknowledged: u64,
    /// t₀ less the acknowledgement of the oldest lost one, seconds; 0 when none from before t₀ was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_s: Option<f64>,
    /// What those who look after the target did about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseTaken>,
    /// Configured timers that recovery has to wait for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<ConfiguredTimer>,
    /// What was allowed, against what was measured.
    pub allowances: Vec<AllowanceResult>,
    /// The worst of the allowances; unknown when it is not known to have taken effect, or to be undone.
    pub verdict: Verdict,
    /// Why it isn't a pass; empty when it is.
    pub reason: String,
}

/// The clocks of one injection, from t₀ unless it is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clocks {
    /// The first failed or late probe.
    pub detect: Reading,
    /// The target's own detection, where a line of its log was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_detect_s: Option<f64>,
    /// The node's process was there again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_s: Option<f64>,
    /// Every node that had ended was ready again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redundancy_s: Option<f64>,
    /// The first successful probe after which no full second is without success.
    pub first_success: Reading,
    /// Accepted completions per second back inside the steady-state band, and staying.
    pub throughput: Reading,
    /// Backlog and age of the oldest waiting task back inside the band, and staying; never before the first success.
    pub recovered: Reading,
    /// The same, from t_h.
    pub recovered_after_heal: Reading,
}

impl Clocks {
    fn unknown(why: &str) -> Self {
        let unknown = || Reading::Unknown { why: why.to_owned() };
        Self {
            detect: unknown(),
            target_detect_s: None,
            restarted_s: None,
            redundancy_s: None,
            first_success: unknown(),
            throughput: unknown(),
            recovered: unknown(),
            recovered_after_heal: unknown(),
        }
    }
}

impl InjectionResult {
    /// `engine-killed #2`, or the fault alone when there is one injection of it.
    pub fn label(&self, of: &Recovery) -> String {
        match of.injections.iter().filter(|i| i.fault == self.fault).count() {
            0 | 1 => self.fault.clone(),
            _ => format!("{} #{}", self.fault, self.injection),
        }
    }

    /// True when it is known to have been in effect.
    pub fn took_effect(&self) -> bool {
        self.applied_s.is_some() && matches!(self.state, State::Done | State::NotHealed)
    }

    /// True when nothing that was looked at left the steady state, and every start was acknowledged.
    pub fn without_impact(&self) -> bool {
        let clocks = &self.clocks;
        self.starts_failed == 0
            && [&clocks.detect, &clocks.first_success, &clocks.throughput, &clocks.recovered]
                .iter()
                .all(|clock| matches!(clock, Reading::NoImpact))
    }
}

impl Recovery {
    /// Takes back every pass (and, where `all` says so, every failure too), for a reason that is not the injections'.
    pub(crate) fn nothing_passes(&mut self, reason: &str, all: bool) {
        let taken_back = |verdict: Verdict| verdict == Verdict::Pass || (all && verdict == Verdict::Fail);
        for injection in &mut self.injections {
            for allowance in injection.allowances.iter_mut().filter(|a| taken_back(a.verdict)) {
                allowance.verdict = Verdict::Unknown;
                allowance.reason = reason.to_owned();
            }
            if taken_back(injection.verdict) {
                injection.verdict = Verdict::Unknown;
                injection.reason = reason.to_owned();
            }
        }
        if taken_back(self.verdict) {
            self.verdict = Verdict::Unknown;
        }
    }
}

/// What a run showed of recovery; `None` when it had no faults.
pub fn judge(run: &Joined<'_>) -> Option<Recovery> {
    let planned = incident::planned(run);
    if planned.is_empty() {
        return None;
    }
    let incidents = incident::all(run, &planned);
    let views: Vec<LevelView<'_>> = view::all(run, &incidents);
    let losses = loss::Losses::of(run);
    let mut injections: Vec<InjectionResult> = incidents
        .iter()
        .map(|incident| {
            let view = views.iter().find(|v| v.level.level.name == incident.planned.level);
            incident::measure(run, incident, view)
        })
        .collect();
    loss::attribute(&losses, run, &mut injections);
    for (injection, incident) in injections.iter_mut().zip(&incidents) {
        allowance::judge(injection, &incident.planned.allow);
    }
    let tried = injections.iter().filter(|i| i.state != State::NotRun).map(|i| i.verdict);
    Some(Recovery {
        terms: run.plan.terms.clone(),
        steady: views.into_iter().filter_map(|view| view.steady.ok()).collect(),
        verdict: Verdict::worst(tried),
        injections,
        availability: probes::availability(run),
        ledger: losses.ledger(run),
    })
}
