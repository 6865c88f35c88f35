//! The control run: the same seed and load without the faults, so that what the faults did is a difference.

use crate::gate::Verdict;
use crate::judge::Summary;
use serde::{Deserialize, Serialize};

/// A run beside its control run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// Name of the control run's directory.
    pub run: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// False when it is invalid.
    pub valid: bool,
    /// The figures side by side.
    pub effects: Vec<Effect>,
}

/// One figure with and without the faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Name of the measure: `chaos/start_response_p99_ms`.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// With the faults.
    pub with: Option<f64>,
    /// Without them.
    pub without: Option<f64>,
    /// The first less the second, where both are known.
    pub effect: Option<f64>,
}

/// The measures of a level that are put side by side.
const OF_LEVEL: [&str; 7] = [
    "start_response_p50_ms",
    "start_response_p99_ms",
    "response_p50_s",
    "response_p99_s",
    "throughput_tasks_per_s",
    "workflow_success",
    "availability",
];

/// Puts a run beside its control run.
pub fn control(run: &Summary, control: &Summary) -> Control {
    let mut effects = Vec::new();
    for level in &run.levels {
        for end in OF_LEVEL {
            let name = format!("{}/{end}", level.name);
            let Some(with) = run.measure(&name) else { continue };
            let without = control.measure(&name).and_then(|m| m.value);
            if with.value.is_some() || without.is_some() {
                effects.push(effect(name, with.unit.clone(), with.value, without));
            }
        }
    }
    for check in ["lost_start", "lost_completion"] {
        effects.push(effect(
            check.to_owned(),
            "count".to_owned(),
            findings(run, check),
            findings(control, check),
        ));
    }
    Control { run: control.run.clone(), verdict: control.verdict, valid: control.validity.valid, effects }
}

fn effect(name: String, unit: String, with: Option<f64>, without: Option<f64>) -> Effect {
    Effect { name, unit, with, without, effect: with.zip(without).map(|(with, without)| with - without) }
}

/// Findings of a check; `None` when it could not be decided.
fn findings(of: &Summary, check: &str) -> Option<f64> {
    let found = of.checks.iter().find(|c| c.name == check)?;
    (found.verdict != Verdict::Unknown).then_some(found.findings.len() as f64)
}
