//! What the stand-in knows, and how it runs workflows: as it should, but for what the script says. Time is an argument.

use super::definition::Definition;
use super::workflow::{Task, Workflow};
use crate::calibrate::script::{Defect, Plant, Script};
use crate::calibrate::truth::{Deed, Truth};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// How long after a workflow's end an undead task comes.
const UNDEAD_AFTER_NS: u64 = 50_000_000;
/// How much later than the first the second of two workflows of one start begins.
const DOUBLE_AFTER_NS: u64 = 300_000_000;

/// Both clocks at one instant: the harness's monotonic one, and the wall clock that records carry.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub ns: u64,
    /// Epoch milliseconds.
    pub ms: u64,
}

/// Something that is to happen at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Monotonic nanoseconds.
    pub at_ns: u64,
    /// What.
    pub event: Event,
}

/// What happens by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A task can be polled.
    Queue(TaskAt),
    /// The lease of a hand-out is over, the so-manieth of its task.
    LeaseOver(TaskAt, u32),
    /// A workflow begins.
    Begin(usize),
    /// A workflow that has ended hands its last task out once more.
    Revive(usize),
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskAt {
    /// Place of its workflow.
    pub workflow: usize,
    /// Place of its record there.
    pub task: usize,
}

/// Why a request is refused: HTTP status and a sentence.
pub type Refusal = (u16, String);

/// How a start is answered: the id, or an error in spite of which something may follow.
pub type Started = Result<String, Refusal>;

/// Everything that the stand-in knows.
#[derive(Debug)]
pub struct World {
    script: Script,
    truth: Arc<Truth>,
    definitions: HashMap<String, Arc<Definition>>,
    task_definitions: BTreeMap<String, Value>,
    pub(super) workflows: Vec<Workflow>,
    pub(super) by_id: HashMap<String, usize>,
    queues: HashMap<String, VecDeque<TaskAt>>,
}

impl World {
    /// A world without workflows.
    pub fn new(script: Script, truth: Arc<Truth>) -> Self {
        Self {
            script,
            truth,
            definitions: HashMap::new(),
            task_definitions: BTreeMap::new(),
            workflows: Vec::new(),
            by_id: HashMap::new(),
            queues: HashMap::new(),
        }
    }

    /// Registers task definitions.
    pub fn put_task_definitions(&mut self, definitions: Vec<Value>) {
        for definition in definitions {
            let name = definition["name"].as_str().unwrap_or_default().to_owned();
            self.task_definitions.insert(name, definition);
        }
    }

    /// A task definition.
    pub fn task_definition(&self, name: &str) -> Option<&Value> {
        self.task_definitions.get(name)
    }

    /// Registers a workflow definition.
    pub fn put_definition(&mut self, given: Value) -> Result<(), Refusal> {
        let definition = Definition::read(given).map_err(|why| (400, why))?;
        self.definitions.insert(definition.name.clone(), Arc::new(definition));
        Ok(())
    }

    /// A workflow definition.
    pub fn definition(&self, name: &str) -> Option<&Value> {
        self.definitions.get(name).map(|definition| &definition.given)
    }

    /// Tasks that wait in a queue.
    pub fn queue_size(&self, task_type: &str) -> usize {
        self.queues.get(task_type).map_or(0, VecDeque::len)
    }

    /// Starts a workflow: the answer, and what follows.
    pub fn start(&mut self, request: &Value, now: Now) -> Result<(Started, Vec<Due>), Refusal> {
        let name = request["name"].as_str().unwrap_or_default();
        let definition = self.definitions.get(name).cloned();
        let definition = definition.ok_or_else(|| (404, format!("no workflow definition {name:?}")))?;
        let correlation_id = request["correlationId"].as_str().unwrap_or_default();
        let (level, index) = level_and_index(correlation_id);
        let plant = self.script.plant(&level, index).cloned();
        let defect = plant.as_ref().map(|plant| plant.defect);
        if defect == Some(Defect::LostStart) {
            let id = format!("{:08x}-0000-4000-8000-{:012x}", index, now.ns & 0xffff_ffff_ffff);
            tell(&self.truth, plant.as_ref(), now);
            return Ok((Ok(id), Vec::new()));
        }
        let mut add = |twin: bool| {
            let at = self.workflows.len();
            let id = format!("{at:08x}-0000-4000-8000-{:012x}", u8::from(twin));
            self.by_id.insert(id.clone(), at);
            self.workflows.push(Workflow {
                id,
                correlation_id: correlation_id.to_owned(),
                level: level.clone(),
                index,
                plant: plant.clone(),
                definition: Arc::clone(&definition),
                status: "RUNNING",
                created_ms: now.ms,
                ended_ms: 0,
                tasks: Vec::new(),
                read: 0,
            });
            at
        };
        let first = add(false);
        if defect == Some(Defect::DoubledStart) {
            let second = add(true);
            let mut dues = self.begin(first, now);
            dues.push(Due { at_ns: now.ns + DOUBLE_AFTER_NS, event: Event::Begin(second) });
            tell(&self.truth, plant.as_ref(), now);
            // The client can't know what became of it; the reading back shows that it became two.
            return Ok((Err((500, "it may have happened".to_owned())), dues));
        }
        let dues = self.begin(first, now);
        if defect == Some(Defect::RefusedStart) {
            tell(&self.truth, plant.as_ref(), now);
            return Ok((Err((503, "try again later".to_owned())), dues));
        }
        Ok((Ok(self.workflows[first].id.clone()), dues))
    }

    /// What is due happens.
    pub fn happen(&mut self, event: Event, now: Now) -> Vec<Due> {
        match event {
            Event::Queue(at) => {
                let workflow = &self.workflows[at.workflow];
                let step = &workflow.definition.steps[workflow.tasks[at.task].step];
                self.queues.entry(step.task_type.clone()).or_default().push_back(at);
                Vec::new()
            }
            Event::LeaseOver(at, poll_count) => {
                let task = &self.workflows[at.workflow].tasks[at.task];
                let again = task.status == "IN_PROGRESS" && task.poll_count == poll_count;
                if again { vec![Due { at_ns: now.ns, event: Event::Queue(at) }] } else { Vec::new() }
            }
            Event::Begin(at) => self.begin(at, now),
            Event::Revive(at) => {
                let last = self.workflows[at].definition.steps.len() - 1;
                vec![self.schedule(at, last, 1, now, 0)]
            }
        }
    }

    fn begin(&mut self, at: usize, now: Now) -> Vec<Due> {
        let workflow = &self.workflows[at];
        let wait_ns = self.script.wait_ns(&workflow.level, workflow.index);
        let twice = workflow.has(Defect::HandedOutTwice);
        let due = self.schedule(at, 0, 0, now, wait_ns);
        if twice { vec![due.clone(), due] } else { vec![due] }
    }

    /// Makes a task record that can be polled `wait_ns` later.
    fn schedule(&mut self, at: usize, step: usize, attempt: u32, now: Now, wait_ns: u64) -> Due {
        let task = self.record(at, step, attempt, now);
        Due { at_ns: now.ns + wait_ns, event: Event::Queue(TaskAt { workflow: at, task }) }
    }

    fn record(&mut self, at: usize, step: usize, attempt: u32, now: Now) -> usize {
        let tasks = &mut self.workflows[at].tasks;
        let number = tasks.len();
        tasks.push(Task {
            id: format!("{at:08x}-{number:04x}-4000-8000-00000000000f"),
            step,
            attempt,
            status: "SCHEDULED",
            poll_count: 0,
            scheduled_ms: now.ms,
            started_ms: 0,
            ended_ms: 0,
            output: json!({}),
        });
        number
    }

    /// Hands out up to `count` tasks of a type, and what follows from that.
    pub fn poll(&mut self, task_type: &str, count: usize, now: Now) -> (Vec<Value>, Vec<Due>) {
        let (mut handed, mut dues) = (Vec::new(), Vec::new());
        while handed.len() < count {
            let Some(at) = self.queues.get_mut(task_type).and_then(VecDeque::pop_front) else { break };
            let status = self.workflows[at.workflow].tasks[at.task].status;
            if !matches!(status, "SCHEDULED" | "IN_PROGRESS") {
                // It was done after all while it waited to be handed out again.
                continue;
            }
            dues.extend(self.hand_out(at, now));
            handed.push(self.polled(at, task_type));
            dues.extend(self.lease(at, now));
        }
        (handed, dues)
    }

    fn hand_out(&mut self, at: TaskAt, now: Now) -> Option<Due> {
        let workflow = &mut self.workflows[at.workflow];
        let task = &mut workflow.tasks[at.task];
        task.poll_count += 1;
        if task.poll_count == 1 {
            (task.status, task.started_ms) = ("IN_PROGRESS", now.ms);
        }
        let (step, attempt, again) = (task.step, task.attempt, task.poll_count > 1);
        let defect = workflow.plant.as_ref().map(|plant| plant.defect)?;
        match (defect, step, attempt) {
            (Defect::HandedOutTwice, 0, 0) if again => {
                // As when two polls race: both are told of the first hand-out.
                task.poll_count = 1;
                self.tell(at.workflow, now);
            }
            (Defect::Undead, _, 1) => self.tell(at.workflow, now),
            (Defect::EarlyRetry, 0, 0) => {
                (task.status, task.ended_ms) = ("TIMED_OUT", now.ms);
                self.tell(at.workflow, now);
                return Some(self.schedule(at.workflow, 0, 1, now, 0));
            }
            (Defect::Zombie, 0, 0) => return Some(self.schedule(at.workflow, 0, 1, now, 0)),
            (Defect::OutOfOrder, 0, 0) => {
                self.tell(at.workflow, now);
                return Some(self.schedule(at.workflow, 1, 0, now, 0));
            }
            _ => {}
        }
        None
    }

    /// Writes down that the defect of a workflow came to pass.
    pub(super) fn tell(&self, workflow: usize, now: Now) {
        tell(&self.truth, self.workflows[workflow].plant.as_ref(), now);
    }

    /// A worker reports on a task.
    pub fn update(&mut self, report: &Value, now: Now) -> Result<Vec<Due>, Refusal> {
        let at = self.task(report)?;
        let workflow = &mut self.workflows[at.workflow];
        let first_hand_out = workflow.tasks[at.task].poll_count == 1;
        let ended = workflow.ended_ms > 0;
        let forgets = workflow.has(Defect::LostCompletion) && first_hand_out;
        let fenced = workflow.has(Defect::Zombie) && workflow.tasks[at.task].attempt == 1;
        let task = &mut workflow.tasks[at.task];
        match (report["status"].as_str(), task.status) {
            (Some("IN_PROGRESS"), "IN_PROGRESS") => return Ok(Vec::new()),
            (_, "TIMED_OUT" | "CANCELED") => {
                return Err((409, "another attempt has taken its place".to_owned()));
            }
            _ if fenced => return Err((409, "the attempt before it counts".to_owned())),
            (_, "IN_PROGRESS") if ended => return Err((409, "the workflow has ended".to_owned())),
            // Late, as Conductor has it: taken, and dropped.
            (_, "COMPLETED") => return Ok(Vec::new()),
            (Some("COMPLETED"), "IN_PROGRESS") => {}
            (told, _) => return Err((400, format!("the calibration's stand-in takes no {told:?} here"))),
        }
        if forgets && task.step == 0 {
            self.tell(at.workflow, now);
            return Ok(Vec::new());
        }
        (task.status, task.ended_ms) = ("COMPLETED", now.ms);
        task.output = report["outputData"].clone();
        if workflow.has(Defect::Zombie) && at.task == 0 {
            // The attempt that took its place is in the next record, and is refused when it reports.
            workflow
                .tasks
                .iter_mut()
                .filter(|task| task.attempt == 1)
                .for_each(|task| task.status = "CANCELED");
            self.tell(at.workflow, now);
        }
        Ok(self.go_on(at.workflow, now))
    }

    /// What follows when a task has been completed.
    fn go_on(&mut self, at: usize, now: Now) -> Vec<Due> {
        let workflow = &mut self.workflows[at];
        let steps = workflow.definition.steps.len();
        let unfinished = workflow.has(Defect::Unfinished);
        if unfinished || (0..steps).all(|step| workflow.completed(step).is_some()) {
            (workflow.status, workflow.ended_ms) = ("COMPLETED", now.ms);
            let undead = workflow.has(Defect::Undead);
            let revive = Due { at_ns: now.ns + UNDEAD_AFTER_NS, event: Event::Revive(at) };
            if unfinished {
                self.tell(at, now);
            }
            return if undead { vec![revive] } else { Vec::new() };
        }
        let next = (0..steps).find(|step| workflow.tasks.iter().all(|task| task.step != *step));
        let Some(next) = next else { return Vec::new() };
        if workflow.has(Defect::Stuck) {
            self.record(at, next, 0, now);
            self.tell(at, now);
            return Vec::new();
        }
        if workflow.has(Defect::WrongResult) {
            self.tell(at, now);
        }
        vec![self.schedule(at, next, 0, now, 0)]
    }

    fn task(&self, report: &Value) -> Result<TaskAt, Refusal> {
        let id = |key: &str| report[key].as_str().unwrap_or_default();
        let unknown = || (404, format!("no task {:?}", id("taskId")));
        let workflow = *self.by_id.get(id("workflowInstanceId")).ok_or_else(unknown)?;
        let of = &self.workflows[workflow].tasks;
        let task = of.iter().position(|task| task.id == id("taskId")).ok_or_else(unknown)?;
        Ok(TaskAt { workflow, task })
    }

    /// When the lease of a hand-out is over; never in a workflow that has ended.
    fn lease(&self, at: TaskAt, now: Now) -> Option<Due> {
        let workflow = &self.workflows[at.workflow];
        let task = &workflow.tasks[at.task];
        let lease_s = self.lease_s(&workflow.definition.steps[task.step].task_type);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
        let at_ns = now.ns.saturating_add((lease_s * 1e9) as u64);
        let is_leased = lease_s > 0.0 && workflow.ended_ms == 0;
        is_leased.then_some(Due { at_ns, event: Event::LeaseOver(at, task.poll_count) })
    }

    /// `responseTimeoutSeconds` of a task type.
    pub(super) fn lease_s(&self, task_type: &str) -> f64 {
        self.task_definitions
            .get(task_type)
            .and_then(|definition| definition["responseTimeoutSeconds"].as_f64())
            .unwrap_or(0.0)
    }

    fn polled(&self, at: TaskAt, task_type: &str) -> Value {
        let workflow = &self.workflows[at.workflow];
        let task = &workflow.tasks[at.task];
        json!({
            "taskId": task.id, "workflowInstanceId": workflow.id, "taskType": task_type,
            "referenceTaskName": workflow.definition.steps[task.step].reference,
            "correlationId": workflow.correlation_id, "retryCount": task.attempt, "pollCount": task.poll_count,
            "scheduledTime": task.scheduled_ms, "startTime": task.started_ms, "status": "IN_PROGRESS",
            "responseTimeoutSeconds": self.lease_s(task_type), "inputData": workflow.input(task.step),
        })
    }
}

/// Writes a defect down, unless it is one to be kept.
fn tell(truth: &Truth, plant: Option<&Plant>, now: Now) {
    if let Some(Plant { level, index, defect, told: true }) = plant {
        let (level, index, defect, at_ns) = (level.clone(), *index, *defect, now.ns);
        truth.tell(&Deed::Breach { level, index, defect, at_ns });
    }
}

/// Level and index in a correlation id `RUN/LEVEL/INDEX`; nothing of another's.
pub fn level_and_index(correlation_id: &str) -> (String, u64) {
    let mut parts = correlation_id.rsplitn(3, '/');
    let index = parts.next().and_then(|index| index.parse().ok()).unwrap_or(u64::MAX);
    (parts.next().unwrap_or_default().to_owned(), index)
}
