//! A measure: one number with everything that is needed to believe it.

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
    /// `s`, `ms`, `ratio`, `count`, `1/s`.
    pub unit: String,
    /// Why there is no value: `needs 59`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}
