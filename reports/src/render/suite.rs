//! The documents of a suite: a table for the terminal, `report.md`, and `junit.xml` with one case a scenario.

use super::markdown::{code, escaped};
use super::{table, units, words};
use crate::exit_code;
use crate::gate::Verdict;
use crate::suite::{ScenarioSummary, SuiteSummary};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// Reasons of one scenario that are shown in a terminal; its own report has them all.
const SHOWN_REASONS: usize = 4;

/// One word for what became of a scenario.
pub(super) fn word(scenario: &ScenarioSummary) -> &'static str {
    match (scenario.exit_code, scenario.verdict) {
        (None, _) => "not run",
        (Some(exit_code::PASSED), _) => "pass",
        (Some(exit_code::FAILED), _) => "FAIL",
        (Some(exit_code::INVALID), _) => "INVALID",
        (Some(exit_code::INTERRUPTED), _) => "interrupted",
        (Some(_), Some(Verdict::Fail)) => "FAIL",
        (Some(exit_code::NOT_HEALED), _) => "NOT HEALED",
        (Some(exit_code::USAGE | exit_code::TOOL_FAILED), _) => "ERROR",
        (Some(_), _) => "unknown",
    }
}

fn rows(summary: &SuiteSummary) -> Vec<Vec<String>> {
    let row = |scenario: &ScenarioSummary| {
        let gates = match scenario.gates {
            0 => "-".to_owned(),
            gates => format!("{} of {gates}", scenario.gates_passed),
        };
        let mut row = vec![
            scenario.name.clone(),
            scenario.covers.join(" "),
            units::value(scenario.load_s.round(), "s"),
            gates,
        ];
        if with_faults(summary) {
            row.push(scenario.recovered.clone().unwrap_or_else(|| "-".to_owned()));
        }
        row.push(word(scenario).to_owned());
        row
    };
    summary.scenarios.iter().map(row).collect()
}

/// True when any of the scenarios had a fault to recover from.
fn with_faults(summary: &SuiteSummary) -> bool {
    summary.scenarios.iter().any(|s| s.recovered.is_some())
}

fn header(summary: &SuiteSummary) -> Vec<&'static str> {
    let mut header = vec!["scenario", "covers", "load", "gates passed"];
    header.extend(with_faults(summary).then_some("worst recovery"));
    header.push("verdict");
    header
}

/// The end of a suite, for a terminal; `directory` is the suite's, as the reader would open it.
pub fn terminal(summary: &SuiteSummary, width: usize, directory: &str) -> String {
    let mut out = vec![
        words::clean(&format!("{} · suite {} · {}", summary.run, summary.suite, summary.title)),
        String::new(),
    ];
    let mut all = vec![header(summary).into_iter().map(str::to_owned).collect::<Vec<_>>()];
    all.extend(rows(summary));
    out.extend(table::lines(&all, width));
    for scenario in &summary.scenarios {
        for reason in scenario.reasons.iter().take(SHOWN_REASONS) {
            let lines = table::wrap(&format!("{}: {reason}", scenario.name), width.saturating_sub(2));
            out.extend(lines.into_iter().map(|line| format!("  {line}")));
        }
    }
    out.push(String::new());
    out.push(format!("{} (exit {})", outcome(summary), summary.exit_code));
    out.push(words::clean(&format!("Report: {directory}/{}", crate::rundir::REPORT)));
    out.push(words::clean(&format!("Again:  {}", summary.reproduce())));
    out.push(String::new());
    out.join("\n")
}

/// The suite in one word.
pub(super) fn outcome(summary: &SuiteSummary) -> &'static str {
    match summary.exit_code {
        exit_code::PASSED => "PASSED",
        exit_code::FAILED => "FAILED",
        exit_code::UNKNOWN => "UNKNOWN",
        exit_code::INVALID => "INVALID",
        exit_code::INTERRUPTED => "INTERRUPTED",
        exit_code::NOT_HEALED => "NOT HEALED",
        _ => "ERROR",
    }
}

/// `report.md` of a suite.
pub fn markdown(summary: &SuiteSummary) -> String {
    let mut out = vec![
        format!("# suite {}: {}", escaped(&summary.suite), outcome(summary)),
        String::new(),
        format!(
            "{}. Run {}, profile {}, seed {}. Exit code {}.",
            escaped(&summary.title),
            code(&summary.run),
            escaped(&summary.profile),
            summary.seed,
            summary.exit_code
        ),
        String::new(),
        format!("Again: {}", code(&summary.reproduce())),
        String::new(),
        format!("| {} |", header(summary).join(" | ")),
        format!("|{}", " --- |".repeat(header(summary).len())),
    ];
    for (row, scenario) in rows(summary).into_iter().zip(&summary.scenarios) {
        let mut cells: Vec<String> = row.iter().map(|text| escaped(text)).collect();
        if let Some(directory) = &scenario.directory {
            cells[0] = format!("[{}]({directory}/report.md)", cells[0]);
        }
        out.push(format!("| {} |", cells.join(" | ")));
    }
    out.push(String::new());
    let reasons = summary.scenarios.iter().flat_map(|s| s.reasons.iter().map(move |reason| (s, reason)));
    out.extend(
        reasons.map(|(scenario, reason)| format!("- **{}**: {}", escaped(&scenario.name), escaped(reason))),
    );
    out.push(String::new());
    out.push("| case | verdict |".to_owned());
    out.push("| --- | --- |".to_owned());
    out.extend(
        summary
            .cases
            .iter()
            .map(|(id, verdict)| format!("| {} | {} |", escaped(id), words::verdict(*verdict))),
    );
    out.push(String::new());
    out.join("\n")
}

/// `junit.xml` of a suite: one case a scenario; what was not run is skipped, with its reason.
///
/// # Errors
/// A fault of the XML writer, which none of the texts in use has.
pub fn junit(summary: &SuiteSummary) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(words::clean(&format!("shakedown {}", summary.suite)));
    let mut suite = TestSuite::new(words::clean(&summary.suite));
    for scenario in &summary.scenarios {
        let text = words::clean(&scenario.reasons.join("\n"));
        let mut status = match scenario.exit_code {
            None => TestCaseStatus::skipped(),
            Some(exit_code::PASSED) => TestCaseStatus::success(),
            Some(exit_code::USAGE | exit_code::TOOL_FAILED | exit_code::NOT_HEALED) => {
                TestCaseStatus::non_success(NonSuccessKind::Error)
            }
            Some(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        if scenario.exit_code != Some(exit_code::PASSED) {
            status.set_type(word(scenario));
            status.set_message(text.lines().next().unwrap_or_default());
            status.set_description(&text);
        }
        let mut case = TestCase::new(words::clean(&scenario.name), status);
        case.set_classname(words::clean(&summary.suite));
        suite.add_test_case(case);
    }
    report.add_test_suites([suite]);
    report.to_string()
}
