//! The words of verdicts and checks, the same in every document.

use crate::check::CheckResult;
use crate::gate::Verdict;
use crate::judge::Summary;

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Unknown => "unknown",
        Verdict::Fail => "FAIL",
    }
}

/// The run in one word.
pub(super) fn outcome(summary: &Summary) -> &'static str {
    match (summary.validity.valid, summary.verdict) {
        (false, _) => "INVALID",
        (true, Verdict::Pass) => "PASSED",
        (true, Verdict::Unknown) => "UNKNOWN",
        (true, Verdict::Fail) => "FAILED",
    }
}

/// A check in one line: `0 of 78 acknowledged starts lost`.
pub(super) fn check(check: &CheckResult) -> String {
    if !check.applies {
        let why = check.excused.clone().unwrap_or_else(|| format!("the plan has no {}", check.of));
        return format!("{}: not applicable, {why}", check.name);
    }
    let what = match check.name.as_str() {
        "lost_start" | "lost_completion" => "lost",
        "duplicated" => "handed out or counted twice",
        "overlapped" => "done by two workers at once",
        "out_of_order" => "handed out too early",
        "stuck" => "stuck",
        "undead" => "active afterwards",
        "flow" => "wrong",
        _ => "in breach",
    };
    let undecided = match check.undecided.len() {
        0 => String::new(),
        n => format!(", {n} undecided"),
    };
    format!("{} of {} {} {what}{undecided}", check.findings.len(), check.n, check.of)
}
