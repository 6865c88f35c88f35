//! The head of the report: the verdict, what failed and by how much, and what was run.

use super::{Context, class};
use crate::gate::{GateResult, Verdict};
use crate::judge::{INTERRUPTED_RUN, INVALID_RUN, Summary};
use crate::recovery::{InjectionResult, State};
use crate::render::html::markup::Markup;
use crate::render::{recovery, units, words};

/// Most problems that are listed at the top; the tables below have all.
const MOST_PROBLEMS: usize = 12;
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// Writes the banner.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    let summary = context.summary;
    let banner = format!("banner {}", if summary.validity.valid { class(summary.verdict) } else { "fail" });
    m.within("header", &[("class", &banner)], |m| {
        m.within("div", &[("class", &"verdict")], |m| {
            m.element("p", &[("class", &"word")], words::outcome(summary));
            m.within("div", &[], |m| {
                m.element("h1", &[], &words::clipped(&summary.scenario, 120));
                m.element("p", &[], &tally(summary));
            });
        });
        write_problems(m, summary);
    });
    m.line();
}

fn tally(summary: &Summary) -> String {
    let run = if summary.validity.valid { "the run is valid" } else { "the run is invalid" };
    format!("{} · {run} · exit code {}", counts(summary), summary.exit_code)
}

/// How many gates and checks said what, of a run.
pub(in super::super) fn counts(summary: &Summary) -> String {
    let gates = count("gate", summary.gates.iter().map(|g| g.verdict));
    let checks = count("check", summary.checks.iter().filter(|c| c.applies).map(|c| c.verdict));
    format!("{gates} · {checks}")
}

fn count(what: &str, verdicts: impl Iterator<Item = Verdict>) -> String {
    let verdicts: Vec<Verdict> = verdicts.collect();
    let of = |v: Verdict| verdicts.iter().filter(|x| **x == v).count();
    if verdicts.is_empty() {
        return format!("no {what}s");
    }
    let mut text = format!("{} of {} {what}s pass", of(Verdict::Pass), verdicts.len());
    for (verdict, word) in [(Verdict::Fail, "fail"), (Verdict::Unknown, "unknown")] {
        if of(verdict) > 0 {
            text += &format!(", {} {word}", of(verdict));
        }
    }
    text
}

/// What is wrong with a run, worst first, one sentence each.
pub(in super::super) fn problems(summary: &Summary) -> Vec<(Verdict, String)> {
    let mut found: Vec<(Verdict, String)> = Vec::new();
    found.extend(summary.validity.reasons().into_iter().map(|r| (Verdict::Fail, format!("Invalid: {r}"))));
    let of_all = |g: &GateResult| [INVALID_RUN, INTERRUPTED_RUN].contains(&g.reason.as_str());
    let gates = summary.gates.iter().filter(|g| g.verdict != Verdict::Pass && !of_all(g));
    found.extend(gates.map(|g| (g.verdict, gate(g))));
    let checks = summary.checks.iter().filter(|c| c.applies && c.verdict != Verdict::Pass);
    found.extend(checks.map(|c| (c.verdict, format!("{}: {}", c.name, words::check(c)))));
    if let Some(recovery) = &summary.recovery {
        // What this machine can't do is no problem of a run that showed something else.
        let nothing = recovery.injections.iter().all(|i| i.state == State::NotRun);
        let matters =
            |i: &&InjectionResult| i.verdict != Verdict::Pass && (nothing || i.state != State::NotRun);
        let injections = recovery.injections.iter().filter(matters);
        found.extend(injections.map(|i| (i.verdict, format!("{}: {}", i.label(recovery), i.reason))));
    }
    found.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    found
}

fn write_problems(m: &mut Markup, summary: &Summary) {
    let found = problems(summary);
    if found.is_empty() {
        return;
    }
    m.within("ul", &[("class", &"problems")], |m| {
        for (verdict, text) in found.iter().take(MOST_PROBLEMS) {
            m.within("li", &[], |m| {
                m.append(&super::badge(*verdict));
                m.text(&words::clipped(text, 400));
            });
        }
        if found.len() > MOST_PROBLEMS {
            m.element("li", &[], &format!("… and {} more below", found.len() - MOST_PROBLEMS));
        }
    });
}

fn gate(gate: &GateResult) -> String {
    let measured = gate.measured.as_ref().map_or("n/a".to_owned(), units::measured);
    let by = by_how_much(gate).unwrap_or_else(|| gate.reason.clone());
    format!("{}: {measured}, allowed {}: {by}", gate.gate.name, gate.allowed)
}

/// How far a value lies beyond its bound: `1.2 points above the bound, 24 % of it`.
pub(in super::super) fn by_how_much(gate: &GateResult) -> Option<String> {
    let measure = gate.measured.as_ref().filter(|_| gate.verdict == Verdict::Fail)?;
    let value = measure.value?;
    let below = gate.gate.at_least.filter(|least| value < *least).map(|least| (least, "below"));
    let above = gate.gate.at_most.filter(|most| value > *most).map(|most| (most, "above"));
    let (bound, word) = below.or(above)?;
    let difference = (value - bound).abs();
    let shown = match measure.unit.as_str() {
        "ratio" => units::value(difference, "ratio").replace(" %", " points"),
        unit => units::value(difference, unit),
    };
    if bound == 0.0 {
        return Some(format!("{shown} {word} the bound"));
    }
    let times = difference / bound.abs();
    if times >= 2.0 && word == "above" {
        return Some(format!("{shown} above the bound, {:.1} times it", value / bound));
    }
    Some(format!("{shown} {word} the bound, {} of it", units::value(times, "ratio")))
}

/// Writes what was run.
pub(in super::super) fn facts(m: &mut Markup, context: &Context<'_>) {
    let summary = context.summary;
    let workflows: u64 = summary.levels.iter().map(|l| l.n).sum();
    let completed: u64 = summary.levels.iter().map(|l| l.completed).sum();
    let executions = context.run.history.executions.len();
    let machine: Vec<String> = summary.machine.iter().map(|(k, v)| format!("{k} {v}")).collect();
    let speed = format!(
        "{} (one real second is {} of workflow time)",
        summary.speed,
        units::value(summary.speed, "s")
    );
    let calibration = summary.calibration.as_ref().map_or(String::new(), |c| recovery::calibration(Some(c)));
    let facts = [
        ("run", summary.run.clone()),
        ("target", summary.target.clone()),
        ("work", format!("{completed} of {workflows} workflows completed, {executions} executions of tasks")),
        (
            "started",
            format!(
                "{}, {} of load",
                utc(summary.started_ms),
                units::value(context.timeline.length_s(), "s")
            ),
        ),
        ("speed", speed),
        ("seed", summary.seed.to_string()),
        ("machine", machine.join(", ")),
        ("shakedown", summary.version.clone()),
        ("calibration", calibration),
    ];
    m.within("dl", &[("class", &"facts")], |m| {
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            m.within("div", &[], |m| {
                m.element("dt", &[], name);
                m.element("dd", &[], &words::clipped(value, 300));
            });
        }
        m.within("div", &[("class", &"again")], |m| {
            m.element("dt", &[], "again");
            m.within("dd", &[], |m| m.element("code", &[], &words::clipped(&summary.reproduce(), 600)));
        });
    });
    m.line();
    for note in summary.notes.iter().take(MOST_PROBLEMS) {
        m.element("p", &[("class", &"note")], &format!("Note: {}", words::clipped(note, 600)));
    }
}

/// An instant of the wall clock in UTC: `2026-11-23 17:15:05 UTC`.
///
/// Days to dates after Howard Hinnant, "chrono-compatible low-level date algorithms" (`civil_from_days`).
pub(in super::super) fn utc(epoch_ms: u64) -> String {
    let days = epoch_ms / DAY_MS + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let s = epoch_ms % DAY_MS / 1_000;
    format!("{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC", s / 3_600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Gate, evaluate};
    use crate::measure::{Clock, Measure};

    fn judged(value: f64, unit: &str, at_least: Option<f64>, at_most: Option<f64>) -> Option<String> {
        let measure = Measure {
            name: "x".into(),
            value: Some(value),
            lo: None,
            hi: None,
            n: 9,
            method: "m".into(),
            clock: Clock::None,
            unit: unit.into(),
            load: None,
            missing: None,
        };
        let gate =
            Gate { name: "g".into(), measure: "x".into(), at_least, at_most, sure: false, duration: false };
        by_how_much(&evaluate(&gate, &[measure]))
    }

    #[test]
    fn a_failed_gate_says_by_how_much() {
        let said = |by: Option<String>| by.unwrap_or_default();
        assert_eq!(said(judged(0.062, "ratio", None, Some(0.05))), "1.2 points above the bound, 24 % of it");
        assert_eq!(said(judged(3.0, "count", None, Some(0.0))), "3 above the bound");
        assert_eq!(said(judged(3_000.0, "s", Some(3_600.0), None)), "10 min below the bound, 16.7 % of it");
        assert_eq!(said(judged(335.0, "s", None, Some(10.0))), "5.42 min above the bound, 33.5 times it");
        assert_eq!(judged(3.0, "s", None, Some(4.0)), None);
    }

    #[test]
    fn instants_are_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(1_700_000_000_000), "2023-11-14 22:13:20 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert!(utc(u64::MAX).ends_with(" UTC"));
    }
}
