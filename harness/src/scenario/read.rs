//! Strict reading of scenario files: an error names the file, the line, the key, the value and what would be accepted.

use super::catalogue::{self, Origin};
use super::{Scenario, extend, validate};
use std::fmt;

/// A scenario file that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    /// The file, as the user named it.
    pub file: String,
    /// Its line, from 1, when the error has one.
    pub line: Option<usize>,
    /// The text of the line.
    pub text: String,
    /// What is wrong with it, and what would be accepted.
    pub problem: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.text.is_empty() {
            write!(f, "\n    {}", self.text)?;
        }
        Ok(())
    }
}

/// Reads a scenario by path or by name, with what it extends.
///
/// # Errors
/// There is no such scenario, or it is refused: see [`parse`].
pub fn named(name: &str) -> anyhow::Result<(Origin, Scenario)> {
    let (origin, text) = catalogue::scenario(name)?;
    let scenario = match extend::whole(name, &text, &origin)? {
        None => parse(name, &text)?,
        // Its lines are not those of a file: an error shows the one that its own file has, where it has one.
        Some(whole) => parse(name, &whole).map_err(|error| ScenarioError {
            line: text
                .lines()
                .position(|line| line.trim() == error.text && !error.text.is_empty())
                .map(|at| at + 1),
            ..error
        })?,
    };
    Ok((origin, scenario))
}

/// Reads the text of a scenario file.
///
/// # Errors
/// It isn't TOML, has an unknown key or a value that isn't accepted, or contradicts itself.
pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| from_toml(file, text, &error))?;
    validate::check(&scenario).map_err(|finding| {
        let line = finding.find_line(text);
        ScenarioError {
            file: file.to_owned(),
            line: line.map(|(number, _)| number),
            text: line.map(|(_, line)| line.trim().to_owned()).unwrap_or_default(),
            problem: finding.problem,
        }
    })?;
    Ok(scenario)
}

/// What TOML or serde says, with file and line.
pub(super) fn from_toml(file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
    let at = error.span().map(|span| span.start.min(text.len()));
    let line = at.map(|at| text[..at].matches('\n').count() + 1);
    let shown = line.and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
    ScenarioError {
        file: file.to_owned(),
        line,
        text: shown.trim().to_owned(),
        problem: with_suggestion(error.message()),
    }
}

/// Adds "did you mean" to serde's "unknown field `a`, expected one of `b`, `c`".
pub fn with_suggestion(message: &str) -> String {
    let Some((found, expected)) =
        message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
    else {
        return message.to_owned();
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let accepted = format!("unknown key `{found}`; accepted here: {}", known.join(", "));
    match nearest(found, known.into_iter()) {
        Some(near) => format!("{accepted}. Did you mean `{near}`?"),
        None => accepted,
    }
}

/// The candidate that `word` is most likely a misspelling of.
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, row by row.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../scenarios/load/smoke.toml");

    fn refused(from: &str, to: &str) -> ScenarioError {
        assert!(GOOD.contains(from), "the sample has {from}");
        parse("smoke.toml", &GOOD.replacen(from, to, 1)).unwrap_err()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
        let error = refused("waves =", "wavs =");
        assert!(
            error.problem.contains("unknown key `wavs`") && error.problem.contains("`waves`?"),
            "{error}"
        );
        assert!(error.text.starts_with("wavs ="), "{error}");
        assert!(error.to_string().starts_with("smoke.toml:"), "{error}");
    }

    #[test]
    fn a_wrong_unit_is_explained() {
        let error = refused("drain = \"30 s\"", "drain = \"30 sec\"");
        assert!(error.problem.contains("\"sec\"") && error.problem.contains("\"60 s\""), "{error}");
        assert_eq!(error.text, "drain = \"30 sec\"");
        let error = refused("drain = \"30 s\"", "drain = 30");
        assert!(error.problem.contains("no unit"), "{error}");
    }

    #[test]
    fn what_contradicts_itself_is_refused_where_it_stands() {
        let error = refused("workflow = \"full_22_optimized\"", "workflow = \"full_22_optimised\"");
        assert!(error.problem.contains("full_22_optimized"), "{error}");
        assert!(error.text.contains("full_22_optimised"), "{error}");
        let error = refused("spread = 0.05", "spread = 1.5");
        assert!(error.problem.contains("1.5") && error.line.is_some(), "{error}");
    }

    #[test]
    fn any_text_is_answered_without_a_panic() {
        for text in ["", "=", "name = ", "[[level]]\n", "name = \"ü", "\u{0}"] {
            assert!(parse("x.toml", text).is_err());
        }
    }

    proptest::proptest! {
        /// A slip anywhere in a good file is taken or refused with a place in the file, never with a panic.
        #[test]
        fn a_slip_anywhere_is_taken_or_placed(at in 0..GOOD.len(), length in 0..40usize, typed in "[a-z0-9=\\[\\]\"{}. \n]{0,8}") {
            let mut text = GOOD.to_owned();
            text.replace_range(at..(at + length).min(GOOD.len()), &typed);
            if let Err(error) = parse("my.toml", &text) {
                proptest::prop_assert!(error.to_string().starts_with("my.toml"));
                proptest::prop_assert!(!error.problem.is_empty());
            }
        }

        /// A resolved scenario is written as TOML that reads back as itself: the run directory can be run again.
        #[test]
        fn what_was_resolved_can_be_run_again(seed in 0..=i64::MAX.unsigned_abs(), speed in 0.1..1e5f64, drain in 0.001..1e6f64) {
            let mut scenario = parse("smoke.toml", GOOD).unwrap();
            scenario.seed = seed;
            scenario.speed = crate::scenario::speed::Speed::Factor(speed);
            scenario.level[0].drain = crate::scenario::units::RealTime(drain);
            let text = toml::to_string(&scenario).unwrap();
            proptest::prop_assert_eq!(parse("again.toml", &text).unwrap(), scenario);
        }
    }

    #[test]
    fn the_nearest_word_wins_and_strangers_have_none() {
        assert_eq!(nearest("wavs", ["name", "waves"].into_iter()), Some("waves"));
        assert_eq!(nearest("zzzzzz", ["name", "waves"].into_iter()), None);
    }
}
