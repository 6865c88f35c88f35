//! The timeline of a run with faults: one axis of time, what was done to the target, and what followed.

use super::over_time::of_stretches;
use super::{Context, MOST_ROWS, WIDE, seconds};
use crate::histogram::Distribution;
use crate::history::Outcome;
use crate::joined::LevelRun;
use crate::recovery::{InjectionResult, Reading, Recovery, Steady, Tick, Waiting, ticks};
use crate::render::html::chart::line::{Series, Stroke};
use crate::render::html::chart::scale::{Quantity, Scale};
use crate::render::html::chart::stack::{Lane, Panel, Shade, Stack};
use crate::render::html::figure::Figure;
use crate::render::html::markup::Markup;
use crate::render::html::table::{Cell, Table};
use crate::render::recovery::reading_words;
use crate::render::units;
use crate::timeline::Timeline;

/// Of a level so many times longer than what a fault took, each fault has a picture of its own too.
const ZOOM_FROM: f64 = 12.0;
/// Fewest stretches for the tails of the response: a few points of a p99 tell more than none.
const FEWEST_TAILS: u64 = 10;
/// Most faults that have one.
const MOST_ZOOMS: usize = 12;

/// One level with faults, and what flowed through it.
pub(super) struct Drill<'a> {
    context: &'a Context<'a>,
    recovery: &'a Recovery,
    /// The level and those beside it.
    levels: Vec<&'a LevelRun<'a>>,
    name: &'a str,
    window_ns: (u64, u64),
    waiting: Waiting,
    ticks: Vec<Tick>,
}

impl<'a> Drill<'a> {
    /// Of a level, when it ran.
    pub(super) fn of(
        context: &'a Context<'a>,
        recovery: &'a Recovery,
        level: &'a LevelRun<'a>,
    ) -> Option<Self> {
        let name = level.level.name.as_str();
        let levels = context.run.beside(name);
        let window_ns = level.window_ns()?;
        let waiting = Waiting::of(&levels, window_ns.0, window_ns.1);
        let ticks = ticks(&levels, recovery.terms.as_ref());
        Some(Self { context, recovery, levels, name, window_ns, waiting, ticks })
    }

    /// The whole level.
    pub(super) fn whole(&self) -> Figure {
        let title = format!("{}: what was done to the target, and what followed", self.name);
        self.figure(&title, self.window_ns)
    }

    /// Each fault that can hardly be seen in the whole.
    pub(super) fn zooms(&self) -> Vec<Figure> {
        let whole_s = (self.window_ns.1 - self.window_ns.0) as f64 / 1e9;
        let mut zooms = Vec::new();
        for injection in self.injections().take(MOST_ZOOMS) {
            let Some((from_s, to_s)) = around(injection) else { continue };
            if whole_s > ZOOM_FROM * (to_s - from_s) {
                let began_ns = self.context.run.history.header.started_ns;
                let at = |s: f64| began_ns + (s.max(0.0) * 1e9) as u64;
                let window = (at(from_s).max(self.window_ns.0), at(to_s).min(self.window_ns.1));
                let title = format!("{} from close by", injection.label(self.recovery));
                zooms.push(self.figure(&title, window));
            }
        }
        zooms
    }

    fn injections(&self) -> impl Iterator<Item = &'a InjectionResult> {
        self.recovery.injections.iter().filter(|i| i.level == self.name && i.took_effect())
    }

    fn figure(&self, title: &str, (from_ns, to_ns): (u64, u64)) -> Figure {
        let timeline = Timeline::fine(from_ns, to_ns);
        let begins_s = from_ns.saturating_sub(self.context.run.history.header.started_ns) as f64 / 1e9;
        let ends_s = begins_s + timeline.length_s();
        let panels = self.panels(&timeline, begins_s);
        let (hints, table) = self.hints(title, &timeline, begins_s, &panels);
        let inside = |i: &&InjectionResult| i.applied_s.is_some_and(|s| s >= begins_s && s <= ends_s);
        let shown: Vec<&InjectionResult> = self.injections().filter(inside).collect();
        let mut picture = Markup::default();
        Stack {
            label: title,
            width: WIDE,
            x: (Scale::span(begins_s, ends_s, Quantity::Duration), "real time since the run's start"),
            shades: &shown.iter().map(|i| self.shade(i)).collect::<Vec<_>>(),
            clocks: &clocks(&shown),
            panels: &panels,
            probes: &self.probes(from_ns, to_ns, begins_s),
            hints: &hints,
        }
        .draw(&mut picture);
        let how = format!(
            "Red: a fault in force, from the instant from which it is known to be in effect. Bars: the clocks, from there. \
             Dashed: the end of the steady-state band. Stretches of {}.",
            units::value(timeline.step_s(), "s")
        );
        Figure {
            title: title.to_owned(),
            how,
            picture,
            table: Some(table.thinned(MOST_ROWS)),
            ..Figure::default()
        }
    }

    fn shade(&self, injection: &InjectionResult) -> Shade {
        let from = injection.applied_s.unwrap_or(0.0);
        let on = injection.node.as_ref().unwrap_or(&injection.on);
        let name = format!("{} ({} {on})", injection.label(self.recovery), injection.what);
        Shade { from, to: injection.healed_s.unwrap_or(from).max(from), name }
    }

    fn steady(&self) -> Option<&'a Steady> {
        self.recovery.steady.iter().find(|s| s.level == self.name)
    }

    fn panels(&self, timeline: &Timeline, begins_s: f64) -> Vec<Panel> {
        let line = |name: &str, colour, values: Vec<Option<f64>>| {
            shifted(of_stretches(name, colour, Stroke::Line, timeline, values.into_iter()), begins_s)
        };
        let windows: Vec<(u64, u64)> = (0..timeline.count()).map(|i| timeline.window_ns(i)).collect();
        let per_s = |n: u64, (from, to): (u64, u64)| Some(n as f64 / ((to - from).max(1) as f64 / 1e9));
        let starts = || self.levels.iter().flat_map(|l| &l.workflows).filter_map(|w| w.start);
        let arrived = timeline.counts(starts().map(|s| s.due_ns));
        let arrivals = arrived.iter().zip(&windows).map(|(n, window)| per_s(*n, *window)).collect();
        let completions =
            windows.iter().map(|window| per_s(self.waiting.completed(window.0, window.1), *window)).collect();
        let most: Vec<(u64, u64)> = windows.iter().map(|(from, to)| self.waiting.most(*from, *to)).collect();
        let backlog = most.iter().map(|(n, _)| Some(*n as f64)).collect();
        let oldest = most.iter().map(|(_, ns)| Some(*ns as f64 / 1e9)).collect();
        let steady = self.steady();
        vec![
            panel(
                "Per second",
                vec![line("arrivals", 6, arrivals), line("completions accepted", 0, completions)],
                (Quantity::Number, steady.map(|s| s.least_per_s)),
            ),
            self.responses(timeline, begins_s),
            panel(
                "Waiting tasks",
                vec![line("backlog", 3, backlog)],
                (Quantity::Number, steady.map(|s| s.backlog.bound)),
            ),
            panel(
                "Oldest wait",
                vec![line("age of the oldest waiting task", 1, oldest)],
                (Quantity::Duration, steady.map(|s| s.age_s.bound)),
            ),
        ]
    }

    /// Response of acknowledged starts; their tails over longer stretches, so that there are samples for them.
    fn responses(&self, timeline: &Timeline, begins_s: f64) -> Panel {
        let starts = self.levels.iter().flat_map(|l| &l.workflows).filter_map(|w| w.start);
        let ok = starts.filter(|s| s.outcome == Outcome::Ok);
        let samples: Vec<(u64, u64)> = ok.map(|s| (s.done_ns, s.done_ns.saturating_sub(s.due_ns))).collect();
        let series = |name: &str,
                      colour,
                      stroke,
                      timeline: &Timeline,
                      value: &dyn Fn(&Distribution) -> Option<f64>| {
            let stretches = timeline.distributions(samples.iter().copied());
            let values: Vec<Option<f64>> = stretches.iter().map(value).collect();
            shifted(of_stretches(name, colour, stroke, timeline, values.into_iter()), begins_s)
        };
        let percentile = |q: f64| move |d: &Distribution| d.percentile(q).value.map(|ns| ns / 1e9);
        let tails = timeline.for_tails_in(samples.iter().map(|s| s.0), FEWEST_TAILS);
        let all = vec![
            series("p50", 0, Stroke::Line, timeline, &percentile(0.5)),
            series("p99", 1, Stroke::Line, &tails, &percentile(0.99)),
            series("largest", 6, Stroke::Dots, timeline, &|d| d.most().map(|ns| ns as f64 / 1e9)),
        ];
        let y = Scale::durations(all.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1)));
        Panel { title: "Start response".to_owned(), y, series: all, bound: None }
    }

    /// What became of the probes, a lane for each outcome.
    fn probes(&self, from_ns: u64, to_ns: u64, begins_s: f64) -> Vec<Lane> {
        // A bar for neighbours that a screen can't tell apart.
        let apart_s = (to_ns - from_ns) as f64 / 1e9 / 500.0;
        let inside = |t: &&Tick| (from_ns..=to_ns).contains(&t.due_ns);
        let lane = |name: &str, colour: usize, is: fn(&Tick) -> bool| {
            let mut bars: Vec<(f64, f64, String)> = Vec::new();
            for tick in self.ticks.iter().filter(inside).filter(|t| is(t)) {
                let at = begins_s + (tick.due_ns - from_ns) as f64 / 1e9;
                match bars.last_mut().filter(|bar| at - bar.1 <= apart_s) {
                    Some(bar) => bar.1 = at,
                    None => bars.push((at, at, String::new())),
                }
            }
            Lane { name: name.to_owned(), colour, bars }
        };
        vec![
            lane("ok", 2, |t| t.ok),
            lane("late", 5, |t| !t.ok && t.late),
            lane("failed", 1, |t| !t.ok && !t.late),
        ]
    }

    fn hints(
        &self,
        title: &str,
        timeline: &Timeline,
        begins_s: f64,
        panels: &[Panel],
    ) -> (Vec<(f64, f64, String)>, Table) {
        let own = |p: &Panel| {
            p.series.iter().filter(|s| s.points.len() == timeline.count()).cloned().collect::<Vec<_>>()
        };
        let series: Vec<(Series, bool)> = panels
            .iter()
            .flat_map(|p| {
                own(p).into_iter().map(|s| (s, p.title != "Per second" && p.title != "Waiting tasks"))
            })
            .collect();
        let mut header = vec!["from".to_owned(), "to".to_owned()];
        header.extend(series.iter().map(|(s, _)| s.name.clone()));
        header.push("probes ok".to_owned());
        let mut table = Table::named(&format!("{title}: seconds since the run's start"), header);
        let mut hints = Vec::new();
        for i in 0..timeline.count() {
            let [from, _, to] = timeline.of_stretch(i).map(|s| s + begins_s);
            let (from_ns, to_ns) = timeline.window_ns(i);
            let due = || self.ticks.iter().filter(|t| t.due_ns >= from_ns && t.due_ns < to_ns);
            let probes = format!("{} of {}", due().filter(|t| t.ok).count(), due().count());
            let mut row: Vec<Cell> = vec![format!("{from:.1}").into(), format!("{to:.1}").into()];
            let mut lines = vec![format!("{from:.1} to {to:.1} s")];
            for (series, is_time) in &series {
                let value = series.points[i].1;
                let cell = if *is_time {
                    seconds(value)
                } else {
                    value.map_or_else(|| "–".into(), |v| units::value(v.round(), "count").into())
                };
                if let Cell::Text(text) = &cell {
                    lines.push(format!("{}: {text}", series.name));
                }
                row.push(cell);
            }
            lines.push(format!("probes ok: {probes}"));
            row.push(probes.into());
            table.row(row);
            hints.push((from, to, lines.join("\n")));
        }
        (hints, table)
    }
}

fn panel(title: &str, series: Vec<Series>, (quantity, bound): (Quantity, Option<f64>)) -> Panel {
    let values = series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1)).chain(bound);
    let y = Scale::linear(values.fold(0.0, f64::max), quantity);
    Panel { title: title.to_owned(), y, series, bound }
}

/// On the axis of the whole run.
fn shifted(mut series: Series, by_s: f64) -> Series {
    series.points.iter_mut().for_each(|p| p.0 += by_s);
    series
}

/// From a little before a fault until a little after what followed, seconds since the run's start.
fn around(injection: &InjectionResult) -> Option<(f64, f64)> {
    let at = injection.applied_s?;
    let clocks = [&injection.clocks.first_success, &injection.clocks.throughput, &injection.clocks.recovered];
    let took = clocks.iter().filter_map(|c| c.at_least_s()).fold(0.0, f64::max);
    let took = took.max(injection.healed_s.unwrap_or(at) - at).max(1.0);
    Some((at - 0.5 * took, at + 2.0 * took))
}

/// The clocks of the injections that are shown, a lane for each.
fn clocks(shown: &[&InjectionResult]) -> Vec<Lane> {
    type Of = fn(&InjectionResult) -> &Reading;
    let of: [(&str, usize, Of); 4] = [
        ("detect", 5, |i| &i.clocks.detect),
        ("first success", 4, |i| &i.clocks.first_success),
        ("throughput", 0, |i| &i.clocks.throughput),
        ("recovered", 2, |i| &i.clocks.recovered),
    ];
    let lane = |(name, colour, clock): (&str, usize, Of)| {
        let bar = |i: &&InjectionResult| {
            let from = i.applied_s?;
            let words = reading_words(clock(i));
            Some((from, from + clock(i).at_least_s().unwrap_or(0.0), words))
        };
        Lane { name: name.to_owned(), colour, bars: shown.iter().filter_map(bar).collect() }
    };
    of.into_iter().map(lane).collect()
}
