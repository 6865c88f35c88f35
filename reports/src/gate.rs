//! A gate: a bound on a measure, with a verdict.

use crate::measure::Measure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Three values of truth. The worst wins; an empty set is unknown. No evidence is not a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The evidence says yes.
    Pass,
    /// There is not enough evidence.
    Unknown,
    /// The evidence says no.
    Fail,
}

/// A gate as a scenario writes it (`[[gate]]`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What it says, in the words of the people who sign off.
    pub name: String,
    /// The [`crate::measure::Measure`] that it bounds, by name.
    pub measure: String,
    /// The least allowed value, in the measure's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The most allowed value, in the measure's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// True to judge the whole 95 % interval instead of the value: unknown when it reaches across the bound.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sure: bool,
    /// True for a gate on the workflow's own durations: unknown when the orchestrator's overhead passes 2 % at 1x.
    #[serde(default)]
    pub duration: bool,
}

impl Verdict {
    /// The worst of several; of none it is unknown.
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Unknown)
    }
}

/// A gate, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// The gate.
    pub gate: Gate,
    /// The measure that it bounds; `None` when the run has none of that name.
    pub measured: Option<Measure>,
    /// What it allows, for people: `at most 5 %`.
    pub allowed: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it isn't a pass, or how close a pass is; empty for a clear pass.
    pub reason: String,
}

/// Judges one gate, by the value of its measure.
///
/// A value stands for what was measured, not for what more samples would show: when its interval reaches across
/// the bound, the verdict is kept and the reason says so. A measure whose interval has no end has no value
/// either ([`crate::statistics::percentile`]), and a gate on it is unknown.
pub fn evaluate(gate: &Gate, measures: &[Measure]) -> GateResult {
    let measured = crate::measure::find(measures, &gate.measure);
    let unit = measured.map_or("", |m| m.unit.as_str());
    let (verdict, reason) = match measured {
        None => (Verdict::Unknown, format!("the run has no measure `{}`", gate.measure)),
        Some(measure) => bounded(gate, measure),
    };
    let allowed = allowed(gate, unit);
    GateResult { gate: gate.clone(), measured: measured.cloned(), allowed, verdict, reason }
}

fn bounded(gate: &Gate, measure: &Measure) -> (Verdict, String) {
    let Some(value) = measure.value.filter(|v| v.is_finite()) else {
        let missing = measure.missing.as_deref().unwrap_or("no evidence");
        // What took longer than was looked at has no value, and is at least that.
        if let Some((least, most)) = measure.lo.zip(gate.at_most).filter(|(least, most)| least > most) {
            let show = |v: f64| crate::render::units::value(v, &measure.unit);
            let reason = format!("it is at least {}, and {} is allowed: {missing}", show(least), show(most));
            return (Verdict::Fail, reason);
        }
        return (Verdict::Unknown, format!("no value: {missing}, has {}", measure.n));
    };
    if gate.at_least.is_none() && gate.at_most.is_none() {
        return (Verdict::Unknown, "the gate bounds nothing: set at_least or at_most".to_owned());
    }
    let broken = |v: f64| match (gate.at_least, gate.at_most) {
        (Some(least), _) if v < least => Some("below"),
        (_, Some(most)) if v > most => Some("above"),
        _ => None,
    };
    let verdict = if broken(value).is_some() { Verdict::Fail } else { Verdict::Pass };
    let across = [measure.lo, measure.hi].into_iter().flatten().find(|end| broken(*end) != broken(value));
    if gate.sure {
        return surely(verdict, across.is_some(), measure);
    }
    let reason = match (broken(value), across) {
        (Some(word), None) => format!("it is {word} what is allowed"),
        (Some(word), Some(_)) => {
            format!(
                "it is {word} what is allowed, though its interval reaches into it: more samples would decide"
            )
        }
        (None, Some(end)) => {
            format!("its interval reaches {} what is allowed", broken(end).unwrap_or("past"))
        }
        (None, None) => String::new(),
    };
    (verdict, reason)
}

/// The verdict of a gate that wants to be sure: it holds for the whole interval or not at all.
fn surely(verdict: Verdict, is_across: bool, measure: &Measure) -> (Verdict, String) {
    if measure.lo.is_none() || measure.hi.is_none() {
        return (Verdict::Unknown, "the gate wants to be sure, and the measure has no interval".to_owned());
    }
    match (verdict, is_across) {
        (_, true) => {
            let reason = "its interval reaches across the bound: more samples would decide";
            (Verdict::Unknown, reason.to_owned())
        }
        (Verdict::Fail, false) => {
            (Verdict::Fail, "all of its interval is outside of what is allowed".to_owned())
        }
        (verdict, false) => (verdict, String::new()),
    }
}

fn allowed(gate: &Gate, unit: &str) -> String {
    let show = |v: f64| crate::render::units::value(v, unit);
    match (gate.at_least, gate.at_most) {
        (Some(least), Some(most)) => crate::render::units::range(least, most, unit),
        (Some(least), None) => format!("at least {}", show(least)),
        (None, Some(most)) => format!("at most {}", show(most)),
        (None, None) => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Clock;

    fn measure(value: Option<f64>, lo: Option<f64>, hi: Option<f64>) -> Measure {
        Measure {
            name: "x".into(),
            value,
            lo,
            hi,
            n: 3,
            method: "m".into(),
            clock: Clock::None,
            unit: "ratio".into(),
            load: None,
            missing: value.is_none().then(|| "needs 59".into()),
        }
    }

    fn gate(at_least: Option<f64>, at_most: Option<f64>) -> Gate {
        Gate { name: "g".into(), measure: "x".into(), at_least, at_most, sure: false, duration: false }
    }

    fn verdict(gate: Gate, measure: Measure) -> Verdict {
        evaluate(&gate, &[measure]).verdict
    }

    #[test]
    fn the_value_decides_and_the_interval_says_how_clearly() {
        let judged = |gate, v, lo, hi| {
            let result = evaluate(&gate, &[measure(Some(v), Some(lo), Some(hi))]);
            (result.verdict, result.reason)
        };
        let at_most = || gate(None, Some(5.0));
        assert_eq!(judged(at_most(), 3.0, 2.0, 5.0), (Verdict::Pass, String::new()));
        let close = judged(at_most(), 3.0, 2.0, 6.0);
        assert_eq!(close, (Verdict::Pass, "its interval reaches above what is allowed".into()));
        let just_over = judged(at_most(), 5.5, 4.0, 6.0);
        assert!(just_over.0 == Verdict::Fail && just_over.1.contains("more samples"), "{just_over:?}");
        assert_eq!(judged(at_most(), 7.0, 6.0, 8.0), (Verdict::Fail, "it is above what is allowed".into()));
        let at_least = || gate(Some(5.0), None);
        assert_eq!(judged(at_least(), 7.0, 5.0, 9.0), (Verdict::Pass, String::new()));
        assert_eq!(judged(at_least(), 7.0, 4.0, 9.0).1, "its interval reaches below what is allowed");
        assert_eq!(judged(at_least(), 3.0, 2.0, 4.0), (Verdict::Fail, "it is below what is allowed".into()));
    }

    #[test]
    fn a_count_is_judged_by_its_value() {
        let plain = |v| measure(Some(v), None, None);
        assert_eq!(verdict(gate(Some(0.95), None), plain(0.95)), Verdict::Pass);
        assert_eq!(verdict(gate(Some(0.95), None), plain(0.949)), Verdict::Fail);
        assert_eq!(verdict(gate(Some(1.0), Some(2.0)), plain(2.5)), Verdict::Fail);
        assert_eq!(verdict(gate(Some(1.0), Some(2.0)), plain(0.5)), Verdict::Fail);
        assert_eq!(verdict(gate(Some(1.0), Some(2.0)), plain(1.5)), Verdict::Pass);
    }

    #[test]
    fn a_gate_that_wants_to_be_sure_judges_the_whole_interval() {
        let judged = |v, lo, hi| {
            let gate = Gate { sure: true, ..gate(Some(-5.0), Some(5.0)) };
            evaluate(&gate, &[measure(Some(v), lo, hi)]).verdict
        };
        assert_eq!(judged(1.0, Some(-4.0), Some(5.0)), Verdict::Pass);
        assert_eq!(judged(1.0, Some(-4.0), Some(5.1)), Verdict::Unknown, "it may be above");
        assert_eq!(judged(6.0, Some(4.9), Some(9.0)), Verdict::Unknown, "it may be below");
        assert_eq!(judged(6.0, Some(5.1), Some(9.0)), Verdict::Fail);
        assert_eq!(judged(1.0, None, Some(2.0)), Verdict::Unknown, "half an interval is none");
    }

    #[test]
    fn what_is_at_least_too_much_fails_though_nobody_knows_how_much_it_is() {
        assert_eq!(verdict(gate(None, Some(5.0)), measure(None, Some(6.0), None)), Verdict::Fail);
        assert_eq!(verdict(gate(None, Some(5.0)), measure(None, Some(4.0), None)), Verdict::Unknown);
        assert_eq!(verdict(gate(Some(5.0), None), measure(None, Some(6.0), None)), Verdict::Unknown);
    }

    #[test]
    fn no_evidence_is_not_a_pass() {
        let none = evaluate(&gate(None, Some(1.0)), &[measure(None, None, None)]);
        assert_eq!(none.verdict, Verdict::Unknown);
        assert_eq!(none.reason, "no value: needs 59, has 3");
        let unknown = evaluate(&gate(None, Some(1.0)), &[]);
        assert_eq!(unknown.verdict, Verdict::Unknown);
        assert!(unknown.reason.contains("no measure `x`"));
        assert_eq!(verdict(gate(None, Some(1.0)), measure(Some(f64::NAN), None, None)), Verdict::Unknown);
        assert_eq!(verdict(gate(None, None), measure(Some(1.0), None, None)), Verdict::Unknown);
        assert_eq!(Verdict::worst([]), Verdict::Unknown);
        assert_eq!(Verdict::worst([Verdict::Pass, Verdict::Unknown, Verdict::Pass]), Verdict::Unknown);
        assert_eq!(Verdict::worst([Verdict::Fail, Verdict::Unknown]), Verdict::Fail);
    }
}
