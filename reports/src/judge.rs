//! The judge: plan, history and gates in, summary out; a function, so a run can be judged again anywhere.

use crate::bottleneck::{self, Bottleneck};
use crate::check::{self, CheckResult};
use crate::exit_code;
use crate::gate::{self, Gate, GateResult, Verdict};
use crate::hand_outs;
use crate::history::{Calibration, FaultPhase, History};
use crate::joined::{Joined, LevelRun};
use crate::measure::{self, Measure};
use crate::plan::{Model, Plan};
use crate::recovery::{self, Control, Recovery};
use crate::validity::{self, Validity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the format of `summary.json`.
pub const SUMMARY_SCHEMA_VERSION: u32 = 1;

/// The reason of a gate that would have passed in a valid run.
pub const INVALID_RUN: &str = "the run is invalid, so nothing in it passes";

/// The reason of every gate when a person ended the run: what is missing can't be held against the target.
pub const INTERRUPTED_RUN: &str = "the run was interrupted";

/// All that a run showed, as `summary.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Name of the run directory.
    pub run: String,
    /// Name of the scenario.
    pub scenario: String,
    /// The seed of the plan.
    pub seed: u64,
    /// Workflow seconds per real second.
    pub speed: f64,
    /// Base URL of the target's REST API.
    pub target: String,
    /// True when the target was the reference engine, started by the harness.
    pub embedded: bool,
    /// Version of shakedown that made the run.
    pub version: String,
    /// Arguments of `shakedown` that run the same plan again.
    #[serde(default)]
    pub again: Vec<String>,
    /// Wall clock at the start, epoch milliseconds.
    pub started_ms: u64,
    /// The machine that drove the load.
    pub machine: BTreeMap<String, String>,
    /// The worst of gates and checks; never a pass of an invalid run.
    pub verdict: Verdict,
    /// One of [`crate::exit_code`].
    pub exit_code: u8,
    /// What the run says of itself.
    pub validity: Validity,
    /// The gates, judged.
    pub gates: Vec<GateResult>,
    /// The checks.
    pub checks: Vec<CheckResult>,
    /// The levels of load.
    pub levels: Vec<LevelSummary>,
    /// Every measure.
    pub measures: Vec<Measure>,
    /// What it showed of recovery; `None` when it had no faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The same load without the faults, where that was run too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// How far this machine's figures are off; `None` when nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Remarks of the harness, one sentence each.
    pub notes: Vec<String>,
}

/// A level of load in the summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelSummary {
    /// Its name.
    pub name: String,
    /// The template that it started; of a mix their names, joined by ` + `.
    pub template: String,
    /// How load was offered.
    pub model: Model,
    /// Closed load: workflows kept in flight. Open load: the most in flight, past which arrivals are shed.
    pub concurrency: u32,
    /// Open load: arrivals per real second in the plan, the mean over its stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_per_s: Option<f64>,
    /// Open load: arrivals that were held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<u64>,
    /// Workflows asked for: their starts were sent, whatever came of them.
    pub n: u64,
    /// Of those, completed.
    pub completed: u64,
    /// How long it took, real seconds; `None` when it has no end.
    pub window_s: Option<f64>,
    /// Slots of each pool.
    pub slots: BTreeMap<String, u32>,
    /// The pool that was short, when waiting was material.
    pub bottleneck: Option<Bottleneck>,
}

/// Judges a run.
pub fn judge(plan: &Plan, history: &History, gates: &[Gate]) -> Summary {
    let history = &*hand_outs::settled(history);
    let run = Joined::new(plan, history);
    let mut recovery = recovery::judge(&run);
    let mut measures = measure::all(&run);
    measures.extend(recovery.iter().flat_map(recovery::measures));
    let validity = validity::judge(&run, &measures, gates);
    let interrupted = history.interrupted();
    let judged = |g: &Gate| match gate::evaluate(g, &measures) {
        result if interrupted => unknown(result, INTERRUPTED_RUN.to_owned()),
        result => with_validity(result, &validity),
    };
    let gates: Vec<GateResult> = gates.iter().map(judged).collect();
    let checks = check::all(&run);
    if let Some(recovery) = &mut recovery {
        match () {
            () if interrupted => recovery.nothing_passes(INTERRUPTED_RUN, true),
            () if !validity.valid => recovery.nothing_passes(INVALID_RUN, false),
            () => {}
        }
    }
    let verdict = overall(&gates, &checks, recovery.as_ref(), &validity);
    let header = &history.header;
    Summary {
        schema_version: SUMMARY_SCHEMA_VERSION,
        run: header.run.clone(),
        scenario: header.scenario.clone(),
        seed: header.seed,
        speed: header.speed,
        target: header.target.clone(),
        embedded: header.embedded,
        version: header.version.clone(),
        again: header.again.clone(),
        started_ms: header.started_ms,
        machine: header.machine.clone(),
        verdict,
        exit_code: exit_code(verdict, &validity, history),
        validity,
        gates,
        checks,
        levels: run.levels.iter().map(|l| level_summary(l, run.speed)).collect(),
        measures,
        recovery,
        control: None,
        calibration: history.calibration.clone(),
        notes: notes(history),
    }
}

/// Remarks in the order in which each came up first; one that came up more often says how often.
fn notes(history: &History) -> Vec<String> {
    let mut counted: Vec<(&str, u64)> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for note in &history.notes {
        let place = *at.entry(&note.text).or_insert(counted.len());
        match counted.get_mut(place) {
            Some((_, n)) => *n += 1,
            None => counted.push((&note.text, 1)),
        }
    }
    let said = |(text, n): (&str, u64)| if n > 1 { format!("{text} ({n} times)") } else { text.to_owned() };
    counted.into_iter().map(said).collect()
}

/// What a gate says when the run can't be trusted (no pass), or not with durations (neither pass nor fail).
fn with_validity(result: GateResult, validity: &Validity) -> GateResult {
    if result.gate.duration
        && result.verdict != Verdict::Unknown
        && let Some(reason) = &validity.durations_unknown
    {
        return unknown(result, format!("durations can't be judged: {reason}"));
    }
    if !validity.valid && result.verdict == Verdict::Pass {
        return unknown(result, INVALID_RUN.to_owned());
    }
    result
}

fn unknown(result: GateResult, reason: String) -> GateResult {
    GateResult { verdict: Verdict::Unknown, reason, ..result }
}

fn overall(
    gates: &[GateResult],
    checks: &[CheckResult],
    recovery: Option<&Recovery>,
    validity: &Validity,
) -> Verdict {
    let of_gates = gates.iter().map(|g| g.verdict);
    let of_checks = checks.iter().filter(|c| c.applies).map(|c| c.verdict);
    let of_recovery = recovery.map(|r| r.verdict);
    let worst = Verdict::worst(of_gates.chain(of_checks).chain(of_recovery));
    if validity.valid { worst } else { worst.max(Verdict::Unknown) }
}

fn exit_code(verdict: Verdict, validity: &Validity, history: &History) -> u8 {
    let of_verdict = match verdict {
        Verdict::Pass => exit_code::PASSED,
        Verdict::Unknown => exit_code::UNKNOWN,
        Verdict::Fail => exit_code::FAILED,
    };
    let invalid = (!validity.valid).then_some(exit_code::INVALID);
    let by_person = history.interrupted().then_some(exit_code::INTERRUPTED);
    // Whatever else the run showed: somebody has to look after the target now.
    let unhealed = history.faults.iter().any(|mark| mark.phase == FaultPhase::NotHealed);
    let not_healed = unhealed.then_some(exit_code::NOT_HEALED);
    exit_code::worst([of_verdict].into_iter().chain(invalid).chain(by_person).chain(not_healed))
}

fn level_summary(level: &LevelRun<'_>, speed: f64) -> LevelSummary {
    LevelSummary {
        name: level.level.name.clone(),
        template: level.templates.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(" + "),
        model: level.level.model,
        concurrency: level.level.concurrency,
        offered_per_s: measure::offered_per_s(level),
        shed: level
            .level
            .open
            .as_ref()
            .map(|_| level.workflows.iter().filter(|w| w.shed.is_some()).count() as u64),
        n: level.workflows.iter().filter(|w| w.attempted()).count() as u64,
        completed: level.completed().filter(|w| w.started()).count() as u64,
        window_s: level.window_s(),
        slots: level.slots().clone(),
        // Probes share their workers with the load: what limits them limits it.
        bottleneck: (!level.level.probes).then(|| bottleneck::find(level, speed)).flatten(),
    }
}

impl Summary {
    /// The command that runs the same plan again.
    pub fn reproduce(&self) -> String {
        if self.again.is_empty() {
            return format!("shakedown run {} --seed {}", self.scenario, self.seed);
        }
        shell_line(&self.again)
    }

    /// The measure of a name.
    pub fn measure(&self, name: &str) -> Option<&Measure> {
        measure::find(&self.measures, name)
    }
}

/// `shakedown` with arguments, as a shell reads it back.
pub(crate) fn shell_line(arguments: &[String]) -> String {
    let words = arguments.iter().map(|word| shell_word(word));
    words.fold("shakedown".to_owned(), |line, word| line + " " + &word)
}

/// A word as a shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=%+,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn words_with_anything_special_are_quoted() {
        assert_eq!(shell_word("level.10x.waves=2"), "level.10x.waves=2");
        assert_eq!(shell_word("my file.json"), "'my file.json'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
