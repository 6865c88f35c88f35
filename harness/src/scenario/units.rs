//! Real time in scenario files: always a number with its unit, so that nobody has to guess.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What is accepted, for messages.
pub const ACCEPTED: &str = "a number and ms, s, min or h, for example \"250 ms\", \"60 s\", \"90 min\"";

/// A length of real time, written `"60 s"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RealTime(pub f64);

impl RealTime {
    /// In seconds.
    pub fn seconds(self) -> f64 {
        self.0
    }
}

impl FromStr for RealTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |what: &str| Err(format!("{text:?} {what}; accepted: {ACCEPTED}"));
        let digits = text.trim().trim_end_matches(char::is_alphabetic).trim_end();
        let unit = text.trim()[digits.len()..].trim();
        let Ok(number) = digits.parse::<f64>() else {
            return refuse("is not a length of time");
        };
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            "" => return refuse("has no unit"),
            other => return refuse(&format!("has the unit {other:?}, which is none of ours")),
        };
        let seconds = number * factor;
        // A month bounds what a run could mean, and keeps conversions to Duration from overflowing.
        if !(0.0..=2_678_400.0).contains(&seconds) {
            return refuse("is out of range: zero to a month");
        }
        Ok(Self(seconds))
    }
}

impl<'de> Deserialize<'de> for RealTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = RealTime;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{ACCEPTED}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RealTime, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RealTime, E> {
                Err(E::custom(format!("{number} has no unit; accepted: {ACCEPTED}")))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<RealTime, E> {
                Err(E::custom(format!("{number} has no unit; accepted: {ACCEPTED}")))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl Serialize for RealTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{} s", self.0))
    }
}

impl JsonSchema for RealTime {
    fn schema_name() -> Cow<'static, str> {
        "RealTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": ACCEPTED,
            "type": "string",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(ms|s|min|h)\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_taken_and_missing_or_wrong_ones_are_explained() {
        assert_eq!("250 ms".parse(), Ok(RealTime(0.25)));
        assert_eq!("90min".parse(), Ok(RealTime(5400.0)));
        assert_eq!(" 1.5 h ".parse(), Ok(RealTime(5400.0)));
        for (text, part) in [
            ("60", "no unit"),
            ("60 sec", "\"sec\""),
            ("soon", "not a length"),
            ("-1 s", "out of range"),
            ("1e300 h", "out of range"),
            ("", "not a length"),
        ] {
            let error = text.parse::<RealTime>().unwrap_err();
            assert!(error.contains(part) && error.contains("60 s"), "{error}");
        }
    }
}
