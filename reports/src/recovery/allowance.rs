//! Allowances: what a scenario lets recovery and loss be, against what was measured.

use super::{InjectionResult, Reading, State};
use crate::gate::Verdict;
use crate::plan::drill::Allowance;
use serde::{Deserialize, Serialize};

/// One allowance of an injection, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllowanceResult {
    /// `first_success_s`, `recovered_s`, `lost` or `lost_within_s`.
    pub name: String,
    /// At most this.
    pub allowed: f64,
    /// `s` or `count`.
    pub unit: String,
    /// What was measured, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it isn't a pass; empty when it is.
    pub reason: String,
}

/// Judges an injection by what its scenario allows.
pub(super) fn judge(injection: &mut InjectionResult, allow: &Allowance) {
    let (own, reason) = of_state(injection);
    if injection.state == State::NotRun {
        // There is nothing to measure, and the reason says why.
        (injection.verdict, injection.reason) = (own, reason.unwrap_or_default());
        return;
    }
    let mut results = Vec::new();
    for (name, most, reading) in [
        ("first_success_s", allow.first_success_s, &injection.clocks.first_success),
        ("recovered_s", allow.recovered_s, &injection.clocks.recovered),
    ] {
        results.extend(most.map(|most| time(name, most, reading)));
    }
    results.extend(allow.lost.map(|most| lost(injection, most)));
    results.extend(allow.lost_within_s.map(|most| lost_within(injection, most)));
    injection.verdict = results.iter().map(|r| r.verdict).chain([own]).max().unwrap_or(Verdict::Unknown);
    let of_allowances = results.iter().filter(|r| r.verdict != Verdict::Pass).map(|r| r.reason.clone());
    // What nobody knows to have taken effect, or to be undone, leaves its allowances unknown for that same reason.
    injection.reason = reason.unwrap_or_else(|| of_allowances.collect::<Vec<_>>().join("; "));
    injection.allowances = results;
}

fn of_state(injection: &InjectionResult) -> (Verdict, Option<String>) {
    let why = match injection.state {
        State::Done => return (Verdict::Pass, None),
        State::NotHealed => format!("nobody can say that it was undone: {}", injection.evidence),
        State::NotApplied => format!("nobody can say that it took effect: {}", injection.evidence),
        State::NotRun => format!("not run: {}", injection.evidence),
        State::Missed => injection.evidence.clone(),
    };
    (Verdict::Unknown, Some(why))
}

fn time(name: &str, most: f64, reading: &Reading) -> AllowanceResult {
    let what = name.trim_end_matches("_s").replace('_', " ");
    let (verdict, reason) = match reading {
        Reading::NoImpact => (Verdict::Pass, String::new()),
        Reading::At { s } if *s <= most => (Verdict::Pass, String::new()),
        Reading::At { s } => (Verdict::Fail, format!("{what} took {s:.2} s, allowed are {most} s")),
        Reading::NotWithin { s, why } if *s > most => {
            (Verdict::Fail, format!("{what}: not within {s:.2} s ({why}), allowed are {most} s"))
        }
        Reading::NotWithin { s, why } => (
            Verdict::Unknown,
            format!("{what}: not within the {s:.2} s that were observed ({why}), allowed are {most} s"),
        ),
        Reading::Unknown { why } => (Verdict::Unknown, format!("{what}: {why}")),
    };
    let measured = reading.seconds();
    AllowanceResult { name: name.to_owned(), allowed: most, unit: "s".to_owned(), measured, verdict, reason }
}

fn lost(injection: &InjectionResult, most: u64) -> AllowanceResult {
    let (verdict, reason) = match injection.lost {
        Some(lost) if lost > most => {
            let of = injection.acknowledged;
            (Verdict::Fail, format!("{lost} of {of} acknowledged operations were lost, allowed are {most}"))
        }
        _ => where_known(injection),
    };
    AllowanceResult {
        name: "lost".to_owned(),
        allowed: most as f64,
        unit: "count".to_owned(),
        measured: injection.lost.map(|lost| lost as f64),
        verdict,
        reason,
    }
}

fn lost_within(injection: &InjectionResult, most: f64) -> AllowanceResult {
    let (verdict, reason) = match injection.lost_s {
        Some(age) if age > most => {
            let lost = injection.lost.unwrap_or(0);
            let what = format!("the oldest of {lost} lost operations was acknowledged {age:.2} s before");
            (Verdict::Fail, format!("{what}, allowed are {most} s"))
        }
        _ => where_known(injection),
    };
    AllowanceResult {
        name: "lost_within_s".to_owned(),
        allowed: most,
        unit: "s".to_owned(),
        measured: injection.lost_s,
        verdict,
        reason,
    }
}

/// A pass, where it is known what was lost, and anything could have been.
fn where_known(injection: &InjectionResult) -> (Verdict, String) {
    let why = match injection.lost {
        None if injection.took_effect() => "lost: not everything that was acknowledged was read back",
        None => "lost: nobody knows that the fault took effect",
        Some(_) if injection.acknowledged == 0 => "lost: nothing was acknowledged that it could have lost",
        Some(_) => return (Verdict::Pass, String::new()),
    };
    (Verdict::Unknown, why.to_owned())
}
