//! How a level offers its load: so many workflows in flight (closed), or arrivals by stages (open).

use super::units::RealTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_reports::plan;

/// How load is offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// So many workflows are kept in flight: a slow target is asked less.
    #[default]
    Closed,
    /// Workflows arrive at instants that were drawn before, whatever the target does.
    Open,
}

/// How arrivals lie within a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// As if many people asked independently: the gaps are drawn from an exponential distribution.
    #[default]
    Poisson,
    /// Equally far from each other.
    Even,
}

/// One of the workflows that a level mixes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which of the scenario's workflows.
    pub workflow: String,
    /// Its share of the starts, relative to the other parts.
    pub weight: f64,
}

/// A stage as a scenario writes it: a rate for a time, a burst, or a pause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stage {
    /// Arrivals per real second; with `to_per_s`, those at its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// Arrivals per real second at its end: the rate goes there evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_per_s: Option<f64>,
    /// How long it takes.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<RealTime>,
    /// So many arrivals at one instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Nothing arrives for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<RealTime>,
}

impl Stage {
    /// The stage of the plan, or what is wrong with this one.
    ///
    /// # Errors
    /// The key that is to blame, its value, and what would be accepted.
    pub fn resolve(&self) -> Result<plan::Stage, (&'static str, String, String)> {
        const ACCEPTED: &str = "a stage is { rate_per_s = 50, for = \"30 s\" }, with to_per_s = 400 for a ramp, or \
                                { burst = 500 }, or { pause = \"5 s\" }";
        let refuse = |key, value: String, what: &str| {
            Err((key, value, format!("a stage {what}; accepted: {ACCEPTED}")))
        };
        match *self {
            Self { burst: Some(0), .. } => refuse("burst", "0".to_owned(), "has a burst of 0"),
            Self { burst: Some(count), rate_per_s: None, to_per_s: None, length: None, pause: None } => {
                Ok(plan::Stage::Burst { count: u64::from(count) })
            }
            Self { burst: None, rate_per_s: None, to_per_s: None, length: None, pause: Some(length) }
                if length.seconds() > 0.0 =>
            {
                Ok(plan::Stage::Pause { length_s: length.seconds() })
            }
            Self { burst: Some(_), .. } => refuse("burst", String::new(), "has a burst and something else"),
            Self { pause: Some(_), .. } => {
                refuse("pause", String::new(), "has a pause of no length, or a pause and something else")
            }
            Self { rate_per_s: Some(from), to_per_s, length: Some(length), .. } => {
                let to = to_per_s.unwrap_or(from);
                let length_s = length.seconds();
                match [("rate_per_s", from), ("to_per_s", to)].into_iter().find(|(_, rate)| !is_rate(*rate)) {
                    Some((key, rate)) => {
                        refuse(key, rate.to_string(), &format!("has {key} = {rate}: 0 to {HIGHEST_PER_S}"))
                    }
                    None if from + to <= 0.0 => {
                        refuse("rate_per_s", from.to_string(), "has a rate of 0, which is a pause")
                    }
                    None if length_s <= 0.0 => refuse("for", String::new(), "has no length"),
                    None => Ok(plan::Stage::Rate { from_per_s: from, to_per_s: to, length_s }),
                }
            }
            Self { rate_per_s: Some(rate), length: None, .. } => {
                refuse("rate_per_s", rate.to_string(), "has a rate and no length: say for = …")
            }
            Self { rate_per_s: None, .. } => {
                refuse("stages", String::new(), "says neither a rate nor a burst nor a pause")
            }
        }
    }
}

/// Arrivals per second past which a slip of the finger is likelier than a meaning.
const HIGHEST_PER_S: f64 = 100_000.0;

fn is_rate(rate: f64) -> bool {
    (0.0..=HIGHEST_PER_S).contains(&rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_one_thing() {
        let rate = Stage { rate_per_s: Some(50.0), length: Some(RealTime(3.0)), ..Stage::default() };
        assert_eq!(rate.resolve(), Ok(plan::Stage::Rate { from_per_s: 50.0, to_per_s: 50.0, length_s: 3.0 }));
        let down = Stage { to_per_s: Some(0.0), ..rate };
        assert_eq!(down.resolve(), Ok(plan::Stage::Rate { from_per_s: 50.0, to_per_s: 0.0, length_s: 3.0 }));
        for wrong in [
            Stage::default(),
            Stage { burst: Some(5), ..rate },
            Stage { pause: Some(RealTime(1.0)), ..rate },
            Stage { rate_per_s: Some(0.0), ..rate },
            Stage { rate_per_s: Some(-1.0), ..rate },
            Stage { rate_per_s: Some(f64::NAN), ..rate },
            Stage { length: None, ..rate },
            Stage { length: Some(RealTime(0.0)), ..rate },
            Stage { burst: Some(0), ..Stage::default() },
            Stage { pause: Some(RealTime(0.0)), ..Stage::default() },
        ] {
            assert!(wrong.resolve().unwrap_err().2.contains("accepted"), "{wrong:?}");
        }
    }
}
