//! Starting a workflow and waiting for its end in one call, and the signal that a workflow waits for.

use super::control::two;
use super::json;
use super::task::report;
use super::task_view::TaskView;
use super::workflow::{StartRequest, parse};
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, RequestBody};
use crate::clock;
use crate::machine::command::Signal;
use crate::machine::definition::Object;
use crate::machine::id::WorkflowId;
use crate::machine::status::WorkflowStatus;
use crate::machine::workflow::Workflow;
use crate::machine::{Command, Rejection};
use crate::writer::Unavailable;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use serde::Serialize;

/// How long a call waits when the client does not say, seconds; Conductor's.
const WAIT_S: u64 = 10;
/// The longest that a call may wait, seconds.
const MAX_WAIT_S: u64 = 300;
/// How long a signal waits when the client does not say, milliseconds; Conductor's.
const SIGNAL_WAIT_MS: u64 = 5000;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/workflow/execute/{name}/{version}", post(execute))
        .route("/tasks/{workflow}/{status}/signal", post(signal))
        .route("/tasks/{workflow}/{status}/signal/sync", post(signal_and_wait))
}

/// A workflow as it is when the wait is over.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    response_type: &'static str,
    target_workflow_id: WorkflowId,
    target_workflow_status: WorkflowStatus,
    workflow_id: WorkflowId,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    input: &'a crate::machine::Payload,
    output: &'a crate::machine::Payload,
    signal_timeout: bool,
    priority: u8,
    variables: Object,
    tasks: Vec<TaskView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    create_time: u64,
    update_time: u64,
    status: WorkflowStatus,
}

impl<'a> Run<'a> {
    fn of(workflow: &'a Workflow, request_id: &'a str, timed_out: bool) -> Self {
        Self {
            response_type: "TARGET_WORKFLOW",
            target_workflow_id: workflow.id,
            target_workflow_status: workflow.status,
            workflow_id: workflow.id,
            request_id,
            correlation_id: workflow.start.correlation_id.as_deref(),
            input: &workflow.start.input,
            output: &workflow.output,
            signal_timeout: timed_out,
            priority: workflow.start.priority,
            variables: Object::new(),
            tasks: workflow.tasks.iter().map(|task| TaskView::of(workflow, task)).collect(),
            created_by: workflow.start.created_by.as_deref(),
            create_time: workflow.created_at,
            update_time: workflow.updated_at,
            status: workflow.status,
        }
    }
}

/// The other strategies answer what a workflow below waits at; nobody should take this answer for theirs.
fn check_strategy(parameters: &Parameters) -> Result<(), Problem> {
    match parameters.text("returnStrategy") {
        None | Some("TARGET_WORKFLOW") => Ok(()),
        Some(other) => Err(Problem::bad_request(format!(
            "returnStrategy is {other}; this engine answers TARGET_WORKFLOW only and will not pretend otherwise"
        ))),
    }
}

async fn execute(
    State(api): State<Api>,
    path: Result<Path<(String, i64)>, PathRejection>,
    parameters: Parameters,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    let Path((name, version)) =
        path.map_err(|refusal| Problem::bad_request(format!("the path: {refusal}")))?;
    check_strategy(&parameters)?;
    let wait_s = parameters.number("waitForSeconds")?.filter(|seconds| *seconds > 0).unwrap_or(WAIT_S);
    if wait_s > MAX_WAIT_S {
        let message = format!("waitForSeconds is {wait_s}, it must be at most {MAX_WAIT_S}");
        return Err(Problem::bad_request(message));
    }
    let awaited = parameters.all("waitUntilTaskRef").flat_map(|names| names.split(','));
    let awaited: Vec<String> =
        awaited.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let mut request: StartRequest = query::json(&body)?;
    let version = Some(version).filter(|version| *version > 0);
    request.name = Some(name);
    request.version = version;
    let command = Command::StartWorkflow(Box::new(request.command()?));
    wait(&api, command, awaited, wait_s * 1000, parameters.text("requestId")).await
}

/// The writer waits too, so that the answer goes out with the batch that brings it.
async fn wait(
    api: &Api,
    command: Command,
    awaited: Vec<String>,
    wait_ms: u64,
    request: Option<&str>,
) -> Result<Response, Problem> {
    let seen = api.writer.watch(command, awaited, wait_ms).await?;
    let workflow = match seen.workflow {
        Some(workflow) => Some(*workflow),
        // The command was carried out: nobody may take an error of this look for a no, and send it once more.
        None => api.workflow(seen.id).await.map_err(|_| Problem::from(Unavailable::Unknown))?,
    };
    let workflow = workflow.ok_or_else(|| Rejection::no_workflow(seen.id))?;
    let id = workflow.id.to_string();
    Ok(json(&Run::of(&workflow, request.unwrap_or(&id), seen.timed_out)))
}

type Named = Result<Path<(String, String)>, PathRejection>;

fn sent(path: Named, body: &[u8], must_wait: bool) -> Result<Command, Problem> {
    let (id, status) = two(path)?;
    let output: Object = if body.is_empty() { Object::new() } else { query::json(body)? };
    let workflow = parse(&id)?;
    let report = report(Some(&status.to_ascii_uppercase()))?;
    let seed = clock::entropy();
    Ok(Command::Signal(Box::new(Signal { workflow, report, output, must_wait, seed })))
}

/// Ends the WAIT that a workflow stands at; without one nothing happens.
async fn signal(State(api): State<Api>, path: Named, RequestBody(body): RequestBody) -> Result<(), Problem> {
    Ok(api.writer.decide(sent(path, &body, false)?, |_, _| ()).await?)
}

/// The same, and waits for what follows: the end, or the next WAIT.
async fn signal_and_wait(
    State(api): State<Api>,
    path: Named,
    parameters: Parameters,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    check_strategy(&parameters)?;
    let wait_ms = parameters.number("timeoutMillis")?.unwrap_or(SIGNAL_WAIT_MS).min(MAX_WAIT_S * 1000);
    wait(&api, sent(path, &body, true)?, Vec::new(), wait_ms, None).await
}
