//! Horizontal bars in two panels beside each other, one row for each thing.

use super::super::markup::Markup;
use super::frame::{self, Area};
use super::line::colour;
use super::scale::{Quantity, Scale};

/// A bar: how long it is, and a tick beyond it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bar {
    /// Its length, in the unit of the axis; `None` when it can't be said.
    pub(crate) value: Option<f64>,
    /// A second value, drawn as a tick with a thin line to it.
    pub(crate) tick: Option<f64>,
    /// What shows when the pointer rests on it.
    pub(crate) title: String,
}

/// A row of two bars.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is of.
    pub(crate) name: String,
    /// True for a row that stands out.
    pub(crate) marked: bool,
    /// A word behind its bars.
    pub(crate) remark: String,
    /// Which of the page's colours it has.
    pub(crate) colour: usize,
    /// Its bar in each panel.
    pub(crate) bars: [Bar; 2],
}

/// Height of a row, pixels.
const ROW: f64 = 19.0;
/// Height of a bar, pixels.
const BAR: f64 = 11.0;
/// Room between the panels, pixels.
const GAP: f64 = 34.0;
/// Room for a remark behind the last panel, pixels.
const REMARK: f64 = 92.0;

/// Draws rows in two panels; `panels` names them, and how wide each is of all the room, as a share.
pub(crate) fn draw(m: &mut Markup, label: &str, width: f64, panels: [(&str, f64); 2], rows: &[Row]) {
    let longest = rows.iter().map(|r| r.name.chars().count()).max().unwrap_or(0);
    let left = (longest as f64 * frame::BOLD + 12.0).clamp(60.0, width * 0.32);
    let bottom = 24.0 + ROW * rows.len() as f64;
    let room = width - left - GAP - REMARK;
    let mut from = left;
    let whole = Area { width, height: bottom + 38.0, left, right: width, top: 24.0, bottom };
    frame::picture(m, &whole, label, |m| {
        for (i, row) in rows.iter().enumerate() {
            let y = whole.top + (i as f64 + 0.5) * ROW;
            if row.marked {
                frame::rect(m, "marked", (0.0, y - ROW / 2.0), (width, ROW), "");
            }
            let name = frame::fitting(&row.name, left - 8.0);
            let class = if row.marked { "row-name strong" } else { "row-name" };
            frame::label(m, (left - 8.0, y + 4.0), "end", class, &name);
        }
        for (p, (title, share)) in panels.iter().enumerate() {
            let to = from + room * share;
            let area = Area { left: from, right: to, ..whole };
            panel(m, &area, title, p, rows);
            from = to + GAP;
        }
        for (i, row) in rows.iter().enumerate().filter(|(_, row)| !row.remark.is_empty()) {
            let y = whole.top + (i as f64 + 0.5) * ROW + 4.0;
            frame::label(m, (width - REMARK + 8.0, y), "start", "remark", &row.remark);
        }
    });
}

fn panel(m: &mut Markup, area: &Area, title: &str, which: usize, rows: &[Row]) {
    let values = rows.iter().flat_map(|r| [r.bars[which].value, r.bars[which].tick]).flatten();
    let most = values.fold(0.0, f64::max);
    let x = Scale::linear(most, Quantity::Duration).on(area.left, area.right);
    frame::label(m, (area.left, 13.0), "start", "panel", title);
    area.x_axis(m, &x, ((area.right - area.left) / 70.0).max(2.0) as usize, "workflow time");
    for (i, row) in rows.iter().enumerate() {
        let (bar, y) = (&row.bars[which], area.top + (i as f64 + 0.5) * ROW);
        m.within("g", &[("class", &colour(row.colour))], |m| {
            if let Some(value) = bar.value {
                let length = (x.at(value) - area.left).max(1.0);
                frame::rect(m, "fill", (area.left, y - BAR / 2.0), (length, BAR), &bar.title);
            }
            if let Some(tick) = bar.tick {
                let (from, to) = (x.at(bar.value.unwrap_or(0.0)), x.at(tick));
                frame::line(m, "whisker", (from, y), (to, y));
                frame::line(m, "whisker", (to, y - 4.0), (to, y + 4.0));
            }
        });
    }
}
