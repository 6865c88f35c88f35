//! The words of verdicts and checks, the same in every document.

use crate::check::CheckResult;
use crate::gate::Verdict;
use crate::judge::{LevelSummary, Summary};
use crate::plan::Model;

/// Stands for a character that a document can't hold.
const REPLACEMENT: char = '\u{fffd}';

/// The text without what XML 1.0 forbids and without what moves a terminal; a newline and a tab stay.
///
/// Names and reasons come from scenarios and targets, so anything may be in them.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(clean_char).collect()
}

/// A character of [`clean`].
pub(super) fn clean_char(c: char) -> char {
    let kept = matches!(c, '\n' | '\t') || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    if kept { c } else { REPLACEMENT }
}

/// At most `most` characters of a text, the last of them `…` when there are more.
pub(super) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Unknown => "unknown",
        Verdict::Fail => "FAIL",
    }
}

/// How load was offered: `closed 3` (workflows in flight), `open 50 /s, 12 shed`.
pub(super) fn load(level: &LevelSummary) -> String {
    match level.model {
        Model::Closed => format!("closed {}", level.concurrency),
        Model::Open => {
            let rate =
                level.offered_per_s.map_or("burst".to_owned(), |rate| super::units::value(rate, "1/s"));
            let shed = level.shed.filter(|shed| *shed > 0).map(|shed| format!(", {shed} shed"));
            format!("open {rate}{}", shed.unwrap_or_default())
        }
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
        "unexpected" => "there all the same",
        "idempotent_start" => "doubled",
        "effect" => "without effect",
        "zombie" => "of a hand-out that was fenced off",
        "attempts" => "tried too often",
        "timers" => "fired early or too late",
        "concurrency" => "one too many at once",
        "at_rest" => "with something left open",
        "aftermath" => "not working",
        "monotone" => "changed in between",
        "one_result" => "told otherwise",
        _ => "in breach",
    };
    let undecided = match check.undecided.len() {
        0 => String::new(),
        n => format!(", {n} undecided"),
    };
    let rewound = match check.rewound {
        0 => String::new(),
        n => format!(", {n} undone by a restore"),
    };
    format!("{} of {} {} {what}{rewound}{undecided}", check.findings.len(), check.n, check.of)
}
