//! Starts as whoever asks for them sees them: from when they were due, and how many there were room for.
//!
//! A start that had to wait for a stalled target, or for a late driver, waited: its time counts from when it was due.
//! Under closed load a start is due when its place falls free, so a stall delays few starts and hides; the measures
//! carry the model with them.

use super::{Measure, Scale, percentiles};
use crate::histogram::Distribution;
use crate::history::Outcome;
use crate::joined::{LevelRun, WorkflowRun};

pub(super) fn measure(level: &LevelRun<'_>, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}", level.level.name);
    let starts = || level.workflows.iter().filter_map(|w| w.start);
    let accepted = starts().filter(|s| s.outcome == Outcome::Ok);
    let responses: Distribution = accepted.map(|s| s.done_ns.saturating_sub(s.due_ns)).collect();
    let named = |p: &str| name(&format!("start_response_{p}_ms"));
    percentiles(out, &responses, &[50, 95, 99], named, Scale::HARNESS_MS);
    let (peak, n) = most_in_flight(level);
    out.push(Measure::plain(name("in_flight_max"), peak, n, "largest of all instants", Scale::COUNT));
    if let Some(open) = &level.level.open {
        let length_s = open.length_s();
        let rate = |n: u64| (length_s > 0.0).then(|| n as f64 / length_s);
        let method = "starts / length of the stages";
        let plain = |n: &str, count| Measure::plain(name(n), rate(count), count, method, Scale::PER_S);
        out.push(plain("starts_offered_per_s", level.workflows.len() as u64));
        out.push(plain("starts_accepted_per_s", responses.n()));
        let shed = level.workflows.iter().filter(|w| w.shed.is_some()).count();
        out.push(Measure::count(name("starts_shed"), shed));
        out.push(Measure::ratio(name("shed_ratio"), shed, level.workflows.len()));
    }
    if level.is_mixed() {
        level.templates.iter().for_each(|template| one_of_a_mix(level, &template.name, out));
    }
}

/// Arrivals per real second in the plan of an open level.
pub(crate) fn offered_per_s(level: &LevelRun<'_>) -> Option<f64> {
    let length_s = level.level.open.as_ref()?.length_s();
    (length_s > 0.0).then(|| level.workflows.len() as f64 / length_s)
}

/// Most workflows that were started and not yet seen to have ended, and how many there were in all.
fn most_in_flight(level: &LevelRun<'_>) -> (Option<f64>, u64) {
    let mut events: Vec<(u64, i64)> = Vec::new();
    let mut n = 0;
    for workflow in &level.workflows {
        let Some(start) = workflow.start.filter(|s| s.outcome != Outcome::Failed) else { continue };
        n += 1;
        events.push((start.sent_ns, 1));
        if let Some(observed) = workflow.observed {
            events.push((observed.done_ns, -1));
        }
    }
    // One that ends and one that starts at the same instant were never both there.
    events.sort_unstable();
    let peak = events.iter().scan(0, |now, (_, step)| {
        *now += step;
        Some(*now)
    });
    (peak.max().map(|peak| peak as f64), n)
}

/// `NAME.TEMPLATE` for what a mix must not blur: whether one kind is held up by another.
fn one_of_a_mix(level: &LevelRun<'_>, template: &str, out: &mut Vec<Measure>) {
    let name = |n: &str| format!("{}/{n}.{template}", level.level.name);
    let own: Vec<&WorkflowRun<'_>> =
        level.workflows.iter().filter(|w| w.template.name == template && w.attempted()).collect();
    let completed = || own.iter().filter(|w| w.started() && w.completed());
    out.push(Measure::ratio(name("workflow_success"), completed().count(), own.len()));
    let responses: Distribution =
        completed().filter_map(|w| Some(w.observed?.done_ns.saturating_sub(w.start?.due_ns))).collect();
    percentiles(out, &responses, &[50, 95, 99], |p| name(&format!("response_{p}_s")), Scale::HARNESS_S);
    let makespans: Distribution =
        completed().filter_map(|w| w.makespan_s()).map(|s| (s * 1e9) as u64).collect();
    percentiles(out, &makespans, &[50, 95], |p| name(&format!("makespan_real_{p}_s")), Scale::HARNESS_S);
}
