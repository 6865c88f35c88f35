//! `junit.xml`: one case a gate, a check and a self-check, for CI.
//!
//! An unknown verdict is a failure of type `unknown`: JUnit has no third value, and "skipped" would let a gate
//! without evidence through. A check that the plan gives nothing to do is skipped. What XML 1.0 forbids is replaced.

use super::{recovery, units, words};
use crate::gate::Verdict;
use crate::judge::Summary;
use crate::recovery::State;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The report as JUnit XML.
///
/// # Errors
/// A fault of the XML writer, which none of the texts in use has.
pub fn render(summary: &Summary) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(words::clean(&format!("shakedown {}", summary.scenario)));
    let mut gates = TestSuite::new("gates");
    for gate in &summary.gates {
        let measured = gate.measured.as_ref().map_or("n/a".to_owned(), units::measured);
        let text = format!("measured {measured}, allowed {}: {}", gate.allowed, gate.reason);
        gates.add_test_case(case(summary, "gate", &gate.gate.name, gate.verdict, &text));
    }
    let mut checks = TestSuite::new("checks");
    for check in &summary.checks {
        let findings = check.findings.iter().chain(&check.undecided);
        let what: Vec<String> = findings.map(|f| format!("{}: {}", f.workflow, f.what)).collect();
        let text = format!("{}\n{}", words::check(check), what.join("\n"));
        let case = if check.applies {
            case(summary, "check", &check.name, check.verdict, &text)
        } else {
            let mut status = TestCaseStatus::skipped();
            status.set_message(words::clean(&words::check(check)));
            TestCase::new(words::clean(&check.name), status)
        };
        checks.add_test_case(case);
    }
    let mut validity = TestSuite::new("validity");
    for check in &summary.validity.checks {
        let name = check.level.as_ref().map_or(check.name.clone(), |l| format!("{l} {}", check.name));
        // With nothing to look at, a self-check casts no doubt; a failed one does.
        let verdict = if check.verdict == Verdict::Fail { Verdict::Fail } else { Verdict::Pass };
        validity.add_test_case(case(summary, "validity", &name, verdict, &check.text));
    }
    report.add_test_suites([gates, checks, validity]);
    report.add_test_suites(faults(summary));
    report.to_string()
}

/// One case an injection; one that this machine can't do is skipped with its reason.
fn faults(summary: &Summary) -> Option<TestSuite> {
    let found = summary.recovery.as_ref()?;
    let mut faults = TestSuite::new("faults");
    for injection in &found.injections {
        let name = injection.label(found);
        faults.add_test_case(match injection.state {
            State::NotRun => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(words::clean(&injection.reason));
                TestCase::new(words::clean(&name), status)
            }
            _ => {
                let text = format!("{}\n{}", injection.reason, recovery::sentence(found, injection));
                case(summary, "fault", &name, injection.verdict, text.trim_start())
            }
        });
    }
    Some(faults)
}

fn case(summary: &Summary, class: &str, name: &str, verdict: Verdict, text: &str) -> TestCase {
    let text = &words::clean(text);
    let status = match verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Unknown | Verdict::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(if verdict == Verdict::Fail { "fail" } else { "unknown" });
            status.set_message(text.lines().next().unwrap_or_default());
            status.set_description(text);
            status
        }
    };
    let mut case = TestCase::new(words::clean(name), status);
    case.set_classname(words::clean(&format!("{}.{class}", summary.scenario)));
    if verdict == Verdict::Pass {
        case.set_system_out(text);
    }
    case
}
