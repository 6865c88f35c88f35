//! What the parent tells a process of workers: one JSON file.

use super::assignment::Assignments;
use crate::plan::Plan;
use crate::scenario::Workers;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use shakedown_reports::plan;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How the line on standard output begins that says that every pool is polling.
pub const READY: &str = "workers are polling at ";

/// One process of workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkSpec {
    /// Base URL of the target's REST API.
    pub base: String,
    /// Name of the run, the first part of every correlation id.
    pub run: String,
    /// Name of the process: `worker-2`.
    pub name: String,
    /// The plan of the run.
    pub plan: PathBuf,
    /// Names of the steps inside tasks in their order, by reference name.
    pub step_order: BTreeMap<String, Vec<String>>,
    /// Workflow seconds per real second.
    pub speed: f64,
    /// For drawn failures.
    pub seed: u64,
    /// How its workers behave.
    pub behaviour: Workers,
    /// How long one poll waits, milliseconds.
    pub poll_wait_ms: u64,
    /// Slots of each pool in this process.
    pub slots: BTreeMap<String, u32>,
}

impl WorkSpec {
    /// Reads a spec.
    ///
    /// # Errors
    /// The file can't be read, or isn't one.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no work", path.display()))
    }

    /// What its workers know of the run.
    ///
    /// # Errors
    /// The plan can't be read.
    pub fn assignments(&self) -> anyhow::Result<Assignments> {
        let text = std::fs::read_to_string(&self.plan)
            .with_context(|| format!("cannot read {}", self.plan.display()))?;
        let plan = plan::Plan::parse("plan.jsonl", &text)?;
        let plan = Plan {
            templates: plan.templates,
            levels: plan.levels,
            workflows: plan.workflows,
            ..Plan::default()
        };
        Ok(Assignments::of_plan(&self.run, &plan).with_step_order(self.step_order.clone()))
    }
}

/// The slots of process `number` (from 0) of `processes`: an even share of each pool, and never none.
pub fn share(slots: &BTreeMap<String, u32>, number: u32, processes: u32) -> BTreeMap<String, u32> {
    let of = |all: u32| (all / processes + u32::from(number < all % processes)).max(1);
    slots.iter().map(|(pool, all)| (pool.clone(), of(*all))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_share_the_slots_and_none_goes_without() {
        let slots = BTreeMap::from([("codegen".to_owned(), 7), ("qa".to_owned(), 1)]);
        let shares: Vec<_> = (0..3).map(|number| share(&slots, number, 3)).collect();
        assert_eq!(shares.iter().map(|share| share["codegen"]).collect::<Vec<_>>(), [3, 2, 2]);
        assert!(shares.iter().all(|share| share["qa"] == 1));
    }
}
