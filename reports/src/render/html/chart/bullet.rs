//! A gate in one line: what is allowed, what was measured, and its interval.

use super::super::markup::{Markup, Px};
use super::frame::{self, Area};
use super::scale::{Quantity, Scale};

/// Width and height, pixels.
const SIZE: (f64, f64) = (170.0, 22.0);

/// What is allowed and what was measured, in one unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bullet {
    /// The least allowed.
    pub(crate) at_least: Option<f64>,
    /// The most allowed.
    pub(crate) at_most: Option<f64>,
    /// The value.
    pub(crate) value: f64,
    /// Ends of its interval.
    pub(crate) interval: Option<(f64, f64)>,
}

/// Draws it on an axis that holds all of it. Nothing when there is no extent to draw on.
pub(crate) fn draw(m: &mut Markup, label: &str, verdict: &str, bullet: &Bullet) {
    let Bullet { at_least, at_most, value, interval } = *bullet;
    let all = [at_least, at_most, Some(value), interval.map(|i| i.0), interval.map(|i| i.1)];
    let all = || all.into_iter().flatten().filter(|v| v.is_finite());
    let (least, most) = (all().fold(0.0, f64::min), all().fold(0.0, f64::max));
    if most <= least {
        return;
    }
    let pad = (most - least) * 0.12;
    let from = if least < 0.0 { least - pad } else { 0.0 };
    let area = Area { width: SIZE.0, height: SIZE.1, left: 5.0, right: SIZE.0 - 5.0, top: 7.0, bottom: 15.0 };
    let x = Scale::span(from, most + pad, Quantity::Number).on(area.left, area.right);
    frame::picture(m, &area, label, |m| {
        let (begin, end) = (x.at(at_least.unwrap_or(from)), x.at(at_most.unwrap_or(most + pad)));
        frame::rect(m, "track", (area.left, area.top), (area.right - area.left, 8.0), "");
        frame::rect(m, "allowed", (begin, area.top), (end - begin, 8.0), "");
        for bound in [at_least, at_most].into_iter().flatten() {
            frame::line(m, "bound", (x.at(bound), area.top - 4.0), (x.at(bound), area.bottom + 4.0));
        }
        m.within("g", &[("class", &verdict)], |m| {
            if let Some((lo, hi)) = interval {
                frame::line(m, "whisker", (x.at(lo), 11.0), (x.at(hi), 11.0));
            }
            m.leaf("circle", &[("class", &"dot"), ("cx", &Px(x.at(value))), ("cy", &"11"), ("r", &"4")]);
        });
    });
}
