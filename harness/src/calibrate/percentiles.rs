//! Percentiles that the reports tell beside those of the law, or of the stall, that was planted.

use super::compare::Row;
use super::law::Law;
use super::pass::{ANSWERS, Pass, Passed, WAITS};
use super::truth::Deed;
use shakedown_reports::statistics::nearest_rank;

/// Most by which one may be off, as a share.
const ALLOWED: f64 = 0.01;

/// The rows of a pass; none where nothing of the kind was planted.
pub fn rows(pass: &Pass, passed: &Passed) -> Vec<Row> {
    let mut rows = Vec::new();
    if !pass.script.answers_ns.is_empty() {
        // A start's response time is in milliseconds, a wait in seconds.
        of_law("answers to starts", &ANSWERS, "law/start_response_", "_ms", 1.0, passed, &mut rows);
        of_law("waits of tasks", &WAITS, "law/queue_wait_", "_s", 1e3, passed, &mut rows);
    }
    for stall in &passed.deeds {
        if let Deed::Stall { level, began_ns, ended_ns } = stall {
            of_stall(level, *began_ns, *ended_ns, passed, &mut rows);
        }
    }
    rows
}

fn of_law(
    what: &str,
    law: &Law,
    prefix: &str,
    suffix: &str,
    to_ms: f64,
    passed: &Passed,
    rows: &mut Vec<Row>,
) {
    for p in [50, 95, 99] {
        let told = value(passed, &format!("{prefix}p{p}{suffix}")).map(|told| told * to_ms);
        let planted_ms = law.quantile_ns(f64::from(p) / 100.0) / 1e6;
        rows.push(Row::share(format!("{what} by a known law, p{p}"), planted_ms, told, ALLOWED));
    }
}

/// Whoever was due while nothing was answered waited for the end of it, from when they were due.
fn of_stall(level: &str, began_ns: u64, ended_ns: u64, passed: &Passed, rows: &mut Vec<Row>) {
    let Some(level_began) = passed.history.began.iter().find(|mark| mark.level == level) else { return };
    let due = passed.plan.of_level(level).filter_map(|one| Some(level_began.at_ns + one.due_ns?));
    let held = |due_ns| if (began_ns..ended_ns).contains(&due_ns) { ended_ns - due_ns } else { 0 };
    let mut waits_ns: Vec<u64> = due.map(held).collect();
    waits_ns.sort_unstable();
    for p in [95, 99] {
        let rank = nearest_rank(waits_ns.len() as u64, f64::from(p) / 100.0);
        let at = usize::try_from(rank).unwrap_or(usize::MAX).saturating_sub(1);
        let planted_ms = waits_ns.get(at).map_or(0.0, |ns| milliseconds(*ns));
        let told = value(passed, &format!("{level}/start_response_p{p}_ms"));
        let stall_ms = milliseconds(ended_ns - began_ns);
        let what = format!("starts over a stall of {stall_ms:.0} ms, p{p}");
        rows.push(Row::share(what, planted_ms, told, ALLOWED));
    }
}

fn value(passed: &Passed, name: &str) -> Option<f64> {
    passed.summary.measure(name)?.value
}

#[expect(clippy::cast_precision_loss, reason = "some seconds in nanoseconds are far below 2^53")]
fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}
