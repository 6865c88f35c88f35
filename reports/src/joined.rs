//! Plan and history joined: what was wanted, what the harness saw and what the target tells, side by side.

use crate::disturbed;
use crate::history::{
    Begun, Call, Execution, FinalTask, FinalWorkflow, History, LevelEnd, LevelMark, Observed, Outcome,
    Reported, Shed, Start,
};
use crate::plan::{Level, Plan, Template, Workflow};
use crate::rewind::{self, Rewind};
use std::collections::BTreeMap;

/// Statuses from which a workflow does not move by itself.
pub const TERMINAL: [&str; 4] = ["COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"];

/// A run, joined.
#[derive(Debug)]
pub struct Joined<'a> {
    /// Workflow seconds per real second.
    pub speed: f64,
    /// What was wanted.
    pub plan: &'a Plan,
    /// What the harness saw.
    pub history: &'a History,
    /// Levels in the order of the plan.
    pub levels: Vec<LevelRun<'a>>,
    /// Restores from a backup.
    pub(crate) rewinds: Vec<Rewind>,
}

/// A level of load, joined.
#[derive(Debug)]
pub struct LevelRun<'a> {
    /// As planned.
    pub level: &'a Level,
    /// What it starts; of several templates the first.
    pub template: &'a Template,
    /// All that it starts.
    pub templates: Vec<&'a Template>,
    /// Its beginning, if it came to that.
    pub began: Option<&'a LevelMark>,
    /// Its end, if it came to that.
    pub ended: Option<&'a LevelEnd>,
    /// Its workflows in the order of the plan.
    pub workflows: Vec<WorkflowRun<'a>>,
    /// Plain requests made in it, and the polls of its workers that handed nothing out: they tell no level, and
    /// belong to the one in whose window they were sent.
    pub calls: Vec<&'a Call>,
    /// Stretches in which faults were in force, and a little longer.
    pub disturbed: Vec<(u64, u64)>,
}

/// A workflow, joined.
#[derive(Debug)]
pub struct WorkflowRun<'a> {
    /// As planned.
    pub planned: &'a Workflow,
    /// What it is made of.
    pub template: &'a Template,
    /// The request that started it.
    pub start: Option<&'a Start>,
    /// Set when it was due and held back.
    pub shed: Option<&'a Shed>,
    /// Its end as the load saw it.
    pub observed: Option<&'a Observed>,
    /// What the target told of it; more than one when one start made several workflows, or when it was read twice.
    pub finals: Vec<&'a FinalWorkflow>,
    /// Work on it that worker processes took in hand.
    pub begun: Vec<&'a Begun>,
    /// What the workers did for it, in the order of the history.
    pub executions: Vec<&'a Execution>,
    /// t₀ of a restore that may have gone back to before its end.
    pub(crate) rewound_ns: Option<u64>,
}

impl<'a> Joined<'a> {
    /// Joins a history to its plan. Records of levels or workflows that the plan doesn't have are left out.
    pub fn new(plan: &'a Plan, history: &'a History) -> Self {
        let mut levels: Vec<LevelRun<'a>> = Vec::new();
        let disturbed = disturbed::stretches(history);
        let mut at: BTreeMap<(&str, u64), (usize, usize)> = BTreeMap::new();
        for level in &plan.levels {
            let Some(template) = plan.template(&level.template) else { continue };
            let mut workflows = Vec::new();
            for planned in plan.workflows.iter().filter(|w| w.level == level.name) {
                at.insert((&level.name, planned.index), (levels.len(), workflows.len()));
                let own = planned.template.as_deref().and_then(|name| plan.template(name));
                workflows.push(WorkflowRun::new(planned, own.unwrap_or(template)));
            }
            let began = history.began.iter().find(|m| m.level == level.name);
            let ended = history.ended.iter().find(|m| m.level == level.name);
            let inside =
                |at_ns: u64| began.is_some_and(|b| at_ns >= b.at_ns) && ended.is_none_or(|e| at_ns < e.at_ns);
            let of_level = |c: &&Call| match c.level.as_str() {
                "" => inside(c.sent_ns),
                name => name == level.name,
            };
            let calls = history.calls.iter().filter(of_level).collect();
            let mixed: Vec<&Template> = level.mix.iter().filter_map(|p| plan.template(&p.template)).collect();
            let templates = if mixed.is_empty() { vec![template] } else { mixed };
            let disturbed = disturbed.clone();
            levels.push(LevelRun { level, template, templates, began, ended, workflows, calls, disturbed });
        }
        let mut place = |level: &str, index: u64, put: &mut dyn FnMut(&mut WorkflowRun<'a>)| {
            if let Some((l, w)) = at.get(&(level, index)) {
                put(&mut levels[*l].workflows[*w]);
            }
        };
        for r in &history.starts {
            place(&r.level, r.index, &mut |w| w.start = Some(r));
        }
        for r in &history.shed {
            place(&r.level, r.index, &mut |w| w.shed = Some(r));
        }
        for r in &history.observed {
            place(&r.level, r.index, &mut |w| w.observed = Some(r));
        }
        for r in &history.finals {
            place(&r.level, r.index, &mut |w| w.finals.push(r));
        }
        for r in &history.executions {
            place(&r.level, r.index, &mut |w| w.executions.push(r));
        }
        for r in &history.begun {
            place(&r.level, r.index, &mut |w| w.begun.push(r));
        }
        let rewinds = rewind::all(plan, history);
        for workflow in levels.iter_mut().flat_map(|l| &mut l.workflows) {
            workflow.rewound_ns = workflow.rewound_by(&rewinds);
        }
        Self { speed: history.header.speed, plan, history, levels, rewinds }
    }

    /// The level of a name.
    pub fn level(&self, name: &str) -> Option<&LevelRun<'a>> {
        self.levels.iter().find(|l| l.level.name == name)
    }

    /// A level and those that run beside it.
    pub fn beside(&self, name: &str) -> Vec<&LevelRun<'a>> {
        let is_together = |l: &&LevelRun<'_>| l.level.name == name || l.level.beside.as_deref() == Some(name);
        self.levels.iter().filter(is_together).collect()
    }

    /// All workflows of all levels.
    pub fn workflows(&self) -> impl Iterator<Item = &WorkflowRun<'a>> {
        self.levels.iter().flat_map(|l| &l.workflows)
    }
}

impl<'a> LevelRun<'a> {
    /// Beginning and end on the harness's clock, nanoseconds, when the level had both.
    pub fn window_ns(&self) -> Option<(u64, u64)> {
        let (began, ended) = (self.began?.at_ns, self.ended?.at_ns);
        (ended > began).then_some((began, ended))
    }

    /// True when something that lasted from one instant to another was touched by a fault: then it tells nothing of the
    /// harness.
    pub fn is_disturbed(&self, from_ns: u64, to_ns: u64) -> bool {
        disturbed::meets(&self.disturbed, from_ns, to_ns)
    }

    /// Length of the level, real seconds.
    pub fn window_s(&self) -> Option<f64> {
        self.window_ns().map(|(began, ended)| (ended - began) as f64 / 1e9)
    }

    /// Slots of each pool: those in force, or as planned when the level never began.
    pub fn slots(&self) -> &'a BTreeMap<String, u32> {
        self.began.map_or(&self.level.slots, |b| &b.slots)
    }

    /// True when it starts several templates.
    pub fn is_mixed(&self) -> bool {
        self.templates.len() > 1
    }

    /// All executions of the level.
    pub fn executions(&self) -> impl Iterator<Item = &'a Execution> {
        self.workflows.iter().flat_map(|w| w.executions.iter().copied())
    }

    /// Workflows that the target tells completed.
    pub fn completed(&self) -> impl Iterator<Item = &WorkflowRun<'a>> {
        self.workflows.iter().filter(|w| w.completed())
    }
}

impl<'a> WorkflowRun<'a> {
    fn new(planned: &'a Workflow, template: &'a Template) -> Self {
        Self {
            planned,
            template,
            start: None,
            shed: None,
            observed: None,
            finals: Vec::new(),
            begun: Vec::new(),
            executions: Vec::new(),
            rewound_ns: None,
        }
    }

    fn rewound_by(&self, rewinds: &[Rewind]) -> Option<u64> {
        let start = self.start?;
        let ended = self.observed.filter(|o| TERMINAL.contains(&o.status.as_str())).map(|o| o.done_ns);
        rewinds.iter().rev().find_map(|rewind| rewind.met(start, ended))
    }

    /// How a finding names it: `10x #17`, with the target's id where there is one.
    pub fn label(&self) -> String {
        let id = self.workflow_id().map(|id| format!(" ({id})")).unwrap_or_default();
        format!("{} #{}{id}", self.planned.level, self.planned.index)
    }

    /// The target's id: as the start was answered, else as it was found.
    pub fn workflow_id(&self) -> Option<&'a str> {
        let told = self.start.and_then(|s| s.workflow_id.as_deref());
        told.or_else(|| self.finals.iter().find(|f| f.found).map(|f| f.workflow_id.as_str()))
    }

    /// The target's own record of it, when it knows it: of several readings the last that found it.
    pub fn record(&self) -> Option<&'a FinalWorkflow> {
        self.record_under(self.workflow_id()?)
    }

    /// The target's own record under an id, when it knows it. A start that made two workflows has one for each, and what
    /// was done for one of them says nothing of the other.
    pub fn record_under(&self, workflow_id: &str) -> Option<&'a FinalWorkflow> {
        let own = self.finals.iter().copied().filter(|f| f.found && f.workflow_id == workflow_id);
        own.max_by_key(|f| f.reading)
    }

    /// The last reading of an id, also when the target did not know it any more.
    pub fn last_reading(&self, workflow_id: &str) -> Option<&'a FinalWorkflow> {
        let own = self.finals.iter().copied().filter(|f| f.workflow_id == workflow_id);
        own.max_by_key(|f| f.reading)
    }

    /// What was read of it under its own id, in the order of the readings.
    pub fn readings(&self) -> Vec<&'a FinalWorkflow> {
        let Some(id) = self.workflow_id() else { return Vec::new() };
        let mut readings: Vec<&FinalWorkflow> =
            self.finals.iter().copied().filter(|f| f.workflow_id == id).collect();
        readings.sort_by_key(|f| f.reading);
        readings
    }

    /// True when its start was asked for, whatever came of it.
    pub fn attempted(&self) -> bool {
        self.start.is_some()
    }

    /// True when the start was acknowledged, or not answered and found afterwards.
    pub fn started(&self) -> bool {
        match self.start.map(|s| s.outcome) {
            Some(Outcome::Ok) => true,
            Some(Outcome::Unknown) => self.record().is_some(),
            Some(Outcome::Failed) | None => false,
        }
    }

    /// True when the target tells COMPLETED.
    pub fn completed(&self) -> bool {
        self.record().is_some_and(|r| r.status == "COMPLETED")
    }

    /// From creation to end on the target's clock, real seconds, of a completed workflow.
    pub fn makespan_s(&self) -> Option<f64> {
        let record = self.record().filter(|r| r.status == "COMPLETED" && r.ended_ms >= r.created_ms)?;
        Some((record.ended_ms - record.created_ms) as f64 / 1e3)
    }

    /// The last attempt's record of a task.
    pub fn last_record(&self, reference: &str) -> Option<&'a FinalTask> {
        self.record()?.tasks.iter().filter(|t| t.reference == reference).max_by_key(|t| t.attempt)
    }

    /// The record of a task id.
    pub fn task_record(&self, task_id: &str) -> Option<&'a FinalTask> {
        self.record()?.tasks.iter().find(|t| t.task_id == task_id)
    }

    /// True when an execution's completion counts: its result is the one that the target keeps.
    ///
    /// A late update is answered with 200 too and dropped, so the answer alone does not tell.
    pub fn is_accepted(&self, execution: &Execution) -> bool {
        // Of work that a killed worker had in hand nobody knows whether it was reported.
        let cut_off = execution.reported == Reported::Nothing && execution.outcome == Outcome::Unknown;
        (execution.reported == Reported::Completed && execution.outcome != Outcome::Failed || cut_off)
            && self.task_record(&execution.task_id).is_some_and(|t| {
                t.status == "COMPLETED" && t.nonce.as_deref() == Some(execution.nonce.as_str())
            })
    }

    /// The nonce of the result that the target keeps of a task.
    pub fn kept_nonce(&self, reference: &str) -> Option<&'a str> {
        let kept = self.record()?.tasks.iter().find(|t| t.reference == reference && t.status == "COMPLETED");
        kept?.nonce.as_deref()
    }

    /// The execution whose result the target keeps, also when its worker was ended before it could write down that it
    /// had reported: then only its nonce and when it was handed out are known.
    pub fn kept(&self, reference: &str) -> Option<&'a Execution> {
        let nonce = self.kept_nonce(reference)?;
        self.executions.iter().copied().find(|e| e.reference == reference && e.nonce == nonce)
    }

    /// The execution of a task whose completion counts.
    pub fn accepted(&self, reference: &str) -> Option<&'a Execution> {
        self.executions.iter().copied().find(|e| e.reference == reference && self.is_accepted(e))
    }

    /// True when any task of it needed more than one attempt.
    pub fn retried(&self) -> bool {
        self.record().is_some_and(|r| r.tasks.iter().any(|t| t.attempt > 0))
    }
}
