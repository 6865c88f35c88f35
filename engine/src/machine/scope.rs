//! What expressions see: the workflow and the latest record of each reference name.

use super::expression::Scope;
use super::workflow::{Task, Workflow};
use serde_json::{Value, json};
use std::borrow::Cow;

/// A workflow as expressions see it, for the record that is being made (if any).
pub struct WorkflowScope<'a> {
    /// The workflow.
    pub workflow: &'a Workflow,
    /// Number that the record being scheduled gets.
    pub scheduling: Option<u32>,
}

impl Scope for WorkflowScope<'_> {
    fn field(&self, root: &str, field: &str) -> Option<Cow<'_, Value>> {
        if root == "workflow" {
            return workflow_field(self.workflow, field);
        }
        let node = self.workflow.snapshot.find(root)?;
        task_field(self.workflow, self.workflow.latest(node)?, field)
    }

    fn bare(&self, name: &str) -> Option<Value> {
        let seq = self.scheduling.filter(|_| name == "CPEWF_TASK_ID")?;
        Some(json!(self.workflow.id.task(seq).to_string()))
    }
}

fn workflow_field<'w>(workflow: &'w Workflow, field: &str) -> Option<Cow<'w, Value>> {
    let def = &workflow.snapshot.def;
    Some(Cow::Owned(match field {
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
    }))
}

fn task_field<'w>(workflow: &'w Workflow, task: &'w Task, field: &str) -> Option<Cow<'w, Value>> {
    let node = workflow.node(task);
    Some(Cow::Owned(match field {
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
    }))
}
