//! Faults as a scenario writes them: what is done, to whom, when, for how long, and what recovery is allowed to take.

use super::units::RealTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_chaos::fault::Fault;
use shakedown_chaos::role::Role;
use shakedown_chaos::schedule::{Planned, Trigger};
use shakedown_reports::plan::drill::{Allowance, ConfiguredTimer};
use std::path::PathBuf;
use std::time::Duration;

/// A fault, and when it is injected. Exactly one of `at`, `after`, `marker` and `file` sets it off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultEntry {
    /// Its name; the prefix of its measures.
    pub name: String,
    /// What is done: `{ fault = "kill" }`.
    pub inject: Fault,
    /// To whom: `"engine"`, `"worker"`, `"worker:codegen"`, `"link:workers"`.
    pub on: Role,
    /// When, after the beginning of the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// When the harness has seen an event so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AfterEvent>,
    /// When a text came up in the log of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<Marker>,
    /// When a file comes into being.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// How long it stays in force; without it, until the load is over. A kill or a restart takes no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<RealTime>,
    /// From one beginning to the next, when it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<RealTime>,
    /// How often it is injected.
    #[serde(default = "once")]
    pub times: u32,
    /// What recovery and loss are allowed to be.
    #[serde(default, skip_serializing_if = "Allow::is_empty")]
    pub allow: Allow,
    /// Configured timers whose sum predicts the recovery; the report puts them beside what was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<PredictingTimer>,
}

fn once() -> u32 {
    1
}

/// An instant after the beginning of the level, or a range that the seed draws one from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Moment {
    /// `"5 s"`.
    Exactly(RealTime),
    /// `{ from = "5 s", to = "8 s" }`.
    Between {
        /// The earliest.
        from: RealTime,
        /// The latest.
        to: RealTime,
    },
}

/// An event that the harness has seen so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterEvent {
    /// `begun` (a worker took a task in hand), or `begun:NAME` of an agent or task type.
    pub event: String,
    /// Which one, from 1.
    pub nth: u64,
    /// The latest one: the seed draws one from `nth` to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// A text in the log of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// Whose log.
    pub on: Role,
    /// What the line holds.
    pub text: String,
    /// Which line with it, from 1.
    #[serde(default = "first")]
    pub nth: u64,
}

fn first() -> u64 {
    1
}

/// What recovery and loss are allowed to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Longest time to the first success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_success: Option<RealTime>,
    /// Longest time until backlog and age are back inside the band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<RealTime>,
    /// Most acknowledged operations lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// The most that an acknowledged operation which is lost may be older than the fault: the age of a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_within: Option<RealTime>,
}

impl Allow {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As the plan has it.
    pub fn planned(&self) -> Allowance {
        Allowance {
            first_success_s: self.first_success.map(RealTime::seconds),
            recovered_s: self.recovered.map(RealTime::seconds),
            lost: self.lost,
            lost_within_s: self.lost_within.map(RealTime::seconds),
        }
    }
}

/// A timer of the configuration that recovery has to wait for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictingTimer {
    /// What it is.
    pub name: String,
    /// How long it runs.
    pub time: RealTime,
}

impl FaultEntry {
    /// As a schedule has it.
    ///
    /// # Errors
    /// What sets it off isn't said, or said twice.
    pub fn planned(&self) -> Result<Planned, String> {
        Ok(Planned {
            name: self.name.clone(),
            fault: self.inject.clone(),
            on: self.on.clone(),
            trigger: self.trigger()?,
            lasts: self.lasts.map(duration),
            every: self.every.map(duration),
            times: self.times,
        })
    }

    fn trigger(&self) -> Result<Trigger, String> {
        match (&self.at, &self.after, &self.marker, &self.file) {
            (Some(Moment::Exactly(at)), None, None, None) => {
                Ok(Trigger::At { from: duration(*at), to: duration(*at) })
            }
            (Some(Moment::Between { from, to }), None, None, None) => {
                Ok(Trigger::At { from: duration(*from), to: duration(*to) })
            }
            (None, Some(after), None, None) => Ok(Trigger::Event {
                name: after.event.clone(),
                nth_from: after.nth,
                nth_to: after.to.unwrap_or(after.nth),
            }),
            (None, None, Some(marker), None) => {
                Ok(Trigger::Marker { on: marker.on.clone(), text: marker.text.clone(), nth: marker.nth })
            }
            (None, None, None, Some(path)) => Ok(Trigger::File { path: path.clone() }),
            (None, None, None, None) => Err(format!(
                "fault {:?} is set off by nothing: say at = \"5 s\", after = {{ event = \"begun:codegen\", nth = 20 }}, \
                 marker = {{ on = \"engine\", text = \"…\" }} or file = \"…\"",
                self.name
            )),
            _ => {
                Err(format!("fault {:?} is set off twice: keep one of at, after, marker and file", self.name))
            }
        }
    }

    /// Its timers as the plan has them.
    pub fn configured_timers(&self) -> Vec<ConfiguredTimer> {
        let of = |timer: &PredictingTimer| ConfiguredTimer {
            name: timer.name.clone(),
            seconds: timer.time.seconds(),
        };
        self.timers.iter().map(of).collect()
    }
}

/// A length of real time; it was bounded to a month when it was read.
pub fn duration(time: RealTime) -> Duration {
    Duration::from_secs_f64(time.seconds())
}
