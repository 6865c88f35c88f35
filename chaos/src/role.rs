//! Whom a fault hurts: a role that is resolved when the fault is due, not when the scenario is read.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What is accepted, for messages.
pub const ACCEPTED: &str = "\"engine\", \"worker\" (any one), \"worker:2\", \"worker:codegen\", \"db.primary\", \
                            \"db.standby\", \"node:NAME\" or \"link:NAME\"";

/// A role that faults are aimed at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A node that serves the target's API.
    Engine,
    /// A process of workers.
    Worker(Which),
    /// One of a pair of databases.
    Database(Seat),
    /// The node of that name, or the one that has that role when the fault is due.
    Node(String),
    /// A connection that goes through a fault proxy.
    Link(String),
}

/// Which of a pair of databases, at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seat {
    /// The one that takes writes.
    Primary,
    /// The one that follows it.
    Standby,
}

/// Which of several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// One that the seed draws.
    Any,
    /// By its number, from 1.
    Number(u32),
    /// One of those that do this.
    Named(String),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => write!(f, "engine"),
            Self::Worker(Which::Any) => write!(f, "worker"),
            Self::Worker(Which::Number(number)) => write!(f, "worker:{number}"),
            Self::Worker(Which::Named(name)) => write!(f, "worker:{name}"),
            Self::Database(Seat::Primary) => write!(f, "db.primary"),
            Self::Database(Seat::Standby) => write!(f, "db.standby"),
            Self::Node(name) => write!(f, "node:{name}"),
            Self::Link(name) => write!(f, "link:{name}"),
        }
    }
}

/// Where a link leads to several nodes, it is one to each, and what is done to it is done to them all. `clients.2` is the one to
/// the second node, `clients.leader` the one to whoever leads. Splits such a name: the link, and what of it.
#[must_use]
pub fn part_of_link(name: &str) -> Option<(&str, &str)> {
    let is_part = |part: &str| part == LEADER || part.parse::<u32>().is_ok_and(|number| number > 0);
    name.rsplit_once('.').filter(|(_, part)| is_part(part))
}

/// Whoever of several nodes leads.
pub const LEADER: &str = "leader";

/// Do both mean one link, or one a part of the other, or both one that may be the same part?
fn may_be_one_link(one: &str, other: &str) -> bool {
    match (part_of_link(one), part_of_link(other)) {
        (Some((link, part)), Some((same, other_part))) => {
            link == same && (part == other_part || [part, other_part].contains(&LEADER))
        }
        (Some((link, _)), None) => link == other,
        (None, Some((link, _))) => link == one,
        (None, None) => one == other,
    }
}

impl Role {
    /// True when both may stand for the same node or link, as far as their names tell.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Link(one), Self::Link(other)) => may_be_one_link(one, other),
            (Self::Link(_), _) | (_, Self::Link(_)) => false,
            (Self::Worker(Which::Number(one)), Self::Worker(Which::Number(other))) => one == other,
            (Self::Node(one), Self::Node(other)) => one == other,
            (Self::Engine, Self::Worker(_)) | (Self::Worker(_), Self::Engine) => false,
            (Self::Database(_), Self::Engine | Self::Worker(_))
            | (Self::Engine | Self::Worker(_), Self::Database(_)) => false,
            // One of several, one that does this, one of that name: it may be that one.
            _ => true,
        }
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no role that a fault can hurt; accepted: {ACCEPTED}")]
pub struct NoRole {
    /// What was given.
    pub text: String,
}

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        let no_role = || NoRole { text: text.to_owned() };
        let is_name = |name: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
            !name.is_empty() && name.chars().all(fits)
        };
        match text.split_once(':') {
            None if text == "engine" => Ok(Self::Engine),
            None if text == "db.primary" => Ok(Self::Database(Seat::Primary)),
            None if text == "db.standby" => Ok(Self::Database(Seat::Standby)),
            None if text == "worker" => Ok(Self::Worker(Which::Any)),
            Some(("worker", which)) if is_name(which) => Ok(Self::Worker(match which.parse() {
                Ok(0) => return Err(no_role()),
                Ok(number) => Which::Number(number),
                Err(_) => Which::Named(which.to_owned()),
            })),
            Some(("node", name)) if is_name(name) => Ok(Self::Node(name.to_owned())),
            Some(("link", name)) if is_name(name) => Ok(Self::Link(name.to_owned())),
            _ => Err(no_role()),
        }
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Role {
    fn schema_name() -> Cow<'static, str> {
        "Role".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": format!("Whom the fault hurts: {ACCEPTED}."),
            "type": "string",
            "pattern": r"^(engine|worker|db\.(primary|standby)|(worker|node|link):[A-Za-z0-9._-]+)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_may_be_one_thing_are_known() {
        let may_be = |one: &str, other: &str| {
            let (one, other): (Role, Role) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.may_be(&other), other.may_be(&one));
            one.may_be(&other)
        };
        for (one, other) in [
            ("engine", "engine"),
            ("worker", "worker:1"),
            ("worker:codegen", "worker:1"),
            ("worker:codegen", "worker:design"),
            ("node:engine", "engine"),
            ("node:worker-1", "worker"),
            ("link:a", "link:a"),
            ("link:a", "link:a.2"),
            ("link:a.2", "link:a.leader"),
            // They change hands.
            ("db.primary", "db.standby"),
            ("db.primary", "node:db-1"),
        ] {
            assert!(may_be(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("engine", "worker"),
            ("worker:1", "worker:2"),
            ("node:a", "node:b"),
            ("link:a", "link:b"),
            ("link:a", "link:b.1"),
            ("link:a.1", "link:a.2"),
            ("link:db", "link:db.primary"),
            ("link:a", "engine"),
            ("db.primary", "engine"),
        ] {
            assert!(!may_be(one, other), "{one} {other}");
        }
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        let texts =
            ["engine", "worker", "worker:2", "worker:codegen", "db.primary", "db.standby", "node:standby-1"];
        for text in texts {
            assert_eq!(text.parse::<Role>().unwrap().to_string(), text);
        }
        assert_eq!("worker:2".parse(), Ok(Role::Worker(Which::Number(2))));
        for text in ["", "Engine", "worker:", "worker:0", "link", "link:a b", "disk:1", "db.third"] {
            let error = text.parse::<Role>().unwrap_err();
            assert!(error.to_string().contains("worker:codegen"), "{error}");
        }
    }
}
