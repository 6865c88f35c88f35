//! What the pictures share: the drawing area, axes with light grid lines, and the levels of load as bands behind.

use super::super::markup::{Markup, Px};
use super::scale::Scale;
use crate::render::words;

/// Height of a line of text, pixels.
pub(crate) const LINE: f64 = 14.0;
/// Width of a character of the pictures' text, pixels, on the safe side.
pub(crate) const CHARACTER: f64 = 6.4;

/// Width of a bold one.
pub(crate) const BOLD: f64 = 7.4;

/// A part of the time axis with a name: a level of load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    /// Its name.
    pub(crate) name: String,
    /// From, in the unit of the axis.
    pub(crate) from: f64,
    /// To.
    pub(crate) to: f64,
}

/// The drawing area of a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    /// Width of the picture.
    pub(crate) width: f64,
    /// Height of the picture.
    pub(crate) height: f64,
    /// Left edge of the area.
    pub(crate) left: f64,
    /// Right edge of the area.
    pub(crate) right: f64,
    /// Upper edge of the area.
    pub(crate) top: f64,
    /// Lower edge of the area.
    pub(crate) bottom: f64,
}

/// Writes a picture: its element, role and label around what `inside` draws.
pub(crate) fn picture(m: &mut Markup, area: &Area, label: &str, inside: impl FnOnce(&mut Markup)) {
    let view = format!("0 0 {} {}", Px(area.width), Px(area.height));
    m.within(
        "svg",
        &[("viewBox", &view), ("role", &"img"), ("aria-label", &label), ("class", &"chart")],
        inside,
    );
    m.line();
}

/// Text at a place; `anchor` is `start`, `middle` or `end`.
pub(crate) fn label(m: &mut Markup, at: (f64, f64), anchor: &str, class: &str, text: &str) {
    let (x, y) = (Px(at.0), Px(at.1));
    m.element("text", &[("x", &x), ("y", &y), ("text-anchor", &anchor), ("class", &class)], text);
}

/// A straight line.
pub(crate) fn line(m: &mut Markup, class: &str, from: (f64, f64), to: (f64, f64)) {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(Px);
    m.leaf("line", &[("class", &class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)]);
}

/// A rectangle, with a text that shows when the pointer rests on it.
pub(crate) fn rect(m: &mut Markup, class: &str, at: (f64, f64), size: (f64, f64), title: &str) {
    let [x, y, width, height] = [at.0, at.1, size.0.max(0.0), size.1.max(0.0)].map(Px);
    let attributes: &[(&'static str, &dyn std::fmt::Display)] =
        &[("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
    if title.is_empty() {
        m.leaf("rect", attributes);
    } else {
        m.within("rect", attributes, |m| m.element("title", &[], title));
    }
}

/// The text that fits into `width` pixels.
pub(crate) fn fitting(text: &str, width: f64) -> String {
    words::clipped(text, (width / CHARACTER).max(1.0) as usize)
}

impl Area {
    /// Vertical grid lines with the ticks of `x` under the area, and what they are.
    pub(crate) fn x_axis(&self, m: &mut Markup, x: &Scale, wanted: usize, title: &str) {
        for (value, text) in x.ticks(wanted) {
            let at = x.at(value);
            line(m, "grid", (at, self.top), (at, self.bottom));
            label(m, (at, self.bottom + 15.0), "middle", "tick", &text);
        }
        line(m, "axis", (self.left, self.bottom), (self.right, self.bottom));
        let title = with_unit(title, x.unit());
        label(m, ((self.left + self.right) / 2.0, self.bottom + 31.0), "middle", "axis-title", &title);
    }

    /// Horizontal grid lines with the ticks of `y` to the left of the area, and above them what they are.
    pub(crate) fn y_axis(&self, m: &mut Markup, y: &Scale, title: &str) {
        let wanted = ((self.bottom - self.top) / 32.0).max(2.0) as usize;
        for (value, text) in y.ticks(wanted) {
            let at = y.at(value);
            line(m, "grid", (self.left, at), (self.right, at));
            label(m, (self.left - 7.0, at + 4.0), "end", "tick", &text);
        }
        label(m, (0.0, LINE - 3.0), "start", "axis-title", &with_unit(title, y.unit()));
    }

    /// The levels behind a picture over time, every second one shaded, named where there is room.
    pub(crate) fn bands(&self, m: &mut Markup, x: &Scale, bands: &[Band]) {
        for (i, band) in bands.iter().enumerate() {
            let (from, to) = (x.at(band.from), x.at(band.to));
            let class = if i % 2 == 0 { "band" } else { "band odd" };
            rect(m, class, (from, self.top), (to - from, self.bottom - self.top), &band.name);
            let room = to - from - 6.0;
            if room > 3.0 * CHARACTER {
                let name = fitting(&band.name, room);
                label(m, ((from + to) / 2.0, self.top - 5.0), "middle", "band-name", &name);
            }
        }
    }
}

fn with_unit(title: &str, unit: &str) -> String {
    if unit.is_empty() { title.to_owned() } else { format!("{title}, {unit}") }
}
