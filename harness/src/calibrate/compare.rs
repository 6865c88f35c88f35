//! What was planted beside what was told: pure.

use super::script::{Defect, Plant};
use super::truth::Deed;
use serde::Serialize;
use shakedown_reports::check::{CheckResult, Finding};
use std::collections::BTreeSet;

/// One line of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was planted, and where it must show.
    pub what: String,
    /// How much of it was planted.
    pub planted: f64,
    /// How much of it the reports tell; `None` when they tell nothing.
    pub told: Option<f64>,
    /// Unit of both: `count`, `ms`.
    pub unit: &'static str,
    /// By how much they differ, in `error_unit`.
    pub error: Option<f64>,
    /// Most by which they may.
    pub allowed: f64,
    /// Unit of the error: `count`, `ms`, `ratio`.
    pub error_unit: &'static str,
    /// True when the error is known and within what is allowed.
    pub holds: bool,
    /// What is wrong, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
}

impl Row {
    fn counted(what: String, planted: usize, told: usize, wrong: Vec<String>) -> Self {
        let count = |n: usize| u32::try_from(n).map_or(f64::MAX, f64::from);
        Self {
            what,
            planted: count(planted),
            told: Some(count(told)),
            unit: "count",
            error: Some(count(wrong.len())),
            allowed: 0.0,
            error_unit: "count",
            holds: wrong.is_empty(),
            wrong,
        }
    }

    /// A time that was told relative to the one that was planted, milliseconds both.
    pub fn share(what: String, planted_ms: f64, told_ms: Option<f64>, allowed: f64) -> Self {
        let error = told_ms.map(|told_ms| (told_ms / planted_ms - 1.0).abs());
        Self::measured(what, planted_ms, told_ms, error, allowed, "ratio")
    }

    /// A time that was told less the one that was planted, milliseconds both.
    pub fn difference(what: String, planted_ms: f64, told_ms: Option<f64>, allowed_ms: f64) -> Self {
        let error = told_ms.map(|told_ms| (told_ms - planted_ms).abs());
        Self::measured(what, planted_ms, told_ms, error, allowed_ms, "ms")
    }

    fn measured(
        what: String,
        planted: f64,
        told: Option<f64>,
        error: Option<f64>,
        allowed: f64,
        error_unit: &'static str,
    ) -> Self {
        // A figure that isn't there, or no number, is never within bounds.
        let holds = error.is_some_and(|error| error <= allowed);
        Self { what, planted, told, unit: "ms", error, allowed, error_unit, holds, wrong: Vec::new() }
    }
}

/// What became of planted breaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Breaches {
    /// Breaches that were planted.
    pub planted: u64,
    /// Of those, found by every check that must find them.
    pub found: u64,
    /// Findings that nobody had planted.
    pub invented: u64,
    /// One line a defect, and one for what was invented.
    pub rows: Vec<Row>,
}

/// A breach as checks tell of it: check, level, index.
type Place = (String, String, u64);

/// Compares what checks found in a run with what the stand-in did in it. `asked` is what its script told it to do.
pub fn breaches(run: &str, asked: &[Plant], deeds: &[Deed], checks: &[CheckResult]) -> Breaches {
    let (found_places, unplaced) = places(checks);
    let mut all = Breaches { planted: 0, found: 0, invented: 0, rows: Vec::new() };
    let mut expected: BTreeSet<Place> = BTreeSet::new();
    let done: Vec<(&str, u64, Defect)> = deeds.iter().filter_map(breach).collect();
    for defect in Defect::ALL {
        let told = asked.iter().filter(|plant| plant.defect == defect && plant.told);
        let told: Vec<(&str, u64)> = told.map(|plant| (plant.level.as_str(), plant.index)).collect();
        if told.is_empty() {
            continue;
        }
        let mut wrong = Vec::new();
        for (level, index) in &told {
            if !done.contains(&(level, *index, defect)) {
                wrong.push(format!("{level} #{index}: the stand-in did not come to do it"));
            }
            for check in defect.sign().checks {
                let place = ((*check).to_owned(), (*level).to_owned(), *index);
                if !found_places.contains(&place) {
                    wrong.push(format!("{level} #{index}: {check} did not find it"));
                }
                expected.insert(place);
            }
        }
        let missed: BTreeSet<&str> = wrong.iter().filter_map(|text| text.split(':').next()).collect();
        let found = told.len() - missed.len();
        all.planted += told.len() as u64;
        all.found += found as u64;
        let sign = defect.sign();
        let what = format!("{run}: {} ({})", sign.title, sign.checks.join(", "));
        all.rows.push(Row::counted(what, told.len(), found, wrong));
    }
    let nobodys = found_places.difference(&expected);
    let mut invented: Vec<String> = nobodys
        .map(|(check, level, index)| format!("{level} #{index}: {check} found what nobody planted"))
        .collect();
    invented.extend(unplaced);
    all.invented = invented.len() as u64;
    all.rows.push(Row::counted(format!("{run}: found, and not planted"), 0, invented.len(), invented));
    all
}

fn breach(deed: &Deed) -> Option<(&str, u64, Defect)> {
    match deed {
        Deed::Breach { level, index, defect, .. } => Some((level, *index, *defect)),
        _ => None,
    }
}

/// Where checks found something, each place once; and findings that name no workflow.
fn places(checks: &[CheckResult]) -> (BTreeSet<Place>, Vec<String>) {
    let (mut placed, mut unplaced) = (BTreeSet::new(), Vec::new());
    for check in checks {
        for finding in &check.findings {
            match place(finding) {
                Some((level, index)) => drop(placed.insert((check.name.clone(), level, index))),
                None => unplaced.push(format!("{}: {} ({})", check.name, finding.what, finding.workflow)),
            }
        }
    }
    (placed, unplaced)
}

/// Level and index in a finding's name of a workflow: `pairs #17 (id)`.
fn place(finding: &Finding) -> Option<(String, u64)> {
    let (level, rest) = finding.workflow.split_once(" #")?;
    Some((level.to_owned(), rest.split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_reports::gate::Verdict;

    fn check(name: &str, workflows: &[&str]) -> CheckResult {
        let finding =
            |workflow: &&str| Finding { workflow: (*workflow).to_owned(), task: None, what: "x".to_owned() };
        CheckResult {
            name: name.to_owned(),
            of: "things".to_owned(),
            n: 10,
            findings: workflows.iter().map(finding).collect(),
            undecided: vec![],
            applies: true,
            rewound: 0,
            excused: None,
            verdict: Verdict::Fail,
        }
    }

    fn plant(index: u64, defect: Defect, told: bool) -> Plant {
        Plant { level: "pairs".to_owned(), index, defect, told }
    }

    fn did(index: u64, defect: Defect) -> Deed {
        Deed::Breach { level: "pairs".to_owned(), index, defect, at_ns: 1 }
    }

    #[test]
    fn what_was_planted_and_found_is_right() {
        let asked = [plant(7, Defect::Undead, true), plant(9, Defect::Stuck, true)];
        let deeds = [did(7, Defect::Undead), did(9, Defect::Stuck)];
        let checks = [
            check("undead", &["pairs #7 (w7)", "pairs #7 (w7)"]),
            check("lost_completion", &["pairs #7 (w7)"]),
            check("effect", &["pairs #7 (w7)"]),
            check("at_rest", &["pairs #7 (w7)"]),
            check("stuck", &["pairs #9"]),
        ];
        let all = breaches("run", &asked, &deeds, &checks);
        assert_eq!((all.planted, all.found, all.invented), (2, 2, 0));
        assert!(all.rows.iter().all(|row| row.holds), "{:#?}", all.rows);
    }

    #[test]
    fn what_was_missed_is_told_by_index() {
        let asked =
            [plant(7, Defect::Undead, true), plant(9, Defect::Stuck, true), plant(11, Defect::Stuck, true)];
        let deeds = [did(7, Defect::Undead), did(9, Defect::Stuck)];
        let seen = ["undead", "effect", "at_rest"].map(|name| check(name, &["pairs #7 (w7)"]));
        let checks = [&seen[..], &[check("stuck", &["pairs #9", "pairs #11"])]].concat();
        let all = breaches("run", &asked, &deeds, &checks);
        assert_eq!((all.planted, all.found, all.invented), (3, 1, 0));
        let wrong: Vec<&String> = all.rows.iter().flat_map(|row| &row.wrong).collect();
        assert_eq!(
            wrong,
            ["pairs #11: the stand-in did not come to do it", "pairs #7: lost_completion did not find it"],
            "in the order of the defects"
        );
        assert!(!all.rows[0].holds && !all.rows[1].holds && all.rows[2].holds);
    }

    #[test]
    fn what_nobody_planted_is_invented_also_beside_another_plant() {
        let asked = [plant(7, Defect::Stuck, true), plant(8, Defect::LostStart, false)];
        let deeds = [did(7, Defect::Stuck)];
        let checks = [
            check("stuck", &["pairs #7"]),
            check("lost_start", &["pairs #8", "pairs #8"]),
            check("flow", &["pairs #7", "somewhere"]),
        ];
        let all = breaches("run", &asked, &deeds, &checks);
        assert_eq!((all.planted, all.found, all.invented), (1, 1, 3));
        assert!(
            all.rows.iter().any(|row| row.wrong.iter().any(|text| text.contains("pairs #8: lost_start")))
        );
    }

    #[test]
    fn a_figure_that_is_missing_or_off_does_not_hold() {
        assert!(Row::share("p50".to_owned(), 100.0, Some(100.9), 0.01).holds);
        assert!(!Row::share("p50".to_owned(), 100.0, Some(98.9), 0.01).holds);
        assert!(!Row::share("p50".to_owned(), 100.0, None, 0.01).holds);
        assert!(!Row::share("p50".to_owned(), 0.0, Some(0.0), 0.01).holds, "not a number");
        assert!(Row::difference("outage".to_owned(), 500.0, Some(430.0), 70.0).holds);
        assert!(!Row::difference("outage".to_owned(), 500.0, Some(571.0), 70.0).holds);
    }
}
