//! Recovery in words and rows, the same in every document.

use super::{units, words};
use crate::gate::Verdict;
use crate::history::Calibration;
use crate::recovery::{
    Availability, Control, InjectionResult, Operations, PhaseTaken, Reading, Recovery, State,
};

/// Columns of the table of injections; [`row`] fills them.
pub(super) const HEADER: [&str; 9] =
    ["fault", "on", "at", "detect", "first success", "throughput", "recovered", "lost", "verdict"];

/// One injection as a row.
pub(super) fn row(recovery: &Recovery, injection: &InjectionResult) -> Vec<String> {
    let clocks = &injection.clocks;
    let at = injection.applied_s.map_or("–".to_owned(), |s| format!("{s:.1} s"));
    let on = injection.node.as_ref().unwrap_or(&injection.on);
    let clock = |reading: &Reading| match injection.took_effect() {
        true => reading_words(reading),
        false => "–".to_owned(),
    };
    vec![
        injection.label(recovery),
        on.clone(),
        at,
        clock(&clocks.detect),
        clock(&clocks.first_success),
        clock(&clocks.throughput),
        clock(&clocks.recovered),
        lost(injection),
        state_word(injection).to_owned(),
    ]
}

/// A verdict, or that it was not run: never a pass.
pub(super) fn state_word(injection: &InjectionResult) -> &'static str {
    match injection.state {
        State::NotRun => "not run",
        _ => words::verdict(injection.verdict),
    }
}

/// A clock for people.
pub(super) fn reading_words(reading: &Reading) -> String {
    match reading {
        Reading::NoImpact => "no impact".to_owned(),
        Reading::At { s } => units::value(*s, "s"),
        Reading::NotWithin { s, .. } => format!("not in {}", units::value(*s, "s")),
        Reading::Unknown { .. } => "unknown".to_owned(),
    }
}

/// `0 of 4,812`.
fn lost(injection: &InjectionResult) -> String {
    match injection.lost {
        Some(lost) => format!("{} of {}", grouped(lost), grouped(injection.acknowledged)),
        None if injection.took_effect() => "unknown".to_owned(),
        None => "–".to_owned(),
    }
}

/// What one injection did, for somebody who has ten seconds.
pub(super) fn sentence(recovery: &Recovery, injection: &InjectionResult) -> String {
    let on = injection.node.as_ref().unwrap_or(&injection.on);
    let what = format!("{} ({} {on})", injection.label(recovery), injection.what);
    let Some(at) = injection.applied_s.filter(|_| injection.took_effect()) else {
        return format!("{what}: {}.", injection.reason);
    };
    let mut said = vec![errors(injection)];
    if injection.without_impact() {
        said = vec![format!("no visible impact{}", every(injection))];
    } else {
        let starts = grouped(injection.starts);
        said.extend((injection.starts_failed > 0).then(|| {
            format!(
                "{} of {starts} starts of the load were not acknowledged",
                grouped(injection.starts_failed)
            )
        }));
        said.push(after("back to full throughput", &injection.clocks.throughput));
        said.push(after("recovered (backlog gone)", &injection.clocks.recovered));
    }
    said.push(match injection.lost {
        Some(lost) => format!("{} of {} acknowledged lost", grouped(lost), grouped(injection.acknowledged)),
        None => "what was lost is not known".to_owned(),
    });
    let together = match injection.together_with.is_empty() {
        true => String::new(),
        false => format!(" together with {}", injection.together_with.join(", ")),
    };
    format!("{what} at {at:.1} s{together}: {}.", said.join("; "))
}

fn errors(injection: &InjectionResult) -> String {
    let clocks = &injection.clocks;
    let probes =
        format!("{} of {} probes failed", grouped(injection.probes_failed), grouped(injection.probes));
    match (&clocks.detect, &clocks.first_success) {
        (Reading::NoImpact, _) => format!("no probe failed{}", every(injection)),
        (Reading::At { s: from }, Reading::At { s: to }) => {
            format!("users saw errors for {} ({probes})", units::value((to - from).max(0.0), "s"))
        }
        (Reading::At { .. }, Reading::NotWithin { s, .. }) => {
            format!("users saw errors and no lasting success in {} ({probes})", units::value(*s, "s"))
        }
        _ => "what users saw is not known".to_owned(),
    }
}

/// ` (one every 50 ms)`: what is shorter than that need not show.
fn every(injection: &InjectionResult) -> String {
    injection.resolution_s.map_or(String::new(), |s| format!(" (probes every {})", units::value(s, "s")))
}

fn after(what: &str, reading: &Reading) -> String {
    match reading {
        Reading::NoImpact => {
            format!("{} at all times", what.trim_start_matches("back to "))
        }
        Reading::At { s } => format!("{what} after {}", units::value(*s, "s")),
        Reading::NotWithin { s, .. } => format!("not {what} within {}", units::value(*s, "s")),
        Reading::Unknown { why } => format!("whether {what} is not known: {why}"),
    }
}

/// Columns of the table of allowances.
pub(super) const ALLOWED_HEADER: [&str; 6] = ["fault", "what", "measured", "allowed", "verdict", "why"];

/// What was allowed, against what was measured, with the verdict of each.
pub(super) fn allowed(recovery: &Recovery) -> Vec<(Vec<String>, Verdict)> {
    let mut rows = Vec::new();
    for injection in &recovery.injections {
        for allowance in &injection.allowances {
            let shown = |v: f64| units::value(v, &allowance.unit);
            let what = match allowance.name.as_str() {
                "first_success_s" => "time to first success",
                "recovered_s" => "time to recover",
                "lost_within_s" => "age of the oldest lost operation",
                _ => "acknowledged operations lost",
            };
            let cells = [
                injection.label(recovery),
                what.to_owned(),
                allowance.measured.map_or("n/a".to_owned(), shown),
                format!("at most {}", shown(allowance.allowed)),
                words::verdict(allowance.verdict).to_owned(),
                allowance.reason.clone(),
            ];
            rows.push((cells.to_vec(), allowance.verdict));
        }
    }
    rows
}

/// Columns of the ledger of truth.
pub(super) const LEDGER_HEADER: [&str; 8] =
    ["operations", "tried", "acknowledged", "refused", "unknown", "lost", "recovered", "unexpected"];

/// The ledger of truth, by kind of operation.
pub(super) fn ledger(recovery: &Recovery) -> Vec<Vec<String>> {
    recovery.ledger.operations.iter().map(operations).collect()
}

fn operations(of: &Operations) -> Vec<String> {
    let lost = match of.undecided {
        0 => grouped(of.lost),
        n => format!("{}, {} undecided", grouped(of.lost), grouped(n)),
    };
    let counts = [of.tried, of.acknowledged, of.refused, of.unknown].map(grouped);
    let after = [lost, grouped(of.recovered), grouped(of.unexpected)];
    [of.kind.words().to_owned()].into_iter().chain(counts).chain(after).collect()
}

/// What the words of the ledger mean, and what was resurrected.
pub(super) fn ledger_note(recovery: &Recovery) -> String {
    let ledger = &recovery.ledger;
    format!(
        "Lost: acknowledged, and absent at the final reads. Recovered: not answered, and there all the same, which is \
         legal. Unexpected: refused or never asked for, and there. Resurrected: {} of {} ends that were seen twice were \
         undone or changed.",
        grouped(ledger.resurrected),
        grouped(ledger.ends_seen_twice)
    )
}

/// Availability of one level of probes in a line.
pub(super) fn availability(of: &Availability) -> String {
    let Some(share) = of.share else { return format!("{}: no probe was due", of.level) };
    let interval = of.lo.zip(of.hi).map(|(lo, hi)| format!(" ({})", units::range(lo, hi, "ratio")));
    let by_second = of.by_second.map(|s| format!(", {} of seconds", units::value(s, "ratio")));
    format!(
        "availability by {}: {}{} of {} probes{}; {} failed, {} late, one every {}",
        of.level,
        units::value(share, "ratio"),
        interval.unwrap_or_default(),
        grouped(of.due),
        by_second.unwrap_or_default(),
        grouped(of.failed),
        grouped(of.late),
        units::value(of.interval_ms, "ms")
    )
}

/// How far this machine's figures are off.
pub(super) fn calibration(found: Option<&Calibration>) -> String {
    match found {
        None => "not calibrated on this machine: run `shakedown calibrate`".to_owned(),
        Some(found) => format!(
            "calibrated: planted outages were told to {}, percentiles to {}, and {} of {} planted breaches were found \
             ({} invented)",
            units::value(found.outage_error_ms, "ms"),
            units::value(found.percentile_error, "ratio"),
            found.found,
            found.planted,
            found.invented
        ),
    }
}

/// Columns of the table of a run and its control run.
pub(super) const EFFECT_HEADER: [&str; 4] = ["figure", "with faults", "without", "effect"];

/// The figures of a run and its control run.
pub(super) fn effects(control: &Control) -> Vec<Vec<String>> {
    let row = |e: &crate::recovery::Effect| {
        let shown = |v: Option<f64>| v.map_or("n/a".to_owned(), |v| units::value(v, &e.unit));
        let sign = if e.effect.is_some_and(|v| v > 0.0) { "+" } else { "" };
        vec![e.name.clone(), shown(e.with), shown(e.without), format!("{sign}{}", shown(e.effect))]
    };
    control.effects.iter().map(row).collect()
}

/// How far the control run can be trusted.
pub(super) fn control_note(control: &Control) -> String {
    let word = match (control.valid, control.verdict) {
        (false, _) => "it is invalid, so the differences say little",
        (true, Verdict::Pass) => "it passed",
        (true, Verdict::Unknown) => "its verdict is unknown",
        (true, Verdict::Fail) => "it failed too, so not all of this is the faults' doing",
    };
    format!("control run {}: the same seed and load without faults; {word}", control.run)
}

/// The configured timers beside what was measured: `restart delay 100 ms + lease 10 s = 10.1 s, recovered in 10.4 s`.
pub(super) fn timers(recovery: &Recovery, injection: &InjectionResult) -> Option<String> {
    if injection.timers.is_empty() {
        return None;
    }
    let each: Vec<String> =
        injection.timers.iter().map(|t| format!("{} {}", t.name, units::value(t.seconds, "s"))).collect();
    let sum: f64 = injection.timers.iter().map(|t| t.seconds).sum();
    let measured = match injection.took_effect() {
        true => format!("; measured: recovered {}", reading_words(&injection.clocks.recovered)),
        false => String::new(),
    };
    Some(format!(
        "{}: configured timers {} = {}{measured}",
        injection.label(recovery),
        each.join(" + "),
        units::value(sum, "s")
    ))
}

/// The steps between the fault and the first success that the nodes themselves tell.
pub(super) fn steps(recovery: &Recovery, injection: &InjectionResult) -> Option<String> {
    let clocks = &injection.clocks;
    let told: Vec<String> = [
        ("its own log told of it after", clocks.target_detect_s),
        ("started again after", clocks.restarted_s),
        ("all nodes ready after", clocks.redundancy_s),
    ]
    .into_iter()
    .filter_map(|(what, s)| Some(format!("{what} {}", units::value(s?, "s"))))
    .chain(injection.phases.iter().map(phase))
    .collect();
    (!told.is_empty()).then(|| format!("{}: {}", injection.label(recovery), told.join(", ")))
}

/// `database detected after 1.5 s`.
fn phase(phase: &PhaseTaken) -> String {
    format!("{} {} after {}", phase.who, phase.step.replace('_', " "), units::value(phase.s, "s"))
}

/// The worst recovery of a run: `760 ms (engine-killed)`.
pub(crate) fn worst(recovery: &Recovery) -> Option<String> {
    let tried = recovery.injections.iter().filter(|i| i.took_effect());
    let known = tried.filter(|i| i.clocks.recovered.at_least_s().is_some());
    let worst = known.max_by(|a, b| {
        let s = |i: &InjectionResult| i.clocks.recovered.at_least_s().unwrap_or(0.0);
        s(a).total_cmp(&s(b))
    })?;
    Some(format!("{} ({})", reading_words(&worst.clocks.recovered), worst.fault))
}

/// A number with its thousands apart.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && i % 3 == first {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_apart() {
        let shown = [0, 7, 999, 1_000, 48_120, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "7", "999", "1,000", "48,120", "1,234,567"]);
    }
}
