//! Laws that hold for any sequence of commands: indexes equal what the aggregates give, a replay of the journal
//! gives the same state, no attempt is handed out twice, nothing is open in what has ended.

use proptest::prelude::*;
use serde_json::json;
use shakedown_engine::machine::command::{
    KeyTaken, OpenWorkflow, ReferenceUpdate, Report, Rerun, Skip, StartWorkflow, TaskUpdate,
};
use shakedown_engine::machine::definition::{Kind, TaskDef, WorkflowDef};
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::id::{TaskId, WorkflowId};
use shakedown_engine::machine::polls::{self, Polled};
use shakedown_engine::machine::status::{TaskStatus, WorkflowStatus};
use shakedown_engine::machine::workflow::{Task, Workflow};
use shakedown_engine::machine::{Command, Event, State, decide};
use shakedown_engine::store::{decode, encode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A step of a run: what to do, and to which of the things that are there.
#[derive(Debug, Clone)]
enum Step {
    Start,
    Poll(u8, usize),
    Report(usize, u8, u64),
    ReportAny(usize, u8),
    Extend(usize),
    Pause(usize),
    Resume(usize),
    Terminate(usize),
    Retry(usize),
    Restart(usize, bool),
    Rerun(usize, usize, bool),
    Skip(usize, u8),
    ByReference(usize, u8, u8),
    Reset(usize),
    Evaluate(usize),
    Remove(usize, bool),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Start),
        6 => (any::<u8>(), 1..4_usize).prop_map(|(kind, count)| Step::Poll(kind, count)),
        8 => (any::<usize>(), any::<u8>(), any::<u64>()).prop_map(|(task, report, bits)| Step::Report(task, report, bits)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(record, report)| Step::ReportAny(record, report)),
        1 => any::<usize>().prop_map(Step::Extend),
        1 => any::<usize>().prop_map(Step::Pause),
        1 => any::<usize>().prop_map(Step::Resume),
        1 => any::<usize>().prop_map(Step::Terminate),
        1 => any::<usize>().prop_map(Step::Retry),
        1 => any::<(usize, bool)>().prop_map(|(workflow, latest)| Step::Restart(workflow, latest)),
        2 => any::<(usize, usize, bool)>().prop_map(|(workflow, task, all)| Step::Rerun(workflow, task, all)),
        1 => any::<(usize, u8)>().prop_map(|(workflow, name)| Step::Skip(workflow, name)),
        1 => any::<(usize, u8, u8)>().prop_map(|(workflow, name, kind)| Step::ByReference(workflow, name, kind)),
        1 => any::<usize>().prop_map(Step::Reset),
        1 => any::<usize>().prop_map(Step::Evaluate),
        1 => any::<(usize, bool)>().prop_map(|(workflow, open)| Step::Remove(workflow, open)),
        4 => (0..3000_u16).prop_map(Step::Pass),
    ]
}

fn definitions() -> (Vec<TaskDef>, Vec<WorkflowDef>) {
    let defs = json!([
        {"name": "a", "retryCount": 1, "retryDelaySeconds": 1, "responseTimeoutSeconds": 2},
        {"name": "b", "retryCount": 0, "concurrentExecLimit": 2, "timeoutSeconds": 4, "responseTimeoutSeconds": 3, "timeoutPolicy": "RETRY"},
        {"name": "c", "rateLimitPerFrequency": 3, "rateLimitFrequencyInSeconds": 2, "retryCount": 2, "retryDelaySeconds": 0.2, "pollTimeoutSeconds": 5, "timeoutPolicy": "RETRY",
         "backoffJitterMs": 300, "retryLogic": "EXPONENTIAL_BACKOFF", "totalTimeoutSeconds": 9}
    ]);
    let workflow = json!({"name": "w", "timeoutSeconds": 30, "timeoutPolicy": "TIME_OUT_WF", "tasks": [
        {"name": "a", "taskReferenceName": "first"},
        {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [
            [{"name": "b", "taskReferenceName": "x", "optional": true}, {"name": "c", "taskReferenceName": "y"}],
            [{"name": "c", "taskReferenceName": "z", "startDelay": 1}],
            [{"name": "b", "taskReferenceName": "p", "permissive": true}, {"name": "a", "taskReferenceName": "q"}]]},
        {"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["y", "z", "q"]},
        {"name": "a", "taskReferenceName": "last", "inputParameters": {"in": "${j.output}"}}]});
    let up = json!({"name": "up", "timeoutSeconds": 40, "timeoutPolicy": "TIME_OUT_WF", "failureWorkflow": "small", "tasks": [
        {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [
            [{"name": "s", "taskReferenceName": "x", "type": "SUB_WORKFLOW", "retryCount": 1, "subWorkflowParam": {"name": "w"}},
             {"name": "wait", "taskReferenceName": "y", "type": "WAIT", "inputParameters": {"duration": "3 s"}}],
            [{"name": "s", "taskReferenceName": "z", "type": "SUB_WORKFLOW", "optional": true, "startDelay": 1, "subWorkflowParam": {"name": "small"}}],
            [{"name": "s", "taskReferenceName": "q", "type": "SUB_WORKFLOW", "permissive": true, "subWorkflowParam": {"name": "small"}}]]},
        {"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["y", "z"]},
        {"name": "wait", "taskReferenceName": "last", "type": "WAIT"}]});
    let small = json!({"name": "small", "tasks": [{"name": "b", "taskReferenceName": "first"}]});
    let workflows = [small, workflow, up].map(|def| serde_json::from_value(def).unwrap());
    (serde_json::from_value(defs).unwrap(), workflows.into())
}

struct World {
    state: State,
    journal: Vec<Vec<u8>>,
    now: u64,
    seed: u64,
    workflows: Vec<WorkflowId>,
    handed: Vec<TaskId>,
    hand_outs: BTreeMap<TaskId, u32>,
    /// When tasks of the type with a rate limit were handed out.
    limited: Vec<u64>,
}

impl World {
    fn new() -> Self {
        let (task_defs, defs) = definitions();
        let mut world = Self {
            state: State::default(),
            journal: Vec::new(),
            now: 1_000_000,
            seed: 0,
            workflows: Vec::new(),
            handed: Vec::new(),
            hand_outs: BTreeMap::new(),
            limited: Vec::new(),
        };
        world.carry_out(Command::SaveTaskDefs(task_defs));
        for def in defs.into_iter().map(Box::new) {
            world.carry_out(Command::SaveWorkflowDef { def, overwrite: false });
        }
        world
    }

    /// A command, and what workflows owe each other after it: one frame, as in the writer.
    fn carry_out(&mut self, command: Command) {
        self.decide(command);
        while self.state.indexes().next_owed().is_some_and(|(at, ..)| at <= self.now) {
            self.decide(Command::Settle);
        }
    }

    fn decide(&mut self, command: Command) {
        let Ok(events) = decide(&self.state, command, self.now) else { return };
        for event in &events {
            self.state.evolve(event);
            match event {
                Event::WorkflowStarted { id, .. } => self.workflows.push(*id),
                Event::Task { id, seq, change, .. } => self.note_hand_out(id.task(*seq), change),
                _ => {}
            }
        }
        self.journal.push(encode(&events));
    }

    fn note_hand_out(&mut self, task: TaskId, change: &shakedown_engine::machine::event::TaskChange) {
        use shakedown_engine::machine::event::TaskChange;
        match change {
            TaskChange::Started { .. } => {
                self.handed.push(task);
                let (workflow, record) = self.state.task(task).unwrap();
                if workflow.node(record).task.name == "c" {
                    self.limited.push(self.now);
                }
                *self.hand_outs.entry(task).or_default() += 1;
            }
            // A task that was given back may be handed out once more.
            TaskChange::CalledBack { .. } => drop(self.hand_outs.insert(task, 0)),
            _ => {}
        }
    }

    fn act(&mut self, step: &Step) {
        self.seed += 1;
        let pick = |index: usize, len: usize| (len > 0).then(|| index % len.max(1));
        let workflow = |index: &usize| pick(*index, self.workflows.len()).map(|index| self.workflows[index]);
        let command = match step {
            Step::Start => Some(Command::StartWorkflow(Box::new(StartWorkflow {
                name: ["w", "up", "small"][(self.seed % 3) as usize].into(),
                version: None,
                inline: None,
                start: Start {
                    input: json!({"n": 1}).into(),
                    priority: (self.seed % 3) as u8,
                    task_to_domain: [("c".to_owned(), "blue,NO_DOMAIN".to_owned())].into(),
                    ..Start::default()
                },
                taken: KeyTaken::Fail,
                seed: self.seed,
            }))),
            Step::Poll(kind, count) => {
                let (kind, domain) =
                    [("a", None), ("b", None), ("c", None), ("c", Some("blue"))][usize::from(*kind) % 4];
                let polled =
                    Polled { kind: kind.into(), domain: domain.map(Arc::from), worker: None, at: self.now };
                let queue = polls::queue(&polled.kind, polled.domain.as_ref());
                self.state.note_poll(&queue, polled);
                Some(Command::Poll { queue, worker: Some("me".into()), count: *count })
            }
            Step::Report(index, kind, bits) => {
                let task = pick(*index, self.handed.len()).map(|index| self.handed[index]);
                task.map(|task| Command::UpdateTask(Box::new(update(task, *kind, *bits))))
            }
            // Any record there is, polled or not, joins and forks too: clients may.
            Step::ReportAny(index, kind) => {
                let records = self.state.workflows().flat_map(|w| w.tasks.iter().map(|task| w.task_id(task)));
                let records: Vec<TaskId> = records.collect();
                let task = pick(*index, records.len()).map(|index| records[index]);
                task.map(|task| Command::UpdateTask(Box::new(update(task, *kind, self.seed))))
            }
            Step::Extend(index) => {
                pick(*index, self.handed.len()).map(|index| Command::ExtendLease { task: self.handed[index] })
            }
            Step::Pause(index) => workflow(index).map(Command::Pause),
            Step::Resume(index) => workflow(index).map(Command::Resume),
            Step::Terminate(index) => {
                workflow(index).map(|id| Command::Terminate { id, reason: None, alarm: *index % 2 == 0 })
            }
            Step::Retry(index) => {
                workflow(index).map(|id| Command::Retry { id, resume_children: *index % 2 == 0 })
            }
            Step::Reset(index) => workflow(index).map(Command::ResetCallbacks),
            Step::Evaluate(index) => workflow(index).map(Command::Evaluate),
            Step::Restart(index, latest) => {
                workflow(index).map(|id| Command::Restart { id, latest: *latest })
            }
            Step::Rerun(index, task, all) => workflow(index).map(|id| self.rerun(id, *task, *all)),
            Step::Skip(index, name) => workflow(index).map(|id| skip(id, *name)),
            Step::ByReference(index, name, kind) => workflow(index).map(|id| by_reference(id, *name, *kind)),
            Step::Remove(index, open) => workflow(index).map(|id| {
                let open = if *open { OpenWorkflow::Terminate(None) } else { OpenWorkflow::Refuse };
                Command::Remove { id, open }
            }),
            Step::Pass(ms) => {
                self.now += u64::from(*ms);
                Some(Command::FireTimers { limit: 1000 })
            }
        };
        if let Some(command) = command {
            self.carry_out(command);
        }
    }

    /// A record and the workflow that does it tell the same: an open record has an open child, one that ended none.
    fn check_child(&self, parent: &Workflow, task: &Task) -> Result<(), TestCaseError> {
        let Some(child) = task.child else { return Ok(()) };
        let open = self.state.workflow(child.id).is_some_and(|child| !child.status.is_terminal());
        if !task.status.is_terminal() {
            let link = self.state.workflow(child.id).and_then(|child| child.start.parent);
            prop_assert!(open, "a record waits for a child that is not open: {:?}", task);
            prop_assert!(link.is_some_and(|link| link.workflow == parent.id && link.seq == task.seq));
        } else if !task.retried && parent.status.is_terminal() {
            prop_assert!(child.over, "a record ended, and its child was not told: {:?}", task);
        }
        Ok(())
    }

    fn rerun(&self, id: WorkflowId, task: usize, all: bool) -> Command {
        let records = self.state.workflow(id).map_or(0, |workflow| workflow.tasks.len());
        let record = (records > 0 && !all).then(|| task % records.max(1));
        let from = record.map(|at| self.state.workflow(id).map_or(1, |workflow| workflow.tasks[at].seq));
        let correlation_id = task.is_multiple_of(3).then(|| Arc::from(format!("again {}", task % 5)));
        Command::Rerun(Box::new(Rerun {
            id,
            from: from.map(|seq| id.task(seq)),
            task_input: None,
            workflow_input: task.is_multiple_of(2).then(|| json!({"n": task}).into()),
            correlation_id,
        }))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.state.indexes().compacted(), self.state.rebuilt_indexes());
        for workflow in self.state.workflows() {
            let waits_for_somebody = workflow.open_tasks().any(|task| workflow.node(task).kind != Kind::Join);
            if workflow.status == WorkflowStatus::Running {
                prop_assert!(waits_for_somebody, "running, and nobody can bring it on: {:?}", workflow.tasks);
            }
            if workflow.status.is_terminal() {
                prop_assert_eq!(workflow.open_tasks().count(), 0, "open tasks in an ended workflow");
            }
            for task in &workflow.tasks {
                self.check_child(workflow, task)?;
                let before = task.retry_of.and_then(|seq| workflow.task(seq));
                prop_assert!(before.is_none_or(|old| old.retried && old.attempt + 1 == task.attempt));
            }
        }
        let with_workers = self.state.workflows().flat_map(|workflow| {
            let open = workflow.open_tasks();
            open.filter(|task| task.status == TaskStatus::InProgress && workflow.node(task).task.name == "b")
        });
        prop_assert!(with_workers.count() <= 2, "more are with workers than concurrentExecLimit allows");
        let last = self.limited.iter().filter(|at| **at + 2000 > self.now).count();
        prop_assert!(last <= 3, "more were handed out than the rate limit allows: {:?}", self.limited);
        prop_assert!(
            self.hand_outs.values().all(|count| *count <= 1),
            "handed out twice: {:?}",
            self.hand_outs
        );
        Ok(())
    }
}

const NAMES: [&str; 9] = ["first", "f", "x", "y", "z", "p", "q", "j", "last"];

fn skip(id: WorkflowId, name: u8) -> Command {
    let reference = NAMES[usize::from(name) % NAMES.len()].to_owned();
    Command::Skip(Box::new(Skip { id, reference, input: None, output: None }))
}

fn by_reference(workflow: WorkflowId, name: u8, kind: u8) -> Command {
    let told = update(workflow.task(1), kind, u64::from(name));
    Command::UpdateByReference(Box::new(ReferenceUpdate {
        workflow,
        reference: NAMES[usize::from(name) % NAMES.len()].to_owned(),
        report: told.report,
        output: serde_json::Map::new(),
        worker: None,
        seed: told.seed,
    }))
}

/// Some output: empty, or with a float of any bits and a nest.
fn payload(bits: u64) -> serde_json::Value {
    let float = f64::from_bits(bits);
    let nested = (0..bits % 60).fold(json!(bits), |inner, _| json!([inner]));
    if bits.is_multiple_of(5) {
        json!({})
    } else {
        json!({"float": float, "nested": nested, "text": bits.to_string()})
    }
}

fn update(task: TaskId, kind: u8, seed: u64) -> TaskUpdate {
    let report = match kind % 8 {
        0 => Report::Failed,
        1 => Report::InProgress,
        2 if kind > 128 => Report::FailedWithTerminalError,
        2 if kind > 96 => Report::Canceled,
        _ => Report::Completed,
    };
    TaskUpdate {
        workflow: task.workflow,
        task,
        report,
        output: payload(seed).into(),
        reason: None,
        worker: None,
        logs: Vec::new(),
        callback_ms: 700,
        seed,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn indexes_hand_outs_and_ends_hold_after_every_step(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.act(step);
            world.check()?;
        }
    }

    #[test]
    fn a_replay_gives_the_same_state(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.act(step));
        let mut replayed = State::default();
        for frame in &world.journal {
            decode(frame).unwrap().iter().for_each(|event| replayed.evolve(event));
        }
        let tell = |state: &State| {
            let told = state.workflows().map(|w| {
                let times = (w.created_at, w.updated_at, w.ended_at, w.retried_at);
                format!("{:?} {:?} {times:?} {:?} {:?} {:?}", w.id, w.status, w.reason, w.tasks, w.output)
            });
            told.collect::<Vec<_>>()
        };
        prop_assert_eq!(tell(&replayed), tell(&world.state));
        prop_assert_eq!(replayed.indexes(), world.state.indexes());
    }

    #[test]
    fn what_is_worked_on_completes(seed in any::<u64>()) {
        let mut world = World::new();
        // The next start takes the definition that workers alone can complete.
        world.seed = seed / 6 * 3 + 2;
        world.act(&Step::Start);
        for _ in 0..20 {
            for kind in 0..4 {
                world.act(&Step::Poll(kind, 3));
            }
            for index in 0..world.handed.len() {
                world.act(&Step::Report(index, 7, seed));
            }
            world.act(&Step::Pass(500));
        }
        let workflow = world.state.workflow(world.workflows[0]).unwrap();
        prop_assert_eq!(workflow.status, WorkflowStatus::Completed);
    }
}
