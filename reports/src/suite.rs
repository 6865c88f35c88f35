//! Suites: what became of each scenario, and of all of them together.
//!
//! `suite.json` in the directory of a suite is what the harness knows: which scenarios there were, the run directory of
//! each that was run, and why the others were not. [`Suite::judge`] makes the summary of it, from files alone.

use crate::exit_code;
use crate::gate::Verdict;
use crate::judge::Summary;
use crate::recovery::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the formats of `suite.json` and of a suite's `summary.json`.
pub const SUITE_SCHEMA_VERSION: u32 = 1;

/// `suite.json`: a suite as it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// [`SUITE_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Name of the directory.
    pub run: String,
    /// Name of the suite.
    pub suite: String,
    /// One line for people.
    pub title: String,
    /// The profile that was asked for.
    pub profile: String,
    /// The seed of all its scenarios.
    pub seed: u64,
    /// Arguments of `shakedown` that run it again.
    pub again: Vec<String>,
    /// Its scenarios, in their order.
    pub scenarios: Vec<Entry>,
}

/// A scenario of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name, as `run` takes it.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Ids of the cases that it gives evidence for.
    pub covers: Vec<String>,
    /// True: the suite is not green when it can't be run.
    pub required: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// It was run: its run directory, below the suite's.
    Ran {
        /// Name of the directory.
        directory: String,
        /// Runs of it before that one, which were invalid: the harness, not the target, was the limit.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        invalid_before: Vec<String>,
    },
    /// It could not be run to something that can be judged.
    Failed {
        /// Its exit code.
        exit_code: u8,
        /// Why.
        reason: String,
    },
    /// It was not run.
    NotRun {
        /// Why.
        reason: String,
    },
}

/// A suite, judged: its `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteSummary {
    /// [`SUITE_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Name of the directory.
    pub run: String,
    /// Name of the suite.
    pub suite: String,
    /// One line for people.
    pub title: String,
    /// The profile that was asked for.
    pub profile: String,
    /// The seed of all its scenarios.
    pub seed: u64,
    /// Arguments of `shakedown` that run it again.
    pub again: Vec<String>,
    /// One of [`crate::exit_code`]: of those of its scenarios the one that wins.
    pub exit_code: u8,
    /// Its scenarios, in their order.
    pub scenarios: Vec<ScenarioSummary>,
    /// The worst verdict of the scenarios that cover a case, by its id; of a case whose scenarios were not run, unknown.
    pub cases: BTreeMap<String, Verdict>,
}

/// A scenario in the summary of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioSummary {
    /// Its name, as `run` takes it.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Ids of the cases that it gives evidence for.
    pub covers: Vec<String>,
    /// The worst of its gates and checks; `None` when it was not run.
    pub verdict: Option<Verdict>,
    /// One of [`crate::exit_code`]; `None` when it was not run.
    pub exit_code: Option<u8>,
    /// Its run directory below the suite's; `None` when it has none.
    pub directory: Option<String>,
    /// Gates that passed.
    pub gates_passed: usize,
    /// Gates in all.
    pub gates: usize,
    /// Real seconds of load.
    pub load_s: f64,
    /// Its worst recovery from a fault, for people: `760 ms (engine-killed)`; `None` when it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<String>,
    /// Why it is not green, one sentence each; why it was not run.
    pub reasons: Vec<String>,
}

impl Suite {
    /// The summary; `summaries` are those of the run directories, by name.
    pub fn judge(&self, summaries: &BTreeMap<String, Summary>) -> SuiteSummary {
        let scenarios: Vec<ScenarioSummary> =
            self.scenarios.iter().map(|entry| scenario(entry, summaries)).collect();
        let codes = self.scenarios.iter().zip(&scenarios).filter_map(|(entry, scenario)| {
            // What this machine can't run leaves a suite green, unless the scenario must not be missing.
            scenario.exit_code.or(entry.required.then_some(exit_code::USAGE))
        });
        let exit_code = exit_code::worst(codes);
        let mut cases = BTreeMap::new();
        for scenario in &scenarios {
            for id in &scenario.covers {
                let verdict = scenario.verdict.unwrap_or(Verdict::Unknown);
                let worst = cases.entry(id.clone()).or_insert(verdict);
                *worst = verdict.max(*worst);
            }
        }
        SuiteSummary {
            schema_version: SUITE_SCHEMA_VERSION,
            run: self.run.clone(),
            suite: self.suite.clone(),
            title: self.title.clone(),
            profile: self.profile.clone(),
            seed: self.seed,
            again: self.again.clone(),
            exit_code,
            scenarios,
            cases,
        }
    }
}

fn scenario(entry: &Entry, summaries: &BTreeMap<String, Summary>) -> ScenarioSummary {
    let blank = ScenarioSummary {
        name: entry.name.clone(),
        title: entry.title.clone(),
        covers: entry.covers.clone(),
        verdict: None,
        exit_code: None,
        directory: None,
        gates_passed: 0,
        gates: 0,
        load_s: 0.0,
        recovered: None,
        reasons: Vec::new(),
    };
    match &entry.outcome {
        Outcome::NotRun { reason } => ScenarioSummary { reasons: vec![reason.clone()], ..blank },
        Outcome::Failed { exit_code, reason } => ScenarioSummary {
            verdict: Some(Verdict::Unknown),
            exit_code: Some(*exit_code),
            reasons: vec![reason.clone()],
            ..blank
        },
        Outcome::Ran { directory, invalid_before } => match summaries.get(directory) {
            None => ScenarioSummary {
                verdict: Some(Verdict::Unknown),
                exit_code: Some(exit_code::UNKNOWN),
                directory: Some(directory.clone()),
                reasons: vec!["its run directory can't be judged any more".to_owned()],
                ..blank
            },
            Some(summary) => ScenarioSummary {
                verdict: Some(summary.verdict),
                exit_code: Some(summary.exit_code),
                directory: Some(directory.clone()),
                gates_passed: summary.gates.iter().filter(|g| g.verdict == Verdict::Pass).count(),
                gates: summary.gates.len(),
                load_s: summary.levels.iter().filter_map(|level| level.window_s).sum(),
                recovered: summary.recovery.as_ref().and_then(crate::render::worst_recovery),
                reasons: repeated(invalid_before).chain(reasons(summary)).collect(),
                ..blank
            },
        },
    }
}

/// A scenario that was run again says so, also when it is green then.
fn repeated(invalid_before: &[String]) -> impl Iterator<Item = String> {
    invalid_before.iter().map(|directory| format!("run again, as {directory} was invalid"))
}

/// Why a run isn't green: what is wrong with it, then its gates and checks that did not pass.
fn reasons(summary: &Summary) -> Vec<String> {
    let mut reasons: Vec<String> =
        summary.validity.reasons().into_iter().map(|reason| format!("invalid: {reason}")).collect();
    let failing = summary.gates.iter().filter(|g| g.verdict != Verdict::Pass);
    reasons.extend(failing.map(|g| format!("{}: {}", g.gate.name, g.reason)));
    let failing = summary.checks.iter().filter(|c| c.applies && c.verdict != Verdict::Pass);
    reasons.extend(failing.map(|c| {
        let first = c.findings.iter().chain(&c.undecided).next();
        format!("check {}: {}", c.name, first.map_or("nothing to look at", |finding| finding.what.as_str()))
    }));
    if let Some(recovery) = &summary.recovery {
        let failing =
            recovery.injections.iter().filter(|i| i.verdict != Verdict::Pass && i.state != State::NotRun);
        reasons.extend(failing.map(|i| format!("fault {}: {}", i.label(recovery), i.reason)));
        if recovery.injections.iter().all(|i| i.state == State::NotRun) {
            reasons.push("no fault could be injected on this machine".to_owned());
        }
    }
    reasons
}

impl SuiteSummary {
    /// The command that runs it again.
    pub fn reproduce(&self) -> String {
        crate::judge::shell_line(&self.again)
    }
}
