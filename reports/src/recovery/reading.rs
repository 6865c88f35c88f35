//! What a recovery clock shows: a time, no impact at all, "not within", or nothing that can be known.

use serde::{Deserialize, Serialize};

/// What a clock shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reading", rename_all = "snake_case")]
pub enum Reading {
    /// What it looks at never left the steady state: 0, to the resolution.
    NoImpact,
    /// So long.
    At {
        /// Real seconds.
        s: f64,
    },
    /// It did not come to that while it was looked at, so it took longer than this.
    NotWithin {
        /// Real seconds.
        s: f64,
        /// What ended the looking.
        why: String,
    },
    /// It can't be told.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Reading {
    /// The time, where it is known.
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Self::NoImpact => Some(0.0),
            Self::At { s } => Some(*s),
            Self::NotWithin { .. } | Self::Unknown { .. } => None,
        }
    }

    /// What it is at least, where anything is known of it.
    pub fn at_least_s(&self) -> Option<f64> {
        match self {
            Self::NotWithin { s, .. } => Some(*s),
            other => other.seconds(),
        }
    }

    /// Why there is no time.
    pub fn missing(&self) -> Option<String> {
        match self {
            Self::NoImpact | Self::At { .. } => None,
            Self::NotWithin { s, why } => Some(format!("not within {s:.2} s: {why}")),
            Self::Unknown { why } => Some(why.clone()),
        }
    }

    /// The later of two clocks: both have to have come to it.
    pub(super) fn and(self, other: Self) -> Self {
        let at_least = self.at_least_s().into_iter().chain(other.at_least_s()).reduce(f64::max);
        match (self, other) {
            (Self::NotWithin { why, .. }, _) | (_, Self::NotWithin { why, .. }) => {
                Self::NotWithin { s: at_least.unwrap_or(0.0), why }
            }
            (Self::Unknown { why }, _) | (_, Self::Unknown { why }) => Self::Unknown { why },
            (Self::NoImpact, Self::NoImpact) => Self::NoImpact,
            _ => Self::At { s: at_least.unwrap_or(0.0) },
        }
    }

    /// The same from a later instant on, `later_s` after the first; at least 0.
    pub(super) fn from(&self, later_s: f64) -> Self {
        let since = |s: f64| (s - later_s).max(0.0);
        match self {
            Self::At { s } => Self::At { s: since(*s) },
            Self::NotWithin { s, why } => Self::NotWithin { s: since(*s), why: why.clone() },
            other => other.clone(),
        }
    }
}
