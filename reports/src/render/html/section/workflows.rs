//! Single workflows as Gantt charts: of each level the median one, the slowest, and one that did not complete.

use super::{Context, NOTHING, WIDE, seconds, section};
use crate::history::{Execution, Reported};
use crate::joined::{LevelRun, WorkflowRun};
use crate::measure;
use crate::path;
use crate::render::html::chart::gantt::{self, Row, Span};
use crate::render::html::figure::{Figure, Key};
use crate::render::html::markup::Markup;
use crate::render::html::table::Table;
use crate::render::{units, words};
use std::collections::BTreeMap;

/// Most rows of a chart.
const MOST_ROWS: usize = 80;
/// Most executions of one task in a chart.
const MOST_SPANS: usize = 50;
const HEADER: [&str; 9] =
    ["task", "agent", "worker", "attempt", "waited", "began", "worked", "ended", "counts"];

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    section(m, "workflows", "Single workflows", |m| {
        m.element(
            "p",
            &[],
            "Open one at a time. Light: waited after being scheduled; full: worked; outlined and bold: on the critical \
             path, so the end hung on it; hatched: in vain (failed, or did not count).",
        );
        let picked: Vec<_> = context.pictured().into_iter().flat_map(picked).collect();
        let last_median = picked.iter().rposition(|(what, _)| *what == "median");
        for (i, (what, workflow)) in picked.iter().enumerate() {
            let inside = |m: &mut Markup| {
                m.element("summary", &[], &words::clipped(&title(context, what, workflow), 160));
                figure(context, workflow).write(m);
            };
            if last_median == Some(i) {
                m.within("details", &[("class", &"pick"), ("name", &"gantt"), ("open", &"open")], inside);
            } else {
                m.within("details", &[("class", &"pick"), ("name", &"gantt")], inside);
            }
        }
        if picked.is_empty() {
            m.element("p", &[], NOTHING);
        }
    });
}

/// The workflows of a level that are worth a look, each with what it is; of a mix those of each template.
fn picked<'a>(level: &'a LevelRun<'a>) -> Vec<(&'static str, &'a WorkflowRun<'a>)> {
    level.templates.iter().flat_map(|template| of_template(level, &template.name)).collect()
}

fn of_template<'a>(level: &'a LevelRun<'a>, template: &str) -> Vec<(&'static str, &'a WorkflowRun<'a>)> {
    let own = || level.workflows.iter().filter(|w| w.template.name == template);
    let worked = || own().filter(|w| !w.executions.is_empty());
    let mut completed: Vec<(f64, &WorkflowRun<'_>)> =
        worked().filter_map(|w| Some((w.makespan_s()?, w))).collect();
    completed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = completed.get(completed.len().saturating_sub(1) / 2).map(|(_, w)| ("median", *w));
    let slowest = completed.last().filter(|_| completed.len() > 1).map(|(_, w)| ("slowest", *w));
    let open = worked().find(|w| !w.completed()).map(|w| ("not completed", w));
    median.into_iter().chain(slowest).chain(open).collect()
}

fn title(context: &Context<'_>, what: &str, workflow: &WorkflowRun<'_>) -> String {
    let length = workflow.makespan_s().map(|s| format!(", {}", units::value(s * context.run.speed, "s")));
    let planned = workflow.planned;
    let of = planned.template.as_ref().map(|template| format!(" of {template}")).unwrap_or_default();
    format!("{}: {what}{of}, workflow #{}{}", planned.level, planned.index, length.unwrap_or_default())
}

/// When a workflow began on the harness's clock: when its start was sent, or its first task was there.
fn began_ns(workflow: &WorkflowRun<'_>) -> u64 {
    let first = workflow.executions.iter().map(|e| waiting_from_ns(e)).min();
    workflow.start.map(|s| s.sent_ns).into_iter().chain(first).min().unwrap_or(0)
}

fn waiting_from_ns(execution: &Execution) -> u64 {
    execution.started_ns.saturating_sub(measure::wait_ns(execution).unwrap_or(0))
}

fn figure(context: &Context<'_>, workflow: &WorkflowRun<'_>) -> Figure {
    let (began_ns, speed) = (began_ns(workflow), context.run.speed);
    let since = |ns: u64| ns.saturating_sub(began_ns) as f64 / 1e9 * speed;
    let critical: Vec<&str> = path::critical(workflow).iter().map(|e| e.nonce.as_str()).collect();
    let mut executions = workflow.executions.clone();
    executions.sort_by_key(|e| (e.started_ns, e.finished_ns));
    let mut table = Table::new("Executions, in the order in which they began; workflow time", &HEADER);
    let mut rows: Vec<Row> = Vec::new();
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    for e in executions {
        let task = workflow.template.task(&e.reference);
        let name = task.map_or_else(|| e.reference.clone(), super::tasks::name);
        let counts = workflow.is_accepted(e);
        let [waited, worked] =
            [since(e.started_ns) - since(waiting_from_ns(e)), since(e.finished_ns) - since(e.started_ns)];
        table.row(vec![
            name.as_str().into(),
            e.pool.as_str().into(),
            e.worker.as_str().into(),
            (e.attempt + 1).to_string().into(),
            seconds(measure::wait_ns(e).map(|_| waited)),
            seconds(Some(since(e.started_ns))),
            seconds(Some(worked)),
            seconds(Some(since(e.finished_ns))),
            if counts { "yes".into() } else { "no".into() },
        ]);
        let row = *of.entry(&e.reference).or_insert(rows.len());
        if row == rows.len() {
            let colour = context.pool_colour(&e.pool);
            rows.push(Row { name: name.clone(), colour, critical: false, spans: Vec::new() });
        }
        rows[row].critical |= critical.contains(&e.nonce.as_str());
        let title = format!(
            "{name} ({}): waited {}, worked {}, attempt {}{}",
            e.worker,
            units::value(waited, "s"),
            units::value(worked, "s"),
            e.attempt + 1,
            if counts { "" } else { ", did not count" }
        );
        let (waiting_from, from, to) = (since(waiting_from_ns(e)), since(e.started_ns), since(e.finished_ns));
        let failed = !counts && e.reported != Reported::InProgress;
        rows[row].spans.push(Span { waiting_from, from, to, title, failed });
    }
    bounded(workflow, context, rows, table)
}

fn bounded(workflow: &WorkflowRun<'_>, context: &Context<'_>, mut rows: Vec<Row>, table: Table) -> Figure {
    let (n, spans) = (rows.len(), rows.iter().map(|r| r.spans.len()).max().unwrap_or(0));
    rows.truncate(MOST_ROWS);
    rows.iter_mut().for_each(|row| row.spans.truncate(MOST_SPANS));
    let end = rows.iter().flat_map(|r| r.spans.iter().map(|s| s.to)).fold(0.0, f64::max);
    let mut picture = Markup::default();
    let label = format!("Gantt chart of workflow {}", workflow.label());
    gantt::draw(&mut picture, &label, WIDE, (end.max(1e-6), "workflow time since the start was sent"), &rows);
    let mut how =
        workflow.workflow_id().map(|id| format!("Id {}.", words::clipped(id, 80))).unwrap_or_default();
    if n > MOST_ROWS || spans > MOST_SPANS {
        how += &format!(" The first {MOST_ROWS} of {n} tasks and {MOST_SPANS} executions of each are drawn.");
    }
    let used: Vec<usize> = rows.iter().map(|r| r.colour).collect();
    let legend = context.pools().filter(|(_, colour)| used.contains(colour));
    Figure {
        title: workflow.label().split(" (").next().unwrap_or_default().to_owned(),
        how,
        legend: legend.map(|(pool, colour)| Key::area(colour, pool)).collect(),
        picture,
        table: Some(table.cut(200, "samples.csv holds all of them.")),
        half: false,
    }
}
