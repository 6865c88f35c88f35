//! From the marks of a run to its incidents: when each injection took effect, was undone, and until when what follows
//! is put down to it.

use super::flow::seconds;
use super::view::LevelView;
use super::{Clocks, InjectionResult, Reading, State, phase};
use crate::gate::Verdict;
use crate::history::{FaultMark, FaultPhase, History, NodeChange, NodeMark};
use crate::joined::Joined;
use crate::plan::drill::{Allowance, Injection};
use std::borrow::Cow;

/// An injection and what its marks tell.
#[derive(Debug)]
pub(super) struct Incident<'a> {
    /// As planned.
    pub planned: Cow<'a, Injection>,
    /// How far it came.
    pub state: State,
    /// What shows it.
    pub evidence: String,
    /// The node that was hurt.
    pub node: Option<String>,
    /// The first that was done about it: nothing before was touched by it.
    pub touched_ns: Option<u64>,
    /// t₀.
    pub applied_ns: Option<u64>,
    /// t_h.
    pub healed_ns: Option<u64>,
    /// Until when it, or one that hit while it was in force, was in force.
    pub in_force_until_ns: u64,
    /// Until when what follows is put down to it; `None` is until the level ends.
    pub until_ns: Option<u64>,
    /// Faults that were in force at the same time.
    pub together_with: Vec<String>,
}

/// The injections of the plan, and those that the history has besides.
pub(super) fn planned<'a>(run: &Joined<'a>) -> Vec<Cow<'a, Injection>> {
    let mut planned: Vec<Cow<'a, Injection>> = run.plan.injections.iter().map(Cow::Borrowed).collect();
    for mark in &run.history.faults {
        if planned.iter().all(|p| (p.fault.as_str(), p.injection) != (mark.fault.as_str(), mark.injection)) {
            planned.push(Cow::Owned(besides(run, mark)));
        }
    }
    planned
}

/// One that somebody applied though the plan has it not.
fn besides(run: &Joined<'_>, mark: &FaultMark) -> Injection {
    let level = run.history.began.iter().rev().find(|b| b.at_ns <= mark.at_ns);
    Injection {
        fault: mark.fault.clone(),
        injection: mark.injection,
        level: level.map(|b| b.level.clone()).unwrap_or_default(),
        what: "not in the plan".to_owned(),
        on: mark.node.clone().unwrap_or_default(),
        trigger: "not in the plan".to_owned(),
        at_s: None,
        lasts_s: None,
        details: serde_json::Value::Null,
        allow: Allowance::default(),
        timers: Vec::new(),
    }
}

/// Every injection with its marks, in the order of the plan.
pub(super) fn all<'a>(run: &Joined<'a>, planned: &[Cow<'a, Injection>]) -> Vec<Incident<'a>> {
    let mut all: Vec<Incident<'a>> = planned.iter().map(|p| read(run.history, p)).collect();
    bound(&mut all);
    all
}

fn read<'a>(history: &History, planned: &Cow<'a, Injection>) -> Incident<'a> {
    let own = |m: &&FaultMark| m.fault == planned.fault && m.injection == planned.injection;
    let marks: Vec<&FaultMark> = history.faults.iter().filter(own).collect();
    let phase = |phase: FaultPhase| marks.iter().copied().find(|m| m.phase == phase);
    let applied = phase(FaultPhase::Applied);
    let healed = phase(FaultPhase::Healed);
    let not_healed = phase(FaultPhase::NotHealed);
    let (state, evidence) = match (applied, phase(FaultPhase::NotRun), phase(FaultPhase::NotApplied)) {
        (Some(mark), ..) => {
            let lasts = planned.lasts_s.is_some() || phase(FaultPhase::Healing).is_some();
            match (healed, not_healed) {
                (Some(_), _) => (State::Done, mark.evidence.clone()),
                (None, Some(not)) => (State::NotHealed, not.evidence.clone()),
                (None, None) if lasts => {
                    (State::NotHealed, "nothing in the history says that it was undone".to_owned())
                }
                (None, None) => (State::Done, mark.evidence.clone()),
            }
        }
        (None, Some(mark), _) => (State::NotRun, mark.evidence.clone()),
        (None, None, Some(mark)) => (State::NotApplied, mark.evidence.clone()),
        (None, None, None) if marks.iter().all(|m| m.phase == FaultPhase::Missed) => {
            let never = || format!("the run never came to it ({})", planned.trigger);
            (State::Missed, marks.first().map_or_else(never, |mark| mark.evidence.clone()))
        }
        (None, None, None) => match not_healed {
            // Made ready for a fault, and still there after the run.
            Some(mark) => (State::NotHealed, mark.evidence.clone()),
            None => (State::NotApplied, "nothing in the history says that it took effect".to_owned()),
        },
    };
    let node = marks.iter().rev().find_map(|m| m.node.clone());
    let applied_ns = applied.map(|m| m.at_ns);
    let healed_ns = healed.map(|m| m.at_ns).or_else(|| ready_again(history, applied_ns?, node.as_deref()?));
    let touched = marks.iter().filter(|m| m.phase.was_tried()).map(|m| m.at_ns).min();
    Incident {
        planned: planned.clone(),
        state,
        evidence,
        node,
        touched_ns: touched,
        applied_ns,
        healed_ns: healed_ns.filter(|_| state == State::Done),
        in_force_until_ns: healed_ns.or(applied_ns).unwrap_or(0),
        until_ns: None,
        together_with: Vec::new(),
    }
}

/// When a node that ended was ready again: what heals a kill.
fn ready_again(history: &History, applied_ns: u64, node: &str) -> Option<u64> {
    let own = || history.nodes.iter().filter(|m| m.node == node);
    // Its end can be noticed a moment before the fault is known to be in effect.
    let ended = own()
        .find(|m| m.change == NodeChange::Ended && m.at_ns.saturating_add(1_000_000_000) >= applied_ns)?;
    own().find(|m| m.change == NodeChange::Ready && m.at_ns >= ended.at_ns).map(|m| m.at_ns)
}

/// Says until when each one is observed: until the next that hit when nothing was in force any more. Those that hit
/// while another was in force make up one incident with it.
fn bound(all: &mut [Incident<'_>]) {
    let mut order: Vec<usize> = (0..all.len()).filter(|i| all[*i].applied_ns.is_some()).collect();
    order.sort_by_key(|i| all[*i].applied_ns);
    let mut groups: Vec<(Vec<usize>, u64)> = Vec::new();
    for i in order {
        let (t0, until) = (all[i].applied_ns.unwrap_or(0), all[i].in_force_until_ns);
        match groups.last_mut().filter(|(_, in_force)| t0 <= *in_force) {
            Some((group, in_force)) => {
                group.push(i);
                *in_force = until.max(*in_force);
            }
            None => groups.push((vec![i], until)),
        }
    }
    let begins: Vec<Option<u64>> = groups
        .iter()
        .map(|(group, _)| group.iter().filter_map(|i| all[*i].touched_ns.or(all[*i].applied_ns)).min())
        .collect();
    for (at, (group, in_force)) in groups.iter().enumerate() {
        let names: Vec<String> = group.iter().map(|i| all[*i].planned.fault.clone()).collect();
        for (place, i) in group.iter().enumerate() {
            let incident = &mut all[*i];
            incident.in_force_until_ns = *in_force;
            incident.until_ns = begins.get(at + 1).copied().flatten();
            let others = names.iter().enumerate().filter(|(other, _)| *other != place);
            incident.together_with = others.map(|(_, name)| name.clone()).collect();
        }
    }
}

/// What came of one injection, but for its loss and its allowances.
pub(super) fn measure(
    run: &Joined<'_>,
    incident: &Incident<'_>,
    view: Option<&LevelView<'_>>,
) -> InjectionResult {
    let began_ns = run.history.header.started_ns;
    let planned = &incident.planned;
    let on_axis = |at: Option<u64>| at.map(|at| seconds(began_ns, at));
    let mut result = InjectionResult {
        fault: planned.fault.clone(),
        injection: planned.injection,
        level: planned.level.clone(),
        what: planned.what.clone(),
        on: planned.on.clone(),
        node: incident.node.clone(),
        trigger: planned.trigger.clone(),
        state: incident.state,
        evidence: incident.evidence.clone(),
        applied_s: on_axis(incident.applied_ns),
        healed_s: on_axis(incident.healed_ns),
        observed_until_s: None,
        together_with: incident.together_with.clone(),
        clocks: Clocks::unknown(&why_unknown(incident)),
        resolution_s: None,
        probes_failed: 0,
        probes: 0,
        starts_failed: 0,
        starts: 0,
        max_backlog: None,
        oldest_age_max_s: None,
        lost: None,
        acknowledged: 0,
        lost_s: None,
        phases: Vec::new(),
        timers: planned.timers.clone(),
        allowances: Vec::new(),
        verdict: Verdict::Unknown,
        reason: String::new(),
    };
    let (Some(t0), true) = (incident.applied_ns, incident.state != State::Missed) else { return result };
    let Some(view) = view else {
        result.clocks = Clocks::unknown("its level never ran");
        return result;
    };
    let until_ns = incident.until_ns.unwrap_or(view.ended_ns).min(view.ended_ns);
    result.observed_until_s = on_axis(Some(until_ns));
    view.read(incident, t0, until_ns, &mut result);
    nodes(run.history, t0, until_ns, incident.node.as_deref(), &mut result.clocks);
    result.phases = phase::taken(run.history, t0, until_ns);
    if incident.state == State::NotHealed {
        let detect = result.clocks.detect.clone();
        result.clocks = Clocks { detect, ..Clocks::unknown("nobody knows that it was undone") };
    }
    result
}

fn why_unknown(incident: &Incident<'_>) -> String {
    match incident.state {
        State::NotRun => format!("not run: {}", incident.evidence),
        State::Missed => incident.evidence.clone(),
        State::NotApplied | State::NotHealed | State::Done => {
            format!("nobody knows that it took effect: {}", incident.evidence)
        }
    }
}

/// What the nodes themselves tell: own detection, restart, and everybody ready again.
fn nodes(history: &History, t0: u64, until_ns: u64, node: Option<&str>, clocks: &mut Clocks) {
    let marks = || history.nodes.iter().filter(|m| (t0..until_ns).contains(&m.at_ns));
    let since = |m: &NodeMark| seconds(t0, m.at_ns);
    clocks.target_detect_s = marks().find(|m| m.change == NodeChange::Marker).map(since);
    let is_hurt = |m: &&NodeMark| node.is_none_or(|node| m.node == node);
    clocks.restarted_s = marks().filter(is_hurt).find(|m| m.change == NodeChange::Started).map(since);
    // A node's end can be noticed a moment before the fault is known to be in effect.
    let around =
        || history.nodes.iter().filter(|m| (t0.saturating_sub(1_000_000_000)..until_ns).contains(&m.at_ns));
    let ended: Vec<&NodeMark> = around().filter(|m| m.change == NodeChange::Ended).collect();
    let back = ended.iter().map(|e| {
        let is_back = |change| matches!(change, NodeChange::Ready | NodeChange::StandsBy);
        around().find(|m| m.node == e.node && is_back(m.change) && m.at_ns >= e.at_ns).map(|m| m.at_ns)
    });
    let all_back: Option<Vec<u64>> = back.collect();
    clocks.redundancy_s = all_back.and_then(|at| at.into_iter().max()).map(|at| seconds(t0, at));
}

/// The clock of a figure that may leave its band more than once: the end of the last excursion that belongs to the
/// fault, once the figure has stayed inside for the settle window.
///
/// An excursion belongs to the fault when it begins while that hurts, which is until it is undone and users are served
/// again, or within the settle window after it, or within the settle window after the end of one that does.
pub(super) fn settled(
    excursions: &[(u64, u64)],
    t0: u64,
    hurt_until_ns: u64,
    until_ns: u64,
    settle_ns: u64,
) -> Reading {
    let mut back_ns = None;
    for (from, to) in excursions.iter().filter(|(_, to)| *to > t0) {
        let limit = hurt_until_ns.max(t0).max(back_ns.unwrap_or(t0)).saturating_add(settle_ns);
        if *from >= limit {
            break;
        }
        back_ns = Some((*to).min(until_ns));
    }
    let whole = |ns: u64| ns as f64 / 1e9;
    match back_ns {
        None if until_ns < t0.saturating_add(settle_ns) => Reading::Unknown {
            why: format!(
                "only {:.1} s were observed, and it settles in {:.1} s",
                whole(until_ns.saturating_sub(t0)),
                whole(settle_ns)
            ),
        },
        None => Reading::NoImpact,
        Some(back) if back.saturating_add(settle_ns) <= until_ns => Reading::At { s: seconds(t0, back) },
        Some(back) if back >= until_ns => Reading::NotWithin {
            s: seconds(t0, back),
            why: "it was still outside when the next fault or the end of the load came".to_owned(),
        },
        Some(back) => Reading::NotWithin {
            s: seconds(t0, back),
            why: format!(
                "it was back for {:.1} s when the next fault or the end of the load came, and has to stay for {:.1} s",
                whole(until_ns - back),
                whole(settle_ns)
            ),
        },
    }
}
