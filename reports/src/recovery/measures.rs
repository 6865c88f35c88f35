//! Recovery as ordinary measures, so that gates and comparisons can ask for it: `FAULT/recovered_s` and the like.

use super::{InjectionResult, Reading, Recovery, State};
use crate::measure::{Clock, Measure};
use crate::statistics::{Estimate, mean_interval, median};

/// The clocks that become measures, with the end of their names.
type ClockOf = fn(&InjectionResult) -> &Reading;
const CLOCKS: [(&str, ClockOf); 5] = [
    ("detect_s", |i| &i.clocks.detect),
    ("first_success_s", |i| &i.clocks.first_success),
    ("throughput_s", |i| &i.clocks.throughput),
    ("recovered_s", |i| &i.clocks.recovered),
    ("recovered_after_heal_s", |i| &i.clocks.recovered_after_heal),
];

/// The clocks of which repeats have a median.
const MEDIANS: [(&str, ClockOf); 2] = [
    ("first_success_median_s", |i| &i.clocks.first_success),
    ("recovered_median_s", |i| &i.clocks.recovered),
];

/// All of them: fault by fault in the order of the plan, then those of the whole run.
pub(crate) fn all(recovery: &Recovery) -> Vec<Measure> {
    let mut out = Vec::new();
    let mut faults: Vec<&str> = Vec::new();
    for injection in &recovery.injections {
        if !faults.contains(&injection.fault.as_str()) {
            faults.push(&injection.fault);
        }
    }
    for fault in faults {
        let own: Vec<&InjectionResult> = recovery.injections.iter().filter(|i| i.fault == fault).collect();
        of_fault(fault, &own, &mut out);
    }
    let ledger = &recovery.ledger;
    let acknowledged = ledger.acknowledged();
    let lost = ledger.lost().map(|n| n as f64);
    out.push(count(
        "lost",
        lost,
        acknowledged,
        "acknowledged and absent at the final reads",
        "not everything was read back",
    ));
    let tried: u64 = ledger.operations.iter().map(|o| o.tried).sum();
    let unexpected = ledger.unexpected() as f64;
    out.push(count("unexpected", Some(unexpected), tried, "present though refused or never tried", ""));
    let twice = ledger.ends_seen_twice;
    let resurrected = (twice > 0).then_some(ledger.resurrected as f64);
    out.push(count(
        "resurrected",
        resurrected,
        twice,
        "ends that were undone or changed",
        "no end was seen twice",
    ));
    out
}

fn of_fault(fault: &str, all: &[&InjectionResult], out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{fault}/{n}");
    // What this machine can't do is no evidence; if it can do none of them, that is why there is no figure.
    let ran: Vec<&InjectionResult> = all.iter().copied().filter(|i| i.state != State::NotRun).collect();
    let judged = if ran.is_empty() { all } else { &ran };
    for (end, clock) in CLOCKS {
        let to_probes = matches!(end, "detect_s" | "first_success_s");
        out.push(worst(name(end), judged, clock, to_probes));
    }
    out.push(in_force(name("in_force_s"), judged));
    out.extend(phases(fault, judged));
    out.push(mttr(name("mttr_s"), judged));
    for (end, clock) in MEDIANS {
        out.push(median_of(name(end), judged, clock));
    }
    let lost: Option<u64> = judged.iter().map(|i| i.lost).sum();
    let acknowledged = judged.iter().map(|i| i.acknowledged).sum();
    let why = judged.iter().find(|i| i.lost.is_none()).map_or(String::new(), |i| {
        if i.took_effect() { "not everything was read back".to_owned() } else { i.reason.clone() }
    });
    let method = "acknowledged and absent, all injections";
    out.push(count(&name("lost"), lost.map(|n| n as f64), acknowledged, method, &why));
    let most = |of: fn(&InjectionResult) -> Option<f64>| {
        let values: Option<Vec<f64>> = judged.iter().map(|i| of(i)).collect();
        values.and_then(|v| v.into_iter().reduce(f64::max))
    };
    let n = judged.len() as u64;
    let age = "t₀ less the acknowledgement of the oldest lost one, worst injection";
    out.push(seconds(name("lost_s"), most(|i| i.lost_s), n, age, &why));
    let why = judged.first().map_or(String::new(), |i| i.clocks.recovered.missing().unwrap_or_default());
    let backlog = most(|i| i.max_backlog.map(|n| n as f64));
    out.push(count(&name("max_backlog"), backlog, n, "most waiting tasks, worst injection", &why));
    let age = most(|i| i.oldest_age_max_s);
    out.push(seconds(name("oldest_age_max_s"), age, n, "longest wait, worst injection", &why));
}

/// How long a backup took, or a node was away.
fn in_force(name: String, all: &[&InjectionResult]) -> Measure {
    let lengths: Option<Vec<f64>> = all.iter().map(|i| Some(i.healed_s? - i.applied_s?)).collect();
    let longest = lengths.and_then(|lengths| lengths.into_iter().reduce(f64::max));
    let n = all.len() as u64;
    seconds(name, longest, n, "from t₀ to t_h, longest injection", "nobody knows when it was undone")
}

/// The worst injection. One that can't be told makes the worst unknown, though it is at least what is known.
fn worst(name: String, all: &[&InjectionResult], clock: ClockOf, to_probes: bool) -> Measure {
    let missing = all.iter().find_map(|i| {
        clock(i)
            .missing()
            .map(|why| if all.len() > 1 { format!("injection {}: {why}", i.injection) } else { why })
    });
    let at_least = all.iter().filter_map(|i| clock(i).at_least_s()).reduce(f64::max);
    let worst = all.iter().max_by(|a, b| {
        let s = |i: &InjectionResult| clock(i).at_least_s().unwrap_or(-1.0);
        s(a).total_cmp(&s(b))
    });
    let resolution_s = worst.and_then(|i| i.resolution_s).filter(|_| to_probes);
    let value = at_least.filter(|_| missing.is_none());
    let without = value.is_some() && all.iter().all(|i| matches!(clock(i), Reading::NoImpact));
    let method = match (without, resolution_s) {
        (true, _) => "no visible impact".to_owned(),
        (false, Some(s)) => format!("worst injection, told to {:.0} ms", s * 1e3),
        (false, None) => "worst injection".to_owned(),
    };
    let bounds = match (value, resolution_s) {
        // It happened between the probe before and the one that showed it.
        (Some(v), Some(r)) if without => (Some(0.0), Some(v + r)),
        (Some(v), Some(r)) => (Some((v - r).max(0.0)), Some(v)),
        (Some(_), None) => (None, None),
        (None, _) => (at_least, None),
    };
    Measure {
        lo: bounds.0,
        hi: bounds.1,
        method,
        ..seconds(name, value, all.len() as u64, "", &missing.unwrap_or_default())
    }
}

/// How long each step took of those who look after the target: the slowest, of the injections in which it was taken.
fn phases(fault: &str, all: &[&InjectionResult]) -> Vec<Measure> {
    let mut slowest: Vec<(String, f64, u64)> = Vec::new();
    for phase in all.iter().flat_map(|injection| &injection.phases) {
        let name = format!("{fault}/{}.{}_s", phase.who, phase.step);
        match slowest.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, s, n)) => (*s, *n) = (s.max(phase.s), *n + 1),
            None => slowest.push((name, phase.s, 1)),
        }
    }
    let measure = |(name, s, n)| seconds(name, Some(s), n, "from t₀, slowest injection", "");
    slowest.into_iter().map(measure).collect()
}

/// The median over several injections, with its interval; unknown when one of them can't be told.
fn median_of(name: String, all: &[&InjectionResult], clock: ClockOf) -> Measure {
    let times: Option<Vec<f64>> = all.iter().map(|i| clock(i).seconds()).collect();
    let n = all.len() as u64;
    let Some(times) = times else {
        let why = all.iter().find_map(|i| clock(i).missing()).unwrap_or_default();
        return seconds(name, None, n, "median of the injections", &why);
    };
    let Estimate { value, lo, hi, missing, .. } = median(&times);
    let method = "median of the injections, interval by order statistics";
    Measure { lo, hi, ..seconds(name, value, n, method, &missing.unwrap_or_default()) }
}

/// The mean time to recover: a mean over several injections, never of one.
fn mttr(name: String, all: &[&InjectionResult]) -> Measure {
    let method = "mean of the injections, interval by Student's t";
    let times: Option<Vec<f64>> = all.iter().map(|i| i.clocks.recovered.seconds()).collect();
    let n = all.len() as u64;
    match times {
        Some(times) if times.len() >= 2 => {
            let (mean, half) = mean_interval(&times);
            let lo = half.map(|half| (mean - half).max(0.0));
            Measure { lo, hi: half.map(|half| mean + half), ..seconds(name, Some(mean), n, method, "") }
        }
        Some(_) => seconds(name, None, n, method, "a mean needs at least 2 injections"),
        None => {
            let why = all.iter().find_map(|i| i.clocks.recovered.missing()).unwrap_or_default();
            seconds(name, None, n, method, &why)
        }
    }
}

fn seconds(name: String, value: Option<f64>, n: u64, method: &str, missing: &str) -> Measure {
    Measure { unit: "s".to_owned(), clock: Clock::Harness, ..count(&name, value, n, method, missing) }
}

fn count(name: &str, value: Option<f64>, n: u64, method: &str, missing: &str) -> Measure {
    Measure {
        name: name.to_owned(),
        value,
        lo: None,
        hi: None,
        n,
        method: method.to_owned(),
        clock: Clock::None,
        unit: "count".to_owned(),
        load: None,
        missing: value.is_none().then(|| missing.to_owned()),
    }
}
