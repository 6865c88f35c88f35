//! The levels of load, one row each.

use super::{Context, section};
use crate::judge::LevelSummary;
use crate::render::html::markup::Markup;
use crate::render::html::table::{Cell, Table};
use crate::render::{units, words};

const HEADER: [&str; 10] = [
    "level",
    "load",
    "completed",
    "makespan min / p50 / max",
    "queue wait p50 / p99",
    "tasks per s",
    "overhead p50",
    "request p99",
    "errors",
    "lasted",
];

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    let summary = context.summary;
    section(m, "levels", "Levels of load", |m| {
        let caption = "Makespan and queue wait in workflow time, everything else in real time. Closed N: \
                       N workflows kept in flight; open: arrivals per second, whatever the target does. - and \
                       n/a (needs N): too few samples for that percentile";
        let mut table = Table::new(caption, &HEADER);
        summary.levels.iter().for_each(|level| table.row(row(context, level)));
        table.cut(500, "summary.json holds all of them.").write(m);
        for level in &summary.levels {
            if let Some(bottleneck) = &level.bottleneck {
                let text = format!("{}: {}", level.name, bottleneck.sentence);
                m.element("p", &[("class", &"note")], &words::clipped(&text, 600));
            }
        }
    });
}

fn row(context: &Context<'_>, level: &LevelSummary) -> Vec<Cell> {
    let shown = |name: &str| context.shown(&level.name, name);
    let values = |names: &[&str]| {
        let values = names.iter().map(|n| context.measure(&level.name, n)?.value);
        units::several(&values.collect::<Vec<_>>(), "s")
    };
    vec![
        level.name.as_str().into(),
        words::load(level).into(),
        format!("{} of {}", level.completed, level.n).into(),
        values(&["makespan_min_s", "makespan_p50_s", "makespan_max_s"]).into(),
        values(&["queue_wait_p50_s", "queue_wait_p99_s"]).into(),
        shown("throughput_tasks_per_s").into(),
        shown("overhead_p50_ms").into(),
        shown("api_p99_ms").into(),
        shown("error_ratio").into(),
        super::seconds(level.window_s),
    ]
}
