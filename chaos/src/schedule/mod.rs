//! When which fault is injected: drawn from the seed before anything is started. Pure.

mod check;

use crate::draw;
use crate::fault::Fault;
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use check::{ScheduleError, Scope};

/// A fault as a scenario plans it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name, unique in the scenario.
    pub name: String,
    /// What is done.
    pub fault: Fault,
    /// To whom.
    pub on: Role,
    /// What sets it off.
    pub trigger: Trigger,
    /// How long it stays in force; `None`: until the end, or, when it [passes](Fault::passes), no time at all.
    pub lasts: Option<Duration>,
    /// From one beginning to the next one, when it comes back and a time sets it off.
    pub every: Option<Duration>,
    /// How many times it is injected.
    pub times: u32,
}

/// What sets a fault off.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// A time after the beginning, drawn between the two.
    At {
        /// The earliest.
        from: Duration,
        /// The latest.
        to: Duration,
    },
    /// The nth time that the harness sees an event; n is drawn between the two. What comes back comes back after as
    /// many events again.
    Event {
        /// The event: `start`, `begun`.
        name: String,
        /// The earliest.
        nth_from: u64,
        /// The latest.
        nth_to: u64,
    },
    /// The nth line with this text in the log of a node of this role.
    Marker {
        /// Whose log.
        on: Role,
        /// What the line holds.
        text: String,
        /// Which one, from 1.
        nth: u64,
    },
    /// A file comes into being.
    File {
        /// Where.
        path: std::path::PathBuf,
    },
}

/// One injection that will be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// Name of the fault.
    pub name: String,
    /// Which injection of it, from 1.
    pub injection: u32,
    /// What sets it off.
    pub due: Due,
    /// How long it stays in force.
    pub lasts: Option<Duration>,
    /// What is done.
    pub fault: Fault,
    /// To whom.
    pub on: Role,
    /// Fixes what is drawn later: one of several nodes, the bytes that are flipped.
    pub seed: u64,
}

/// What sets an injection off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// This long after the beginning.
    At(Duration),
    /// The nth event of that name.
    Event {
        /// The event.
        name: String,
        /// Which one, from 1.
        nth: u64,
    },
    /// The nth line with this text in the log of a node of this role.
    Marker {
        /// Whose log.
        on: Role,
        /// What the line holds.
        text: String,
        /// Which one, from 1.
        nth: u64,
    },
    /// A file comes into being.
    File {
        /// Where.
        path: std::path::PathBuf,
    },
}

impl std::fmt::Display for Due {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at) => write!(f, "{:.3} s after the beginning", at.as_secs_f64()),
            Self::Event { name, nth } => write!(f, "{name} number {nth}"),
            Self::Marker { on, text, nth } => write!(f, "line {nth} with {text:?} in the log of {on}"),
            Self::File { path } => write!(f, "{} is there", path.display()),
        }
    }
}

/// Draws every injection, in the order of `planned`; the same seed gives the same ones, and another fault in the list
/// changes none of them.
///
/// # Errors
/// What is planned can't be: see [`ScheduleError`].
pub fn draw(planned: &[Planned], seed: u64, scope: &Scope<'_>) -> Result<Vec<Injection>, ScheduleError> {
    check::all(planned, scope)?;
    Ok(planned.iter().flat_map(|planned| each(planned, seed)).collect())
}

fn each(planned: &Planned, seed: u64) -> impl Iterator<Item = Injection> {
    (1..=planned.times).map(move |injection| Injection {
        name: planned.name.clone(),
        injection,
        due: due(planned, injection, seed),
        lasts: planned.lasts,
        fault: planned.fault.clone(),
        on: planned.on.clone(),
        seed: draw::bits(seed, &format!("fault/{}/{injection}", planned.name)),
    })
}

fn due(planned: &Planned, injection: u32, seed: u64) -> Due {
    let key = format!("fault/{}/{injection}/due", planned.name);
    let rounds = injection - 1;
    match &planned.trigger {
        Trigger::At { from, to } => {
            let (from_ns, to_ns) = (crate::clock::nanos(*from), crate::clock::nanos(*to));
            let first = Duration::from_nanos(draw::between(seed, &key, from_ns, to_ns.max(from_ns)));
            Due::At(first + planned.every.unwrap_or_default().saturating_mul(rounds))
        }
        Trigger::Event { name, nth_from, nth_to } => {
            let nth = draw::between(seed, &key, *nth_from, *nth_to.max(nth_from));
            Due::Event { name: name.clone(), nth: u64::from(rounds) * nth_to.max(nth_from) + nth }
        }
        Trigger::Marker { on, text, nth } => {
            Due::Marker { on: on.clone(), text: text.clone(), nth: nth * u64::from(injection) }
        }
        Trigger::File { path } => Due::File { path: path.clone() },
    }
}
