//! `report.md`: the same report for a pull request or a wiki, with every measure and finding.

use super::{recovery, terminal, units, words};
use crate::gate::Verdict;
use crate::judge::Summary;

/// The report as GitHub-flavoured Markdown.
pub fn render(summary: &Summary) -> String {
    let mut out = vec![
        format!("# {}: {}", escaped(&summary.scenario), words::outcome(summary)),
        String::new(),
        format!(
            "Run {}, seed {}, speed {} (workflow seconds per real second), target {}, shakedown {}. Exit code {}.",
            code(&summary.run),
            summary.seed,
            summary.speed,
            escaped(&summary.target),
            escaped(&summary.version),
            summary.exit_code
        ),
        String::new(),
        format!("Again: {}", code(&summary.reproduce())),
        String::new(),
    ];
    faults(summary, &mut out);
    gates(summary, &mut out);
    levels(summary, &mut out);
    checks(summary, &mut out);
    validity(summary, &mut out);
    measures(summary, &mut out);
    out.join("\n")
}

/// Faults: what they did in words, row by row, against what was allowed, and the ledger of truth.
fn faults(summary: &Summary, out: &mut Vec<String>) {
    let Some(found) = &summary.recovery else { return };
    let line = |text: String| format!("- {}", escaped(&text));
    out.extend(found.injections.iter().map(|i| line(recovery::sentence(found, i))));
    out.push(String::new());
    let rows = found.injections.iter().map(|i| recovery::row(found, i));
    table(out, "Recovery", &recovery::HEADER, rows.collect());
    let each = found.injections.iter().flat_map(|i| [recovery::steps(found, i), recovery::timers(found, i)]);
    out.extend(each.flatten().map(line));
    out.extend(found.availability.iter().map(|a| line(recovery::availability(a))));
    out.push(line(recovery::calibration(summary.calibration.as_ref())));
    out.push(String::new());
    let allowed = recovery::allowed(found).into_iter().map(|(cells, _)| cells).collect();
    table(out, "Allowance against measured", &recovery::ALLOWED_HEADER, allowed);
    table(out, "Ledger of truth", &recovery::LEDGER_HEADER, recovery::ledger(found));
    out.push(escaped(&recovery::ledger_note(found)));
    out.push(String::new());
    if let Some(control) = &summary.control {
        table(out, "Effect of the faults", &recovery::EFFECT_HEADER, recovery::effects(control));
        out.push(escaped(&recovery::control_note(control)));
        out.push(String::new());
    }
}

/// A table of texts.
fn table(out: &mut Vec<String>, title: &str, header: &[&str], rows: Vec<Vec<String>>) {
    let escaped_row = |row: Vec<String>| row.iter().map(|cell| escaped(cell)).collect();
    made_table(out, title, header, rows.into_iter().map(escaped_row).collect());
}

/// A table of cells that are Markdown.
fn made_table(out: &mut Vec<String>, title: &str, header: &[&str], rows: Vec<Vec<String>>) {
    out.push(format!("## {title}"));
    out.push(String::new());
    out.push(format!("| {} |", header.join(" | ")));
    out.push(format!("|{}", " --- |".repeat(header.len())));
    for row in rows {
        out.push(format!("| {} |", row.join(" | ")));
    }
    out.push(String::new());
}

/// A text on one line that stays text: no control character, no markup, no column of its own.
///
/// Names and reasons come from scenarios and targets, so anything may be in them.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in words::clean(text).chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '\\' | '`' | '|' | '[' | ']' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// A text as code, where nothing but its own quote means anything.
pub(super) fn code(text: &str) -> String {
    let text = words::clean(text).replace(['\n', '\t'], " ").replace('`', "'");
    format!("`{text}`")
}

fn gates(summary: &Summary, out: &mut Vec<String>) {
    let rows = summary.gates.iter().map(|g| {
        let measured = g.measured.as_ref().map_or("n/a".to_owned(), units::measured);
        let clock = g.measured.as_ref().map_or("", |m| units::clock(m.clock));
        let verdict = words::verdict(g.verdict).to_owned();
        vec![g.gate.name.clone(), measured, clock.to_owned(), g.allowed.clone(), verdict, g.reason.clone()]
    });
    table(out, "Gates", &["gate", "measured", "clock", "allowed", "verdict", "why"], rows.collect());
}

fn levels(summary: &Summary, out: &mut Vec<String>) {
    let rows = summary.levels.iter().map(|l| terminal::level_row(summary, l));
    table(out, "Levels", &terminal::LEVEL_HEADER, rows.collect());
    for level in &summary.levels {
        if let Some(bottleneck) = &level.bottleneck {
            out.push(format!("- {}: {}", escaped(&level.name), escaped(&bottleneck.sentence)));
        }
    }
    out.push(String::new());
}

fn checks(summary: &Summary, out: &mut Vec<String>) {
    let rows = summary.checks.iter().map(|c| {
        let verdict = if c.applies { words::verdict(c.verdict) } else { "not applicable" };
        vec![c.name.clone(), words::check(c), verdict.to_owned()]
    });
    table(out, "Checks", &["check", "found", "verdict"], rows.collect());
    for check in &summary.checks {
        for (word, findings) in [("", &check.findings), ("undecided: ", &check.undecided)] {
            for finding in findings {
                let task = finding.task.as_ref().map(|t| format!(" {}", code(t))).unwrap_or_default();
                let (workflow, what) = (escaped(&finding.workflow), escaped(&finding.what));
                out.push(format!("- **{}** {word}{workflow}{task}: {what}", check.name));
            }
        }
    }
    out.push(String::new());
}

fn validity(summary: &Summary, out: &mut Vec<String>) {
    let rows = summary.validity.checks.iter().map(|c| {
        let verdict = match c.verdict {
            Verdict::Fail => "INVALID",
            other => words::verdict(other),
        };
        vec![c.name.clone(), c.level.clone().unwrap_or_default(), c.text.clone(), verdict.to_owned()]
    });
    table(out, "What the run says of itself", &["check", "level", "seen", "verdict"], rows.collect());
    if let Some(reason) = &summary.validity.durations_unknown {
        out.push(format!("Durations can't be judged: {}", escaped(reason)));
        out.push(String::new());
    }
    // A run with faults says it beside its clocks, also when nobody has calibrated.
    if let Some(calibration) = summary.calibration.as_ref().filter(|_| summary.recovery.is_none()) {
        out.push(format!("- {}", escaped(&recovery::calibration(Some(calibration)))));
    }
    out.extend(summary.notes.iter().map(|note| format!("- note: {}", escaped(note))));
    out.push(String::new());
}

fn measures(summary: &Summary, out: &mut Vec<String>) {
    let rows = summary.measures.iter().map(|m| {
        let clock = units::clock(m.clock).to_owned();
        let name = code(&m.name).replace('|', "\\|");
        vec![name, escaped(&units::measured(m)), m.n.to_string(), escaped(&m.method), clock]
    });
    // There are hundreds of them with 22 tasks: folded away, and all there.
    out.push(format!("<details><summary>All {} measures</summary>", summary.measures.len()));
    out.push(String::new());
    made_table(out, "Measures", &["measure", "value", "n", "method", "clock"], rows.collect());
    out.push("</details>".to_owned());
    out.push(String::new());
    out.push(
        "Under closed load a workflow is due when its place falls free, so a slow target is also asked less, and what \
         it did to those who did not get to ask isn't in the figures; under open load it is due when it arrives. \
         Intervals are 95 % order-statistic intervals. Samples of one run are not independent, and the tasks of \
         one workflow least of all, so near saturation the intervals are too narrow; only repeated runs tell."
            .to_owned(),
    );
    out.push(String::new());
}
