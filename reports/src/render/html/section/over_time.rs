//! Figures along the run: percentiles and counts of what ended in each stretch of it.

use super::{Context, MOST_ROWS, WIDE, seconds};
use crate::histogram::Distribution;
use crate::render::html::chart::line::{Lines, Mark, Series, Stroke};
use crate::render::html::chart::scale::{Quantity, Scale};
use crate::render::html::figure::{Figure, Key};
use crate::render::html::markup::Markup;
use crate::render::html::table::{Cell, Table};
use crate::render::units;
use crate::timeline::Timeline;

/// Percentiles that are drawn, with their colours.
const PERCENTILES: [(&str, f64, usize); 3] = [("p50", 0.50, 0), ("p95", 0.95, 2), ("p99", 0.99, 1)];
/// Name of the axis of time.
const SINCE: &str = "real time since the run's start";

/// One kind of thing that took time.
pub(super) struct Timed<'a> {
    /// Title of the figure.
    pub(super) title: &'a str,
    /// How it was measured.
    pub(super) how: &'a str,
    /// What the values are, and the clock that they are on.
    pub(super) axis: &'a str,
    /// Seconds on that clock in a real nanosecond.
    pub(super) factor: f64,
    /// Instants of ends and how long each took, nanoseconds of real time.
    pub(super) samples: Vec<(u64, u64)>,
    /// The same with another beginning, drawn as one more median: its name and samples.
    pub(super) beside: Option<(&'a str, Vec<(u64, u64)>)>,
}

/// Percentiles over time, with the largest of each stretch.
pub(super) fn percentiles(context: &Context<'_>, timed: &Timed<'_>) -> Option<Figure> {
    if timed.samples.is_empty() {
        return None;
    }
    let timeline = context.timeline.for_tails(timed.samples.iter().map(|s| s.0));
    let stretches = timeline.distributions(timed.samples.iter().copied());
    let median = |d: &Distribution| d.percentile(0.5).value.map(|v| v * timed.factor);
    let mut series: Vec<Series> = PERCENTILES
        .iter()
        .map(|(name, q, colour)| {
            let value = |d: &Distribution| d.percentile(*q).value.map(|v| v * timed.factor);
            of_stretches(name, *colour, Stroke::Line, &timeline, stretches.iter().map(value))
        })
        .collect();
    let most = |d: &Distribution| d.most().map(|ns| ns as f64 * timed.factor);
    series.push(of_stretches("largest", 6, Stroke::Dots, &timeline, stretches.iter().map(most)));
    if let Some((name, samples)) = &timed.beside {
        let beside = timeline.distributions(samples.iter().copied());
        series.push(of_stretches(name, 3, Stroke::Dashed, &timeline, beside.iter().map(median)));
    }
    let y = Scale::durations(series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1)));
    let counts: Vec<u64> = stretches.iter().map(Distribution::n).collect();
    let how = format!(
        "{} Stretches of {}; a percentile is drawn where its stretch has the samples for it.",
        timed.how,
        units::value(timeline.step_s(), "s")
    );
    let looks = Looks {
        words: (timed.title, &how),
        y: (y, timed.axis, "s"),
        width: WIDE,
        marks: &[],
        counts: Some(&counts),
    };
    Some(figure(context, &timeline, looks, series))
}

/// A series with a value for each stretch, at its middle.
pub(super) fn of_stretches(
    name: &str,
    colour: usize,
    stroke: Stroke,
    timeline: &Timeline,
    values: impl Iterator<Item = Option<f64>>,
) -> Series {
    let points = values.enumerate().map(|(i, v)| (timeline.of_stretch(i)[1], v)).collect();
    Series { name: name.to_owned(), colour, stroke, points, interval: Vec::new() }
}

/// Counts per second over time.
pub(super) fn rates(
    context: &Context<'_>,
    (title, how): (&str, &str),
    counted: Vec<(&str, usize, Vec<u64>)>,
) -> Option<Figure> {
    let timeline = &context.timeline;
    // The last stretch may be shorter than the others.
    let rate = |(i, n): (usize, &u64)| {
        let [from, _, to] = timeline.of_stretch(i);
        Some(*n as f64 / (to - from).max(timeline.step_s() / 2.0))
    };
    if counted.iter().all(|(_, _, counts)| counts.iter().sum::<u64>() == 0) {
        return None;
    }
    let series: Vec<Series> = counted
        .iter()
        .map(|(name, colour, counts)| {
            of_stretches(name, *colour, Stroke::Line, timeline, counts.iter().enumerate().map(rate))
        })
        .collect();
    let how = format!("{how} Stretches of {}.", units::value(timeline.step_s(), "s"));
    Some(numbers(context, (title, &how), ("per second", "1/s"), WIDE, series, &[]))
}

/// Numbers over time, from 0.
pub(super) fn numbers(
    context: &Context<'_>,
    words: (&str, &str),
    (axis, unit): (&str, &str),
    width: f64,
    series: Vec<Series>,
    marks: &[Mark],
) -> Figure {
    let most = series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1)).fold(0.0, f64::max);
    let most = marks.iter().map(|mark| mark.value).fold(most, f64::max);
    let quantity = if unit.starts_with("MiB") { Quantity::Mebibytes } else { Quantity::Number };
    let y = Scale::linear(most, quantity);
    let looks = Looks { words, y: (y, axis, unit), width, marks, counts: None };
    figure(context, &context.timeline, looks, series)
}

/// How a figure over time looks.
struct Looks<'a> {
    /// Title, and how it was measured.
    words: (&'a str, &'a str),
    /// The axis of the values, what they are, and their unit.
    y: (Scale, &'a str, &'a str),
    /// Width, pixels.
    width: f64,
    /// Marked values.
    marks: &'a [Mark],
    /// Samples of each stretch, where the table tells them.
    counts: Option<&'a [u64]>,
}

fn figure(context: &Context<'_>, timeline: &Timeline, looks: Looks<'_>, series: Vec<Series>) -> Figure {
    let Looks { words: (title, how), y: (y, axis, unit), width, marks, counts } = looks;
    let shown = |v: Option<f64>| match unit {
        "s" => seconds(v),
        unit => v.map_or_else(|| "–".into(), |v| Cell::Text(units::value(v, unit))),
    };
    let mut header = vec!["from".to_owned(), "to".to_owned()];
    header.extend(counts.map(|_| "n".to_owned()));
    header.extend(series.iter().map(|s| s.name.clone()));
    let mut table = Table::named(&format!("{title}: seconds since the run's start"), header);
    let mut hints = Vec::new();
    for i in 0..timeline.count() {
        let [from, _, to] = timeline.of_stretch(i);
        let values: Vec<Option<f64>> = series.iter().map(|s| s.points.get(i).and_then(|p| p.1)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let mut row: Vec<Cell> = vec![format!("{from:.1}").into(), format!("{to:.1}").into()];
        row.extend(counts.map(|n| Cell::from(n[i].to_string())));
        row.extend(values.iter().map(|v| shown(*v)));
        table.row(row);
        hints.push((from, to, hint(from, to, &series, &values, &shown)));
    }
    let mut picture = Markup::default();
    let label = format!("{title}, over time");
    Lines {
        label: &label,
        size: (width, if width < WIDE { 230.0 } else { 270.0 }),
        x: (context.time_axis(), SINCE),
        y: (y, axis),
        bands: &context.bands,
        series: &series,
        marks,
        hints: &hints,
    }
    .draw(&mut picture);
    Figure {
        title: title.to_owned(),
        how: how.to_owned(),
        legend: series.iter().map(Key::of).collect(),
        picture,
        table: Some(table.thinned(MOST_ROWS)),
        half: width < WIDE,
    }
}

fn hint(
    from: f64,
    to: f64,
    series: &[Series],
    values: &[Option<f64>],
    shown: &dyn Fn(Option<f64>) -> Cell,
) -> String {
    let mut lines = vec![format!("{from:.1} to {to:.1} s")];
    for (series, value) in series.iter().zip(values) {
        if let Cell::Text(text) = shown(*value) {
            lines.push(format!("{}: {text}", series.name));
        }
    }
    lines.join("\n")
}
