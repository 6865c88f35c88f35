//! Lines: values along an axis, most often time, with the levels of load behind.

use super::super::markup::{Markup, Px};
use super::frame::{self, Area, Band};
use super::scale::Scale;
use std::fmt::Write;

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    /// A line from point to point.
    Line,
    /// A dashed line.
    Dashed,
    /// Points alone.
    Dots,
}

/// One series.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: String,
    /// Which of the page's colours it has.
    pub(crate) colour: usize,
    /// How it is drawn.
    pub(crate) stroke: Stroke,
    /// Its points, ascending in x; `None` where nothing can be said.
    pub(crate) points: Vec<(f64, Option<f64>)>,
    /// Lower and upper ends of its interval along x, where it has one.
    pub(crate) interval: Vec<(f64, f64, f64)>,
}

/// A value that is marked across the picture, such as a bound.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// The value.
    pub(crate) value: f64,
    /// What it is.
    pub(crate) name: String,
}

/// A picture of lines.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    /// What it shows, for those who can't see it.
    pub(crate) label: &'a str,
    /// Width and height, pixels.
    pub(crate) size: (f64, f64),
    /// The axis along which it runs, and what it is.
    pub(crate) x: (Scale, &'a str),
    /// The axis of the values, and what they are.
    pub(crate) y: (Scale, &'a str),
    /// The levels behind it.
    pub(crate) bands: &'a [Band],
    /// The lines.
    pub(crate) series: &'a [Series],
    /// Marked values.
    pub(crate) marks: &'a [Mark],
    /// Stretches of x that tell what they hold when the pointer rests on them.
    pub(crate) hints: &'a [(f64, f64, String)],
}

/// Class of a colour of the page.
pub(crate) fn colour(index: usize) -> String {
    format!("c{}", index % 8)
}

impl Lines<'_> {
    /// Draws it.
    pub(crate) fn draw(&self, m: &mut Markup) {
        let (width, height) = self.size;
        let area = Area { width, height, left: 58.0, right: width - 14.0, top: 34.0, bottom: height - 38.0 };
        let x = self.x.0.clone().on(area.left, area.right);
        let y = self.y.0.clone().on(area.bottom, area.top);
        frame::picture(m, &area, self.label, |m| {
            area.bands(m, &x, self.bands);
            area.y_axis(m, &y, self.y.1);
            area.x_axis(m, &x, (width / 90.0) as usize, self.x.1);
            for mark in self.marks {
                let at = y.at(mark.value);
                frame::line(m, "mark", (area.left, at), (area.right, at));
                frame::label(m, (area.right - 4.0, at - 4.0), "end", "mark-name", &mark.name);
            }
            for series in self.series {
                m.within("g", &[("class", &colour(series.colour))], |m| draw_series(m, series, &x, &y));
            }
            for (from, to, text) in self.hints {
                let (from, to) = (x.at(*from), x.at(*to));
                let size = (to - from, area.bottom - area.top);
                frame::rect(m, "hint", (from, area.top), size, text);
            }
        });
    }
}

pub(super) fn draw_series(m: &mut Markup, series: &Series, x: &Scale, y: &Scale) {
    if series.interval.len() > 1 {
        m.leaf("path", &[("class", &"interval"), ("d", &interval_path(&series.interval, x, y))]);
    }
    let mut path = String::new();
    let mut dots = Vec::new();
    let known = |i: usize| series.points.get(i).is_some_and(|p| p.1.is_some());
    for (i, (at, value)) in series.points.iter().enumerate() {
        let Some(value) = value else { continue };
        let (at, value) = (Px(x.at(*at)), Px(y.at(*value)));
        let joined = i > 0 && known(i - 1);
        // A point without neighbours is no line, and would not be seen.
        if series.stroke == Stroke::Dots || (!joined && !known(i + 1)) {
            dots.push((at, value));
            continue;
        }
        // Writing into a String does not fail.
        let _ = write!(path, "{}{at} {value}", if joined { 'L' } else { 'M' });
    }
    if !path.is_empty() {
        let class = if series.stroke == Stroke::Dashed { "line dashed" } else { "line" };
        m.leaf("path", &[("class", &class), ("d", &path)]);
    }
    for (cx, cy) in dots {
        m.leaf("circle", &[("class", &"dot"), ("cx", &cx), ("cy", &cy), ("r", &"2.2")]);
    }
}

fn interval_path(interval: &[(f64, f64, f64)], x: &Scale, y: &Scale) -> String {
    let upper = interval.iter().map(|(at, _, hi)| (*at, *hi));
    let lower = interval.iter().rev().map(|(at, lo, _)| (*at, *lo));
    let points = upper.chain(lower).map(|(at, v)| format!("{} {}", Px(x.at(at)), Px(y.at(v))));
    format!("M{}Z", points.collect::<Vec<_>>().join("L"))
}
