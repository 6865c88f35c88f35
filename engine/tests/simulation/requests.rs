//! What clients ask of the writer, and what they hear.

use crate::oracle::{Record, View, What};
use serde_json::Value;
use shakedown_engine::machine::definition::Kind;
use shakedown_engine::machine::id::{TaskId, WorkflowId};
use shakedown_engine::machine::workflow::{TaskInContext, Workflow};
use shakedown_engine::machine::{Event, Rejection, State};
use shakedown_engine::writer::{Failure, Reply, Unavailable};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// A request that has not been answered.
pub struct Asked {
    pub number: u64,
    pub what: Wish,
}

pub enum Wish {
    Define(Answer),
    Start {
        correlation: String,
        name: &'static str,
        answer: Answer,
    },
    Change {
        id: WorkflowId,
        what: What,
        answer: Answer,
    },
    Read {
        id: WorkflowId,
        answer: Answer,
    },
    Poll {
        queue: &'static str,
        until: u64,
        answer: oneshot::Receiver<Result<Vec<TaskInContext>, Unavailable>>,
    },
    Next {
        task: TaskId,
        answer: oneshot::Receiver<Result<Option<TaskInContext>, Failure>>,
    },
    Check(oneshot::Receiver<Result<(), Unavailable>>),
}

/// What a reply saw inside its batch.
#[derive(Default, Clone)]
pub struct Seen {
    pub started: Option<WorkflowId>,
    pub workflow: Option<Workflow>,
}

pub type Answer = Arc<Mutex<Option<Result<Seen, Failure>>>>;

/// Looks at a workflow, or at the one that is started.
pub struct Look {
    pub subject: Option<WorkflowId>,
    pub to: Answer,
    /// Planted: tells what it saw before it is durable.
    pub at_once: bool,
    seen: Option<Result<Seen, Rejection>>,
}

impl Look {
    pub fn at(subject: Option<WorkflowId>, at_once: bool) -> (Box<Self>, Answer) {
        let to = Answer::default();
        (Box::new(Self { subject, to: Arc::clone(&to), at_once, seen: None }), to)
    }

    fn tell(&self, answer: Result<Seen, Failure>) {
        *self.to.lock().unwrap() = Some(answer);
    }
}

impl Reply for Look {
    fn look(&mut self, state: &State, outcome: Result<&[Event], Rejection>) {
        let seen = outcome.map(|events| {
            let started = events.iter().find_map(|event| match event {
                Event::WorkflowStarted { id, .. } => Some(*id),
                _ => None,
            });
            let workflow = self.subject.or(started).and_then(|id| state.workflow(id).cloned());
            Seen { started, workflow }
        });
        if self.at_once {
            self.tell(seen.clone().map_err(Failure::Rejected));
        }
        self.seen = Some(seen);
    }

    fn send(mut self: Box<Self>, durable: Result<(), Unavailable>) {
        if self.at_once && self.seen.is_some() {
            return;
        }
        let seen = self.seen.take().unwrap_or_else(|| Ok(Seen::default()));
        self.tell(durable.map_err(Failure::from).and_then(|()| seen.map_err(Failure::from)));
    }
}

/// A workflow as a client reads it.
pub fn view(workflow: &Workflow) -> View {
    let record = |task: &Arc<shakedown_engine::machine::workflow::Task>| {
        let node = workflow.node(task);
        Record {
            reference: node.task.task_reference_name.clone(),
            by_worker: node.kind == Kind::Simple,
            attempt: task.attempt,
            status: task.status.name(),
            output: Value::clone(&task.output),
            polls: task.poll_count,
            scheduled_at: task.scheduled_at,
            ended_at: task.ended_at,
        }
    };
    View {
        status: workflow.status.name(),
        created_at: workflow.created_at,
        updated_at: workflow.updated_at,
        ended_at: workflow.ended_at,
        retried_at: workflow.retried_at,
        records: workflow.tasks.iter().map(record).collect(),
    }
}
