//! One workflow of the stand-in, and how it is shown.

use super::definition::{Definition, resolve};
use crate::calibrate::script::{Defect, Plant};
use serde_json::{Value, json};
use std::sync::Arc;

/// A workflow.
#[derive(Debug)]
pub(super) struct Workflow {
    pub(super) id: String,
    pub(super) correlation_id: String,
    pub(super) level: String,
    pub(super) index: u64,
    pub(super) plant: Option<Plant>,
    pub(super) definition: Arc<Definition>,
    pub(super) status: &'static str,
    pub(super) created_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) tasks: Vec<Task>,
    /// How often it was read with its tasks.
    pub(super) read: u32,
}

/// A task record.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) step: usize,
    pub(super) attempt: u32,
    pub(super) status: &'static str,
    pub(super) poll_count: u32,
    pub(super) scheduled_ms: u64,
    pub(super) started_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) output: Value,
}

impl Workflow {
    pub(super) fn has(&self, defect: Defect) -> bool {
        self.plant.as_ref().is_some_and(|plant| plant.defect == defect)
    }

    /// Goes back on what it had told, if that is its defect.
    pub(super) fn goes_back(&mut self) -> bool {
        match self.plant.as_ref().map(|plant| plant.defect) {
            Some(Defect::WentBack) => self.status = "FAILED",
            Some(Defect::ChangedResult) => {
                // The last one, which nobody was given, becomes that of the first.
                let [first, .., last] = &mut self.tasks[..] else { return false };
                last.output["nonce"] = first.output["nonce"].clone();
            }
            _ => return false,
        }
        true
    }

    pub(super) fn completed(&self, step: usize) -> Option<&Task> {
        self.tasks.iter().find(|task| task.step == step && task.status == "COMPLETED")
    }

    /// The input of a task of this step, with what its predecessors gave.
    pub(super) fn input(&self, step: usize) -> Value {
        let output = |reference: &str, key: &str| {
            let at = self.definition.steps.iter().position(|step| step.reference == reference)?;
            let given = self.completed(at)?.output.get(key)?.clone();
            match given.as_str() {
                Some(text) if self.has(Defect::WrongResult) => Some(json!(format!("not {text}"))),
                _ => Some(given),
            }
        };
        resolve(&Value::Object(self.definition.steps[step].input.clone()), &output)
    }
}

/// A workflow as a reader sees it.
pub(super) fn shown(workflow: &Workflow) -> Value {
    let tasks: Vec<Value> = workflow.tasks.iter().map(|task| shown_task(workflow, task)).collect();
    json!({
        "workflowId": workflow.id, "correlationId": workflow.correlation_id, "status": workflow.status,
        "workflowName": workflow.definition.name, "createTime": workflow.created_ms, "endTime": workflow.ended_ms,
        "tasks": tasks,
    })
}

fn shown_task(workflow: &Workflow, task: &Task) -> Value {
    let step = &workflow.definition.steps[task.step];
    json!({
        "taskId": task.id, "referenceTaskName": step.reference, "taskType": step.task_type, "status": task.status,
        "retryCount": task.attempt, "pollCount": task.poll_count, "scheduledTime": task.scheduled_ms,
        "startTime": task.started_ms, "endTime": task.ended_ms, "outputData": task.output,
    })
}
