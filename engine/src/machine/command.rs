//! Commands: what the outside asks of the machine, and what it answers.

use super::definition::{Object, TaskDef, WorkflowDef};
use super::event::{LogEntry, Start};
use super::id::{TaskId, WorkflowId};
use super::payload::Payload;
use super::state::State;
use std::sync::Arc;

/// Something that is asked for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Register or replace task definitions.
    SaveTaskDefs(Vec<TaskDef>),
    /// Replace a task definition that exists.
    UpdateTaskDef(Box<TaskDef>),
    /// Register a workflow definition.
    SaveWorkflowDef {
        /// The definition.
        def: Box<WorkflowDef>,
        /// Replace one that exists.
        overwrite: bool,
    },
    /// Remove a task definition.
    RemoveTaskDef(String),
    /// Remove a version of a workflow definition.
    RemoveWorkflowDef {
        /// Its name.
        name: String,
        /// Its version.
        version: i64,
    },
    /// Start a workflow.
    StartWorkflow(Box<StartWorkflow>),
    /// Hand out tasks of a queue.
    Poll {
        /// The queue.
        queue: Arc<str>,
        /// Who asks.
        worker: Option<Arc<str>>,
        /// At most so many.
        count: usize,
    },
    /// A worker tells what became of a task.
    UpdateTask(Box<TaskUpdate>),
    /// Somebody tells what became of the open task with a reference name.
    UpdateByReference(Box<ReferenceUpdate>),
    /// Somebody ends the first WAIT that is open, in a workflow or below it.
    Signal(Box<Signal>),
    /// Somebody writes a line into a task's log.
    Log {
        /// The task.
        task: TaskId,
        /// The line.
        entry: LogEntry,
    },
    /// A worker is still on a task.
    ExtendLease {
        /// The task.
        task: TaskId,
    },
    /// Schedule nothing new.
    Pause(WorkflowId),
    /// Go on after a pause.
    Resume(WorkflowId),
    /// End it.
    Terminate {
        /// The workflow.
        id: WorkflowId,
        /// Why.
        reason: Option<Arc<str>>,
        /// Start its failure workflow, if it has one.
        alarm: bool,
    },
    /// Go on after a failure.
    Retry {
        /// The workflow.
        id: WorkflowId,
        /// Children that failed go on too, instead of being started anew.
        resume_children: bool,
    },
    /// Begin anew under the same id.
    Restart {
        /// The workflow.
        id: WorkflowId,
        /// Under the newest definitions, instead of those that it ran under.
        latest: bool,
    },
    /// Do a part anew, or all of it with another input.
    Rerun(Box<Rerun>),
    /// Pass over a task that has not been scheduled.
    Skip(Box<Skip>),
    /// Let nothing wait for the end of its delay.
    ResetCallbacks(WorkflowId),
    /// Look whether anything follows from its state.
    Evaluate(WorkflowId),
    /// Take it and its records out.
    Remove {
        /// The workflow.
        id: WorkflowId,
        /// What to do with one that has not ended.
        open: OpenWorkflow,
    },
    /// One workflow owes another something: the first such thing is done.
    Settle,
    /// Timers fell due, at most so many are fired.
    FireTimers {
        /// Bound on the work of one batch.
        limit: usize,
    },
}

/// A start.
#[derive(Debug, Clone)]
pub struct StartWorkflow {
    /// Name of the definition.
    pub name: String,
    /// Its version; `None` = the highest.
    pub version: Option<i64>,
    /// A definition to use instead of a registered one.
    pub inline: Option<Box<WorkflowDef>>,
    /// Input and labels.
    pub start: Start,
    /// What to do when the start's key is taken.
    pub taken: KeyTaken,
    /// Random bits for the id.
    pub seed: u64,
}

/// What a start does whose key another workflow of the same name has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyTaken {
    /// Refuses.
    #[default]
    Fail,
    /// Leaves it at the other one.
    ReturnExisting,
    /// Refuses while the other one has not ended.
    FailOnRunning,
}

/// What a removal does with a workflow that has not ended.
#[derive(Debug, Clone)]
pub enum OpenWorkflow {
    /// Refuses.
    Refuse,
    /// Terminates it first, for this reason.
    Terminate(Option<Arc<str>>),
}

/// What to do anew.
#[derive(Debug, Clone)]
pub struct Rerun {
    /// The workflow.
    pub id: WorkflowId,
    /// From this record on; `None` = all of it.
    pub from: Option<TaskId>,
    /// Input of that record, instead of what its definition's parameters give.
    pub task_input: Option<Payload>,
    /// Input of the workflow, instead of what it has.
    pub workflow_input: Option<Payload>,
    /// The client's name for the workflow, instead of what it has.
    pub correlation_id: Option<Arc<str>>,
}

/// What to pass over.
#[derive(Debug, Clone)]
pub struct Skip {
    /// The workflow.
    pub id: WorkflowId,
    /// Reference name of the task.
    pub reference: String,
    /// Input that its record shows.
    pub input: Option<Payload>,
    /// Output that it gives.
    pub output: Option<Payload>,
}

/// What a worker may say of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// COMPLETED.
    Completed,
    /// FAILED.
    Failed,
    /// FAILED_WITH_TERMINAL_ERROR.
    FailedWithTerminalError,
    /// CANCELED.
    Canceled,
    /// IN_PROGRESS: give it back for a while.
    InProgress,
}

/// What a worker tells of a task.
#[derive(Debug, Clone)]
pub struct TaskUpdate {
    /// The workflow that the worker thinks it is of.
    pub workflow: WorkflowId,
    /// The task.
    pub task: TaskId,
    /// What became of it.
    pub report: Report,
    /// Replaces the stored output.
    pub output: Payload,
    /// Why it is not completed.
    pub reason: Option<Arc<str>>,
    /// Who tells.
    pub worker: Option<Arc<str>>,
    /// Lines for its log.
    pub logs: Vec<LogEntry>,
    /// With `InProgress`: milliseconds until it can be polled again.
    pub callback_ms: u64,
    /// Random bits for the jitter of a retry.
    pub seed: u64,
}

/// What somebody tells of the WAIT that a workflow stands at.
#[derive(Debug, Clone)]
pub struct Signal {
    /// The workflow.
    pub workflow: WorkflowId,
    /// What becomes of the task.
    pub report: Report,
    /// Put over what the task has put out so far, key by key.
    pub output: Object,
    /// Refuse when it waits for no signal, instead of doing nothing.
    pub must_wait: bool,
    /// Random bits for the jitter of a retry.
    pub seed: u64,
}

/// What somebody tells of the open task with a reference name.
#[derive(Debug, Clone)]
pub struct ReferenceUpdate {
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The reference name.
    pub reference: String,
    /// What became of it.
    pub report: Report,
    /// Put over what the task has put out so far, key by key.
    pub output: Object,
    /// Who tells.
    pub worker: Option<Arc<str>>,
    /// Random bits for the jitter of a retry.
    pub seed: u64,
}

impl Command {
    /// The name and the key of a start that has one: the archive may know who has it.
    #[must_use]
    pub fn key(&self) -> Option<(&str, &str)> {
        let Self::StartWorkflow(start) = self else { return None };
        let name = start.inline.as_ref().map_or(start.name.as_str(), |def| def.name.as_str());
        Some((name, start.start.idempotency_key.as_deref()?))
    }

    /// Workflows that the decision looks at besides those that it names, as far as `state` shows them: parents of
    /// what is taken up again, and children that go on. The answer grows as they are read back.
    #[must_use]
    pub fn kin(&self, state: &State) -> Vec<WorkflowId> {
        let (id, children_too) = match self {
            Self::Retry { id, resume_children } => (*id, *resume_children),
            Self::Restart { id, .. } => (*id, false),
            Self::Rerun(rerun) => (rerun.from.map_or(rerun.id, |task| task.workflow), false),
            _ => return Vec::new(),
        };
        let mut kin = Vec::new();
        let parent = |id: WorkflowId| Some(state.workflow(id)?.start.parent?.workflow);
        kin.extend(std::iter::successors(parent(id), |id| parent(*id)));
        let mut next = if children_too { vec![id] } else { Vec::new() };
        while let Some(id) = next.pop() {
            let records = state.workflow(id).map(|workflow| workflow.tasks.as_slice()).unwrap_or_default();
            let failed = records.iter().filter(|task| !task.retried && !task.status.is_success());
            let children: Vec<_> = failed.filter_map(|task| Some(task.child?.id)).collect();
            kin.extend(&children);
            next.extend(children);
        }
        kin
    }

    /// Workflows that the decision looks at and that may have ended: those in the archive are read back first.
    #[must_use]
    pub fn workflows(&self) -> Vec<WorkflowId> {
        match self {
            Self::UpdateTask(update) => vec![update.workflow],
            Self::UpdateByReference(update) => vec![update.workflow],
            Self::Signal(signal) => vec![signal.workflow],
            Self::ExtendLease { task } | Self::Log { task, .. } => vec![task.workflow],
            Self::Pause(id)
            | Self::Resume(id)
            | Self::Terminate { id, .. }
            | Self::Retry { id, .. }
            | Self::Restart { id, .. }
            | Self::ResetCallbacks(id)
            | Self::Evaluate(id)
            | Self::Remove { id, .. } => vec![*id],
            Self::Skip(skip) => vec![skip.id],
            Self::Rerun(rerun) => {
                let from = rerun.from.map(|task| task.workflow);
                std::iter::once(rerun.id).chain(from).collect()
            }
            Self::SaveTaskDefs(_)
            | Self::UpdateTaskDef(_)
            | Self::SaveWorkflowDef { .. }
            | Self::RemoveTaskDef(_)
            | Self::RemoveWorkflowDef { .. }
            | Self::StartWorkflow(_)
            | Self::Poll { .. }
            | Self::Settle
            | Self::FireTimers { .. } => Vec::new(),
        }
    }
}
