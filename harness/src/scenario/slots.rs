//! How many tasks each pool of workers does at once.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const ACCEPTED: &str = "\"3 per workflow\", a number for every pool (3), or a table with one for each ({ codegen = 6, testing = 3 })";
const PHRASE: &str = " per workflow";

/// Slots of the pools of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slots {
    /// So many for each workflow in flight, in every pool: capacity grows with the load.
    PerWorkflow(u32),
    /// So many in every pool, whatever the load.
    Fixed(u32),
    /// So many in each pool by name.
    Pools(BTreeMap<String, u32>),
}

impl Slots {
    /// A pool that has slots and is none of `pools`.
    pub fn stranger(&self, pools: &BTreeSet<&str>) -> Option<&str> {
        let Self::Pools(table) = self else { return None };
        table.keys().map(String::as_str).find(|name| !pools.contains(name))
    }

    /// Slots of each of `pools` when `concurrency` workflows are in flight, or the pool that has none.
    pub fn resolve<'p>(
        &self,
        pools: impl Iterator<Item = &'p str>,
        concurrency: u32,
    ) -> Result<BTreeMap<String, u32>, String> {
        pools
            .map(|pool| {
                let slots = match self {
                    Self::PerWorkflow(each) => each.saturating_mul(concurrency),
                    Self::Fixed(number) => *number,
                    Self::Pools(table) => *table.get(pool).ok_or_else(|| pool.to_owned())?,
                };
                Ok((pool.to_owned(), slots))
            })
            .collect()
    }
}

fn positive<E: de::Error>(number: i64) -> Result<u32, E> {
    u32::try_from(number).ok().filter(|slots| (1..=100_000).contains(slots)).ok_or_else(|| {
        E::custom(format!("{number} slots are out of range (1 to 100000); accepted: {ACCEPTED}"))
    })
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Slots;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{ACCEPTED}")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Slots, E> {
                positive(number).map(Slots::Fixed)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Slots, E> {
                let number = text.strip_suffix(PHRASE).and_then(|number| number.trim().parse().ok());
                let refuse = || E::custom(format!("{text:?} is not a number of slots; accepted: {ACCEPTED}"));
                positive(number.ok_or_else(refuse)?).map(Slots::PerWorkflow)
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Slots, M::Error> {
                let mut pools = BTreeMap::new();
                while let Some((pool, number)) = map.next_entry::<String, i64>()? {
                    pools.insert(pool, positive(number)?);
                }
                Ok(Slots::Pools(pools))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Serialize for Slots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::PerWorkflow(each) => serializer.serialize_str(&format!("{each}{PHRASE}")),
            Self::Fixed(number) => serializer.serialize_u32(*number),
            Self::Pools(pools) => pools.serialize(serializer),
        }
    }
}

impl JsonSchema for Slots {
    fn schema_name() -> Cow<'static, str> {
        "Slots".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": ACCEPTED,
            "oneOf": [
                { "type": "integer", "minimum": 1, "maximum": 100_000 },
                { "type": "string", "pattern": r"^[0-9]+ per workflow$" },
                {
                    "type": "object",
                    "additionalProperties": { "type": "integer", "minimum": 1, "maximum": 100_000 },
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_load_or_not() {
        let pools = || ["codegen", "testing"].into_iter();
        assert_eq!(Slots::PerWorkflow(3).resolve(pools(), 10).unwrap()["codegen"], 30);
        assert_eq!(Slots::Fixed(3).resolve(pools(), 10).unwrap()["testing"], 3);
        let table = Slots::Pools(BTreeMap::from([("codegen".to_owned(), 6)]));
        assert_eq!(table.resolve(pools(), 10), Err("testing".to_owned()));
        assert_eq!(table.stranger(&BTreeSet::from(["testing"])), Some("codegen"));
        assert_eq!(table.stranger(&BTreeSet::from(["codegen", "testing"])), None);
    }
}
