//! One level with faults, looked at from the client: its probes, what waits in it, and its steady state.

use super::band::{self, Steady};
use super::flow::Waiting;
use super::incident::{Incident, settled};
use super::probes::{self, Tick};
use super::{InjectionResult, Reading};
use crate::history::Outcome;
use crate::joined::{Joined, LevelRun};
use crate::plan::drill::Terms;

/// A level with faults.
#[derive(Debug)]
pub(super) struct LevelView<'a> {
    /// The level.
    pub level: &'a LevelRun<'a>,
    /// By what is measured.
    terms: Option<Terms>,
    /// When load ends: what is completed later no steady stream was sent for.
    load_ended_ns: u64,
    /// When the level ends, its drain included.
    pub ended_ns: u64,
    /// The probes beside it, in the order in which they were due.
    ticks: Vec<Tick>,
    /// What waits in it and beside it.
    waiting: Waiting,
    /// Its steady state, or why there is none.
    pub steady: Result<Steady, String>,
}

/// The levels that have incidents.
pub(super) fn all<'a>(run: &'a Joined<'_>, incidents: &[Incident<'_>]) -> Vec<LevelView<'a>> {
    let with_faults = |level: &&LevelRun<'_>| incidents.iter().any(|i| i.planned.level == level.level.name);
    run.levels.iter().filter(with_faults).filter_map(|level| view(run, level, incidents)).collect()
}

fn view<'a>(
    run: &'a Joined<'_>,
    level: &'a LevelRun<'a>,
    incidents: &[Incident<'_>],
) -> Option<LevelView<'a>> {
    let name = &level.level.name;
    let began_ns = level.began?.at_ns;
    let ended_ns = ended_ns(run, level, began_ns);
    let together = run.beside(name);
    let waiting = Waiting::of(&together, began_ns, ended_ns);
    let own = || incidents.iter().filter(|i| i.planned.level == *name);
    let touched = own().filter_map(|i| i.touched_ns.or(i.applied_ns)).min();
    let steady = match (&run.plan.terms, touched) {
        (None, _) => Err("the plan has no terms of recovery".to_owned()),
        (_, None) => Err("no fault was injected".to_owned()),
        (Some(terms), Some(first_ns)) => {
            let baseline_ns = (terms.baseline_s * 1e9) as u64;
            let from_ns = first_ns.saturating_sub(baseline_ns).max(began_ns);
            band::steady(name, &waiting, (from_ns, first_ns), run.history.header.started_ns, terms)
        }
    };
    Some(LevelView {
        level,
        terms: run.plan.terms.clone(),
        load_ended_ns: load_ended_ns(level, began_ns).min(ended_ns),
        ended_ns,
        ticks: probes::ticks(&together, run.plan.terms.as_ref()),
        waiting,
        steady,
    })
}

/// The end of the level or, where the run was cut off, the last that was seen.
fn ended_ns(run: &Joined<'_>, level: &LevelRun<'_>, began_ns: u64) -> u64 {
    let seen = || {
        let starts = level.workflows.iter().filter_map(|w| w.start).map(|s| s.done_ns);
        let executions = run.history.executions.iter().map(|e| e.update_done_ns);
        starts.chain(executions).max()
    };
    level.ended.map(|e| e.at_ns).or_else(seen).unwrap_or(began_ns).max(began_ns)
}

/// Open load ends with its stages, closed load with its last start.
fn load_ended_ns(level: &LevelRun<'_>, began_ns: u64) -> u64 {
    match &level.level.open {
        Some(open) => began_ns.saturating_add((open.length_s() * 1e9) as u64),
        None => level.workflows.iter().filter_map(|w| w.start).map(|s| s.sent_ns).max().unwrap_or(began_ns),
    }
}

impl LevelView<'_> {
    /// Reads the clocks of an injection that took effect at `t0`.
    pub(super) fn read(&self, incident: &Incident<'_>, t0: u64, until_ns: u64, result: &mut InjectionResult) {
        let in_force_ns = incident.in_force_until_ns;
        let Some(terms) = &self.terms else {
            result.clocks = super::Clocks::unknown("the plan has no terms of recovery");
            return;
        };
        let settle_ns = (terms.settle_s * 1e9) as u64;
        let limit_ns = in_force_ns.max(t0).saturating_add(settle_ns);
        let until_load = until_ns.min(self.load_ended_ns).max(t0);
        let seen = probes::read(&self.ticks, t0, limit_ns, until_load);
        // What begins as soon as users are served again, a backlog of what they kept trying, say, is the fault's doing too.
        let served_s = seen.first_success.at_least_s().unwrap_or(0.0);
        let hurt_until_ns = in_force_ns.max(t0.saturating_add((served_s * 1e9) as u64));
        result.clocks.detect = seen.detect;
        result.clocks.first_success = seen.first_success;
        result.resolution_s = seen.resolution_s;
        match &self.steady {
            Err(why) => {
                let unknown = Reading::Unknown { why: why.clone() };
                result.clocks.throughput = unknown.clone();
                result.clocks.recovered = unknown.clone();
                result.clocks.recovered_after_heal = unknown;
            }
            Ok(steady) => {
                result.clocks.throughput = self.throughput(steady, t0, hurt_until_ns, until_load, settle_ns);
                let waits = self.excursions(t0, until_load, |at| {
                    let (backlog, oldest_ns) = self.waiting.at(at);
                    backlog as f64 > steady.backlog.bound || oldest_ns as f64 / 1e9 > steady.age_s.bound
                });
                // Like throughput it is judged under load: what only drains when nothing arrives has not recovered.
                // What refuses everything has nothing waiting in it: nothing is recovered before users are served.
                let served = result.clocks.first_success.clone();
                let recovered = settled(&waits, t0, hurt_until_ns, until_load, settle_ns).and(served);
                result.clocks.recovered_after_heal = match incident.healed_ns {
                    Some(healed)
                        if recovered.seconds().is_some() && healed.saturating_add(settle_ns) > until_load =>
                    {
                        let why = "it was undone when no settle window of load was left to look at";
                        Reading::Unknown { why: why.to_owned() }
                    }
                    Some(healed) => recovered.from(super::flow::seconds(t0, healed)),
                    None => Reading::Unknown { why: "nobody knows when it was undone".to_owned() },
                };
                result.clocks.recovered = recovered;
            }
        }
        let (backlog, oldest_ns) = self.waiting.most(t0, until_ns);
        result.max_backlog = Some(backlog);
        result.oldest_age_max_s = Some(oldest_ns as f64 / 1e9);
        let back = [&result.clocks.recovered, &result.clocks.first_success];
        let over_s = back.iter().filter_map(|c| c.at_least_s()).fold(0.0, f64::max);
        let over_ns = t0.saturating_add((over_s * 1e9) as u64).max(limit_ns).min(until_ns);
        // What was sent before and not yet answered is hurt by it, too.
        let during = || self.ticks.iter().filter(|t| t.known_ns >= t0 && t.due_ns < over_ns);
        result.probes = during().count() as u64;
        result.probes_failed = during().filter(|t| !t.ok).count() as u64;
        let starts = self.level.workflows.iter().filter_map(|w| w.start);
        let during: Vec<_> = starts.filter(|s| s.done_ns >= t0 && s.due_ns < over_ns).collect();
        result.starts = during.len() as u64;
        result.starts_failed = during.iter().filter(|s| s.outcome != Outcome::Ok).count() as u64;
    }

    /// Completions: no slot that starves, and over the settle window the rate of the band.
    fn throughput(
        &self,
        steady: &Steady,
        t0: u64,
        hurt_until_ns: u64,
        until_ns: u64,
        settle_ns: u64,
    ) -> Reading {
        let Some(per_slot) = steady.per_slot else {
            let why = format!(
                "there was no steady stream: {:.1} completions per second before the first fault, and it takes 40",
                steady.rate_per_s
            );
            return Reading::Unknown { why };
        };
        let slot_ns = (steady.slot_s * 1e9) as u64;
        let least = (steady.least_per_s * settle_ns as f64 / 1e9).floor() as u64;
        let outside = |at: u64| {
            let (slot_end, settle_end) = (at.saturating_add(slot_ns), at.saturating_add(settle_ns));
            let slot_starves =
                slot_end <= until_ns && (self.waiting.completed(at, slot_end) as f64) < per_slot.bound;
            slot_starves || (settle_end <= until_ns && self.waiting.completed(at, settle_end) < least)
        };
        let mut found = self.excursions(t0, until_ns, outside);
        for (_, back) in &mut found {
            // A slot that is filled late was still empty when it began.
            *back = self.waiting.next_completion(*back).unwrap_or(until_ns).clamp(*back, until_ns.max(*back));
        }
        settled(&found, t0, hurt_until_ns, until_ns, settle_ns)
    }

    /// Stretches from one instant to another in which something is outside of its band.
    fn excursions(&self, from_ns: u64, until_ns: u64, outside: impl Fn(u64) -> bool) -> Vec<(u64, u64)> {
        let mut out: Vec<(u64, u64)> = Vec::new();
        let mut open: Option<u64> = None;
        let mut at = from_ns;
        while at < until_ns {
            match (outside(at), open) {
                (true, None) => open = Some(at),
                (false, Some(from)) => {
                    out.push((from, at));
                    open = None;
                }
                _ => {}
            }
            at = at.saturating_add(self.waiting.step_ns.max(1));
        }
        out.extend(open.map(|from| (from, until_ns)));
        out
    }
}
