//! Checks: laws that a correct orchestrator keeps under any load, each looked for in the whole history.

mod aftermath;
mod at_rest;
mod attempts;
mod concurrency;
mod duplicated;
mod effect;
mod fenced;
mod flow;
mod idempotent_start;
mod lease;
mod lost_by_sql;
mod lost_completion;
mod lost_start;
mod monotone;
mod one_result;
mod out_of_order;
mod overlapped;
mod stuck;
mod timers;
mod undead;
mod unexpected;
mod zombie;

pub(crate) use lost_completion::fate as completion_fate;
pub(crate) use lost_start::fate as start_fate;

use crate::gate::Verdict;
use crate::history::{History, Outcome};
use crate::joined::Joined;
use crate::rewind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What one check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Name of the check: `lost_start`.
    pub name: String,
    /// What it looks at, in the plural: `acknowledged starts`.
    pub of: String,
    /// How many of them it looked at.
    pub n: u64,
    /// Breaches of the law.
    pub findings: Vec<Finding>,
    /// What could not be decided; any of it makes a pass unknown.
    pub undecided: Vec<Finding>,
    /// What would be breaches, were they not the doing of a restore from a backup.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rewound: u64,
    /// False when the plan holds nothing that this check could ever look at, or the run was not let come to it; it
    /// then has no say in the verdict.
    pub applies: bool,
    /// Why it does not apply, where that is not for the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused: Option<String>,
    /// The verdict: `fail` with a finding, else `unknown` with nothing looked at or something undecided.
    pub verdict: Verdict,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

/// The checks that compare what was acknowledged or done at different times: a restore in between makes them see what
/// nobody did wrong. All others look at what the target tells at the end, which no restore excuses.
const ACROSS_TIME: [&str; 10] = [
    "lost_start",
    "lost_completion",
    "duplicated",
    "overlapped",
    "out_of_order",
    "flow",
    "zombie",
    "timers",
    "concurrency",
    "undead",
];

/// One breach, or one thing undecided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The workflow: `10x #17 (id)`.
    pub workflow: String,
    /// The task's reference name, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What happened, one sentence with the ids in it.
    pub what: String,
}

/// What became of an acknowledged operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there.
    Kept,
    /// Nobody looked.
    NotRead,
    /// It is gone, and how that shows.
    Lost(String),
}

/// What a check gathers while it looks.
#[derive(Debug, Default)]
struct Evidence {
    n: u64,
    findings: Vec<Finding>,
    undecided: Vec<Finding>,
}

impl Evidence {
    fn looked(&mut self) {
        self.looked_at(1);
    }

    fn looked_at(&mut self, n: u64) {
        self.n += n;
    }

    fn found(&mut self, workflow: String, task: Option<&str>, what: String) {
        self.findings.push(Finding { workflow, task: task.map(str::to_owned), what });
    }

    fn undecided(&mut self, workflow: String, task: Option<&str>, what: String) {
        self.undecided.push(Finding { workflow, task: task.map(str::to_owned), what });
    }

    fn result(self, name: &str, of: &str, applies: bool) -> CheckResult {
        let result = CheckResult {
            name: name.to_owned(),
            of: of.to_owned(),
            n: self.n,
            findings: self.findings,
            undecided: self.undecided,
            rewound: 0,
            applies,
            excused: None,
            verdict: Verdict::Unknown,
        };
        result.judged()
    }
}

impl Finding {
    /// Workflow and task. The target's id is not always known, and what happened is told in other words where less of the
    /// history is looked at.
    fn place(&self) -> (&str, Option<&str>) {
        (self.workflow.split(" (").next().unwrap_or_default(), self.task.as_deref())
    }
}

impl CheckResult {
    fn judged(self) -> Self {
        let verdict = match () {
            () if !self.findings.is_empty() => Verdict::Fail,
            () if self.n == 0 || !self.undecided.is_empty() => Verdict::Unknown,
            () => Verdict::Pass,
        };
        Self { verdict, ..self }
    }

    /// Of what was found only that is a breach which is one on one side of a restore too.
    fn without_rewound(mut self, after: &Self, before: &[&Self]) -> Self {
        let sides = [after].into_iter().chain(before.iter().copied());
        let found: BTreeSet<_> = sides.flat_map(|side| &side.findings).map(Finding::place).collect();
        let undecided: BTreeSet<_> = after.undecided.iter().map(Finding::place).collect();
        let all = self.findings.len();
        self.findings.retain(|finding| found.contains(&finding.place()));
        self.undecided.retain(|finding| undecided.contains(&finding.place()));
        self.rewound = (all - self.findings.len()) as u64;
        self.judged()
    }

    /// Leaves a check that had nothing to look at out of the verdict, and says why.
    fn or_excused(mut self, why: impl Into<String>) -> Self {
        if self.n == 0 && self.undecided.is_empty() {
            self.applies = false;
            self.excused = Some(why.into());
        }
        self
    }
}

/// Every check, in the order in which a report shows them.
pub fn all(run: &Joined<'_>) -> Vec<CheckResult> {
    let whole = each(run);
    if run.rewinds.is_empty() {
        return whole;
    }
    let look = |history: &History| each(&Joined::new(run.plan, history));
    let after = look(&rewind::after(run.history, &run.rewinds));
    let before: Vec<_> = rewind::before(run.history, &run.rewinds).iter().map(look).collect();
    let without_rewound = |(at, check): (usize, CheckResult)| {
        if !ACROSS_TIME.contains(&check.name.as_str()) {
            return check;
        }
        let before: Vec<&CheckResult> = before.iter().map(|side| &side[at]).collect();
        check.without_rewound(&after[at], &before)
    };
    whole.into_iter().enumerate().map(without_rewound).collect()
}

fn each(run: &Joined<'_>) -> Vec<CheckResult> {
    let mut all = operations(run);
    all.extend(executions(run));
    all.extend(ends(run));
    all.extend(databases(run));
    all
}

/// What is only looked at where nodes take over from one another.
fn databases(run: &Joined<'_>) -> Vec<CheckResult> {
    vec![
        fenced::check(run)
            .result("fenced", "late writes", true)
            .or_excused("nobody who had been led past tried to write"),
        lost_by_sql::check(run)
            .result("lost_by_sql", "acknowledged operations compared with both databases", true)
            .or_excused("the databases were not asked what a failover lost"),
    ]
}

/// What became of what was acknowledged, and whether anything is there that shouldn't be.
fn operations(run: &Joined<'_>) -> Vec<CheckResult> {
    let refused = run.history.starts.iter().filter(|s| s.outcome == Outcome::Failed).count();
    let not_looked_for = match refused {
        0 => "no start was refused".to_owned(),
        n => format!("none of the {n} refused starts was looked for afterwards"),
    };
    vec![
        lost_start::check(run).result("lost_start", "acknowledged starts", true),
        lost_completion::check(run).result("lost_completion", "acknowledged completions", true),
        unexpected::check(run).result("unexpected", "refused starts", true).or_excused(not_looked_for),
        idempotent_start::check(run).result("idempotent_start", "starts", true),
    ]
}

/// How work was handed out, and what of it counts.
fn executions(run: &Joined<'_>) -> Vec<CheckResult> {
    let tasks = || run.levels.iter().flat_map(|l| &l.templates).flat_map(|t| &t.tasks);
    let has_order = tasks().any(|t| !t.after.is_empty());
    let has_flow = tasks().any(|t| !t.carries.is_empty());
    vec![
        duplicated::check(run).result("duplicated", "tasks", true),
        overlapped::check(run).result("overlapped", "tasks", true),
        out_of_order::check(run).result("out_of_order", "successors", has_order),
        flow::check(run).result("flow", "handed-on results", has_flow),
        effect::check(run)
            .result("effect", "tasks of completed workflows", true)
            .or_excused("no workflow completed"),
        zombie::check(run).result("zombie", "results", true).or_excused("no result was kept"),
        attempts::check(run)
            .result("attempts", "tasks", true)
            .or_excused("the plan tells no bound on retries"),
        timers::check(run)
            .result("timers", "timers", true)
            .or_excused("no lease ran out and nothing was retried"),
        concurrency::check(run)
            .result("concurrency", "hand-outs", true)
            .or_excused("no task definition bounds how many are done at once"),
    ]
}

/// How workflows ended, and whether they stay as they ended.
fn ends(run: &Joined<'_>) -> Vec<CheckResult> {
    let mut stuck = stuck::check(run).result("stuck", "started workflows", true);
    if run.history.interrupted() {
        // Nobody waited for the end of what was in flight.
        stuck = Evidence::default().result("stuck", "started workflows", false);
        stuck.excused = Some("the run was interrupted".to_owned());
    }
    let once = "nothing was read twice";
    vec![
        stuck,
        undead::check(run).result("undead", "ended workflows", true),
        at_rest::check(run).result("at_rest", "ended workflows", true).or_excused("no workflow ended"),
        monotone::check(run).result("monotone", "workflows read twice", true).or_excused(once),
        one_result::check(run).result("one_result", "results read twice", true).or_excused(once),
        aftermath::check(run)
            .result("aftermath", "workflows after the load", true)
            .or_excused("nobody looked whether it still works"),
    ]
}
