//! Task by task: how long each waited and worked, and which of them the workflow's end hung on.

use super::{Context, NOTHING, WIDE, seconds, section};
use crate::histogram::Distribution;
use crate::joined::LevelRun;
use crate::judge::LevelSummary;
use crate::measure;
use crate::path::{self, Part};
use crate::plan::{Template, TemplateTask};
use crate::render::html::chart::bars::{self, Bar, Row};
use crate::render::html::figure::{Figure, Key};
use crate::render::html::markup::Markup;
use crate::render::html::table::{Cell, Table};
use crate::render::{units, words};
use std::collections::BTreeMap;

/// Most tasks of a template that are drawn.
const MOST_TASKS: usize = 60;
const HEADER: [&str; 13] = [
    "task",
    "agent",
    "wait p50",
    "wait p95",
    "wait max",
    "n",
    "work p50",
    "work p95",
    "work max",
    "n",
    "on the path",
    "share of the path",
    "remark",
];

/// What is known of one task of a level.
struct Seen<'a> {
    task: &'a TemplateTask,
    waits: Distribution,
    works: Distribution,
    part: Part,
    remark: String,
    marked: bool,
}

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    section(m, "tasks", "Tasks: waiting and working", |m| {
        m.element(
            "p",
            &[],
            "One level at a time. Bar: p50, or the largest when there are fewer than 5; whisker: p95, or the largest \
             when there are fewer than 59. Path n %: the task's share of the chain that the workflow's end hung on \
             (critical path through the real times); ◀ marks the bottleneck.",
        );
        let mut any = false;
        let levels = context.pictured().into_iter().filter(|l| l.executions().next().is_some());
        for (level, template) in levels.flat_map(|l| l.templates.iter().map(move |t| (l, *t))) {
            let name = &level.level.name;
            let inside = |m: &mut Markup| {
                let title = format!("{name}: {}", template.name);
                m.element("summary", &[], &words::clipped(&title, 160));
                figure(context, level, template).write(m);
            };
            let first = context.busiest() == Some(name) && level.template.name == template.name;
            any = true;
            if first {
                m.within("details", &[("class", &"pick"), ("name", &"tasks"), ("open", &"open")], inside);
            } else {
                m.within("details", &[("class", &"pick"), ("name", &"tasks")], inside);
            }
        }
        if !any {
            m.element("p", &[], NOTHING);
        }
    });
}

fn figure(context: &Context<'_>, level: &LevelRun<'_>, template: &Template) -> Figure {
    let name = &level.level.name;
    let summary = context.summary.levels.iter().find(|l| l.name == *name);
    let seen = seen(level, template, summary);
    let factor = context.run.speed / 1e9;
    let mut table = Table::new(&format!("Tasks of {} at {name}, workflow time", template.name), &HEADER);
    seen.iter().for_each(|s| table.row(table_row(s, factor)));
    let mut drawn: Vec<(usize, &Seen<'_>)> = seen.iter().enumerate().collect();
    let n = drawn.len();
    drawn.sort_by_key(|(i, s)| (std::cmp::Reverse(s.works.most().max(s.waits.most())), *i));
    drawn.truncate(MOST_TASKS);
    drawn.sort_by_key(|(i, _)| *i);
    let rows: Vec<Row> = drawn.into_iter().map(|(_, s)| picture_row(context, s, factor)).collect();
    let mut picture = Markup::default();
    let label = format!("Queue wait and work of each task of {} at level {name}", template.name);
    let panels = [("waited (queue)", 0.36), ("worked", 0.64)];
    bars::draw(&mut picture, &label, WIDE, panels, &rows);
    let mut how = String::new();
    if n > MOST_TASKS {
        how = format!("The {MOST_TASKS} longest of {n} tasks are drawn; the table has all.");
    }
    if let Some(bottleneck) = summary.and_then(|s| s.bottleneck.as_ref()) {
        how = format!("{how} Bottleneck: {}.", bottleneck.sentence).trim_start().to_owned();
    }
    let used: Vec<&str> = template.tasks.iter().map(|t| t.pool.as_str()).collect();
    let legend = context.pools().filter(|(pool, _)| used.contains(pool));
    Figure {
        title: format!("Waiting and working at {name}"),
        how,
        legend: legend.map(|(pool, colour)| Key::area(colour, pool)).collect(),
        picture,
        table: Some(table.cut(1_000, "samples.csv holds all of them.")),
        half: false,
    }
}

fn seen<'t>(level: &LevelRun<'_>, template: &'t Template, summary: Option<&LevelSummary>) -> Vec<Seen<'t>> {
    let own = || level.workflows.iter().filter(|w| w.template.name == template.name);
    let mut times: BTreeMap<&str, (Distribution, Distribution)> = BTreeMap::new();
    for workflow in own() {
        for execution in &workflow.executions {
            let (waits, works) = times.entry(&execution.reference).or_default();
            measure::wait_ns(execution).into_iter().for_each(|ns| waits.record(ns));
            if workflow.is_accepted(execution) {
                works.record(execution.finished_ns.saturating_sub(execution.started_ns));
            }
        }
    }
    let parts = path::parts(own());
    let largest = parts.values().map(|p| p.share).fold(0.0, f64::max);
    let short = summary.and_then(|s| s.bottleneck.as_ref()).map(|b| b.pool.as_str());
    let tasks = template.tasks.iter().map(|task| {
        let (waits, works) = times.remove(task.reference.as_str()).unwrap_or_default();
        let part = parts.get(task.reference.as_str()).copied().unwrap_or_default();
        let marked = short.map_or(part.share > 0.0 && part.share >= largest, |pool| pool == task.pool);
        let path = if part.share > 0.0 { format!("path {:.0} %", part.share * 100.0) } else { String::new() };
        let remark = match (marked, short) {
            (true, Some(_)) => format!("{path} ◀ short").trim_start().to_owned(),
            (true, None) => format!("{path} ◀"),
            (false, _) => path,
        };
        Seen { task, waits, works, part, remark, marked }
    });
    tasks.collect()
}

/// Name of a task for people: its reference and, where that says more, its title.
pub(super) fn name(task: &TemplateTask) -> String {
    if task.title == task.reference {
        task.reference.clone()
    } else {
        format!("{} {}", task.reference, task.title)
    }
}

fn picture_row(context: &Context<'_>, seen: &Seen<'_>, factor: f64) -> Row {
    let bar = |word: &str, d: &Distribution| {
        let most = d.most().map(|ns| ns as f64);
        let (p50, p95) = (d.percentile(0.5).value, d.percentile(0.95).value);
        let [value, tick, p95, most] =
            [p50.or(most), p95.or(most), p95, most].map(|v| v.map(|ns| ns * factor));
        let shown = |v: Option<f64>| v.map_or("n/a".to_owned(), |v| units::value(v, "s"));
        let title = format!(
            "{} ({}) {word}: p50 {}, p95 {}, largest {}, n {}",
            name(seen.task),
            seen.task.pool,
            shown(p50.map(|ns| ns * factor)),
            shown(p95),
            shown(most),
            d.n()
        );
        Bar { value, tick, title }
    };
    Row {
        name: name(seen.task),
        marked: seen.marked,
        remark: seen.remark.clone(),
        colour: context.pool_colour(&seen.task.pool),
        bars: [bar("waited", &seen.waits), bar("worked", &seen.works)],
    }
}

fn table_row(seen: &Seen<'_>, factor: f64) -> Vec<Cell> {
    let figures = |d: &Distribution| -> [Cell; 4] {
        let percentile = |q: f64| match d.percentile(q) {
            e if e.value.is_some() => seconds(e.value.map(|ns| ns * factor)),
            e => format!("n/a ({})", e.missing.unwrap_or_default()).into(),
        };
        let most = seconds(d.most().map(|ns| ns as f64 * factor));
        [percentile(0.5), percentile(0.95), most, d.n().to_string().into()]
    };
    let mut row: Vec<Cell> = vec![name(seen.task).into(), seen.task.pool.as_str().into()];
    row.extend(figures(&seen.waits));
    row.extend(figures(&seen.works));
    row.push(format!("{} of {}", seen.part.on_path, seen.part.of).into());
    row.push(units::value(seen.part.share, "ratio").into());
    row.push(seen.remark.as_str().into());
    row
}
