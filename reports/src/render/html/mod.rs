//! `report.html`: the whole report in one file that needs nothing else, opens from a disk, and prints.
//!
//! It runs no script and loads nothing: a policy in its head forbids both, and what people can open is made of plain
//! `details`. Its size is bounded however long the run was: time is cut into stretches, tables are thinned, and both
//! say so. The same run gives the same bytes.

mod chart;
mod figure;
mod markup;
mod page;
mod section;
pub mod suite;
mod table;

use crate::joined::Joined;
use crate::judge::Summary;
use markup::Markup;
use section::Context;

/// The parts of the page that can be jumped to: id and name.
const PARTS: [(&str, &str); 10] = [
    ("gates", "Gates"),
    ("checks", "Checks"),
    ("levels", "Levels"),
    ("latency", "Latency"),
    ("latency-over-time", "over time"),
    ("tasks", "Tasks"),
    ("workflows", "Workflows"),
    ("throughput", "Throughput"),
    ("resources", "Resources"),
    ("measures", "Measures"),
];

/// The report as HTML.
pub fn render(summary: &Summary, run: &Joined<'_>) -> String {
    let context = Context::new(summary, run);
    let title = format!("{}: {}", summary.scenario, super::words::outcome(summary));
    let mut body = Markup::default();
    section::verdict::write(&mut body, &context);
    section::recovery::at_the_top(&mut body, &context);
    section::verdict::facts(&mut body, &context);
    let recovery = summary.recovery.as_ref().map(|_| ("recovery", "Recovery"));
    page::navigation(&mut body, &recovery.into_iter().chain(PARTS).collect::<Vec<_>>());
    section::recovery::write(&mut body, &context);
    section::gates::write(&mut body, &context);
    section::checks::write(&mut body, &context);
    section::levels::write(&mut body, &context);
    section::latency::write(&mut body, &context);
    section::tasks::write(&mut body, &context);
    section::workflows::write(&mut body, &context);
    section::throughput::write(&mut body, &context);
    section::resources::write(&mut body, &context);
    section::measures::write(&mut body, &context);
    page::page(&title, &body)
}
