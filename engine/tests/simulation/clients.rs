//! What clients ask: definitions, starts, changes, polls and reports.

use crate::cast::{self, KINDS, PLOTS};
use crate::oracle::What;
use crate::plants::Plant;
use crate::requests::{Answer, Asked, Look, Subject, Wish};
use crate::world::World;
use serde_json::{Value, json};
use shakedown_engine::machine::command::{
    Command, KeyTaken, OpenWorkflow, Report, StartWorkflow, TaskUpdate,
};
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::id::{TaskId, WorkflowId};
use shakedown_engine::machine::polls::Polled;
use shakedown_engine::writer::{Poll, Request, UpdateAndPoll};
use tokio::sync::oneshot;

impl World {
    pub fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub fn look(&self, subject: Subject) -> (Box<Look>, Answer) {
        Look::at(subject, self.plant == Some(Plant::ReadsWhatIsNotDurable))
    }

    pub fn ask(&mut self, request: Request, what: Wish) {
        let number = self.next();
        self.requests.push_back(request);
        self.asked.push(Asked { number, what });
    }

    pub fn define(&mut self) {
        let task_defs = serde_json::from_value(cast::task_defs()).unwrap();
        let (look, answer) = self.look(Subject::Started);
        self.ask(Request::Decide(Command::SaveTaskDefs(task_defs), look), Wish::Define(answer));
        for def in cast::workflow_defs() {
            let def = serde_json::from_value(def).unwrap();
            let (look, answer) = self.look(Subject::Started);
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
        let start = Start { input: input.into(), correlation_id, ..Start::default() };
        let seed = self.dice.bits();
        let start = StartWorkflow {
            name: name.to_owned(),
            version: None,
            inline: None,
            start,
            taken: KeyTaken::default(),
            seed,
        };
        let (look, answer) = self.look(Subject::Started);
        self.tell(format!("start {name} as {correlation}"));
        self.ask(
            Request::Decide(Command::StartWorkflow(Box::new(start)), look),
            Wish::Start { correlation, name, answer },
        );
    }

    pub fn read(&mut self, id: WorkflowId) {
        let (look, answer) = self.look(Subject::Workflow(id));
        self.ask(Request::Read(look), Wish::Read { id, answer });
    }

    pub fn change(&mut self, id: WorkflowId, what: What) {
        let command = match &what {
            What::Pause => Command::Pause(id),
            What::Resume => Command::Resume(id),
            What::Retry => Command::Retry { id, resume_children: false },
            What::Restart => Command::Restart { id, latest: false },
            What::ResetCallbacks => Command::ResetCallbacks(id),
            What::Remove => Command::Remove { id, open: OpenWorkflow::Refuse },
            What::Terminate => Command::Terminate { id, reason: None, alarm: false },
            What::Extend { seq } => Command::ExtendLease { task: id.task(*seq) },
            What::Report { seq, status, output } => self.update(id.task(*seq), status, output),
        };
        self.tell(format!("{} {what:?} of {id}", self.number + 1));
        let now = self.now();
        self.oracle.ask(self.number + 1, id, what.clone(), now);
        let (look, answer) = self.look(Subject::Workflow(id));
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
            output: output.clone().into(),
            reason: None,
            worker: None,
            logs: Vec::new(),
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
        let polled = Polled { kind: queue.into(), domain: None, worker: Some("w".into()), at: self.now() };
        let poll = Poll { queue: queue.into(), polled, count, wait_ms, to };
        self.ask(Request::Poll(poll), Wish::Poll { queue, until, answer });
    }
}
