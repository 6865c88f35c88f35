//! What the API answers when it refuses, in Toxiproxy's words.

use crate::proxy::address::Refused;
use crate::proxy::instance::NoToxic;
use serde::Serialize;

/// A refusal: its body is this, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// HTTP status.
    pub status: u16,
}

impl Problem {
    /// A refusal with this status.
    pub fn new(status: u16, error: impl Into<String>) -> Self {
        Self { error: error.into(), status }
    }

    /// The body can't be understood.
    pub fn bad_body(why: impl std::fmt::Display) -> Self {
        Self::new(400, format!("bad request body: {why}"))
    }

    /// A field is missing.
    pub fn missing(what: impl std::fmt::Display) -> Self {
        Self::new(400, format!("missing required field: {what}"))
    }

    /// There is no proxy of this name.
    pub fn no_proxy() -> Self {
        Self::new(404, "proxy not found")
    }

    /// There is no toxic of this name.
    pub fn no_toxic() -> Self {
        Self::new(404, "toxic not found")
    }
}

impl From<NoToxic> for Problem {
    fn from(why: NoToxic) -> Self {
        match why {
            NoToxic::Exists => Self::new(409, "toxic already exists"),
            NoToxic::NotFound => Self::no_toxic(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(Refused(why): Refused) -> Self {
        Self::new(500, why)
    }
}
