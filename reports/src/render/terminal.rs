//! The report at the end of a run, for a terminal.

use super::{recovery, table, units, words};
use crate::gate::{GateResult, Verdict};
use crate::judge::{INTERRUPTED_RUN, INVALID_RUN, LevelSummary, Summary};

/// How to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Characters in a line.
    pub width: usize,
    /// True to colour verdicts with ANSI escapes.
    pub colour: bool,
    /// The report file to name at the end, as the reader would open it.
    pub report: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { width: 100, colour: false, report: "report.html".to_owned() }
    }
}

/// Findings of one check that are shown; the report file has them all.
const SHOWN_FINDINGS: usize = 5;

/// The whole report: gates, levels, checks, what the run says of itself, and where the rest is.
pub fn render(summary: &Summary, options: &Options) -> String {
    let mut out = Vec::new();
    out.push(words::clean(&format!(
        "{} · {} · seed {} · speed {} · {}",
        summary.run, summary.scenario, summary.seed, summary.speed, summary.target
    )));
    out.push(String::new());
    faults(summary, options, &mut out);
    gates(summary, options, &mut out);
    levels(summary, options, &mut out);
    checks(summary, options, &mut out);
    validity(summary, options, &mut out);
    out.push(format!("{} (exit {})", painted_outcome(summary, options), summary.exit_code));
    out.push(words::clean(&format!("Report: {}", options.report)));
    out.push(words::clean(&format!("Again:  {}", summary.reproduce())));
    out.push(String::new());
    out.join("\n")
}

/// One row a fault, what was allowed, and what users and operators want to know in ten seconds.
fn faults(summary: &Summary, options: &Options, out: &mut Vec<String>) {
    let Some(found) = &summary.recovery else { return };
    let mut rows = vec![recovery::HEADER.map(str::to_owned).to_vec()];
    rows.extend(found.injections.iter().map(|i| recovery::row(found, i)));
    out.extend(table::lines(&rows, options.width).into_iter().map(|line| paint_end(line, options)));
    for injection in &found.injections {
        indented(&recovery::sentence(found, injection), options, out);
        let more = [recovery::steps(found, injection), recovery::timers(found, injection)];
        more.into_iter().flatten().for_each(|line| indented(&line, options, out));
    }
    out.push(String::new());
    let allowed = recovery::allowed(found);
    if !allowed.is_empty() {
        let mut rows = vec![recovery::ALLOWED_HEADER[..5].iter().map(|h| (*h).to_owned()).collect()];
        rows.extend(allowed.iter().map(|(cells, _)| cells[..5].to_vec()));
        out.extend(table::lines(&rows, options.width).into_iter().map(|line| paint_end(line, options)));
        let why = allowed.iter().filter(|(cells, _)| !cells[5].is_empty());
        why.for_each(|(cells, _)| indented(&format!("{}: {}", cells[0], cells[5]), options, out));
        out.push(String::new());
    }
    let mut rows = vec![recovery::LEDGER_HEADER.map(str::to_owned).to_vec()];
    rows.extend(recovery::ledger(found));
    out.extend(table::lines(&rows, options.width));
    found.availability.iter().for_each(|a| indented(&recovery::availability(a), options, out));
    indented(&recovery::calibration(summary.calibration.as_ref()), options, out);
    out.push(String::new());
    control(summary, options, out);
}

fn control(summary: &Summary, options: &Options, out: &mut Vec<String>) {
    let Some(control) = &summary.control else { return };
    let mut rows = vec![recovery::EFFECT_HEADER.map(str::to_owned).to_vec()];
    rows.extend(recovery::effects(control));
    out.extend(table::lines(&rows, options.width));
    indented(&recovery::control_note(control), options, out);
    out.push(String::new());
}

fn gates(summary: &Summary, options: &Options, out: &mut Vec<String>) {
    if summary.gates.is_empty() {
        out.push("The scenario has no gates.".to_owned());
        out.push(String::new());
        return;
    }
    let mut rows = vec![["gate", "measured", "allowed", "verdict"].map(str::to_owned).to_vec()];
    for gate in &summary.gates {
        let measured = gate.measured.as_ref().map_or("n/a".to_owned(), units::measured);
        let verdict = words::verdict(gate.verdict).to_owned();
        rows.push(vec![gate.gate.name.clone(), measured, gate.allowed.clone(), verdict]);
    }
    out.extend(table::lines(&rows, options.width).into_iter().map(|line| paint_end(line, options)));
    // What touches many gates, an invalid or interrupted run or durations that can't be judged, is said once, further down.
    let is_its_own = |g: &&GateResult| {
        let duration = g.gate.duration && summary.validity.durations_unknown.is_some();
        let of_all = [INVALID_RUN, INTERRUPTED_RUN].contains(&g.reason.as_str());
        let of_durations = duration && g.verdict == Verdict::Unknown && g.measured.is_some();
        !of_all && !of_durations
    };
    for gate in summary.gates.iter().filter(|g| !g.reason.is_empty()).filter(is_its_own) {
        let why = format!("{}: {}", gate.gate.name, gate.reason);
        indented(&why, options, out);
    }
    out.push(String::new());
}

/// Columns of the table of levels; [`level_row`] fills them.
pub(super) const LEVEL_HEADER: [&str; 7] =
    ["level", "load", "completed", "makespan min / p50 / max", "wait p99", "tasks/s", "overhead p50"];

fn levels(summary: &Summary, options: &Options, out: &mut Vec<String>) {
    let mut rows = vec![LEVEL_HEADER.map(str::to_owned).to_vec()];
    rows.extend(summary.levels.iter().map(|level| level_row(summary, level)));
    out.extend(table::lines(&rows, options.width));
    out.push(
        "makespan and wait in workflow time; overhead in real time; closed N: N workflows in flight"
            .to_owned(),
    );
    for level in &summary.levels {
        if let Some(bottleneck) = &level.bottleneck {
            indented(&format!("{}: {}", level.name, bottleneck.sentence), options, out);
        }
    }
    out.push(String::new());
}

/// One row of the table of levels.
pub(super) fn level_row(summary: &Summary, level: &LevelSummary) -> Vec<String> {
    let measure = |name: &str| summary.measure(&format!("{}/{name}", level.name));
    let value = |name: &str| {
        let found = measure(name);
        found.and_then(|m| Some(units::value(m.value?, &m.unit))).unwrap_or_else(|| {
            let missing = found.and_then(|m| m.missing.as_deref()).unwrap_or("no evidence");
            format!("n/a ({missing})")
        })
    };
    let makespans = ["makespan_min_s", "makespan_p50_s", "makespan_max_s"].map(|n| measure(n)?.value);
    vec![
        level.name.clone(),
        words::load(level),
        format!("{} of {}", level.completed, level.n),
        units::several(&makespans, "s"),
        value("queue_wait_p99_s"),
        value("throughput_tasks_per_s"),
        value("overhead_p50_ms"),
    ]
}

fn checks(summary: &Summary, options: &Options, out: &mut Vec<String>) {
    let mut rows = vec![["check", "found", "verdict"].map(str::to_owned).to_vec()];
    rows.extend(summary.checks.iter().map(|check| {
        let verdict = if check.applies { words::verdict(check.verdict) } else { "-" };
        vec![check.name.clone(), words::check(check), verdict.to_owned()]
    }));
    out.extend(table::lines(&rows, options.width).into_iter().map(|line| paint_end(line, options)));
    for check in &summary.checks {
        let all = check.findings.iter().chain(&check.undecided);
        for finding in all.take(SHOWN_FINDINGS) {
            let task = finding.task.as_ref().map(|t| format!(" {t}")).unwrap_or_default();
            let text = format!("{}: {}{task}: {}", check.name, finding.workflow, finding.what);
            indented(&text, options, out);
        }
        let more = (check.findings.len() + check.undecided.len()).saturating_sub(SHOWN_FINDINGS);
        if more > 0 {
            out.push(format!("  {}: … and {more} more in the report", words::clean(&check.name)));
        }
    }
    out.push(String::new());
}

fn validity(summary: &Summary, options: &Options, out: &mut Vec<String>) {
    let validity = &summary.validity;
    for reason in validity.reasons() {
        indented(&format!("invalid: {reason}"), options, out);
    }
    if let Some(reason) = &validity.durations_unknown {
        indented(&format!("durations can't be judged: {reason}"), options, out);
    }
    for note in &summary.notes {
        indented(&format!("note: {note}"), options, out);
    }
    if !validity.valid || validity.durations_unknown.is_some() || !summary.notes.is_empty() {
        out.push(String::new());
    }
}

fn indented(text: &str, options: &Options, out: &mut Vec<String>) {
    out.extend(table::wrap(text, options.width.saturating_sub(2)).into_iter().map(|l| format!("  {l}")));
}

fn painted_outcome(summary: &Summary, options: &Options) -> String {
    let word = words::outcome(summary);
    let colour = match summary.verdict {
        Verdict::Pass => "32",
        Verdict::Unknown => "33",
        Verdict::Fail => "31",
    };
    if options.colour { format!("\u{1b}[1;{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// Colours a verdict at the end of a line, where it pads nothing.
fn paint_end(line: String, options: &Options) -> String {
    if !options.colour {
        return line;
    }
    for (word, colour) in [("pass", "32"), ("unknown", "33"), ("not run", "33"), ("FAIL", "31")] {
        if let Some(rest) = line.strip_suffix(word).filter(|rest| rest.ends_with(' ')) {
            return format!("{rest}\u{1b}[{colour}m{word}\u{1b}[0m");
        }
    }
    line
}
