//! Probes: durable writes with a short deadline at a fixed rate. They show what users see.

use super::Reading;
use super::flow::seconds;
use crate::history::Outcome;
use crate::joined::{Joined, LevelRun};
use crate::plan::drill::Terms;
use crate::statistics::wilson;
use serde::{Deserialize, Serialize};

/// A success that is followed by a gap of this length is not the first one of a service that is back.
const FULL_SECOND_NS: u64 = 1_000_000_000;

/// One probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    /// When it was due.
    pub due_ns: u64,
    /// When it was sent; the same when it never was.
    pub sent_ns: u64,
    /// When it was known what became of it: answered, or past its deadline.
    pub known_ns: u64,
    /// True when it was acknowledged within its deadline.
    pub ok: bool,
    /// True when it failed by its deadline, not by an answer.
    pub late: bool,
}

/// The probes among these levels, in the order in which they were due. One that was held back did not succeed.
pub(crate) fn ticks(levels: &[&LevelRun<'_>], terms: Option<&Terms>) -> Vec<Tick> {
    let deadline_ns = terms.map_or(u64::MAX, |t| (t.probe_deadline_s * 1e9) as u64);
    let mut ticks: Vec<Tick> = Vec::new();
    for workflow in levels.iter().filter(|l| l.level.probes).flat_map(|l| &l.workflows) {
        if let Some(start) = workflow.start {
            let by_ns = start.due_ns.saturating_add(deadline_ns);
            let late = start.done_ns > by_ns;
            ticks.push(Tick {
                due_ns: start.due_ns,
                sent_ns: start.sent_ns,
                known_ns: start.done_ns.min(by_ns),
                ok: start.outcome == Outcome::Ok && !late,
                late,
            });
        } else if let Some(shed) = workflow.shed {
            let at = shed.due_ns;
            ticks.push(Tick { due_ns: at, sent_ns: at, known_ns: shed.at_ns, ok: false, late: false });
        }
    }
    ticks.sort_by_key(|t| t.due_ns);
    ticks
}

/// What the probes show of an injection.
#[derive(Debug)]
pub(super) struct Seen {
    pub detect: Reading,
    pub first_success: Reading,
    pub resolution_s: Option<f64>,
}

/// Reads the first two clocks of a fault that took effect at `t0`. Failures count that become known before `limit_ns`
/// (the fault and its settle window are over), or later as part of a full second without success.
pub(super) fn read(ticks: &[Tick], t0: u64, limit_ns: u64, until_ns: u64) -> Seen {
    let own: Vec<&Tick> = ticks.iter().filter(|t| t.known_ns >= t0 && t.due_ns < until_ns).collect();
    let after = own.iter().filter(|t| t.due_ns >= t0).count();
    if after == 0 {
        let why = "no probe was due between the fault and the end of what was observed".to_owned();
        let unknown = Reading::Unknown { why };
        return Seen { detect: unknown.clone(), first_success: unknown, resolution_s: None };
    }
    let gap_ns = usual_gap_ns(ticks);
    let full_ns = FULL_SECOND_NS.max(gap_ns.saturating_mul(2));
    let end_ns = own.iter().map(|t| t.known_ns).max().unwrap_or(t0).min(until_ns);
    let mut successes: Vec<u64> =
        own.iter().filter(|t| t.ok && t.sent_ns >= t0).map(|t| t.known_ns).collect();
    successes.sort_unstable();
    let silent = silences(&successes, t0, end_ns, full_ns);
    let counts = |t: &&&Tick| {
        !t.ok && (t.known_ns < limit_ns || silent.iter().any(|(a, b)| (*a..=*b).contains(&t.known_ns)))
    };
    let failed_ns = own.iter().filter(counts).map(|t| t.known_ns).min();
    let detect = failed_ns.map_or(Reading::NoImpact, |at| Reading::At { s: seconds(t0, at) });
    let begins_ns = failed_ns.into_iter().chain(silent.iter().map(|(_, end)| *end)).max();
    let first_success = match (begins_ns, silent.last()) {
        (None, _) => Reading::NoImpact,
        (Some(_), Some((from, to))) if *to >= end_ns => Reading::NotWithin {
            s: seconds(t0, *to),
            why: format!("no probe succeeded in the last {:.1} s that were observed", seconds(*from, *to)),
        },
        (Some(begins), _) => match successes.iter().find(|at| **at >= begins) {
            Some(at) => Reading::At { s: seconds(t0, *at) },
            None => Reading::NotWithin {
                s: seconds(t0, end_ns),
                why: "no probe succeeded after it failed".to_owned(),
            },
        },
    };
    let back_ns = t0.saturating_add((first_success.seconds().unwrap_or(0.0) * 1e9) as u64);
    Seen {
        detect,
        first_success,
        resolution_s: resolution_s(ticks, t0, back_ns.max(t0.saturating_add(gap_ns))),
    }
}

/// Stretches of at least a full second without success between two instants.
fn silences(successes: &[u64], from_ns: u64, end_ns: u64, full_ns: u64) -> Vec<(u64, u64)> {
    let points: Vec<u64> = [from_ns].into_iter().chain(successes.iter().copied()).chain([end_ns]).collect();
    let gaps = points.windows(2).map(|pair| (pair[0], pair[1]));
    gaps.filter(|(from, to)| to.saturating_sub(*from) >= full_ns).collect()
}

/// The median distance of two probes.
fn usual_gap_ns(ticks: &[Tick]) -> u64 {
    let mut gaps: Vec<u64> =
        ticks.windows(2).map(|pair| pair[1].due_ns.saturating_sub(pair[0].due_ns)).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or(0)
}

/// The longest distance of two probes in a row that were really sent, from just before `t0` until after `back_ns`.
fn resolution_s(ticks: &[Tick], t0: u64, back_ns: u64) -> Option<f64> {
    let mut sent: Vec<u64> = ticks.iter().map(|t| t.sent_ns).collect();
    sent.sort_unstable();
    let first = sent.partition_point(|at| *at <= t0).saturating_sub(1);
    let last = (sent.partition_point(|at| *at < back_ns) + 1).min(sent.len());
    let gaps = sent.get(first..last)?.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().map(|ns| ns as f64 / 1e9)
}

/// How available the target was to the probes of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Availability {
    /// Name of the level of probes.
    pub level: String,
    /// Probes that were due.
    pub due: u64,
    /// Acknowledged within their deadline.
    pub ok: u64,
    /// Answered otherwise, or not at all, before it.
    pub failed: u64,
    /// Past it.
    pub late: u64,
    /// `ok` of `due`.
    pub share: Option<f64>,
    /// Its 95 % interval, by Wilson's score.
    pub lo: Option<f64>,
    /// The other end.
    pub hi: Option<f64>,
    /// Whole seconds in which at least one probe succeeded and at most half failed, of all with probes.
    pub by_second: Option<f64>,
    /// Seconds with probes.
    pub seconds: u64,
    /// Real milliseconds between two probes, the median.
    pub interval_ms: f64,
}

/// Availability of every level of probes.
pub(super) fn availability(run: &Joined<'_>) -> Vec<Availability> {
    run.levels.iter().filter(|l| l.level.probes).map(|l| available(l, run.plan.terms.as_ref())).collect()
}

/// Availability to the probes of one level.
pub(crate) fn available(level: &LevelRun<'_>, terms: Option<&Terms>) -> Availability {
    let ticks = ticks(&[level], terms);
    let due = ticks.len() as u64;
    let ok = ticks.iter().filter(|t| t.ok).count() as u64;
    let late = ticks.iter().filter(|t| t.late).count() as u64;
    let interval = wilson(ok, due);
    let slots = by_second(&ticks);
    let good = slots.iter().filter(|(ok, all)| *ok > 0 && 2 * (all - ok) <= *all).count();
    Availability {
        level: level.level.name.clone(),
        due,
        ok,
        failed: due - ok - late,
        late,
        share: (due > 0).then(|| ok as f64 / due as f64),
        lo: interval.map(|(lo, _)| lo),
        hi: interval.map(|(_, hi)| hi),
        by_second: (!slots.is_empty()).then(|| good as f64 / slots.len() as f64),
        seconds: slots.len() as u64,
        interval_ms: usual_gap_ns(&ticks) as f64 / 1e6,
    }
}

/// Successes and probes of each second since the first one.
fn by_second(ticks: &[Tick]) -> Vec<(u64, u64)> {
    let Some(first) = ticks.first() else { return Vec::new() };
    let mut slots: std::collections::BTreeMap<u64, (u64, u64)> = std::collections::BTreeMap::new();
    for tick in ticks {
        let slot = slots.entry((tick.due_ns - first.due_ns) / 1_000_000_000).or_default();
        slot.0 += u64::from(tick.ok);
        slot.1 += 1;
    }
    slots.into_values().collect()
}
