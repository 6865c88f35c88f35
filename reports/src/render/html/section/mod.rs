//! The parts of the report, one a file, and what they all look at.

pub(super) mod checks;
mod drill;
pub(super) mod gates;
pub(super) mod latency;
pub(super) mod levels;
pub(super) mod measures;
pub(super) mod over_time;
pub(super) mod recovery;
pub(super) mod resources;
pub(super) mod tasks;
pub(super) mod throughput;
pub(super) mod verdict;
pub(super) mod workflows;

use super::chart::frame::Band;
use super::chart::scale::{Quantity, Scale};
use super::markup::Markup;
use super::table::Cell;
use crate::gate::Verdict;
use crate::joined::{Joined, LevelRun};
use crate::judge::Summary;
use crate::measure::Measure;
use crate::render::{units, words};
use crate::timeline::Timeline;
use std::collections::BTreeMap;

/// Width of a picture that takes the whole page.
pub(super) const WIDE: f64 = 1128.0;
/// Width of a picture that takes half of it.
pub(super) const HALF: f64 = 552.0;
/// Most levels that have pictures of their own.
pub(super) const MOST_LEVELS: usize = 24;
/// Most rows of a table over time.
pub(super) const MOST_ROWS: usize = 200;
/// Said where there is nothing to draw.
pub(super) const NOTHING: &str = "The run holds nothing to show here.";

/// What every part looks at.
pub(super) struct Context<'a> {
    /// The summary.
    pub(super) summary: &'a Summary,
    /// Plan and history.
    pub(super) run: &'a Joined<'a>,
    /// The run in stretches.
    pub(super) timeline: Timeline,
    /// Its levels on the axis of time.
    pub(super) bands: Vec<Band>,
    /// Colours of the pools.
    pools: BTreeMap<&'a str, usize>,
}

impl<'a> Context<'a> {
    /// Of a run and its summary.
    pub(super) fn new(summary: &'a Summary, run: &'a Joined<'a>) -> Self {
        let timeline = Timeline::of(run);
        let bands = run.levels.iter().filter_map(|l| band(l, &timeline)).collect();
        let tasks = run.levels.iter().flat_map(|l| &l.templates).flat_map(|t| &t.tasks);
        let names: BTreeMap<&str, usize> = tasks.map(|t| (t.pool.as_str(), 0)).collect();
        let pools = names.into_keys().enumerate().map(|(i, pool)| (pool, i)).collect();
        Self { summary, run, timeline, bands, pools }
    }

    /// The colour of a pool.
    pub(super) fn pool_colour(&self, pool: &str) -> usize {
        self.pools.get(pool).copied().unwrap_or(7)
    }

    /// The pools with their colours.
    pub(super) fn pools(&self) -> impl Iterator<Item = (&'a str, usize)> {
        self.pools.iter().map(|(pool, colour)| (*pool, *colour))
    }

    /// The axis of real time since the run's start.
    pub(super) fn time_axis(&self) -> Scale {
        Scale::span(0.0, self.timeline.length_s(), Quantity::Duration)
    }

    /// A measure of a level.
    pub(super) fn measure(&self, level: &str, name: &str) -> Option<&'a Measure> {
        self.summary.measure(&format!("{level}/{name}"))
    }

    /// A measure of a level, for people, or why there is none.
    pub(super) fn shown(&self, level: &str, name: &str) -> String {
        let found = self.measure(level, name);
        found.and_then(|m| Some(units::value(m.value?, &m.unit))).unwrap_or_else(|| {
            let missing = found.and_then(|m| m.missing.as_deref()).unwrap_or("no evidence");
            format!("n/a ({missing})")
        })
    }

    /// Levels that have pictures of their own: those of highest concurrency when there are too many.
    pub(super) fn pictured(&self) -> Vec<&'a LevelRun<'a>> {
        let mut levels: Vec<(usize, &LevelRun<'_>)> = self.run.levels.iter().enumerate().collect();
        levels.sort_by_key(|(i, l)| (std::cmp::Reverse(l.level.concurrency), *i));
        levels.truncate(MOST_LEVELS);
        levels.sort_by_key(|(i, _)| *i);
        levels.into_iter().map(|(_, l)| l).collect()
    }

    /// Name of the pictured level that shows most: the one of highest concurrency.
    pub(super) fn busiest(&self) -> Option<&'a str> {
        let busiest = self.run.levels.iter().max_by_key(|l| (l.level.concurrency, l.workflows.len()));
        busiest.map(|l| l.level.name.as_str())
    }
}

fn band(level: &LevelRun<'_>, timeline: &Timeline) -> Option<Band> {
    let from = timeline.seconds(level.began?.at_ns);
    let to = level.ended.map_or(timeline.length_s(), |e| timeline.seconds(e.at_ns));
    Some(Band { name: level.level.name.clone(), from, to })
}

/// Writes a section of the page.
pub(super) fn section(m: &mut Markup, id: &str, title: &str, inside: impl FnOnce(&mut Markup)) {
    m.within("section", &[("id", &id)], |m| {
        m.element("h2", &[], title);
        inside(m);
    });
    m.line();
}

/// The class of a verdict in the style sheet.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Unknown => "unknown",
        Verdict::Fail => "fail",
    }
}

/// A verdict as sign and word, so that colour is not needed to read it.
pub(super) fn badge(verdict: Verdict) -> Markup {
    let sign = match verdict {
        Verdict::Pass => "✓",
        Verdict::Unknown => "?",
        Verdict::Fail => "✕",
    };
    let mut m = Markup::default();
    let class = format!("badge {}", class(verdict));
    m.element("span", &[("class", &class)], &format!("{sign} {}", words::verdict(verdict)));
    m
}

/// A badge that isn't a verdict.
pub(super) fn plain_badge(word: &str) -> Cell {
    let mut m = Markup::default();
    m.element("span", &[("class", &"badge")], word);
    Cell::Made(m)
}

/// A duration in seconds, for people; `–` where there is none.
pub(super) fn seconds(value: Option<f64>) -> Cell {
    value.map_or_else(|| "–".into(), |v| units::value(v, "s").into())
}

/// The interval of a measure, for people.
pub(super) fn interval(lo: Option<f64>, hi: Option<f64>, unit: &str) -> String {
    match (lo, hi) {
        (Some(lo), Some(hi)) => units::range(lo, hi, unit),
        (None, Some(hi)) => format!("up to {}", units::value(hi, unit)),
        (Some(lo), None) => format!("from {}", units::value(lo, unit)),
        (None, None) => "–".to_owned(),
    }
}
