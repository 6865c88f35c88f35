//! How much was done, how much was under way, and what was turned away, over time.

use super::over_time::{numbers, of_stretches, rates};
use super::{Context, NOTHING, WIDE, section};
use crate::history::{Execution, Outcome, Start};
use crate::joined::LevelRun;
use crate::measure;
use crate::plan::Model;
use crate::render::html::chart::line::Stroke;
use crate::render::html::figure::Figure;
use crate::render::html::markup::Markup;
use crate::render::units;

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    section(m, "throughput", "Throughput, backlog and refusals over time", |m| {
        let figures = [workflows(context), tasks(context), in_flight(context), refused(context)];
        let mut drawn = figures.into_iter().flatten().peekable();
        if drawn.peek().is_none() {
            m.element("p", &[], NOTHING);
        }
        drawn.for_each(|figure| figure.write(m));
    });
}

fn starts<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Start> {
    context.run.workflows().filter_map(|w| w.start)
}

fn executions<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Execution> {
    context.run.levels.iter().flat_map(LevelRun::executions)
}

fn workflows(context: &Context<'_>) -> Option<Figure> {
    let t = &context.timeline;
    let started = starts(context).filter(|s| s.outcome == Outcome::Ok).map(|s| s.done_ns);
    let done = context.run.workflows().filter(|w| w.completed()).filter_map(|w| Some(w.observed?.done_ns));
    let mut counted = vec![("started", 0, t.counts(started)), ("completed", 2, t.counts(done))];
    let mut how = "Acknowledged starts, and completions as the load saw them.".to_owned();
    if context.run.levels.iter().any(|l| l.level.model == Model::Open) {
        let sent = starts(context).map(|s| s.due_ns);
        let due = t.counts(sent.chain(context.run.workflows().filter_map(|w| Some(w.shed?.due_ns))));
        let shed = t.counts(context.run.workflows().filter_map(|w| Some(w.shed?.at_ns)));
        how += " Due: what the plan wanted by then; shed: due and held back by the driver at its cap.";
        counted.insert(0, ("due", 6, due));
        counted.push(("shed", 1, shed));
    }
    rates(context, ("Workflows started and completed", &how), counted)
}

fn tasks(context: &Context<'_>) -> Option<Figure> {
    let t = &context.timeline;
    let handed = executions(context).map(|e| e.polled_ns);
    let done = context.run.workflows().flat_map(|w| w.executions.iter().filter(|e| w.is_accepted(e)));
    let words = ("Tasks handed out and completed", "Hand-outs to workers, and completions that count.");
    let done = t.counts(done.map(|e| e.update_done_ns));
    rates(context, words, vec![("handed out", 0, t.counts(handed)), ("completed", 2, done)])
}

fn in_flight(context: &Context<'_>) -> Option<Figure> {
    let t = &context.timeline;
    let end = u64::MAX;
    let started = context.run.workflows().filter(|w| w.started());
    let workflows = started.filter_map(|w| Some((w.start?.sent_ns, w.observed.map_or(end, |o| o.done_ns))));
    let waits = executions(context).filter_map(|e| {
        let waited = measure::wait_ns(e)?;
        Some((e.started_ns.saturating_sub(waited), e.started_ns))
    });
    let work = executions(context).map(|e| (e.started_ns, e.finished_ns));
    let counted = [
        ("workflows in flight", 0, t.most_at_once(workflows)),
        ("tasks at work", 2, t.most_at_once(work)),
        ("tasks waiting", 1, t.most_at_once(waits)),
    ];
    if counted.iter().all(|(_, _, most)| most.iter().all(|n| *n == 0)) {
        return None;
    }
    let series = counted.into_iter().map(|(name, colour, most)| {
        of_stretches(name, colour, Stroke::Line, t, most.into_iter().map(|n| Some(n as f64)))
    });
    let how = format!(
        "The most at once in each stretch of {}. Waiting: scheduled and not begun.",
        units::value(t.step_s(), "s")
    );
    Some(numbers(context, ("In flight and waiting", &how), ("at once", "count"), WIDE, series.collect(), &[]))
}

/// Everything that was asked and not answered with a yes; nothing is drawn of a run in which all was.
fn refused(context: &Context<'_>) -> Option<Figure> {
    let t = &context.timeline;
    let of = |outcome: Outcome| {
        let starts = starts(context).filter(move |s| s.outcome == outcome).map(|s| s.done_ns);
        let updates = executions(context).filter(move |e| e.outcome == outcome).map(|e| e.update_done_ns);
        let calls = context.run.levels.iter().flat_map(|l| l.calls.iter());
        let calls = calls.filter(move |c| c.outcome == outcome).map(|c| c.done_ns);
        (t.counts(starts), t.counts(updates.chain(calls)))
    };
    let ((refused, failed), (unsure, unanswered)) = (of(Outcome::Failed), of(Outcome::Unknown));
    let counted = vec![
        ("starts refused", 1, refused),
        ("starts without an answer", 3, unsure),
        ("other requests refused", 0, failed),
        ("other requests without an answer", 6, unanswered),
    ];
    let how = "Answered with a no (nothing happened), or not answered (it may have happened).";
    rates(context, ("Refused and unanswered requests", how), counted)
}
