//! What clients ask of the writer, and what they hear.

use crate::oracle::{Record, View, What};
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
    Settle {
        correlation: String,
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
    /// It is known to be removed: the archive is not asked.
    pub removed: bool,
    /// Those in memory that carry the correlation id that was asked for.
    pub correlated: Vec<WorkflowId>,
}

pub type Answer = Arc<Mutex<Option<Result<Seen, Failure>>>>;

/// What a reply looks at.
pub enum Subject {
    Started,
    Workflow(WorkflowId),
    Correlated(&'static str, String),
}

/// Looks at its subject inside the batch.
pub struct Look {
    subject: Subject,
    to: Answer,
    /// Planted: tells what it saw before it is durable.
    at_once: bool,
    seen: Option<Result<Seen, Rejection>>,
}

impl Look {
    pub fn at(subject: Subject, at_once: bool) -> (Box<Self>, Answer) {
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
            let (looked_at, correlated) = match &self.subject {
                Subject::Started => (started, Vec::new()),
                Subject::Workflow(id) => (Some(*id), Vec::new()),
                Subject::Correlated(name, id) => {
                    (None, state.correlated(name, id).map(|workflow| workflow.id).collect())
                }
            };
            let workflow = looked_at.and_then(|id| state.workflow(id).cloned());
            let removed = looked_at.is_some_and(|id| state.removed().contains(&id));
            Seen { started, workflow, removed, correlated }
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
    let records = workflow.tasks.iter().map(|task| {
        let node = workflow.node(task);
        Record {
            seq: task.seq,
            reference: node.task.task_reference_name.clone(),
            by_worker: node.kind == Kind::Simple,
            attempt: task.attempt,
            status: task.status.name(),
            output: task.output.value(),
            polls: task.poll_count,
            scheduled_at: task.scheduled_at,
            ended_at: task.ended_at,
        }
    });
    View {
        status: workflow.status.name(),
        created_at: workflow.created_at,
        updated_at: workflow.updated_at,
        ended_at: workflow.ended_at,
        retried_at: workflow.retried_at,
        records: records.collect(),
    }
}
