//! The world: one engine on a disk that fails, clients that ask at random, and the oracle that hears every answer.

use crate::cast::{self, KINDS, PLOTS};
use crate::dice::Dice;
use crate::oracle::{Handed, Moment, Oracle, What};
use crate::plants::Plant;
use crate::requests::{Answer, Asked, Look, Seen, Wish, view};
use serde_json::{Value, json};
use shakedown_engine::archive::{Archive, Query};
use shakedown_engine::machine::command::{Command, Report, StartWorkflow, TaskUpdate};
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::id::{TaskId, WorkflowId};
use shakedown_engine::machine::workflow::TaskInContext;
use shakedown_engine::store::faulty::Disk;
use shakedown_engine::writer::{Failure, Poll, Request, Unavailable, UpdateAndPoll, Writer};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// After a start no timer fires for so long, by the contract.
const GRACE_MS: u64 = 1000;
/// Lines of the story that a failure shows.
const SHOWN: usize = 4000;

pub type Told = Result<(), String>;

pub struct World {
    pub dice: Dice,
    pub disk: Disk,
    pub oracle: Oracle,
    pub plant: Option<Plant>,
    pub crashes: u64,
    clock: Arc<AtomicU64>,
    engine: Option<(Writer, Arc<dyn Archive>)>,
    requests: VecDeque<Request>,
    asked: Vec<Asked>,
    number: u64,
    /// Starts by correlation id, with what was found out.
    starts: BTreeMap<String, (&'static str, Option<WorkflowId>)>,
    /// Starts whose answer never came.
    open_starts: Vec<String>,
    /// Tasks that workers were handed.
    pub tasks: Vec<TaskId>,
    quiet_until: u64,
    full: bool,
    story: VecDeque<String>,
    digest: u64,
}

impl World {
    pub fn new(seed: u64, plant: Option<Plant>) -> Self {
        let retention = seed.is_multiple_of(4).then_some(20_000);
        Self {
            dice: Dice::new(seed),
            disk: Disk::default(),
            oracle: Oracle::new(retention),
            plant,
            crashes: 0,
            clock: Arc::new(AtomicU64::new(1_700_000_000_000)),
            engine: None,
            requests: VecDeque::new(),
            asked: Vec::new(),
            number: 0,
            starts: BTreeMap::new(),
            open_starts: Vec::new(),
            tasks: Vec::new(),
            quiet_until: 0,
            full: false,
            story: VecDeque::new(),
            digest: 0,
        }
    }

    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub fn pass(&mut self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// The last lines of what happened.
    pub fn story(&self) -> String {
        self.story.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Equal for equal stories on equal journals.
    pub fn digest(&self) -> (u64, u64, usize) {
        (self.disk.digest(), self.digest, self.starts.len())
    }

    fn tell(&mut self, line: String) {
        let at = self.now() - 1_700_000_000_000;
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.digest = line.bytes().fold(self.digest.rotate_left(5) ^ at, hash);
        if self.story.len() == SHOWN {
            self.story.pop_front();
        }
        self.story.push_back(format!("{at:>7} ms  {line}"));
    }

    /// Starts the engine on the disk, reads everything that is known, and settles what was unknown.
    pub fn open(&mut self) -> Told {
        for _ in 0..20 {
            if self.engine.is_none() {
                self.start_engine()?;
                let ids = self.oracle.workflows();
                ids.into_iter().for_each(|id| self.read(id));
            }
            self.step()?;
            if self.engine.is_some() && self.settle_starts()? {
                return Ok(());
            }
        }
        Err("it does not come up".to_owned())
    }

    fn start_engine(&mut self) -> Told {
        let opened = self.disk.open();
        let opened = match self.plant {
            Some(plant) => plant.on(opened),
            None => opened,
        };
        let archive = Arc::clone(&opened.1);
        let time = Arc::clone(&self.clock);
        let clock = Box::new(move || time.load(Ordering::SeqCst));
        let retention = self.oracle.retention.map(Duration::from_millis);
        let writer = Writer::by_hand(opened, clock, retention);
        let writer = writer.map_err(|error| format!("it can't be started again: {error}"))?;
        self.quiet_until = if writer.position() > 0 { self.now() + GRACE_MS } else { 0 };
        self.tell(format!("the engine starts, the journal has {} frames", writer.position()));
        self.engine = Some((writer, archive));
        self.full = false;
        Ok(())
    }

    /// The process ends; with `power` the machine too, and what was not synced is lost, but for so many per mille.
    pub fn crash(&mut self, power: Option<u64>) {
        self.engine = None;
        self.crashes += 1;
        self.requests.clear();
        for asked in std::mem::take(&mut self.asked) {
            if let Wish::Start { correlation, .. } = asked.what {
                self.open_starts.push(correlation);
            }
        }
        let power = power.or(self.disk.is_dark().then_some(0));
        if let Some(kept) = power {
            self.disk.lose_power(kept);
        }
        self.tell(format!("the process is gone, power lost: {power:?}"));
    }

    /// True when all starts are settled whose answer was lost: they are found by their correlation id, or never were.
    fn settle_starts(&mut self) -> Result<bool, String> {
        for correlation in std::mem::take(&mut self.open_starts) {
            let Some((name, _)) = self.starts.get(&correlation) else { continue };
            let name = *name;
            let found = self.find(&format!("correlationId = {correlation}"))?;
            let Some(found) = found else {
                self.open_starts.push(correlation);
                return Ok(false);
            };
            if found.len() > 1 {
                return Err(format!("{correlation} was started {} times", found.len()));
            }
            match found.first() {
                Some(id) => self.exists(&correlation, name, *id),
                None => drop(self.starts.remove(&correlation)),
            }
        }
        Ok(true)
    }

    fn exists(&mut self, correlation: &str, name: &'static str, id: WorkflowId) {
        self.starts.insert(correlation.to_owned(), (name, Some(id)));
        if let Some(plot) = cast::plot(name) {
            self.oracle.exists(id, plot);
        }
    }

    /// A search; `None` when the engine ended meanwhile.
    pub fn find(&mut self, query: &str) -> Result<Option<Vec<WorkflowId>>, String> {
        let (to, mut flushed) = oneshot::channel();
        self.requests.push_back(Request::Flush(to));
        for _ in 0..200 {
            self.step()?;
            let Some((writer, archive)) = &mut self.engine else { return Ok(None) };
            writer.archive();
            if self.disk.is_dark() {
                continue;
            }
            if flushed.try_recv().is_ok() {
                let query = Query::parse(query, "startTime:ASC", 0, 5000, true)?;
                let Ok(page) = archive.search(&query) else { return Ok(None) };
                let found: Vec<WorkflowId> = page.workflows.iter().map(|workflow| workflow.id).collect();
                if page.total != found.len() as u64 {
                    return Err(format!("a search says {} and lists {}", page.total, found.len()));
                }
                return Ok(Some(found));
            }
        }
        Err("a search never sees what is durable".to_owned())
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn look(&self, subject: Option<WorkflowId>) -> (Box<Look>, Answer) {
        Look::at(subject, self.plant == Some(Plant::ReadsWhatIsNotDurable))
    }

    fn ask(&mut self, request: Request, what: Wish) {
        let number = self.next();
        self.requests.push_back(request);
        self.asked.push(Asked { number, what });
    }

    pub fn define(&mut self) {
        let task_defs = serde_json::from_value(cast::task_defs()).unwrap();
        let (look, answer) = self.look(None);
        self.ask(Request::Decide(Command::SaveTaskDefs(task_defs), look), Wish::Define(answer));
        for def in cast::workflow_defs() {
            let def = serde_json::from_value(def).unwrap();
            let (look, answer) = self.look(None);
            let command = Command::SaveWorkflowDef { def, overwrite: true };
            self.ask(Request::Decide(command, look), Wish::Define(answer));
        }
    }

    pub fn start(&mut self, plot: usize) {
        let name = PLOTS[plot % PLOTS.len()].name;
        let correlation = format!("s{}", self.number);
        self.starts.insert(correlation.clone(), (name, None));
        let input = json!({"n": self.number, "float": f64::from_bits(self.dice.bits())});
        let correlation_id = Some(correlation.as_str().into());
        let start = Start { input: Arc::new(input), correlation_id, ..Start::default() };
        let seed = self.dice.bits();
        let start = StartWorkflow { name: name.to_owned(), version: None, inline: None, start, seed };
        let (look, answer) = self.look(None);
        self.tell(format!("start {name} as {correlation}"));
        self.ask(
            Request::Decide(Command::StartWorkflow(Box::new(start)), look),
            Wish::Start { correlation, name, answer },
        );
    }

    pub fn read(&mut self, id: WorkflowId) {
        let (look, answer) = self.look(Some(id));
        self.ask(Request::Read(look), Wish::Read { id, answer });
    }

    pub fn change(&mut self, id: WorkflowId, what: What) {
        let command = match &what {
            What::Pause => Command::Pause(id),
            What::Resume => Command::Resume(id),
            What::Retry => Command::Retry(id),
            What::Terminate => Command::Terminate { id, reason: None },
            What::Extend { seq } => Command::ExtendLease { task: id.task(*seq) },
            What::Report { seq, status, output } => self.update(id.task(*seq), status, output),
        };
        self.tell(format!("{} {what:?} of {id}", self.number + 1));
        let now = self.now();
        self.oracle.ask(self.number + 1, id, what.clone(), now);
        let (look, answer) = self.look(Some(id));
        self.ask(Request::Decide(command, look), Wish::Change { id, what, answer });
    }

    fn update(&mut self, task: TaskId, status: &str, output: &Value) -> Command {
        let report = match status {
            "COMPLETED" => Report::Completed,
            "FAILED" => Report::Failed,
            "FAILED_WITH_TERMINAL_ERROR" => Report::FailedWithTerminalError,
            "CANCELED" => Report::Canceled,
            _ => Report::InProgress,
        };
        Command::UpdateTask(Box::new(TaskUpdate {
            workflow: task.workflow,
            task,
            report,
            output: Arc::new(output.clone()),
            reason: None,
            worker: None,
            callback_ms: 700,
            seed: self.dice.bits(),
        }))
    }

    /// What a worker tells of a task; its output is like no other.
    pub fn report(&mut self, task: TaskId, status: &'static str, and_poll: bool) {
        let float = f64::from_bits(self.dice.bits());
        let output = json!({"nonce": self.number + 1, "float": if float.is_finite() { float } else { 0.1 }});
        let what = What::Report { seq: task.sequence, status, output };
        if !and_poll {
            return self.change(task.workflow, what);
        }
        let What::Report { output, .. } = &what else { return };
        let command = self.update(task, status, output);
        self.tell(format!("{} {what:?} of {} and poll", self.number + 1, task.workflow));
        let now = self.now();
        self.oracle.ask(self.number + 1, task.workflow, what, now);
        let (to, answer) = oneshot::channel();
        let request = UpdateAndPoll { command, task, worker: Some("w".into()), to };
        self.ask(Request::UpdateAndPoll(request), Wish::Next { task, answer });
    }

    pub fn poll(&mut self, queue: usize, count: usize, wait_ms: u64) {
        let queue = KINDS[queue % KINDS.len()].name;
        let (to, answer) = oneshot::channel();
        let until = self.now() + wait_ms;
        let poll = Poll { queue: queue.into(), worker: Some("w".into()), count, wait_ms, to };
        self.ask(Request::Poll(poll), Wish::Poll { queue, until, answer });
    }

    /// One step of the engine, and everything that clients hear from it. The engine may be gone after it.
    pub fn step(&mut self) -> Told {
        let (to, answer) = oneshot::channel();
        self.ask(Request::Check(to), Wish::Check(answer));
        let Some((writer, _)) = &mut self.engine else { return Ok(()) };
        let ended = writer.step(&mut self.requests).err();
        self.hear(ended.is_some())?;
        if let Some(error) = ended {
            self.tell(format!("the engine ends: {error}"));
            let kept = self.dice.draw(1001);
            self.crash(self.disk.is_dark().then_some(kept));
        }
        Ok(())
    }

    /// The archivist's next piece of work.
    pub fn archive(&mut self) {
        if let Some((writer, _)) = &mut self.engine {
            writer.archive();
        }
    }

    fn hear(&mut self, ended: bool) -> Told {
        let asked = std::mem::take(&mut self.asked);
        // Whoever waits may be handed what another request made ready.
        let (waiting, direct): (Vec<Asked>, Vec<Asked>) =
            asked.into_iter().partition(|asked| matches!(asked.what, Wish::Poll { .. } | Wish::Next { .. }));
        for Asked { number, what } in direct.into_iter().chain(waiting) {
            if let Some(what) = self.hear_one(number, what)? {
                let may_wait = matches!(&what, Wish::Poll { until, .. } if *until > self.now());
                if !ended && !may_wait {
                    return Err(format!("request {number} was never answered"));
                }
                self.asked.push(Asked { number, what });
            }
        }
        Ok(())
    }

    /// Hears an answer; gives the request back when there is none.
    fn hear_one(&mut self, number: u64, what: Wish) -> Result<Option<Wish>, String> {
        let taken = |answer: &Answer| answer.lock().unwrap().take();
        match &what {
            Wish::Define(answer) => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                if let Err(failure) = heard {
                    self.refused(number, None, &failure)?;
                }
            }
            Wish::Start { correlation, name, answer } => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                self.hear_start(number, correlation, name, heard)?;
            }
            Wish::Change { id, what: change, answer } => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                match heard {
                    Ok(seen) => self.hear_change(number, *id, change, &seen)?,
                    Err(failure) => self.refused(number, Some(*id), &failure)?,
                }
            }
            Wish::Read { id, answer } => {
                let Some(heard) = taken(answer) else { return Ok(Some(what)) };
                if let Ok(seen) = heard {
                    self.show(number, *id, &seen)?;
                }
            }
            Wish::Poll { .. } | Wish::Next { .. } | Wish::Check(_) => return self.hear_worker(number, what),
        }
        Ok(None)
    }

    fn hear_worker(&mut self, number: u64, mut what: Wish) -> Result<Option<Wish>, String> {
        match &mut what {
            Wish::Poll { queue, answer, .. } => match answer.try_recv() {
                Ok(Ok(tasks)) => {
                    let of_queue =
                        |task: &TaskInContext| task.snapshot.node(task.task.node).task.name == *queue;
                    if !tasks.iter().all(of_queue) {
                        return Err(format!("a poll of {queue} was handed another queue's task"));
                    }
                    tasks.iter().try_for_each(|task| self.hand(number, task))?;
                }
                Ok(Err(failure)) => self.note(&failure),
                Err(_) => return Ok(Some(what)),
            },
            Wish::Next { task, answer } => {
                let task = *task;
                match answer.try_recv() {
                    Ok(Ok(next)) => next.iter().try_for_each(|task| self.hand(number, task))?,
                    Ok(Err(failure)) => self.refused(number, Some(task.workflow), &failure)?,
                    Err(_) => return Ok(Some(what)),
                }
            }
            Wish::Check(answer) => match answer.try_recv() {
                Ok(Ok(())) => self.full = false,
                Ok(Err(failure)) => self.note(&failure),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(Some(what)),
            },
            _ => {}
        }
        Ok(None)
    }

    fn hear_start(
        &mut self,
        number: u64,
        as_: &str,
        name: &'static str,
        heard: Result<Seen, Failure>,
    ) -> Told {
        match heard {
            Ok(Seen { started: Some(id), workflow: Some(workflow) }) => {
                self.tell(format!("{as_} is {id}"));
                self.exists(as_, name, id);
                self.oracle.show(id, view(&workflow), self.moment(number))
            }
            Ok(_) => Err(format!("{as_} was started and is not there")),
            Err(failure) => {
                self.starts.remove(as_);
                self.refused(number, None, &failure)
            }
        }
    }

    fn hear_change(&mut self, number: u64, id: WorkflowId, what: &What, seen: &Seen) -> Told {
        let Some(workflow) = &seen.workflow else { return self.oracle.miss(id, self.now()) };
        let shown = view(workflow);
        self.tell(format!("{number} done: {}", shown.status));
        self.oracle.accept(id, what, &shown, self.now())?;
        self.oracle.show(id, shown, self.moment(number))
    }

    fn moment(&self, number: u64) -> Moment {
        let now = self.now();
        Moment { number, now, timers: now >= self.quiet_until && !self.full }
    }

    /// Nothing happened; that a workflow is not found is only true of one that is forgotten.
    fn refused(&mut self, number: u64, id: Option<WorkflowId>, failure: &Failure) -> Told {
        self.tell(format!("{number} refused: {failure}"));
        if let Failure::Unavailable(unavailable) = failure {
            self.note(unavailable);
        }
        let missing = matches!(failure, Failure::Rejected(shakedown_engine::machine::Rejection::NotFound(_)));
        let Some(id) = id else { return if missing { Err(failure.to_string()) } else { Ok(()) } };
        self.oracle.refuse(number, id);
        if missing { self.oracle.miss(id, self.now()) } else { Ok(()) }
    }

    fn note(&mut self, unavailable: &Unavailable) {
        self.full |= matches!(unavailable, Unavailable::Full(_));
    }

    /// A workflow, in memory or archived, as `GET` reads it.
    fn show(&mut self, number: u64, id: WorkflowId, seen: &Seen) -> Told {
        let moment = self.moment(number);
        if let Some(workflow) = &seen.workflow {
            return self.oracle.show(id, view(workflow), moment);
        }
        let Some((_, archive)) = &self.engine else { return Ok(()) };
        match archive.load(id) {
            Ok(Some(workflow)) => self.oracle.show(id, view(&workflow), moment),
            Ok(None) => self.oracle.miss(id, self.now()),
            // The disk is gone, and the engine ends with it.
            Err(_) => Ok(()),
        }
    }

    fn hand(&mut self, number: u64, handed: &TaskInContext) -> Told {
        let task = handed.workflow.task(handed.task.seq);
        let correlation = handed.start.correlation_id.as_deref().unwrap_or_default();
        let Some((name, _)) = self.starts.get(correlation).copied() else {
            return Err(format!("{task} was handed out, its start {correlation} was refused"));
        };
        self.exists(correlation, name, handed.workflow);
        let reference = handed.snapshot.node(handed.task.node).task.task_reference_name.clone();
        let mut line = String::new();
        let _ = write!(line, "{number} is handed {reference} {task} attempt {}", handed.task.attempt);
        self.tell(line);
        self.tasks.push(task);
        let (polls, ready_at) = (handed.task.poll_count, handed.task.ready_at);
        let input = Value::Object((*handed.task.input).clone());
        let now = self.now();
        self.oracle.hand(Handed { task, reference, polls, ready_at, input }, number, now)
    }
}
