//! How much was done per second, and whether the accounts of it agree.

use super::{Measure, Scale};
use crate::joined::LevelRun;

pub(super) fn measure(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let window_s = level.window_s();
    let rate = |n: usize| window_s.map(|s| n as f64 / s);
    let inside = |at_ns: u64| level.window_ns().is_some_and(|(b, e)| (b..=e).contains(&at_ns));
    let workflows = level.completed().filter(|w| w.observed.is_some_and(|o| inside(o.done_ns))).count();
    let tasks = level
        .workflows
        .iter()
        .flat_map(|w| w.executions.iter().filter(|e| w.is_accepted(e)))
        .filter(|e| inside(e.update_done_ns))
        .count();
    let method = "completions in the window";
    let plain =
        |n: &str, count: usize| Measure::plain(name(n), rate(count), count as u64, method, Scale::PER_S);
    out.push(plain("throughput_workflows_per_s", workflows));
    out.push(plain("throughput_tasks_per_s", tasks));
    // Nobody watches for the ends of probes, so nobody knows how many are in flight.
    if !level.level.probes {
        out.push(littles_law(level, name("littles_law_error")));
    }
}

/// By how much N differs from X·R (Little's law, in *Operations Research* 9(3), 1961), as a share of N.
///
/// The two sides come from different witnesses, or they would agree by construction: N is integrated over the
/// harness's own starts and sightings of ends, X and R are counted and averaged from the target's records. A
/// workflow whose end the harness missed, or saw late, makes N too large. What the reading interval makes of
/// it is known, so the lower end of the figure has that taken off. Workflows that lived through a fault are left out:
/// their ends were seen late because the target was down, and a fault may have moved its clock.
fn littles_law(level: &LevelRun<'_>, name: String) -> Measure {
    let Some((began, ended)) = level.window_ns() else {
        return Measure::plain(name, None, 0, "N against X·R", Scale::RATIO);
    };
    let window_s = (ended - began) as f64 / 1e9;
    let (mut in_flight_s, mut unsure_s, mut served_s, mut count) = (0.0, 0.0, 0.0, 0u64);
    for workflow in &level.workflows {
        let (Some(start), Some(record)) = (workflow.start, workflow.record()) else { continue };
        // What never ended is another matter: the check for stuck workflows tells of it.
        if record.ended_ms < record.created_ms {
            continue;
        }
        let until = workflow.observed.map_or(ended, |o| o.done_ns).min(ended);
        if level.is_disturbed(start.due_ns, until) {
            continue;
        }
        in_flight_s += until.saturating_sub(start.sent_ns.max(began)) as f64 / 1e9;
        // When the target created it is known no better than the start took, and its end than the reads lie apart.
        let answered_ns = start.done_ns.saturating_sub(start.sent_ns);
        unsure_s += (answered_ns + workflow.observed.map_or(0, |o| o.resolution_ns)) as f64 / 1e9;
        served_s += (record.ended_ms - record.created_ms) as f64 / 1e3;
        count += 1;
    }
    let n = in_flight_s / window_s;
    let x_times_r = (count as f64 / window_s) * (served_s / count.max(1) as f64);
    let value = (n > 0.0).then(|| (n - x_times_r).abs() / n);
    let measure = Measure::plain(name, value, count, "N against X·R", Scale::RATIO);
    let lo = value.map(|v| (v - unsure_s / in_flight_s).max(0.0));
    Measure { lo, hi: value, ..measure }
}
