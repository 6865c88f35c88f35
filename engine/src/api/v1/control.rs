//! `/workflow/{id}/…`: controlling workflows, one by one.

use super::text;
use super::workflow::parse;
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, RequestBody, Segment};
use crate::machine::Command;
use crate::machine::command::{OpenWorkflow, Rerun, Skip};
use crate::machine::definition::Object;
use crate::machine::id::TaskId;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, post, put};
use serde::Deserialize;
use std::sync::Arc;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/workflow/{id}/pause", put(pause))
        .route("/workflow/{id}/resume", put(resume))
        .route("/workflow/{id}/retry", post(retry))
        .route("/workflow/{id}/restart", post(restart))
        .route("/workflow/{id}/rerun", post(rerun))
        .route("/workflow/{id}/resetcallbacks", post(reset_callbacks))
        .route("/workflow/{id}/skiptask/{reference}", put(skip))
        .route("/workflow/{id}/remove", delete(remove))
        .route("/workflow/{id}/terminate-remove", delete(terminate_remove))
        .route("/workflow/decide/{id}", put(evaluate))
        .route("/admin/sweep/requeue/{id}", post(sweep))
}

async fn carry_out(api: &Api, command: Command) -> Result<(), Problem> {
    Ok(api.writer.decide(command, |_, _| ()).await?)
}

async fn pause(State(api): State<Api>, Segment(id): Segment) -> Result<(), Problem> {
    carry_out(&api, Command::Pause(parse(&id)?)).await
}

async fn resume(State(api): State<Api>, Segment(id): Segment) -> Result<(), Problem> {
    carry_out(&api, Command::Resume(parse(&id)?)).await
}

async fn retry(
    State(api): State<Api>,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<StatusCode, Problem> {
    let resume_children = parameters.flag("resumeSubworkflowTasks", false)?;
    carry_out(&api, Command::Retry { id: parse(&id)?, resume_children }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn restart(
    State(api): State<Api>,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<StatusCode, Problem> {
    let latest = parameters.flag("useLatestDefinitions", false)?;
    carry_out(&api, Command::Restart { id: parse(&id)?, latest }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset_callbacks(State(api): State<Api>, Segment(id): Segment) -> Result<StatusCode, Problem> {
    carry_out(&api, Command::ResetCallbacks(parse(&id)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn terminate(
    State(api): State<Api>,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<(), Problem> {
    let alarm = parameters.flag("triggerFailureWorkflow", false)?;
    carry_out(&api, Command::Terminate { id: parse(&id)?, reason: reason(&parameters), alarm }).await
}

pub fn reason(parameters: &Parameters) -> Option<Arc<str>> {
    parameters.text("reason").map(Arc::from)
}

async fn evaluate(State(api): State<Api>, Segment(id): Segment) -> Result<(), Problem> {
    carry_out(&api, Command::Evaluate(parse(&id)?)).await
}

/// Conductor answers whether it put the workflow into its sweeper's queue. There is none here: what is due is done.
async fn sweep(State(api): State<Api>, Segment(id): Segment) -> Result<Response, Problem> {
    carry_out(&api, Command::Evaluate(parse(&id)?)).await?;
    Ok(text(&format!("true.{id}")))
}

/// An archive is asked for of what has ended; there is none to put it in, so both ways remove.
pub fn removal(parameters: &Parameters) -> Result<OpenWorkflow, Problem> {
    let archived = parameters.flag("archiveWorkflow", true)?;
    let removed = || OpenWorkflow::Terminate(Some("removed while it was open".into()));
    Ok(if archived { OpenWorkflow::Refuse } else { removed() })
}

async fn remove(State(api): State<Api>, Segment(id): Segment, parameters: Parameters) -> Result<(), Problem> {
    carry_out(&api, Command::Remove { id: parse(&id)?, open: removal(&parameters)? }).await
}

async fn terminate_remove(
    State(api): State<Api>,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<(), Problem> {
    let open = OpenWorkflow::Terminate(reason(&parameters));
    carry_out(&api, Command::Remove { id: parse(&id)?, open }).await
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RerunRequest {
    re_run_from_task_id: Option<String>,
    task_input: Option<Object>,
    workflow_input: Option<Object>,
    correlation_id: Option<Arc<str>>,
}

async fn rerun(
    State(api): State<Api>,
    Segment(id): Segment,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    let request: RerunRequest = if body.is_empty() { RerunRequest::default() } else { query::json(&body)? };
    let from = request.re_run_from_task_id.filter(|task| !task.is_empty());
    let missing = |task: &str| Problem::bad_request(format!("reRunFromTaskId: no task has the id '{task}'"));
    let from: Option<TaskId> = from.map(|task| task.parse().map_err(|_| missing(&task))).transpose()?;
    if request.task_input.is_some() && from.is_none() {
        return Err(Problem::bad_request("taskInput needs reRunFromTaskId, the task that it is for"));
    }
    let workflow = parse(&id)?;
    let rerun = Rerun {
        id: workflow,
        from,
        task_input: request.task_input.map(Into::into),
        workflow_input: request.workflow_input.map(Into::into),
        correlation_id: request.correlation_id,
    };
    carry_out(&api, Command::Rerun(Box::new(rerun))).await?;
    Ok(text(&workflow))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SkipRequest {
    task_input: Option<Object>,
    task_output: Option<Object>,
}

async fn skip(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    RequestBody(body): RequestBody,
) -> Result<(), Problem> {
    let (id, reference) = two(path)?;
    let request: SkipRequest = if body.is_empty() { SkipRequest::default() } else { query::json(&body)? };
    let skip = Skip {
        id: parse(&id)?,
        reference,
        input: request.task_input.map(Into::into),
        output: request.task_output.map(Into::into),
    };
    carry_out(&api, Command::Skip(Box::new(skip))).await
}

/// Two variable segments of a path, percent-decoded.
pub fn two(path: Result<Path<(String, String)>, PathRejection>) -> Result<(String, String), Problem> {
    path.map(|Path(segments)| segments)
        .map_err(|refusal| Problem::bad_request(format!("the path: {refusal}")))
}
