//! A stack of panels on one axis of time: what was done to the target on top, what followed under it.

use super::super::markup::Markup;
use super::frame::{self, Area, CHARACTER, LINE};
use super::line::{Series, colour, draw_series};
use super::scale::Scale;

/// Height of the drawing area of a panel, pixels.
const PANEL: f64 = 74.0;
/// Height over a panel, for its title and legend.
const OVER: f64 = 32.0;
/// Height of a lane.
const LANE: f64 = 17.0;

/// A stretch of time that is shaded over all panels: a fault in force.
#[derive(Debug, Clone)]
pub(crate) struct Shade {
    /// From, on the axis of time.
    pub(crate) from: f64,
    /// To; the same for what was over at once.
    pub(crate) to: f64,
    /// Its name.
    pub(crate) name: String,
}

/// A row of bars.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    /// Its name, to the left of it.
    pub(crate) name: String,
    /// Its colour.
    pub(crate) colour: usize,
    /// From, to, and what stands behind it.
    pub(crate) bars: Vec<(f64, f64, String)>,
}

/// A panel of lines.
#[derive(Debug)]
pub(crate) struct Panel {
    /// What it shows.
    pub(crate) title: String,
    /// The axis of its values.
    pub(crate) y: Scale,
    /// Its lines.
    pub(crate) series: Vec<Series>,
    /// The end of the steady-state band.
    pub(crate) bound: Option<f64>,
}

/// The picture.
#[derive(Debug)]
pub(crate) struct Stack<'a> {
    /// What it shows, for those who can't see it.
    pub(crate) label: &'a str,
    /// Its width, pixels.
    pub(crate) width: f64,
    /// The axis of time, and what it is.
    pub(crate) x: (Scale, &'a str),
    /// Faults in force.
    pub(crate) shades: &'a [Shade],
    /// The clocks, over the panels.
    pub(crate) clocks: &'a [Lane],
    /// The panels.
    pub(crate) panels: &'a [Panel],
    /// The probes, under the panels.
    pub(crate) probes: &'a [Lane],
    /// Stretches of time that tell what they hold when the pointer rests on them.
    pub(crate) hints: &'a [(f64, f64, String)],
}

impl Stack<'_> {
    /// Draws it.
    pub(crate) fn draw(&self, m: &mut Markup) {
        let top = OVER + LINE;
        let clocks = self.clocks.len() as f64 * LANE + 8.0;
        let probes = OVER + self.probes.len() as f64 * LANE + 6.0;
        let panels = self.panels.len() as f64 * (OVER + PANEL);
        let bottom = top + clocks + panels + probes;
        let (left, right) = (104.0, self.width - 14.0);
        let area = Area { width: self.width, height: bottom + 38.0, left, right, top, bottom };
        let x = self.x.0.clone().on(left, right);
        frame::picture(m, &area, self.label, |m| {
            area.x_axis(m, &x, (self.width / 90.0) as usize, self.x.1);
            self.shades(m, &area, &x);
            let mut at = top + 4.0;
            self.clocks.iter().for_each(|lane| at = draw_lane(m, lane, &area, &x, at));
            at += 4.0;
            for panel in self.panels {
                draw_panel(m, panel, &Area { top: at + OVER, bottom: at + OVER + PANEL, ..area }, &x);
                at += OVER + PANEL;
            }
            frame::label(m, (0.0, at + OVER - 8.0), "start", "panel", "Probes");
            at += OVER;
            self.probes.iter().for_each(|lane| at = draw_lane(m, lane, &area, &x, at));
            for (from, to, text) in self.hints {
                let (from, to) = (x.at(*from), x.at(*to));
                frame::rect(m, "hint", (from, top), (to - from, bottom - top), text);
            }
        });
    }

    /// The faults behind everything, with their names on top in two lines, so that neighbours stay apart.
    fn shades(&self, m: &mut Markup, area: &Area, x: &Scale) {
        for (i, shade) in self.shades.iter().enumerate() {
            let (from, to) = (x.at(shade.from), x.at(shade.to));
            // What was over at once is seen as a line.
            frame::rect(m, "force", (from, area.top), (to - from, area.bottom - area.top), &shade.name);
            frame::line(m, "struck", (from, area.top - 4.0), (from, area.bottom));
            let length = shade.name.chars().count() as f64 * CHARACTER;
            let y = if i % 2 == 0 { area.top - 8.0 } else { area.top - 8.0 - LINE };
            let (at, anchor) = if from + length > area.right { (area.right, "end") } else { (from, "start") };
            frame::label(
                m,
                (at, y),
                anchor,
                "fault-name",
                &frame::fitting(&shade.name, area.right - area.left),
            );
        }
    }
}

fn draw_lane(m: &mut Markup, lane: &Lane, area: &Area, x: &Scale, at: f64) -> f64 {
    let middle = at + LANE / 2.0;
    frame::label(m, (area.left - 8.0, middle + 4.0), "end", "row-name", &lane.name);
    frame::line(m, "grid", (area.left, middle), (area.right, middle));
    m.within("g", &[("class", &colour(lane.colour))], |m| {
        for (from, to, text) in &lane.bars {
            let (from, to) = (x.at(*from), x.at(*to));
            let width = (to - from).max(1.6);
            frame::rect(m, "fill", (from, at + 3.0), (width, LANE - 6.0), text);
            if !text.is_empty() {
                let after = from + width + 4.0;
                let fits = after + text.chars().count() as f64 * CHARACTER < area.right;
                let (place, anchor) = if fits { (after, "start") } else { (from - 4.0, "end") };
                frame::label(m, (place, middle + 4.0), anchor, "bar-name", text);
            }
        }
    });
    at + LANE
}

fn draw_panel(m: &mut Markup, panel: &Panel, area: &Area, x: &Scale) {
    let y = panel.y.clone().on(area.bottom, area.top);
    let title =
        if y.unit().is_empty() { panel.title.clone() } else { format!("{}, {}", panel.title, y.unit()) };
    frame::label(m, (0.0, area.top - 8.0), "start", "panel", &title);
    let mut at = area.right;
    for series in panel.series.iter().rev() {
        at -= series.name.chars().count() as f64 * CHARACTER;
        m.within("g", &[("class", &colour(series.colour))], |m| {
            frame::label(m, (at, area.top - 8.0), "start", "series-name", &series.name);
        });
        at -= 16.0;
    }
    for (value, text) in y.ticks(3) {
        let at = y.at(value);
        frame::line(m, "grid", (area.left, at), (area.right, at));
        frame::label(m, (area.left - 7.0, at + 4.0), "end", "tick", &text);
    }
    if let Some(bound) = panel.bound {
        let at = y.at(bound);
        frame::line(m, "steady", (area.left, at), (area.right, at));
    }
    for series in &panel.series {
        m.within("g", &[("class", &colour(series.colour))], |m| draw_series(m, series, x, &y));
    }
}
