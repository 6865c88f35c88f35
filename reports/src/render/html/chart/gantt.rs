//! A Gantt chart: a row a task, its wait in light and its work in full colour.

use super::super::markup::Markup;
use super::frame::{self, Area};
use super::line::colour;
use super::scale::{Quantity, Scale};

/// One stretch of work.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// When it could have begun, in the unit of the axis.
    pub(crate) waiting_from: f64,
    /// When it began.
    pub(crate) from: f64,
    /// When it ended.
    pub(crate) to: f64,
    /// What shows when the pointer rests on it.
    pub(crate) title: String,
    /// True when it was in vain.
    pub(crate) failed: bool,
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is of.
    pub(crate) name: String,
    /// Which of the page's colours it has.
    pub(crate) colour: usize,
    /// True when the end of the whole hung on it.
    pub(crate) critical: bool,
    /// Its stretches of work; more than one when it was tried again.
    pub(crate) spans: Vec<Span>,
}

/// Height of a row, pixels.
const ROW: f64 = 18.0;
/// Height of a bar, pixels.
const BAR: f64 = 11.0;

/// Draws rows from 0 to `end` on an axis of durations.
pub(crate) fn draw(m: &mut Markup, label: &str, width: f64, (end, axis): (f64, &str), rows: &[Row]) {
    let longest = rows.iter().map(|r| r.name.chars().count() + 2).max().unwrap_or(0);
    let left = (longest as f64 * frame::BOLD + 12.0).clamp(60.0, width * 0.32);
    let bottom = 8.0 + ROW * rows.len() as f64;
    let area = Area { width, height: bottom + 38.0, left, right: width - 16.0, top: 8.0, bottom };
    let x = Scale::span(0.0, end, Quantity::Duration).on(area.left, area.right);
    frame::picture(m, &area, label, |m| {
        area.x_axis(m, &x, 10, axis);
        for (i, row) in rows.iter().enumerate() {
            let y = area.top + (i as f64 + 0.5) * ROW;
            let name = frame::fitting(&row.name, left - 22.0);
            let class = if row.critical { "row-name strong" } else { "row-name" };
            frame::label(m, (left - 8.0, y + 4.0), "end", class, &name);
            m.within("g", &[("class", &colour(row.colour))], |m| {
                row.spans.iter().for_each(|span| draw_span(m, span, &x, y, row.critical));
            });
        }
    });
}

fn draw_span(m: &mut Markup, span: &Span, x: &Scale, y: f64, critical: bool) {
    let (waiting, from, to) = (x.at(span.waiting_from), x.at(span.from), x.at(span.to));
    if from - waiting >= 0.5 {
        frame::rect(m, "wait", (waiting, y - BAR / 4.0), (from - waiting, BAR / 2.0), &span.title);
    }
    let class = match (span.failed, critical) {
        (true, _) => "fill vain",
        (false, true) => "fill critical",
        (false, false) => "fill off-path",
    };
    frame::rect(m, class, (from, y - BAR / 2.0), ((to - from).max(1.0), BAR), &span.title);
}
