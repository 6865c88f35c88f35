//! The checks (what no orchestrator may ever do) and what the run says of itself.

use super::{Context, badge, plain_badge, section};
use crate::check::CheckResult;
use crate::gate::Verdict;
use crate::render::html::markup::Markup;
use crate::render::html::table::{Cell, Table};
use crate::render::words;

/// Most findings of one check that are listed.
const MOST_FINDINGS: usize = 100;

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    let summary = context.summary;
    section(m, "checks", "Checks", |m| {
        let mut table = Table::new(
            "What no orchestrator may do, looked for in everything that the harness saw and the target told",
            &["check", "verdict", "found"],
        )
        .worded();
        for check in &summary.checks {
            let verdict = if check.applies { Cell::Made(badge(check.verdict)) } else { plain_badge("–") };
            table.row(vec![check.name.as_str().into(), verdict, words::check(check).into()]);
        }
        table.write(m);
        summary.checks.iter().for_each(|check| findings(m, check));
    });
    section(m, "validity", "What the run says of itself", |m| {
        let mut table = Table::new(
            "Whether the harness was the limit, its accounts agree, and its history is whole",
            &["self-check", "level", "verdict", "seen"],
        )
        .worded();
        for check in &summary.validity.checks {
            let level = check.level.as_deref().unwrap_or("all");
            let verdict = Cell::Made(badge(check.verdict));
            table.row(vec![check.name.as_str().into(), level.into(), verdict, check.text.as_str().into()]);
        }
        let table = table.cut(500, "summary.json holds all of them.");
        if summary.validity.valid {
            table.write_folded(m, "All self-checks hold");
        } else {
            table.write(m);
        }
        if let Some(reason) = &summary.validity.durations_unknown {
            m.element("p", &[("class", &"note")], &format!("Durations can't be judged: {reason}"));
        }
    });
}

fn findings(m: &mut Markup, check: &CheckResult) {
    let all = check.findings.iter().map(|f| (f, Verdict::Fail));
    let all = all.chain(check.undecided.iter().map(|f| (f, Verdict::Unknown)));
    let mut table =
        Table::new(&format!("Findings of {}", check.name), &["workflow", "verdict", "task", "what happened"])
            .worded();
    for (finding, verdict) in all.take(MOST_FINDINGS + 1) {
        let task = finding.task.as_deref().unwrap_or("–");
        let badge = Cell::Made(badge(verdict));
        table.row(vec![finding.workflow.as_str().into(), badge, task.into(), finding.what.as_str().into()]);
    }
    let n = check.findings.len() + check.undecided.len();
    if n > 0 {
        let table = table.cut(MOST_FINDINGS, "summary.json holds all of them.");
        table.write_folded(m, &format!("{}: {n} findings", check.name));
    }
}
