//! Points with their intervals on a shared axis, a group of them a row: percentiles, level by level.

use super::super::markup::{Markup, Px};
use super::frame::{self, Area};
use super::line::colour;
use super::scale::Scale;

/// One point.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    /// Which of the page's colours it has.
    pub(crate) colour: usize,
    /// The value, in the unit of the axis.
    pub(crate) value: f64,
    /// Ends of its interval.
    pub(crate) interval: Option<(f64, f64)>,
    /// What shows when the pointer rests on it.
    pub(crate) title: String,
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is of.
    pub(crate) name: String,
    /// Its points.
    pub(crate) points: Vec<Point>,
    /// What is said where there is no point.
    pub(crate) empty: String,
}

/// Height of a row, pixels.
const ROW: f64 = 30.0;

/// Draws rows on one axis of durations.
pub(crate) fn draw(m: &mut Markup, label: &str, width: f64, axis: &str, rows: &[Row]) {
    let ends = |p: &Point| [Some(p.value), p.interval.map(|i| i.0), p.interval.map(|i| i.1)];
    let values = rows.iter().flat_map(|r| r.points.iter().flat_map(ends)).flatten();
    let x = Scale::durations(values.map(|v| if v.is_finite() { v } else { 0.0 }));
    let longest = rows.iter().map(|r| r.name.chars().count()).max().unwrap_or(0);
    let left = (longest as f64 * frame::CHARACTER + 12.0).clamp(40.0, width * 0.3);
    let bottom = 8.0 + ROW * rows.len() as f64;
    let area = Area { width, height: bottom + 38.0, left, right: width - 22.0, top: 8.0, bottom };
    let x = x.on(area.left, area.right);
    frame::picture(m, &area, label, |m| {
        area.x_axis(m, &x, 6, axis);
        for (i, row) in rows.iter().enumerate() {
            let top = area.top + i as f64 * ROW;
            let middle = top + ROW / 2.0;
            if i > 0 {
                frame::line(m, "grid", (0.0, top), (area.right, top));
            }
            let name = frame::fitting(&row.name, area.left - 8.0);
            frame::label(m, (area.left - 8.0, middle + 4.0), "end", "row-name", &name);
            if row.points.is_empty() {
                frame::label(m, (area.left + 8.0, middle + 4.0), "start", "none", &row.empty);
            }
            // Each has a height of its own in the row, so that intervals do not hide each other.
            let gap = (ROW - 9.0) / row.points.len().max(1) as f64;
            for (j, point) in row.points.iter().enumerate() {
                draw_point(m, point, &x, top + 4.5 + gap * (j as f64 + 0.5));
            }
        }
    });
}

fn draw_point(m: &mut Markup, point: &Point, x: &Scale, y: f64) {
    m.within("g", &[("class", &colour(point.colour))], |m| {
        m.element("title", &[], &point.title);
        if let Some((lo, hi)) = point.interval {
            let (lo, hi) = (x.at(lo), x.at(hi));
            frame::line(m, "whisker", (lo, y), (hi, y));
            frame::line(m, "whisker", (lo, y - 3.0), (lo, y + 3.0));
            frame::line(m, "whisker", (hi, y - 3.0), (hi, y + 3.0));
        }
        let (cx, cy) = (Px(x.at(point.value)), Px(y));
        m.leaf("circle", &[("class", &"dot"), ("cx", &cx), ("cy", &cy), ("r", &"3.6")]);
    });
}
