//! `/tasks`: handing tasks out and hearing what became of them.

use super::task_view::TaskView;
use super::workflow::parse;
use super::workflow_view::WorkflowView;
use super::{json, text};
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, RequestBody, Segment};
use crate::clock;
use crate::machine::bounds::MAX_POLL_COUNT;
use crate::machine::command::{ReferenceUpdate, Report, TaskUpdate};
use crate::machine::definition::{Object, Seconds};
use crate::machine::event::LogEntry;
use crate::machine::id::TaskId;
use crate::machine::workflow::TaskInContext;
use crate::machine::{Command, Event, Rejection};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest that a poll may wait, milliseconds; Conductor refuses more.
const MAX_POLL_WAIT_MS: u64 = 5000;
/// How long a poll waits when the client does not say, milliseconds.
const POLL_WAIT_MS: u64 = 100;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/tasks", post(update))
        .route("/tasks/update-v2", post(update_and_poll))
        .route("/tasks/{id}", get(read))
        .route("/tasks/{id}/log", get(logs).post(log))
        .route("/tasks/poll/{kind}", get(poll))
        .route("/tasks/poll/batch/{kind}", get(poll_batch))
        .route("/tasks/{workflow}/{reference}/{status}", post(update_by_reference))
        .route("/tasks/{workflow}/{reference}/{status}/sync", post(update_by_reference_and_read))
}

/// A domain that is empty is taken for none: SDKs send it so.
pub fn domain(parameters: &Parameters) -> Option<Arc<str>> {
    parameters.text("domain").map(Arc::from)
}

async fn poll(
    State(api): State<Api>,
    Segment(kind): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let (worker, domain) = (parameters.text("workerid").map(Arc::from), domain(&parameters));
    let tasks = api.writer.poll(kind.into(), domain, worker, 1, POLL_WAIT_MS).await?;
    Ok(one_or_none(tasks.first()))
}

fn one_or_none(task: Option<&TaskInContext>) -> Response {
    match task {
        Some(task) => json(&TaskView::in_context(task)),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn poll_batch(
    State(api): State<Api>,
    Segment(kind): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let count = parameters.number::<usize>("count")?.unwrap_or(1).clamp(1, MAX_POLL_COUNT);
    let wait_ms = parameters.number("timeout")?.unwrap_or(POLL_WAIT_MS);
    if wait_ms > MAX_POLL_WAIT_MS {
        let message = format!("timeout is {wait_ms} ms, it must be at most {MAX_POLL_WAIT_MS}");
        return Err(Problem::bad_request(message));
    }
    let (worker, domain) = (parameters.text("workerid").map(Arc::from), domain(&parameters));
    let tasks = api.writer.poll(kind.into(), domain, worker, count, wait_ms).await?;
    Ok(json(&tasks.iter().map(TaskView::in_context).collect::<Vec<_>>()))
}

/// A worker's word on a task, as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskResult {
    workflow_instance_id: Option<String>,
    task_id: Option<String>,
    status: Option<String>,
    output_data: Option<Object>,
    reason_for_incompletion: Option<Arc<str>>,
    #[serde(default)]
    callback_after_seconds: Seconds,
    worker_id: Option<Arc<str>>,
    #[serde(default)]
    extend_lease: Option<bool>,
    logs: Option<Vec<Line>>,
}

/// A line of a log, as it comes: SDKs tell the time in seconds here and there, and it is kept as told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    log: Option<Arc<str>>,
    created_time: Option<f64>,
}

impl Line {
    fn entry(self) -> LogEntry {
        let at = self.created_time.filter(|time| time.is_finite() && *time > 0.0).unwrap_or_default();
        LogEntry { at: at as u64, text: self.log.unwrap_or_default() }
    }
}

impl TaskResult {
    fn task(&self) -> Result<TaskId, Problem> {
        let id = self.task_id.as_deref().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Problem::bad_request("taskId must be given"))?;
        id.parse().map_err(|_| Rejection::no_task(id).into())
    }

    fn command(self) -> Result<(TaskId, Command), Problem> {
        let task = self.task()?;
        let workflow = self.workflow_instance_id.as_deref().filter(|id| !id.is_empty());
        let workflow = workflow.ok_or_else(|| Problem::bad_request("workflowInstanceId must be given"))?;
        let workflow = workflow.parse().map_err(|_| Problem::from(Rejection::no_workflow(workflow)))?;
        if self.extend_lease == Some(true) {
            return Ok((task, Command::ExtendLease { task }));
        }
        let update = TaskUpdate {
            workflow,
            task,
            report: report(self.status.as_deref())?,
            output: self.output_data.unwrap_or_default().into(),
            reason: self.reason_for_incompletion,
            worker: self.worker_id,
            logs: self.logs.unwrap_or_default().into_iter().map(Line::entry).collect(),
            callback_ms: self.callback_after_seconds.ms(),
            seed: clock::entropy(),
        };
        Ok((task, Command::UpdateTask(Box::new(update))))
    }
}

pub fn report(status: Option<&str>) -> Result<Report, Problem> {
    Ok(match status {
        Some("COMPLETED") => Report::Completed,
        Some("FAILED") => Report::Failed,
        Some("FAILED_WITH_TERMINAL_ERROR") => Report::FailedWithTerminalError,
        Some("CANCELED") => Report::Canceled,
        Some("IN_PROGRESS") => Report::InProgress,
        other => {
            let given = other.unwrap_or("missing");
            return Err(Problem::bad_request(format!(
                "status is {given}; a worker may report COMPLETED, FAILED, FAILED_WITH_TERMINAL_ERROR, CANCELED or IN_PROGRESS"
            )));
        }
    })
}

async fn update(State(api): State<Api>, RequestBody(body): RequestBody) -> Result<Response, Problem> {
    let (task, command) = query::json::<TaskResult>(&body)?.command()?;
    api.writer.decide(command, |_, _| ()).await?;
    Ok(text(&task))
}

/// Updates a task and answers the next of the same type for the same worker, if there is one at once.
async fn update_and_poll(
    State(api): State<Api>,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    // A client takes 404 here for a server without this route and never comes back to it.
    let unknown = Problem::not_found_as_bad_request;
    let result = query::json::<TaskResult>(&body)?;
    let worker = result.worker_id.clone();
    let (task, command) = result.command().map_err(unknown)?;
    let next = api.writer.update_and_poll(command, task, worker).await;
    Ok(one_or_none(next.map_err(|failure| unknown(failure.into()))?.as_ref()))
}

type Named = Result<Path<(String, String, String)>, PathRejection>;

/// The command of an update by reference name; its body is the output.
fn by_reference(path: Named, parameters: &Parameters, body: &[u8]) -> Result<ReferenceUpdate, Problem> {
    let Path((workflow, reference, status)) =
        path.map_err(|refusal| Problem::bad_request(format!("the path: {refusal}")))?;
    let output = if body.is_empty() { Object::new() } else { query::json(body)? };
    Ok(ReferenceUpdate {
        workflow: parse(&workflow)?,
        reference,
        report: report(Some(&status.to_ascii_uppercase()))?,
        output,
        worker: parameters.text("workerid").map(Arc::from),
        seed: clock::entropy(),
    })
}

/// The task that a decision was about first.
fn first_task(events: &[Event]) -> Option<TaskId> {
    events.iter().find_map(|event| match event {
        Event::Task { id, seq, .. } => Some(id.task(*seq)),
        _ => None,
    })
}

/// Updates the open task with a reference name; without one the answer is empty, as in Conductor.
async fn update_by_reference(
    State(api): State<Api>,
    path: Named,
    parameters: Parameters,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    let command = Command::UpdateByReference(Box::new(by_reference(path, &parameters, &body)?));
    let task = api.writer.decide(command, |_, events| first_task(events)).await?;
    Ok(task.map_or_else(|| text(&""), |task| text(&task)))
}

/// The same, and answers the workflow.
async fn update_by_reference_and_read(
    State(api): State<Api>,
    path: Named,
    parameters: Parameters,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    let update = by_reference(path, &parameters, &body)?;
    let (id, reference) = (update.workflow, update.reference.clone());
    let look = move |state: &crate::machine::State, events: &[Event]| {
        first_task(events).and_then(|_| state.workflow(id).cloned())
    };
    let workflow = api.writer.decide(Command::UpdateByReference(Box::new(update)), look).await?;
    let missing = || Rejection::NotFound(format!("workflow {id} has no open task '{reference}' to update"));
    Ok(json(&WorkflowView::of(&workflow.ok_or_else(missing)?, true)))
}

fn parse_task(id: &str) -> Result<TaskId, Problem> {
    id.parse().map_err(|_| Rejection::no_task(id).into())
}

async fn read(State(api): State<Api>, Segment(id): Segment) -> Result<Response, Problem> {
    let task = parse_task(&id)?;
    let found = api.workflow(task.workflow).await?.and_then(|workflow| workflow.in_context(task.sequence));
    Ok(json(&TaskView::in_context(&found.ok_or_else(|| Rejection::no_task(task))?)))
}

/// The body is the line itself, whatever the content type says.
async fn log(
    State(api): State<Api>,
    Segment(id): Segment,
    RequestBody(body): RequestBody,
) -> Result<(), Problem> {
    let text: Arc<str> = String::from_utf8_lossy(&body).into();
    let command = Command::Log { task: parse_task(&id)?, entry: LogEntry { at: 0, text } };
    Ok(api.writer.decide(command, |_, _| ()).await?)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineView<'a> {
    log: &'a str,
    task_id: TaskId,
    created_time: u64,
}

async fn logs(State(api): State<Api>, Segment(id): Segment) -> Result<Response, Problem> {
    let task_id = parse_task(&id)?;
    let found =
        api.workflow(task_id.workflow).await?.and_then(|workflow| workflow.in_context(task_id.sequence));
    let task = found.ok_or_else(|| Rejection::no_task(task_id))?.task;
    if task.logs.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let lines = task.logs.iter();
    let views = lines.map(|line| LineView { log: &line.text, task_id, created_time: line.at });
    Ok(json(&views.collect::<Vec<_>>()))
}
