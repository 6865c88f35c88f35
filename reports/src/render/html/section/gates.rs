//! The gates: what was measured, what is allowed, and how sure that is.

use super::{Context, badge, class, interval, section};
use crate::gate::GateResult;
use crate::measure::{Clock, Measure};
use crate::render::html::chart::bullet::{self, Bullet};
use crate::render::html::markup::Markup;
use crate::render::html::table::{Cell, Table};
use crate::render::{units, words};

const HEADER: [&str; 8] =
    ["gate", "verdict", "measured", "95 % interval", "allowed", "allowed and measured", "n", "clock"];

/// Most characters of a name and of a reason.
const LONGEST: usize = 400;

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    section(m, "gates", "Gates", |m| {
        if context.summary.gates.is_empty() {
            m.element("p", &[], "The scenario has no gates.");
            return;
        }
        let mut table = Table::new("Bounds on measures of this run, judged by the measured value", &HEADER);
        context.summary.gates.iter().for_each(|gate| table.row(row(gate)));
        table.cut(500, "summary.json holds all of them.").write(m);
    });
}

fn row(gate: &GateResult) -> Vec<Cell> {
    let measured = gate.measured.as_ref();
    let value = measured.and_then(|m| Some(units::value(m.value?, &m.unit)));
    let mut name = Markup::default();
    name.text(&words::clipped(&gate.gate.name, LONGEST));
    if !gate.reason.is_empty() {
        name.element("small", &[], &words::clipped(&gate.reason, LONGEST));
    }
    let missing = || measured.and_then(|m| m.missing.clone()).unwrap_or_else(|| "no evidence".to_owned());
    vec![
        Cell::Made(name),
        Cell::Made(badge(gate.verdict)),
        value.unwrap_or_else(|| format!("n/a ({})", missing())).into(),
        measured.map_or_else(|| "–".to_owned(), |m| interval(m.lo, m.hi, &m.unit)).into(),
        gate.allowed.as_str().into(),
        Cell::Made(picture(gate)),
        measured.map_or_else(|| "–".to_owned(), |m| m.n.to_string()).into(),
        measured.map_or_else(String::new, clock).into(),
    ]
}

/// The clock, and how load was offered where that matters: a closed figure leaves out what an open one has.
fn clock(measure: &Measure) -> String {
    let load = measure.load.filter(|_| measure.clock == Clock::Harness);
    let load = load.map(|load| format!(", {} load", load.word())).unwrap_or_default();
    format!("{}{load}", units::clock(measure.clock))
}

fn picture(gate: &GateResult) -> Markup {
    let mut m = Markup::default();
    let Some((measure, value)) = gate.measured.as_ref().and_then(|m| Some((m, m.value?))) else { return m };
    let ends = measure.lo.zip(measure.hi);
    let bullet = Bullet { at_least: gate.gate.at_least, at_most: gate.gate.at_most, value, interval: ends };
    let label = format!("measured {}, allowed {}", units::measured(measure), gate.allowed);
    bullet::draw(&mut m, &label, class(gate.verdict), &bullet);
    m
}
