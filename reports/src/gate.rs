//! A gate: a bound on a measure, with a verdict.

use crate::measure::Measure;
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Why it isn't a pass; empty for a pass.
    pub reason: String,
}

/// Judges one gate.
///
/// A bound is kept when the value and the end of its interval that lies towards the bound keep it, and broken
/// when the value and the other end break it. In between the samples do not decide, which is unknown. A measure
/// without an interval is judged by its value alone: it counts all there was.
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
    let Some(value) = measure.value else {
        let missing = measure.missing.as_deref().unwrap_or("no evidence");
        return (Verdict::Unknown, format!("no value: {missing}, has {}", measure.n));
    };
    if gate.at_least.is_none() && gate.at_most.is_none() {
        return (Verdict::Unknown, "the gate bounds nothing: set at_least or at_most".to_owned());
    }
    let (lo, hi) = (measure.lo.unwrap_or(value), measure.hi.unwrap_or(value));
    // Turned over, "at least" is "at most", so one rule serves both.
    let upper = gate.at_most.map(|bound| side(value, lo, hi, bound, "above"));
    let lower = gate.at_least.map(|bound| side(-value, -hi, -lo, -bound, "below"));
    let worst = upper.into_iter().chain(lower).max_by_key(|(verdict, _)| *verdict);
    worst.unwrap_or((Verdict::Unknown, String::new()))
}

fn side(value: f64, near: f64, far: f64, bound: f64, word: &str) -> (Verdict, String) {
    if far <= bound {
        (Verdict::Pass, String::new())
    } else if near > bound {
        (Verdict::Fail, format!("it is {word} what is allowed"))
    } else if value <= bound {
        (Verdict::Unknown, format!("the interval reaches {word} what is allowed: more samples would decide"))
    } else {
        let reason = format!(
            "the value is {word} what is allowed, its interval is not wholly: more samples would decide"
        );
        (Verdict::Unknown, reason)
    }
}

fn allowed(gate: &Gate, unit: &str) -> String {
    let show = |v: f64| crate::render::units::value(v, unit);
    match (gate.at_least, gate.at_most) {
        (Some(least), Some(most)) => format!("{} to {}", show(least), show(most)),
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
            missing: value.is_none().then(|| "needs 59".into()),
        }
    }

    fn gate(at_least: Option<f64>, at_most: Option<f64>) -> Gate {
        Gate { name: "g".into(), measure: "x".into(), at_least, at_most, duration: false }
    }

    fn verdict(gate: Gate, measure: Measure) -> Verdict {
        evaluate(&gate, &[measure]).verdict
    }

    #[test]
    fn the_interval_decides_where_there_is_one() {
        let at_most = || gate(None, Some(5.0));
        let with = |v, lo, hi| measure(Some(v), Some(lo), Some(hi));
        assert_eq!(verdict(at_most(), with(3.0, 2.0, 5.0)), Verdict::Pass);
        assert_eq!(verdict(at_most(), with(3.0, 2.0, 6.0)), Verdict::Unknown);
        assert_eq!(verdict(at_most(), with(5.5, 4.0, 6.0)), Verdict::Unknown);
        assert_eq!(verdict(at_most(), with(7.0, 6.0, 8.0)), Verdict::Fail);
        let at_least = || gate(Some(5.0), None);
        assert_eq!(verdict(at_least(), with(7.0, 5.0, 9.0)), Verdict::Pass);
        assert_eq!(verdict(at_least(), with(7.0, 4.0, 9.0)), Verdict::Unknown);
        assert_eq!(verdict(at_least(), with(3.0, 2.0, 4.0)), Verdict::Fail);
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
    fn no_evidence_is_not_a_pass() {
        let none = evaluate(&gate(None, Some(1.0)), &[measure(None, None, None)]);
        assert_eq!(none.verdict, Verdict::Unknown);
        assert_eq!(none.reason, "no value: needs 59, has 3");
        let unknown = evaluate(&gate(None, Some(1.0)), &[]);
        assert_eq!(unknown.verdict, Verdict::Unknown);
        assert!(unknown.reason.contains("no measure `x`"));
        assert_eq!(verdict(gate(None, None), measure(Some(1.0), None, None)), Verdict::Unknown);
        assert_eq!(Verdict::worst([]), Verdict::Unknown);
        assert_eq!(Verdict::worst([Verdict::Pass, Verdict::Unknown, Verdict::Pass]), Verdict::Unknown);
        assert_eq!(Verdict::worst([Verdict::Fail, Verdict::Unknown]), Verdict::Fail);
    }
}
