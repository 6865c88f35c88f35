//! How long things took: level by level with intervals, as whole curves, and over time.

use super::over_time::{self, Timed};
use super::{Context, HALF, MOST_ROWS, NOTHING, interval, section};
use crate::histogram::Distribution;
use crate::history::{Outcome, Start};
use crate::joined::{LevelRun, WorkflowRun};
use crate::measure::{self, Measure};
use crate::render::html::chart::line::{Lines, Series, Stroke};
use crate::render::html::chart::scale::Scale;
use crate::render::html::chart::whiskers::{self, Point, Row};
use crate::render::html::figure::{Figure, Key};
use crate::render::html::markup::Markup;
use crate::render::html::table::Table;
use crate::render::units;

/// Percentiles of a measure that are drawn: end of the measure's name, word, colour.
type Shown = &'static [(&'static str, &'static str, usize)];

const REQUESTS: Shown = &[("api_p50_ms", "p50", 0), ("api_p95_ms", "p95", 2), ("api_p99_ms", "p99", 1)];
const WAITS: Shown = &[
    ("queue_wait_p50_s", "p50", 0),
    ("queue_wait_p95_s", "p95", 2),
    ("queue_wait_p99_s", "p99", 1),
    ("queue_wait_max_s", "largest", 6),
];
const MAKESPANS: Shown = &[
    ("makespan_min_s", "least", 6),
    ("makespan_p50_s", "p50", 0),
    ("makespan_p95_s", "p95", 2),
    ("makespan_max_s", "largest", 6),
];
/// Distance of the points of a curve, in nines.
const CURVE_STEP: f64 = 0.05;

/// Writes the sections.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    section(m, "latency", "Latency by level", |m| {
        m.within("div", &[("class", &"grid2")], |m| {
            let sent = "Service time of answered requests: sent to answered.";
            by_level(context, "Requests", sent, REQUESTS).write(m);
            let waited = "From scheduled to the start of the work; first hand-outs of first attempts.";
            by_level(context, "Queue wait", waited, WAITS).write(m);
            let requests = |l: &LevelRun<'_>| measure::api_samples(l).iter().map(|s| s.took_ns).collect();
            curves(context, "Requests: the whole curve", "real time", 1e-9, &requests).write(m);
            let waits = |l: &LevelRun<'_>| l.executions().filter_map(measure::wait_ns).collect();
            curves(context, "Queue wait: the whole curve", "workflow time", context.run.speed / 1e9, &waits)
                .write(m);
            let how = "Due (response) or sent (service) to acknowledged.";
            response_and_service(context, "Starts", how, of_starts).write(m);
            let how = "Due (response) or sent (service) to seen to have ended, of completed workflows.";
            response_and_service(context, "Workflows", how, of_workflows).write(m);
            by_level(context, "Makespan", "Created to ended, of completed workflows.", MAKESPANS).write(m);
            let responses = |l: &LevelRun<'_>| of_workflows(l, true).into_iter().map(|s| s.1).collect();
            curves(context, "Response of workflows: the whole curve", "real time", 1e-9, &responses).write(m);
        });
    });
    section(m, "latency-over-time", "Latency over time", |m| {
        let figures = [requests(context), starts(context), waits(context), workflows(context)];
        let mut drawn = figures.into_iter().flatten().peekable();
        if drawn.peek().is_none() {
            m.element("p", &[], NOTHING);
        }
        drawn.for_each(|figure| figure.write(m));
    });
}

/// Percentiles of one kind, a row a level, from the measures of the summary.
fn by_level(context: &Context<'_>, title: &str, how: &str, shown: Shown) -> Figure {
    let header = ["level", "load", "figure", "value", "95 % interval", "n", "method", "clock"];
    let mut table = Table::new(&format!("{title} by level"), &header);
    let mut rows = Vec::new();
    for level in context.pictured() {
        let (name, load) = (&level.level.name, level.level.model.word());
        let found: Vec<(&Measure, &str, usize)> = shown
            .iter()
            .filter_map(|(end, word, colour)| Some((context.measure(name, end)?, *word, *colour)))
            .collect();
        for (measure, word, _) in &found {
            table.row(vec![
                name.as_str().into(),
                load.into(),
                (*word).into(),
                context.shown(name, measure.name.rsplit('/').next().unwrap_or_default()).into(),
                interval(measure.lo, measure.hi, &measure.unit).into(),
                measure.n.to_string().into(),
                measure.method.as_str().into(),
                units::clock(measure.clock).into(),
            ]);
        }
        let points =
            found.iter().filter_map(|(measure, word, colour)| point(measure, word, *colour)).collect();
        rows.push(Row { name: name.clone(), points, empty: "too few samples".to_owned() });
    }
    let clock = shown.first().and_then(|(end, ..)| {
        let level = context.run.levels.first()?;
        Some(units::clock(context.measure(&level.level.name, end)?.clock))
    });
    let mut legend: Vec<Key> = Vec::new();
    for (_, word, colour) in shown {
        match legend.iter_mut().find(|key| key.colour == *colour) {
            Some(key) => key.name = format!("{} and {word}", key.name),
            None => legend.push(Key::dot(*colour, word)),
        }
    }
    drawn(context, title, how, clock.unwrap_or(""), rows, legend, table)
}

fn drawn(
    context: &Context<'_>,
    title: &str,
    how: &str,
    clock: &str,
    rows: Vec<Row>,
    legend: Vec<Key>,
    table: Table,
) -> Figure {
    let mut picture = Markup::default();
    whiskers::draw(&mut picture, &format!("{title} by level"), HALF, clock, &rows);
    let mut loads: Vec<&str> = context.run.levels.iter().map(|l| l.level.model.word()).collect();
    loads.dedup();
    Figure {
        title: title.to_owned(),
        how: format!("{how} {} load; whiskers: 95 % intervals.", capital(&loads.join(" and "))),
        legend,
        picture,
        table: Some(table.cut(MOST_ROWS, "summary.json holds all of them.")),
        half: true,
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |c| c.to_uppercase().chain(characters).collect())
}

fn point(measure: &Measure, word: &str, colour: usize) -> Option<Point> {
    let to_s = if measure.unit == "ms" { 1e-3 } else { 1.0 };
    let value = measure.value? * to_s;
    let interval = measure.lo.zip(measure.hi).map(|(lo, hi)| (lo * to_s, hi * to_s));
    Some(Point { colour, value, interval, title: format!("{word}: {}", units::measured(measure)) })
}

/// Response and service time, a row each of a level.
fn response_and_service(context: &Context<'_>, what: &str, how: &str, spans: Spans) -> Figure {
    let header = ["level", "load", "time", "figure", "value", "95 % interval", "n", "clock"];
    let title = format!("{what}: response and service");
    let mut table = Table::new(&format!("{title} by level"), &header);
    let mut rows = Vec::new();
    for level in context.pictured() {
        let (name, load) = (&level.level.name, level.level.model.word());
        for (kind, from_due) in [("response", true), ("service", false)] {
            let samples: Distribution = spans(level, from_due).into_iter().map(|(_, took)| took).collect();
            let mut points = Vec::new();
            for (word, q, colour) in [("p50", 0.5, 0), ("p95", 0.95, 2), ("p99", 0.99, 1)] {
                let e = samples.percentile(q);
                let [value, lo, hi] = [e.value, e.lo, e.hi].map(|v| v.map(|ns| ns / 1e9));
                let text = value.map_or_else(
                    || format!("n/a ({})", e.missing.as_deref().unwrap_or("no evidence")),
                    |v| units::value(v, "s"),
                );
                let title = format!("{kind} {word}: {text}, n {}", e.n);
                points.extend(value.map(|value| Point { colour, value, interval: lo.zip(hi), title }));
                let [level, load, kind, word] = [name.as_str(), load, kind, word].map(Into::into);
                let (ends, n) = (interval(lo, hi, "s").into(), e.n.to_string().into());
                table.row(vec![level, load, kind, word, text.into(), ends, n, "real time".into()]);
            }
            rows.push(Row { name: format!("{name} {kind}"), points, empty: "too few samples".to_owned() });
        }
    }
    let legend = vec![Key::dot(0, "p50"), Key::dot(2, "p95"), Key::dot(1, "p99")];
    drawn(context, &title, how, "real time", rows, legend, table)
}

/// When things ended, and how long that was after they were due (true) or sent.
type Spans = fn(&LevelRun<'_>, bool) -> Vec<(u64, u64)>;

/// When accepted starts were answered.
fn of_starts(level: &LevelRun<'_>, from_due: bool) -> Vec<(u64, u64)> {
    let starts = level.workflows.iter().filter_map(|w| w.start).filter(|s| s.outcome == Outcome::Ok);
    let from_ns = |s: &Start| if from_due { s.due_ns } else { s.sent_ns };
    starts.map(|s| (s.done_ns, s.done_ns.saturating_sub(from_ns(s)))).collect()
}

/// When completed workflows were seen to have ended.
fn of_workflows(level: &LevelRun<'_>, from_due: bool) -> Vec<(u64, u64)> {
    let span = |w: &WorkflowRun<'_>| {
        let (start, done_ns) = (w.start?, w.observed?.done_ns);
        let from_ns = if from_due { start.due_ns } else { start.sent_ns };
        Some((done_ns, done_ns.saturating_sub(from_ns)))
    };
    level.completed().filter_map(span).collect()
}

/// Every quantile that the samples bound, a curve a level.
fn curves(
    context: &Context<'_>,
    title: &str,
    clock: &str,
    factor: f64,
    samples: &dyn Fn(&LevelRun<'_>) -> Distribution,
) -> Figure {
    let mut table = Table::new(title, &["level", "quantile", "value", "95 % interval", "n"]);
    let mut series = Vec::new();
    for (i, level) in context.pictured().into_iter().enumerate() {
        let samples = samples(level);
        let name = level.level.name.clone();
        let mut curve =
            Series { name, colour: i, stroke: Stroke::Line, points: Vec::new(), interval: Vec::new() };
        for step in 1..=80 {
            let q = 1.0 - 10f64.powf(-CURVE_STEP * f64::from(step));
            let e = samples.percentile(q);
            let Some(value) = e.value.map(|v| v * factor) else { continue };
            let (lo, hi) = (e.lo.map_or(value, |v| v * factor), e.hi.map_or(value, |v| v * factor));
            curve.points.push((q, Some(value)));
            curve.interval.push((q, lo, hi));
            let (level, q) = (curve.name.as_str().into(), format!("{:.3} %", q * 100.0).into());
            let ends = interval(Some(lo), Some(hi), "s").into();
            table.row(vec![level, q, units::value(value, "s").into(), ends, e.n.to_string().into()]);
        }
        series.push(curve);
    }
    series.retain(|s| !s.points.is_empty());
    let values = series.iter().flat_map(|s| s.interval.iter().flat_map(|(_, lo, hi)| [*lo, *hi]));
    let y = Scale::durations(values);
    let most = series.iter().filter_map(|s| Some(s.points.last()?.0)).fold(0.9, f64::max);
    let mut picture = Markup::default();
    Lines {
        label: &format!("{title}: time by quantile and level"),
        size: (HALF, 270.0),
        x: (Scale::quantiles(most), "share of the samples that took at most so long"),
        y: (y, clock),
        bands: &[],
        series: &series,
        marks: &[],
        hints: &[],
    }
    .draw(&mut picture);
    Figure {
        title: title.to_owned(),
        how: "As far as the samples bound it; shaded: 95 % intervals.".to_owned(),
        legend: series.iter().map(Key::of).collect(),
        picture,
        table: Some(table.thinned(MOST_ROWS)),
        half: true,
    }
}

fn requests(context: &Context<'_>) -> Option<Figure> {
    let samples = context.run.levels.iter().flat_map(measure::api_samples);
    let timed = Timed {
        title: "Requests",
        how: "Service time of answered requests, by when they were answered.",
        axis: "real time",
        factor: 1e-9,
        samples: samples.map(|s| (s.done_ns, s.took_ns)).collect(),
        beside: None,
    };
    over_time::percentiles(context, &timed)
}

fn waits(context: &Context<'_>) -> Option<Figure> {
    let executions = context.run.levels.iter().flat_map(LevelRun::executions);
    let timed = Timed {
        title: "Queue wait",
        how: "From scheduled to the start of the work, by when the work began.",
        axis: "workflow time",
        factor: context.run.speed / 1e9,
        samples: executions.filter_map(|e| Some((e.started_ns, measure::wait_ns(e)?))).collect(),
        beside: None,
    };
    over_time::percentiles(context, &timed)
}

fn starts(context: &Context<'_>) -> Option<Figure> {
    let all = |from_due| context.run.levels.iter().flat_map(|l| of_starts(l, from_due)).collect();
    let timed = Timed {
        title: "Starts: response and service",
        how: "Response (due to acknowledged) of accepted starts, by when they were acknowledged, with the median \
              service time (from sent) beside it.",
        axis: "real time",
        factor: 1e-9,
        samples: all(true),
        beside: Some(("p50 service", all(false))),
    };
    over_time::percentiles(context, &timed)
}

fn workflows(context: &Context<'_>) -> Option<Figure> {
    let all = |from_due| context.run.levels.iter().flat_map(|l| of_workflows(l, from_due)).collect();
    let timed = Timed {
        title: "Workflows: response and service",
        how: "Response (due to seen to have ended) of completed workflows, by when they ended, with the median \
              service time (from sent) beside it.",
        axis: "real time",
        factor: 1e-9,
        samples: all(true),
        beside: Some(("p50 service", all(false))),
    };
    over_time::percentiles(context, &timed)
}
