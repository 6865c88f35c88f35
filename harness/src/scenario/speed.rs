//! How fast a scenario runs: a factor, or a real length that one workflow shall have.

use super::units::RealTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

const ACCEPTED: &str = "a number above 0 (workflow seconds per real second), or \"critical path in 5 s\"";
const PHRASE: &str = "critical path in ";

/// Workflow seconds per real second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// Given.
    Factor(f64),
    /// Such that the critical path of the first level's workflow takes this long.
    CriticalPathIn(RealTime),
}

impl Speed {
    /// The factor, once the length of the critical path is known. Never below 1: a short workflow isn't slowed down.
    pub fn resolve(self, critical_path_s: f64) -> f64 {
        match self {
            Self::Factor(factor) => factor,
            Self::CriticalPathIn(length) => (critical_path_s / length.seconds()).ceil().max(1.0),
        }
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Speed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{ACCEPTED}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Speed, E> {
                let length: RealTime = text
                    .strip_prefix(PHRASE)
                    .ok_or_else(|| E::custom(format!("{text:?} is not a speed; accepted: {ACCEPTED}")))?
                    .parse()
                    .map_err(E::custom)?;
                if length.seconds() <= 0.0 {
                    return Err(E::custom(format!("{text:?} leaves no time; accepted: {ACCEPTED}")));
                }
                Ok(Speed::CriticalPathIn(length))
            }
            #[expect(clippy::cast_precision_loss, reason = "speeds are far below 2^53")]
            fn visit_i64<E: de::Error>(self, factor: i64) -> Result<Speed, E> {
                self.visit_f64(factor as f64)
            }
            fn visit_f64<E: de::Error>(self, factor: f64) -> Result<Speed, E> {
                if factor > 0.0 && factor <= 1e6 {
                    Ok(Speed::Factor(factor))
                } else {
                    Err(E::custom(format!("a speed of {factor} is out of range; accepted: {ACCEPTED}")))
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for Speed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Factor(factor) => serializer.serialize_f64(*factor),
            Self::CriticalPathIn(length) => {
                serializer.serialize_str(&format!("{PHRASE}{} s", length.seconds()))
            }
        }
    }
}

impl JsonSchema for Speed {
    fn schema_name() -> Cow<'static, str> {
        "Speed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": ACCEPTED,
            "oneOf": [
                { "type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000 },
                { "type": "string", "pattern": r"^critical path in .*(ms|s|min|h)$" },
            ],
        })
    }
}
