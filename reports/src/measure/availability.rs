//! Availability, as probes show it: the share of those that were due which were acknowledged within their deadline.

use super::{Measure, Scale};
use crate::joined::LevelRun;
use crate::plan::Plan;
use crate::recovery;

pub(super) fn measure(level: &LevelRun<'_>, plan: &Plan, out: &mut Vec<Measure>) {
    if !level.level.probes {
        return;
    }
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let seen = recovery::available(level, plan.terms.as_ref());
    let share =
        Measure::plain(name("availability"), seen.share, seen.due, "probes, Wilson's score", Scale::RATIO);
    out.push(Measure { lo: seen.lo, hi: seen.hi, ..share });
    let method = "seconds with a success and at most half failed";
    out.push(Measure::plain(
        name("availability_by_second"),
        seen.by_second,
        seen.seconds,
        method,
        Scale::RATIO,
    ));
}
