//! How fast the target answered: the service time of plain requests, from sent to done.
//!
//! Long polls aren't in it: how long they take says how much there is to do. What was refused or not answered
//! isn't either; the file beside this one counts it.

use super::{Measure, Scale, percentiles};
use crate::histogram::Distribution;
use crate::history::{Outcome, Reported};
use crate::joined::LevelRun;
use std::collections::BTreeMap;

pub(super) fn measure(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let samples = samples(level);
    let pooled: Distribution = samples.iter().map(|s| s.took_ns).collect();
    percentiles(out, &pooled, &[50, 95, 99], |p| name(&format!("api_{p}_ms")), Scale::HARNESS_MS);
    let mut by_op: BTreeMap<&str, Distribution> =
        ["start", "update", "status"].into_iter().map(|op| (op, Distribution::default())).collect();
    for sample in &samples {
        by_op.entry(sample.op).or_default().record(sample.took_ns);
    }
    for (op, distribution) in &by_op {
        percentiles(out, distribution, &[50, 99], |p| name(&format!("api_{p}_ms.{op}")), Scale::HARNESS_MS);
    }
}

/// One answered request.
pub(crate) struct Sample<'a> {
    /// What was asked.
    pub(crate) op: &'a str,
    /// When it was answered, harness's clock.
    pub(crate) done_ns: u64,
    /// From sent to done, nanoseconds.
    pub(crate) took_ns: u64,
}

/// Every plain request of a level that was answered with a yes.
pub(crate) fn samples<'a>(level: &LevelRun<'a>) -> Vec<Sample<'a>> {
    let sample =
        |op, sent_ns: u64, done_ns: u64| Sample { op, done_ns, took_ns: done_ns.saturating_sub(sent_ns) };
    let starts = level.workflows.iter().filter_map(|w| w.start).filter(|s| s.outcome == Outcome::Ok);
    // An update that was sent again spans all its tries, so its time is not that of one request.
    let updates = level
        .executions()
        .filter(|e| e.outcome == Outcome::Ok && e.tries == 1 && e.reported != Reported::Nothing);
    let calls = level.calls.iter().filter(|c| c.outcome == Outcome::Ok && !c.op.starts_with("poll"));
    starts
        .map(|s| sample("start", s.sent_ns, s.done_ns))
        .chain(updates.map(|e| sample("update", e.update_sent_ns, e.update_done_ns)))
        .chain(calls.map(|c| sample(c.op.as_str(), c.sent_ns, c.done_ns)))
        .collect()
}
