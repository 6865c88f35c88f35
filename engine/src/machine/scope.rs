//! What expressions see: the workflow and the latest record of each reference name.

use super::bounds::MAX_DECIDED_BYTES;
use super::expression::Scope;
use super::workflow::{Task, Workflow};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A workflow as expressions see it, for the record that is being made (if any).
pub struct WorkflowScope<'a> {
    workflow: &'a Workflow,
    /// Number that the record being scheduled gets.
    scheduling: Option<u32>,
    /// Bytes that expressions may still give; `None` when one wanted more.
    left: Cell<Option<usize>>,
    /// Fields that were looked at: a payload is parsed once, however many expressions pick from it.
    seen: RefCell<Seen>,
}

/// Fields by root and name.
type Seen = BTreeMap<(String, String), Option<Rc<Value>>>;

impl<'a> WorkflowScope<'a> {
    /// What expressions see for the record number `scheduling`, or for the workflow itself.
    #[must_use]
    pub fn new(workflow: &'a Workflow, scheduling: Option<u32>) -> Self {
        let (left, seen) = (Cell::new(Some(MAX_DECIDED_BYTES)), RefCell::default());
        Self { workflow, scheduling, left, seen }
    }

    /// True when the expressions gave more than a decision may; some of them are null then.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.left.get().is_none()
    }

    fn look(&self, root: &str, field: &str) -> Option<Value> {
        if root == "workflow" {
            return workflow_field(self.workflow, field);
        }
        let node = self.workflow.snapshot.find(root)?;
        task_field(self.workflow, self.workflow.latest(node)?, field)
    }
}

impl Scope for WorkflowScope<'_> {
    fn field(&self, root: &str, field: &str) -> Option<Rc<Value>> {
        let mut seen = self.seen.borrow_mut();
        let key = (root.to_owned(), field.to_owned());
        seen.entry(key).or_insert_with(|| self.look(root, field).map(Rc::new)).clone()
    }

    fn may_give(&self, value: &Value) -> bool {
        self.left.set(self.left.get().and_then(|left| left.checked_sub(size(value))));
        !self.is_exhausted()
    }

    fn bare(&self, name: &str) -> Option<Value> {
        let seq = self.scheduling.filter(|_| name == "CPEWF_TASK_ID")?;
        Some(json!(self.workflow.id.task(seq).to_string()))
    }
}

/// About the bytes that a value takes as JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(key, item)| key.len() + size(item) + 4).sum::<usize>() + 2,
        _ => 4,
    }
}

fn workflow_field(workflow: &Workflow, field: &str) -> Option<Value> {
    let def = &workflow.snapshot.def;
    Some(match field {
        "input" => workflow.start.input.value(),
        "output" => workflow.output.value(),
        "status" => json!(workflow.status),
        "workflowId" => json!(workflow.id),
        "parentWorkflowId" => json!(workflow.start.parent.map(|link| link.workflow)),
        "parentWorkflowTaskId" => json!(workflow.start.parent.map(|link| link.workflow.task(link.seq))),
        "workflowType" => json!(def.name),
        "version" => json!(def.version),
        "correlationId" => json!(workflow.start.correlation_id),
        "reasonForIncompletion" => json!(workflow.reason),
        "schemaVersion" => json!(def.schema_version),
        "variables" => def.rest.get("variables").cloned().unwrap_or_else(|| json!({})),
        _ => return None,
    })
}

fn task_field(workflow: &Workflow, task: &Task, field: &str) -> Option<Value> {
    let node = workflow.node(task);
    Some(match field {
        "input" => task.input.value(),
        "output" => task.output.value(),
        "taskType" | "taskDefName" => json!(node.task.name),
        "status" => json!(task.status),
        "referenceTaskName" => json!(node.task.task_reference_name),
        "retryCount" => json!(task.attempt),
        "correlationId" => json!(workflow.start.correlation_id),
        "pollCount" => json!(task.poll_count),
        "scheduledTime" => json!(task.scheduled_at),
        "startTime" => json!(task.started_at),
        "endTime" => json!(task.ended_at),
        "workflowInstanceId" => json!(workflow.id),
        "taskId" => json!(workflow.task_id(task)),
        "reasonForIncompletion" => json!(task.reason),
        "callbackAfterSeconds" => json!(task.delay_ms / 1000),
        "workerId" => json!(task.worker),
        "iteration" => json!(0),
        _ => return None,
    })
}
