//! The run judges itself first: was the harness the limit, do its accounts agree, is the history whole?

use crate::gate::{Gate, Verdict};
use crate::history::History;
use crate::joined::{Joined, LevelRun};
use crate::measure::{self, Measure};
use crate::plan::Model;
use crate::statistics;
use crate::strangers;
use serde::{Deserialize, Serialize};

/// Most that a start may be late at the 99th percentile, or a worker's work too long: 20 ms.
pub const LAG_BOUND_MS: f64 = 20.0;
/// Most by which Little's law may be off, as a share.
pub const LITTLES_LAW_BOUND: f64 = 0.10;
/// Most that the harness may take of the machine's cores, as a share.
pub const CPU_BOUND: f64 = 0.80;
/// Most that the orchestrator may add to a workflow at 1x for durations to be judged, as a share.
pub const OVERHEAD_BOUND: f64 = 0.02;

/// What the run says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validity {
    /// False when one of the self-checks fails: then no gate passes.
    pub valid: bool,
    /// The self-checks.
    pub checks: Vec<SelfCheck>,
    /// Why gates on durations can't be judged; `None` when they can.
    pub durations_unknown: Option<String>,
}

/// One thing that the run looked at in itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// Name: `driver_lag`.
    pub name: String,
    /// Level that it is about; `None` for the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// `fail` makes the run invalid; `unknown` says that there was nothing to look at.
    pub verdict: Verdict,
    /// What was seen, one sentence.
    pub text: String,
}

impl Validity {
    /// The self-checks that failed, in one sentence each.
    pub fn reasons(&self) -> Vec<String> {
        let failed = self.checks.iter().filter(|c| c.verdict == Verdict::Fail);
        failed.map(|c| c.level.as_ref().map_or(c.text.clone(), |l| format!("{l}: {}", c.text))).collect()
    }
}

/// Judges the run itself, from its records and measures. What would let durations be judged is only told when one
/// of the gates asks for them.
pub fn judge(run: &Joined<'_>, measures: &[Measure], gates: &[Gate]) -> Validity {
    let mut checks = vec![whole(run.history), all_started(run), strangers::check(run)];
    for level in &run.levels {
        let mut add = |name: &str, (verdict, text): (Verdict, String)| {
            let level = Some(level.level.name.clone());
            checks.push(SelfCheck { name: name.to_owned(), level, verdict, text });
        };
        add("driver_lag", late("starts", &measure::lags(level)));
        add("worker_overrun", late("pieces of work", &measure::overruns(level)));
        add("caps", caps(level));
        // Nobody watches when the workflow of a probe ends.
        if !level.level.probes {
            add("littles_law", littles_law(level, measures));
        }
        add("driver_cpu", driver_cpu(level, run.history, measures));
    }
    let valid = checks.iter().all(|c| c.verdict != Verdict::Fail);
    let wanted = gates.iter().any(|g| g.duration);
    Validity { valid, checks, durations_unknown: durations_unknown(run, measures, wanted) }
}

fn whole(history: &History) -> SelfCheck {
    let (verdict, text) = match &history.footer {
        None => (Verdict::Fail, "the history was cut off: it has no footer".to_owned()),
        Some(f) if f.interrupted => (Verdict::Fail, "a person interrupted the run".to_owned()),
        Some(f) if !f.complete => {
            let reason = f.reason.as_deref().unwrap_or("no reason given");
            (Verdict::Fail, format!("the run stopped before its plan was through: {reason}"))
        }
        Some(_) => (Verdict::Pass, "the history is whole".to_owned()),
    };
    SelfCheck { name: "history_whole".to_owned(), level: None, verdict, text }
}

fn all_started(run: &Joined<'_>) -> SelfCheck {
    let planned = run.workflows().count();
    // What was shed is told by another check, which says whether it may be.
    let tried = run.workflows().filter(|w| w.attempted()).count();
    let shed = run.workflows().filter(|w| w.shed.is_some() && !w.attempted()).count();
    let levels = run.levels.iter().filter(|l| l.window_ns().is_some()).count();
    let held_back = if shed > 0 { format!(" ({shed} were shed)") } else { String::new() };
    let text = format!(
        "{tried} of {planned} planned workflows were asked for{held_back}, {levels} of {} levels ran to their end",
        run.levels.len()
    );
    let verdict =
        if tried + shed == planned && levels == run.levels.len() { Verdict::Pass } else { Verdict::Fail };
    SelfCheck { name: "plan_followed".to_owned(), level: None, verdict, text }
}

/// Whether more samples are late than a 99th percentile within the bound allows by chance (95 %, exact binomial).
///
/// This works at any n, where the percentile itself needs 299 samples, and one hiccup in six starts doesn't
/// condemn a run.
fn late(what: &str, samples: &crate::histogram::Distribution) -> (Verdict, String) {
    let n = samples.n();
    if n == 0 {
        return (Verdict::Unknown, format!("there were no {what}"));
    }
    let rank = statistics::ranks(n, 0.99).lo;
    let proven_ms = rank.map_or(0.0, |r| samples.at_rank(r) as f64 / 1e6);
    let most_ms = samples.most().unwrap_or(0) as f64 / 1e6;
    let text = format!(
        "of {n} {what} the worst was {most_ms:.1} ms late; that the p99 is above {proven_ms:.1} ms is certain \
         (allowed {LAG_BOUND_MS} ms)"
    );
    if proven_ms > LAG_BOUND_MS {
        (Verdict::Fail, format!("driver-limited: {text}"))
    } else {
        (Verdict::Pass, text)
    }
}

fn caps(level: &LevelRun<'_>) -> (Verdict, String) {
    match level.ended {
        None => (Verdict::Unknown, "the level has no end".to_owned()),
        Some(end) if end.cap_reached || level.workflows.iter().any(|w| w.shed.is_some()) => {
            let shed = level.workflows.iter().filter(|w| w.shed.is_some()).count();
            let text = format!(
                "{shed} of {} arrivals were shed because {} workflows were in flight",
                level.workflows.len(),
                level.level.concurrency
            );
            if level.level.open.as_ref().is_some_and(|open| open.may_shed) {
                (Verdict::Pass, format!("{text}, which the scenario studies (may_shed)"))
            } else {
                (Verdict::Fail, format!("driver-limited: {text}: raise in_flight_cap, or lower the rate"))
            }
        }
        Some(_) => (Verdict::Pass, "no cap of the driver was reached".to_owned()),
    }
}

fn littles_law(level: &LevelRun<'_>, measures: &[Measure]) -> (Verdict, String) {
    let found = measure::find(measures, &format!("{}/littles_law_error", level.level.name));
    let Some((value, least)) = found.and_then(|m| m.value.map(|v| (v, m.lo.unwrap_or(v)))) else {
        let undisturbed = if level.disturbed.is_empty() { "" } else { " without meeting a fault" };
        return (Verdict::Unknown, format!("no workflow ended{undisturbed}, so nothing can be compared"));
    };
    let text = format!(
        "workflows in flight and throughput × time in the system differ by {:.1} % (allowed {:.0} % beyond \
         the reading interval)",
        value * 100.0,
        LITTLES_LAW_BOUND * 100.0
    );
    if least > LITTLES_LAW_BOUND {
        (Verdict::Fail, format!("the accounts don't agree: {text}"))
    } else {
        (Verdict::Pass, text)
    }
}

fn driver_cpu(level: &LevelRun<'_>, history: &History, measures: &[Measure]) -> (Verdict, String) {
    let found = measure::find(measures, &format!("{}/driver_cpu_share", level.level.name));
    let Some(share) = found.and_then(|m| m.value) else {
        return (Verdict::Unknown, "the harness's CPU time or the number of cores isn't known".to_owned());
    };
    let text =
        format!("the harness took {:.0} % of the cores (allowed {:.0} %)", share * 100.0, CPU_BOUND * 100.0);
    match () {
        () if share <= CPU_BOUND => (Verdict::Pass, text),
        () if history.header.shared_cpu => {
            (Verdict::Pass, format!("{text}; the scenario means to saturate the machine (shared_cpu)"))
        }
        () => (Verdict::Fail, format!("driver-limited: {text}")),
    }
}

fn durations_unknown(run: &Joined<'_>, measures: &[Measure], wanted: bool) -> Option<String> {
    let mut seen = false;
    for level in run.levels.iter().filter(|l| l.level.model == Model::Closed && l.level.concurrency == 1) {
        seen = true;
        let name = format!("{}/overhead_max_ratio", level.level.name);
        let Some(ratio) = measure::find(measures, &name).and_then(|m| m.value) else {
            return Some(format!(
                "{}: the orchestrator's overhead isn't known (no workflow completed without a retry)",
                level.level.name
            ));
        };
        if ratio > OVERHEAD_BOUND {
            return Some(format!(
                "{}: the orchestrator's overhead is {:.1} % of a workflow (allowed {:.0} %){}",
                level.level.name,
                ratio * 100.0,
                OVERHEAD_BOUND * 100.0,
                if wanted { ": lower `speed`" } else { "" }
            ));
        }
    }
    (!seen)
        .then(|| "no level ran one workflow at a time, so the orchestrator's overhead isn't known".to_owned())
}
