//! What the stand-in is told to do wrong and when: plain data, written before it is started.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A way to break one of the laws that checks look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Defect {
    /// Acknowledges the start and forgets the workflow.
    LostStart,
    /// Refuses the start and makes the workflow all the same.
    RefusedStart,
    /// Makes two workflows of one start, and answers it with an error.
    DoubledStart,
    /// Accepts the first task's completion and forgets it; hands the task out again when its lease has run out.
    LostCompletion,
    /// Hands the first task out to two workers at once.
    HandedOutTwice,
    /// Hands out a second attempt of the first task while the first attempt is being worked on under its lease.
    EarlyRetry,
    /// Hands the second task out before the first has been done.
    OutOfOrder,
    /// Gives the second task another result than the one that the first was accepted with.
    WrongResult,
    /// Tells that the workflow has completed when its second task was never handed out.
    Unfinished,
    /// Hands out a second attempt like [`Defect::EarlyRetry`], and lets the result of the first count.
    Zombie,
    /// Never hands the second task out.
    Stuck,
    /// Hands a task out when the workflow has ended, and leaves it open.
    Undead,
    /// Tells that the workflow has completed, and when it is asked again, that it has failed.
    WentBack,
    /// Tells a result, and when it is asked again, another one.
    ChangedResult,
}

/// How a defect shows: in the checks, and in words.
#[derive(Debug, Clone, Copy)]
pub struct Sign {
    /// What it is, for people.
    pub title: &'static str,
    /// The checks that must find it: the one that it is planted for, then those whose law it cannot but break too.
    pub checks: &'static [&'static str],
}

impl Defect {
    /// Every one of them.
    pub const ALL: [Self; 14] = [
        Self::LostStart,
        Self::RefusedStart,
        Self::DoubledStart,
        Self::LostCompletion,
        Self::HandedOutTwice,
        Self::EarlyRetry,
        Self::OutOfOrder,
        Self::WrongResult,
        Self::Unfinished,
        Self::Zombie,
        Self::Stuck,
        Self::Undead,
        Self::WentBack,
        Self::ChangedResult,
    ];

    /// How it shows.
    pub fn sign(self) -> Sign {
        let sign = |title, checks| Sign { title, checks };
        match self {
            Self::LostStart => sign("a start acknowledged and forgotten", &["lost_start"]),
            Self::RefusedStart => sign("a start refused and done all the same", &["unexpected"]),
            Self::DoubledStart => sign("two workflows of one start", &["idempotent_start"]),
            Self::LostCompletion => sign("a completion accepted and forgotten", &["lost_completion"]),
            // Two who do the same hand-out do it at once, and the lease of neither has run out.
            Self::HandedOutTwice => sign("a task handed out twice at once", &["duplicated", "overlapped"]),
            Self::EarlyRetry => sign("a retry beside the attempt that runs", &["overlapped", "timers"]),
            // What isn't there yet can't be handed on.
            Self::OutOfOrder => sign("a successor before its predecessor", &["out_of_order", "flow"]),
            Self::WrongResult => sign("a wrong result handed on", &["flow"]),
            Self::Unfinished => sign("completed without its second task", &["effect"]),
            Self::Zombie => sign("an attempt that was replaced counts", &["zombie", "overlapped", "timers"]),
            Self::Stuck => sign("a successor that never comes", &["stuck"]),
            // The task had been completed once, and is left open.
            Self::Undead => {
                sign("a task handed out after the end", &["undead", "lost_completion", "effect", "at_rest"])
            }
            Self::WentBack => sign("completed, and afterwards failed", &["monotone", "undead"]),
            // The result that its worker was acknowledged for is gone.
            Self::ChangedResult => {
                sign("a result that changes afterwards", &["one_result", "lost_completion"])
            }
        }
    }
}

/// A defect and the workflow that it is planted in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plant {
    /// Level of the workflow.
    pub level: String,
    /// Its index in the level.
    pub index: u64,
    /// What is done to it.
    pub defect: Defect,
    /// False: the stand-in keeps it to itself, so that it looks invented. That is how the calibration is tested.
    #[serde(default = "yes")]
    pub told: bool,
}

fn yes() -> bool {
    true
}

/// A time in which no start is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// The level whose starts stall.
    pub level: String,
    /// Nanoseconds from the level's first start to the stall.
    pub after_ns: u64,
    /// How long it lasts, nanoseconds.
    pub lasts_ns: u64,
}

/// Everything that the stand-in does other than it should.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// How long the answer to each start takes, nanoseconds, by level and index.
    pub answers_ns: BTreeMap<String, Vec<u64>>,
    /// How long the first task of each workflow waits to be handed out, nanoseconds, by level and index.
    pub waits_ns: BTreeMap<String, Vec<u64>>,
    /// Stalls of starts.
    pub stalls: Vec<Stall>,
    /// What is done wrong to which workflow.
    pub plants: Vec<Plant>,
    /// By how much each outage is told shorter than it was, nanoseconds. That is how the calibration is tested.
    pub outages_understated_ns: u64,
}

impl Script {
    /// How long the answer to a start takes.
    pub fn answer_ns(&self, level: &str, index: u64) -> u64 {
        at(&self.answers_ns, level, index)
    }

    /// How long the first task of a workflow waits.
    pub fn wait_ns(&self, level: &str, index: u64) -> u64 {
        at(&self.waits_ns, level, index)
    }

    /// What is planted in a workflow.
    pub fn plant(&self, level: &str, index: u64) -> Option<&Plant> {
        self.plants.iter().find(|plant| plant.index == index && plant.level == level)
    }
}

fn at(all: &BTreeMap<String, Vec<u64>>, level: &str, index: u64) -> u64 {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    all.get(level).and_then(|of_level| of_level.get(index)).copied().unwrap_or(0)
}
