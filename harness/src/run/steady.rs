//! The steady-state hypothesis: a workflow of one task can be started, done and read back.

use crate::clock;
use crate::target::conductor::{Conductor, started_id};
use crate::target::http::Exchange;
use crate::target::wire::TaskResult;
use serde_json::json;
use std::time::Duration;

const NAME: &str = "shakedown_probe";
/// A server that needs longer for one idle task is not in a steady state.
const WITHIN: Duration = Duration::from_secs(15);

/// Why the steady state does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the steady state does not hold at {target}: {what}; look at the target's log before loading it")]
pub struct NotSteady {
    target: String,
    what: String,
}

/// Returns when one probe workflow has completed.
///
/// # Errors
/// A step of it was refused or took too long.
pub async fn verify(target: &Conductor) -> Result<(), NotSteady> {
    let not_steady = |what: String| NotSteady { target: target.base().to_owned(), what };
    match tokio::time::timeout(WITHIN, probe(target)).await {
        Ok(result) => result.map_err(not_steady),
        Err(_) => Err(not_steady(format!("a workflow of one task did not complete within {WITHIN:?}"))),
    }
}

async fn probe(target: &Conductor) -> Result<(), String> {
    let task = json!([{ "name": NAME, "retryCount": 0, "timeoutSeconds": 0, "responseTimeoutSeconds": 60,
                        "timeoutPolicy": "RETRY", "ownerEmail": "shakedown@example.com" }]);
    let definition = json!({ "name": NAME, "version": 1, "schemaVersion": 2, "ownerEmail": "shakedown@example.com",
        "tasks": [{ "name": NAME, "taskReferenceName": "probe", "type": "SIMPLE", "inputParameters": {} }] });
    let tasks = task.as_array().map(Vec::as_slice).unwrap_or_default();
    ok("registering its task", &target.put_task_definitions(tasks).await)?;
    ok("registering it", &target.post_workflow_definition(&definition, true).await)?;
    let started = target.start(&json!({ "name": NAME, "version": 1, "input": { "probe": true } })).await;
    ok("starting it", &started)?;
    let workflow_id = started_id(&started).ok_or("starting it gave no id")?;
    complete(target, &workflow_id).await?;
    loop {
        let (read, workflow) = target.workflow(&workflow_id).await;
        ok("reading it back", &read)?;
        match workflow.map(|workflow| workflow.status) {
            Some(status) if status == "COMPLETED" => return Ok(()),
            Some(status) if status == "RUNNING" => tokio::time::sleep(Duration::from_millis(10)).await,
            other => return Err(format!("the probe workflow {workflow_id} became {other:?}")),
        }
    }
}

/// Polls until the task of `workflow_id` comes; older probes that somebody left are completed on the way.
async fn complete(target: &Conductor, workflow_id: &str) -> Result<(), String> {
    let deadline_ns = clock::now_ns() + clock::nanos(WITHIN);
    while clock::now_ns() < deadline_ns {
        let (polled, tasks) = target.poll(NAME, "shakedown-probe", 1, Duration::from_millis(100)).await;
        ok("polling its task", &polled)?;
        for task in tasks.unwrap_or_default() {
            let result = TaskResult {
                workflow_instance_id: &task.workflow_instance_id,
                task_id: &task.task_id,
                worker_id: "shakedown-probe",
                status: "COMPLETED",
                output_data: json!({ "nonce": "probe" }),
                extend_lease: false,
                reason_for_incompletion: None,
            };
            ok("completing its task", &target.update(&result).await)?;
            if task.workflow_instance_id == workflow_id {
                return Ok(());
            }
        }
        // Somebody else's probe may have done it: the server then works just as well.
        let (_, workflow) = target.workflow(workflow_id).await;
        if workflow.is_some_and(|workflow| workflow.status == "COMPLETED") {
            return Ok(());
        }
    }
    Err("its task was never handed out".to_owned())
}

fn ok(what: &str, exchange: &Exchange) -> Result<(), String> {
    exchange.error().map_or(Ok(()), |error| Err(format!("{what}: {error}")))
}
