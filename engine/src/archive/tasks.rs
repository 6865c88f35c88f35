//! Searching task records. There is no index of them: a search reads the workflows that its conditions lead to, and
//! is refused when these are too many.

use super::query::{self, Condition, Field, Operand, Query, Searched, Test};
use crate::machine::status::TaskStatus;
use crate::machine::workflow::{Task, Workflow};
use std::cmp::Ordering;

/// Workflows that one search of tasks reads at most.
pub const READ: usize = 1000;

/// A field of a task record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskField {
    /// `taskId`.
    Id,
    /// `taskType` and `taskDefName`.
    Kind,
    /// `referenceTaskName`.
    Reference,
    /// `status`.
    Status,
    /// `scheduledTime`.
    Scheduled,
    /// `startTime`.
    Started,
    /// `updateTime`.
    Updated,
    /// `endTime`.
    Ended,
    /// `workflowId`.
    Workflow,
    /// `workflowType`.
    WorkflowName,
    /// `correlationId`.
    CorrelationId,
}

impl Searched for TaskField {
    const FIELDS: &'static [(&'static str, Self)] = &[
        ("taskId", Self::Id),
        ("taskType", Self::Kind),
        ("taskDefName", Self::Kind),
        ("referenceTaskName", Self::Reference),
        ("status", Self::Status),
        ("scheduledTime", Self::Scheduled),
        ("startTime", Self::Started),
        ("updateTime", Self::Updated),
        ("endTime", Self::Ended),
        ("workflowId", Self::Workflow),
        ("workflowType", Self::WorkflowName),
        ("correlationId", Self::CorrelationId),
    ];
    const WHAT: &'static str = "tasks";

    fn is_number(self) -> bool {
        matches!(self, Self::Scheduled | Self::Started | Self::Updated | Self::Ended)
    }

    fn is_status(self) -> bool {
        self == Self::Status
    }

    fn knows_status(name: &str) -> bool {
        TaskStatus::from_name(name).is_some()
    }
}

impl TaskField {
    fn of(self, workflow: &Workflow, task: &Task) -> Option<Operand> {
        let node = workflow.node(task);
        let instant = |at: u64| (at > 0).then_some(Operand::Number(at));
        Some(match self {
            Self::Id => Operand::Text(workflow.task_id(task).to_string()),
            Self::Kind => Operand::Text(node.task_type().to_owned()),
            Self::Reference => Operand::Text(node.task.task_reference_name.clone()),
            Self::Status => Operand::Text(task.status.name().to_owned()),
            Self::Scheduled => Operand::Number(task.scheduled_at),
            Self::Started => return instant(task.started_at),
            Self::Updated => Operand::Number(task.updated_at),
            Self::Ended => return instant(task.ended_at),
            Self::Workflow => return Field::Id.of(workflow),
            Self::WorkflowName => return Field::Name.of(workflow),
            Self::CorrelationId => return Field::CorrelationId.of(workflow),
        })
    }
}

/// A search of task records.
#[derive(Debug)]
pub struct TaskQuery {
    conditions: Vec<Condition<TaskField>>,
    sort: Vec<(TaskField, bool)>,
    start: usize,
    size: usize,
}

impl TaskQuery {
    /// Reads Conductor's `query` and `sort`.
    ///
    /// # Errors
    /// What is wrong, and what would be accepted.
    pub fn parse(text: &str, sort: &str, start: usize, size: usize) -> Result<Self, String> {
        if size > query::MAX_PAGE {
            return Err(format!("size is {size}, it must be at most {}", query::MAX_PAGE));
        }
        let (conditions, sort) = (query::parse_conditions(text)?, query::parse_sort(sort)?);
        Ok(Self { conditions, sort, start, size })
    }

    /// The search for the workflows that can have such tasks.
    #[must_use]
    pub fn workflows(&self) -> Query {
        let conditions = self.conditions.iter().filter_map(of_workflow).collect();
        Query { conditions, sort: Vec::new(), start: 0, size: READ, exact: false }
    }

    /// The tasks of these workflows that match: how many, and those on the page.
    #[must_use]
    pub fn select<'w>(&self, workflows: &'w [Workflow]) -> (usize, Vec<(&'w Workflow, &'w Task)>) {
        let tasks = workflows.iter().flat_map(|one| one.tasks.iter().map(move |task| (one, task.as_ref())));
        let mut hits: Vec<_> = tasks.filter(|(workflow, task)| self.matches(workflow, task)).collect();
        hits.sort_by(|one, other| self.order(*one, *other));
        (hits.len(), hits.into_iter().skip(self.start).take(self.size).collect())
    }

    fn matches(&self, workflow: &Workflow, task: &Task) -> bool {
        self.conditions.iter().all(|condition| {
            condition.field.of(workflow, task).is_some_and(|value| condition.test.holds(&value))
        })
    }

    /// The keys in turn; equal tasks stay in the order of their workflows, newest first, and of their scheduling.
    fn order(&self, one: (&Workflow, &Task), other: (&Workflow, &Task)) -> Ordering {
        let keys = self.sort.iter().map(|(field, descending)| {
            let order = field.of(one.0, one.1).cmp(&field.of(other.0, other.1));
            if *descending { order.reverse() } else { order }
        });
        keys.fold(Ordering::Equal, Ordering::then)
    }
}

/// What a condition on a task says of its workflow: it is that one, or it changed after the task did.
fn of_workflow(condition: &Condition<TaskField>) -> Option<Condition> {
    let field = match (condition.field, &condition.test) {
        (TaskField::Workflow, _) => Field::Id,
        (TaskField::WorkflowName, _) => Field::Name,
        (TaskField::CorrelationId, _) => Field::CorrelationId,
        (field, Test::Greater(_)) if field.is_number() => Field::Updated,
        _ => return None,
    };
    Some(Condition { field, test: condition.test.clone() })
}
