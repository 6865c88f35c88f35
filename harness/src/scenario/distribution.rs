//! Distributions that sizes and durations are drawn from, seeded.

use crate::draw;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::f64::consts::TAU;
use std::fmt;

const ACCEPTED: &str = "a number, { uniform = { from = 1, to = 9 } }, { exponential = { mean = 5, at_most = 50 } } or \
                        { lognormal = { median = 5, sigma = 0.5, at_most = 50 } }";

/// Draws of a truncated distribution before the bound itself is taken; half of all draws are within at the least.
const TRIES: u32 = 64;

/// A distribution of positive numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Constant(f64),
    /// Any number of a range is as likely as any other.
    Uniform(Range),
    /// Many short, few long; longer ones than the bound are drawn again.
    Exponential(Exponential),
    /// What times and sizes of people's work look like: most near the median, a long tail; bounded likewise.
    Lognormal(Lognormal),
}

/// A range, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The least.
    pub from: f64,
    /// The most.
    pub to: f64,
}

/// An exponential distribution, truncated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// Its mean before it is truncated.
    pub mean: f64,
    /// The most that is drawn; at least the mean.
    pub at_most: f64,
}

/// A lognormal distribution, truncated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lognormal {
    /// Its median before it is truncated.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
    /// The most that is drawn; at least the median.
    pub at_most: f64,
}

/// The named ones, as they are written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Named {
    Uniform(Range),
    Exponential(Exponential),
    Lognormal(Lognormal),
}

impl Distribution {
    /// The draw for `key` under `seed`.
    pub fn draw(&self, seed: u64, key: &str) -> f64 {
        match *self {
            Self::Constant(value) => value,
            Self::Uniform(range) => range.from + draw::uniform(seed, key) * (range.to - range.from),
            Self::Exponential(e) => bounded(e.at_most, |tried| {
                -e.mean * (1.0 - draw::uniform(seed, &format!("{key}/{tried}"))).ln()
            }),
            Self::Lognormal(l) => bounded(l.at_most, |tried| {
                let part = |name: &str| draw::uniform(seed, &format!("{key}/{tried}/{name}"));
                // Box and Muller, Annals of Mathematical Statistics 29, 1958.
                let normal = (-2.0 * (1.0 - part("a")).ln()).sqrt() * (TAU * part("b")).cos();
                l.median * (l.sigma * normal).exp()
            }),
        }
    }

    /// The most that is drawn.
    pub fn most(&self) -> f64 {
        match *self {
            Self::Constant(value) => value,
            Self::Uniform(range) => range.to,
            Self::Exponential(e) => e.at_most,
            Self::Lognormal(l) => l.at_most,
        }
    }

    /// What is wrong with its numbers; `None` when nothing is.
    fn flaw(&self) -> Option<String> {
        let fine = |from: f64, to: f64| from >= 0.0 && to >= from && to.is_finite();
        let ok = match *self {
            Self::Constant(value) => fine(value, value),
            Self::Uniform(range) => fine(range.from, range.to),
            Self::Exponential(e) => e.mean > 0.0 && fine(e.mean, e.at_most),
            Self::Lognormal(l) => {
                l.median > 0.0 && fine(l.median, l.at_most) && (0.0..=5.0).contains(&l.sigma)
            }
        };
        let what = "numbers are not below 0, a range goes upwards, at_most is not below mean or median, sigma is 0 to 5";
        (!ok).then(|| format!("{self:?} can't be drawn from: {what}; accepted: {ACCEPTED}"))
    }
}

fn bounded(most: f64, mut draw: impl FnMut(u32) -> f64) -> f64 {
    (0..TRIES).map(&mut draw).find(|value| *value <= most).unwrap_or(most)
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Distribution;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{ACCEPTED}")
            }
            #[expect(clippy::cast_precision_loss, reason = "sizes and durations are far below 2^53")]
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Distribution, E> {
                self.visit_f64(number as f64)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Distribution, E> {
                Ok(Distribution::Constant(number))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Distribution, M::Error> {
                let named = Named::deserialize(de::value::MapAccessDeserializer::new(map));
                let named =
                    named.map_err(|error| de::Error::custom(format!("{error}; accepted: {ACCEPTED}")))?;
                Ok(match named {
                    Named::Uniform(range) => Distribution::Uniform(range),
                    Named::Exponential(exponential) => Distribution::Exponential(exponential),
                    Named::Lognormal(lognormal) => Distribution::Lognormal(lognormal),
                })
            }
        }
        let read = deserializer.deserialize_any(Any)?;
        read.flaw().map_or(Ok(read), |flaw| Err(de::Error::custom(flaw)))
    }
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Constant(value) => serializer.serialize_f64(value),
            Self::Uniform(range) => Named::Uniform(range).serialize(serializer),
            Self::Exponential(exponential) => Named::Exponential(exponential).serialize(serializer),
            Self::Lognormal(lognormal) => Named::Lognormal(lognormal).serialize(serializer),
        }
    }
}

impl JsonSchema for Distribution {
    fn schema_name() -> Cow<'static, str> {
        "Distribution".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<Named>();
        json_schema!({ "description": ACCEPTED, "anyOf": [{ "type": "number", "minimum": 0 }, named] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Table;

    fn read(text: &str) -> Result<Distribution, String> {
        let table: Table = format!("x = {text}").parse().unwrap();
        Distribution::deserialize(table["x"].clone()).map_err(|error| error.to_string())
    }

    fn drawn(text: &str) -> Vec<f64> {
        let distribution = read(text).unwrap();
        let mut drawn: Vec<f64> = (0..10_000).map(|i| distribution.draw(3, &i.to_string())).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    fn near(measured: f64, known: f64) {
        assert!((measured / known - 1.0).abs() < 0.05, "measured {measured}, known {known}");
    }

    #[test]
    fn draws_have_the_shape_that_was_asked_for() {
        assert!(drawn("7").iter().all(|value| (*value - 7.0).abs() < 1e-12));
        let uniform = drawn("{ uniform = { from = 10, to = 20 } }");
        near(uniform[5_000], 15.0);
        near(uniform[9_500], 19.5);
        let exponential = drawn("{ exponential = { mean = 5, at_most = 500 } }");
        near(exponential.iter().sum::<f64>() / 1e4, 5.0);
        near(exponential[5_000], 5.0 * std::f64::consts::LN_2);
        let lognormal = drawn("{ lognormal = { median = 100, sigma = 0.5, at_most = 1e6 } }");
        near(lognormal[5_000], 100.0);
        // One standard deviation above is at 84.13 %.
        near(lognormal[8_413], 100.0 * 0.5f64.exp());
    }

    #[test]
    fn nothing_is_drawn_past_the_bound_and_the_bound_is_no_heap() {
        let tight = drawn("{ exponential = { mean = 5, at_most = 5 } }");
        assert!(tight.iter().all(|value| *value <= 5.0));
        assert!(tight.iter().filter(|value| **value > 4.999).count() < 20, "drawn again, not clamped");
    }

    #[test]
    fn what_cannot_be_drawn_from_is_refused_with_what_can() {
        for text in [
            "-1",
            "nan",
            "\"big\"",
            "{ normal = { mean = 1 } }",
            "{ uniform = { from = 2, to = 1 } }",
            "{ exponential = { mean = 5 } }",
            "{ exponential = { mean = 5, at_most = 4 } }",
            "{ lognormal = { median = 5, sigma = -1, at_most = 9 } }",
            "{ lognormal = { median = 0, sigma = 1, at_most = 9 } }",
            "{ uniform = { from = 1, to = 2, step = 1 } }",
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("lognormal"), "{text}: {error}");
        }
    }
}
