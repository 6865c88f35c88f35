//! Faults and recovery: the timeline, what it says in words, what was allowed, and the ledger of truth.

use super::drill::Drill;
use super::{Context, badge, plain_badge, section};
use crate::gate::Verdict;
use crate::history::Calibration;
use crate::recovery::{InjectionResult, Recovery, State};
use crate::render::html::markup::Markup;
use crate::render::html::table::{Cell, Table};
use crate::render::recovery as told;
use crate::render::words;

/// Most injections that are told in words.
const MOST_TOLD: usize = 12;

/// Writes what somebody has to see first who has ten seconds: the story in words, and the timeline.
pub(in super::super) fn at_the_top(m: &mut Markup, context: &Context<'_>) {
    let Some(recovery) = &context.summary.recovery else { return };
    section(m, "faults", "What the faults did", |m| {
        story(m, recovery);
        drills(context, recovery).iter().for_each(|drill| drill.whole().write(m));
    });
}

/// Writes the section with the figures, of a run with faults.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    let Some(recovery) = &context.summary.recovery else { return };
    section(m, "recovery", "Recovery", |m| {
        injections(m, recovery, context.summary.calibration.as_ref());
        allowances(m, recovery);
        ledger(m, recovery);
        control(m, context);
        for zoom in drills(context, recovery).iter().flat_map(Drill::zooms) {
            m.within("details", &[("class", &"pick")], |m| {
                m.element("summary", &[], &zoom.title);
                zoom.write(m);
            });
        }
    });
}

/// The levels with faults.
fn drills<'a>(context: &'a Context<'a>, recovery: &'a Recovery) -> Vec<Drill<'a>> {
    let with_faults = |name: &str| recovery.injections.iter().any(|i| i.level == name);
    let levels = context.run.levels.iter().filter(|l| with_faults(&l.level.name));
    levels.filter_map(|level| Drill::of(context, recovery, level)).collect()
}

/// The ten seconds: what broke, for how long, what was lost.
fn story(m: &mut Markup, recovery: &Recovery) {
    m.within("ul", &[("class", &"story")], |m| {
        for injection in recovery.injections.iter().take(MOST_TOLD) {
            m.within("li", &[], |m| {
                m.append(&state(injection));
                m.text(&words::clipped(&told::sentence(recovery, injection), 600));
            });
        }
        if recovery.injections.len() > MOST_TOLD {
            m.element("li", &[], &format!("… and {} more below", recovery.injections.len() - MOST_TOLD));
        }
    });
    m.line();
}

fn state(injection: &InjectionResult) -> Markup {
    match (injection.state, plain_badge("not run")) {
        (State::NotRun, Cell::Made(not_run)) => not_run,
        _ => badge(injection.verdict),
    }
}

fn injections(m: &mut Markup, recovery: &Recovery, calibration: Option<&Calibration>) {
    let resolution = recovery.injections.iter().filter_map(|i| i.resolution_s).reduce(f64::max);
    let resolution = resolution.map_or(String::new(), |s| {
        format!("; detect and first success are told to the {:.0} ms between probes", s * 1e3)
    });
    let caption = format!(
        "Each injection with its clocks, from the instant from which it is known to be in effect{resolution}"
    );
    let mut table = Table::new(&caption, &told::HEADER);
    for injection in &recovery.injections {
        let mut cells: Vec<Cell> = told::row(recovery, injection).into_iter().map(Cell::from).collect();
        cells.pop();
        cells.push(Cell::Made(state(injection)));
        table.row(cells);
    }
    table.cut(500, "summary.json holds all of them.").write(m);
    let each = recovery.injections.iter();
    let notes = each.flat_map(|i| [told::steps(recovery, i), told::timers(recovery, i)]).flatten();
    let notes = notes
        .chain(recovery.availability.iter().map(told::availability))
        .chain([told::calibration(calibration)]);
    m.within("ul", &[("class", &"reading")], |m| {
        notes.take(60).for_each(|note| m.element("li", &[], &words::clipped(&note, 400)));
    });
    m.line();
}

fn allowances(m: &mut Markup, recovery: &Recovery) {
    let rows = told::allowed(recovery);
    if rows.is_empty() {
        m.element(
            "p",
            &[("class", &"note")],
            "The scenario sets no allowances, so nothing here is judged by its length.",
        );
        return;
    }
    m.element("h3", &[], "Allowance against measured");
    let mut table = Table::new("What the scenario lets recovery and loss be", &told::ALLOWED_HEADER).worded();
    for (cells, verdict) in rows {
        let mut row: Vec<Cell> = cells.into_iter().map(Cell::from).collect();
        row[4] = Cell::Made(badge(verdict));
        table.row(row);
    }
    table.cut(500, "summary.json holds all of them.").write(m);
}

fn ledger(m: &mut Markup, recovery: &Recovery) {
    m.element("h3", &[], "Ledger of truth");
    let mut table =
        Table::new("What was asked for, and what became of it by the final reads", &told::LEDGER_HEADER);
    told::ledger(recovery).into_iter().for_each(|row| table.row(row.into_iter().map(Cell::from).collect()));
    table.write(m);
    m.element("p", &[("class", &"note")], &told::ledger_note(recovery));
    if recovery.ledger.lost.is_empty() {
        return;
    }
    let mut lost =
        Table::new("Lost, the oldest first", &["acknowledged at", "kind", "workflow", "what"]).worded();
    for one in &recovery.ledger.lost {
        lost.row(vec![
            format!("{:.3} s", one.acknowledged_s).into(),
            one.kind.words().into(),
            one.workflow.clone().into(),
            one.what.clone().into(),
        ]);
    }
    lost.cut(100, "summary.json holds all of them.").write(m);
}

fn control(m: &mut Markup, context: &Context<'_>) {
    let Some(control) = &context.summary.control else { return };
    m.element("h3", &[], "Effect of the faults");
    let mut table = Table::new(&told::control_note(control), &told::EFFECT_HEADER);
    told::effects(control).into_iter().for_each(|row| table.row(row.into_iter().map(Cell::from).collect()));
    table.write(m);
    if control.verdict != Verdict::Pass {
        m.append(&badge(control.verdict));
    }
}
