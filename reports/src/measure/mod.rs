//! A measure: one number with everything that is needed to believe it.
//!
//! The files beside this one compute the measures, one subject a file; [`all`] is the whole list.

mod across;
mod api;
mod availability;
mod backlog;
mod drift;
mod driver;
mod duration;
mod host;
mod queue;
mod requests;
mod resource;
mod starts;
mod success;
mod throughput;
mod turnaround;

pub(crate) use api::samples as api_samples;
pub(crate) use driver::{lags, overruns};
pub(crate) use queue::{busy_share, wait_ns};
pub(crate) use resource::Counter;
pub(crate) use starts::offered_per_s;

use crate::histogram::Distribution;
use crate::joined::Joined;
use crate::plan::Model;
use crate::statistics::Estimate;
use serde::{Deserialize, Serialize};

/// The clock (or the count) that a figure is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Real time on the harness's monotonic clock.
    Harness,
    /// Real time on the target's own clock.
    Target,
    /// The workflow's own seconds: real time × speed.
    Workflow,
    /// Not a time.
    None,
}

/// One number, the same record in summaries, gates and comparisons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// `level/name`, e.g. `10x/queue_wait_p99_s`; names that span levels have no prefix.
    pub name: String,
    /// The value; `None` when there is not enough evidence for one.
    pub value: Option<f64>,
    /// Lower end of the 95 % confidence interval, where the method gives one.
    pub lo: Option<f64>,
    /// Upper end of it.
    pub hi: Option<f64>,
    /// Samples behind it.
    pub n: u64,
    /// How it was got, one short phrase: `order statistic`, `all of n`, `ratio of counts`, `median of paired ratios`.
    pub method: String,
    /// The clock that it is on.
    pub clock: Clock,
    /// `s`, `ms`, `ratio`, `count`, `1/s`, `MiB`, `MiB/min`, `1/min`.
    pub unit: String,
    /// How the load of its level was offered: a closed figure hides what an open one shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Model>,
    /// Why there is no value: `needs 59`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Which clock and unit a figure is on, and what its samples are multiplied with to get there.
#[derive(Debug, Clone, Copy)]
struct Scale {
    clock: Clock,
    unit: &'static str,
    factor: f64,
}

impl Scale {
    /// From real nanoseconds to workflow seconds.
    fn workflow(speed: f64) -> Self {
        Self { clock: Clock::Workflow, unit: "s", factor: speed / 1e9 }
    }

    /// From real nanoseconds to milliseconds of the harness's clock.
    const HARNESS_MS: Self = Self { clock: Clock::Harness, unit: "ms", factor: 1e-6 };
    /// From real nanoseconds to seconds of the harness's clock.
    const HARNESS_S: Self = Self { clock: Clock::Harness, unit: "s", factor: 1e-9 };
    /// A share of something.
    const RATIO: Self = Self { clock: Clock::None, unit: "ratio", factor: 1.0 };
    /// A number of things.
    const COUNT: Self = Self { clock: Clock::None, unit: "count", factor: 1.0 };
    /// Memory.
    const MIB: Self = Self { clock: Clock::None, unit: "MiB", factor: 1.0 };
    /// Memory per real minute.
    const MIB_PER_MIN: Self = Self { clock: Clock::Harness, unit: "MiB/min", factor: 1.0 };
    /// Growth per real minute, as a share or a number.
    const PER_MIN: Self = Self { clock: Clock::Harness, unit: "1/min", factor: 1.0 };
    /// Things per real second.
    const PER_S: Self = Self { clock: Clock::Harness, unit: "1/s", factor: 1.0 };
}

impl Measure {
    fn estimate(name: String, estimate: Estimate, scale: Scale) -> Self {
        let scaled = |v: Option<f64>| v.map(|v| v * scale.factor);
        Self {
            name,
            value: scaled(estimate.value),
            lo: scaled(estimate.lo),
            hi: scaled(estimate.hi),
            n: estimate.n,
            method: estimate.method.to_owned(),
            clock: scale.clock,
            unit: scale.unit.to_owned(),
            load: None,
            missing: estimate.missing,
        }
    }

    /// A figure without an interval, such as one that was counted or is the extreme of all there are.
    fn plain(name: String, value: Option<f64>, n: u64, method: &'static str, scale: Scale) -> Self {
        let missing = value.is_none().then(|| "needs 1".to_owned());
        Self::estimate(name, Estimate { value, lo: None, hi: None, n, method, missing }, scale)
    }

    fn count(name: String, count: usize) -> Self {
        Self::plain(name, Some(count as f64), count as u64, "count", Scale::COUNT)
    }

    /// Says why there is no value, where there is none.
    fn with_reason(mut self, reason: &str) -> Self {
        if self.value.is_none() {
            self.missing = Some(reason.to_owned());
        }
        self
    }

    fn ratio(name: String, part: usize, whole: usize) -> Self {
        let value = (whole > 0).then(|| part as f64 / whole as f64);
        Self::plain(name, value, whole as u64, "ratio of counts", Scale::RATIO)
    }
}

/// `PREFIX_p50_UNIT` and so on for the percentiles asked for, of samples in nanoseconds.
fn percentiles(
    out: &mut Vec<Measure>,
    samples: &Distribution,
    which: &[u32],
    name: impl Fn(&str) -> String,
    scale: Scale,
) {
    for p in which {
        let estimate = samples.percentile(f64::from(*p) / 100.0);
        out.push(Measure::estimate(name(&format!("p{p}")), estimate, scale));
    }
}

/// Every measure of a run: level by level in the order of the plan, then those that span levels.
pub fn all(run: &Joined<'_>) -> Vec<Measure> {
    let mut out = Vec::new();
    for level in &run.levels {
        let before = out.len();
        success::measure(level, &mut out);
        duration::measure(level, run.speed, &mut out);
        queue::measure(level, run.speed, &mut out);
        api::measure(level, &mut out);
        requests::measure(level, &mut out);
        starts::measure(level, &mut out);
        availability::measure(level, run.plan, &mut out);
        throughput::measure(level, &mut out);
        backlog::measure(level, &mut out);
        drift::measure(level, &mut out);
        turnaround::measure(level, run.history, &mut out);
        driver::measure(level, run.history, &mut out);
        resource::measure(level, run.history, &mut out);
        host::measure(level, run.history, &mut out);
        out[before..].iter_mut().for_each(|m| m.load = Some(level.level.model));
    }
    across::measure(run, &mut out);
    resource::peaks(run.history, &mut out);
    turnaround::disk(run.history, &mut out);
    out
}

/// The measure of a name.
pub fn find<'m>(measures: &'m [Measure], name: &str) -> Option<&'m Measure> {
    measures.iter().find(|m| m.name == name)
}
