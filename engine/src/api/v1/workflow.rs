//! `/workflow`: starting and reading workflows.

use super::task_view::TaskView;
use super::workflow_view::{StatusView, WorkflowView};
use super::{control, json, text};
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, RequestBody, Segment};
use crate::clock;
use crate::machine::command::{KeyTaken, StartWorkflow};
use crate::machine::definition::{Object, WorkflowDef};
use crate::machine::event::Start;
use crate::machine::id::WorkflowId;
use crate::machine::status::TaskStatus;
use crate::machine::workflow::Workflow;
use crate::machine::{Command, Event, Rejection};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/workflow", post(start))
        .route("/workflow/{id}", get(read).delete(control::terminate).post(start_by_name))
        .route("/workflow/{id}/status", get(status))
        .route("/workflow/{id}/tasks", get(tasks))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartRequest {
    pub name: Option<String>,
    pub version: Option<i64>,
    correlation_id: Option<Arc<str>>,
    #[serde(default = "empty_object")]
    input: Value,
    #[serde(default)]
    priority: Option<i64>,
    created_by: Option<Arc<str>>,
    workflow_def: Option<Box<WorkflowDef>>,
    #[serde(default)]
    task_to_domain: Option<BTreeMap<String, String>>,
    idempotency_key: Option<Arc<str>>,
    idempotency_strategy: Option<String>,
    external_input_payload_storage_path: Option<String>,
}

impl StartRequest {
    /// What would change the meaning of the start if it were passed over.
    fn check_supported(&self) -> Result<(), Problem> {
        let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let unsupported =
            [("externalInputPayloadStoragePath", set(&self.external_input_payload_storage_path))];
        match unsupported.iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((name, _)) => {
                let why = "this engine does not support it yet and will not pretend to";
                Err(Problem::bad_request(format!("{name}: {why}")))
            }
        }
    }
}

impl StartRequest {
    /// The start that it asks for.
    pub fn command(self) -> Result<StartWorkflow, Problem> {
        self.check_supported()?;
        let Value::Object(_) = self.input else {
            return Err(Problem::bad_request("input must be a JSON object"));
        };
        let named = self.name.filter(|name| !name.is_empty());
        let inline = self.workflow_def;
        let name = named.or_else(|| inline.as_ref().map(|def| def.name.clone()));
        let name = name.ok_or_else(|| Problem::bad_request("a workflow name must be given"))?;
        let taken = strategy(self.idempotency_strategy.as_deref())?;
        let start = Start {
            input: self.input.into(),
            correlation_id: self.correlation_id,
            priority: priority(self.priority)?,
            created_by: self.created_by,
            task_to_domain: self.task_to_domain.unwrap_or_default(),
            idempotency_key: self.idempotency_key.filter(|key| !key.is_empty()),
            ..Start::default()
        };
        Ok(StartWorkflow { name, version: self.version, inline, start, taken, seed: clock::entropy() })
    }
}

fn empty_object() -> Value {
    Value::Object(Object::new())
}

async fn start(State(api): State<Api>, RequestBody(body): RequestBody) -> Result<Response, Problem> {
    let request: StartRequest = query::json(&body)?;
    Ok(text(&begin(&api, request.command()?).await?))
}

async fn start_by_name(
    State(api): State<Api>,
    Segment(name): Segment,
    parameters: Parameters,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    let input: Value = if body.is_empty() { empty_object() } else { query::json(&body)? };
    if !input.is_object() {
        return Err(Problem::bad_request("the body, which is the workflow's input, must be a JSON object"));
    }
    let start = Start {
        input: input.into(),
        correlation_id: parameters.text("correlationId").map(Arc::from),
        priority: priority(parameters.number("priority")?)?,
        ..Start::default()
    };
    let version = parameters.number("version")?;
    let taken = KeyTaken::Fail;
    let start = StartWorkflow { name, version, inline: None, start, taken, seed: clock::entropy() };
    Ok(text(&begin(&api, start).await?))
}

fn priority(given: Option<i64>) -> Result<u8, Problem> {
    let refuse =
        |_| Problem::bad_request(format!("priority is {}, it must be 0 to 99", given.unwrap_or_default()));
    u8::try_from(given.unwrap_or(0)).map_err(refuse)
}

fn strategy(given: Option<&str>) -> Result<KeyTaken, Problem> {
    Ok(match given {
        None | Some("" | "FAIL") => KeyTaken::Fail,
        Some("RETURN_EXISTING") => KeyTaken::ReturnExisting,
        Some("FAIL_ON_RUNNING") => KeyTaken::FailOnRunning,
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "idempotencyStrategy is {other}; it must be FAIL, RETURN_EXISTING or FAIL_ON_RUNNING"
            )));
        }
    })
}

/// Carries out a start; answers the id of the workflow.
async fn begin(api: &Api, request: StartWorkflow) -> Result<WorkflowId, Problem> {
    let command = Command::StartWorkflow(Box::new(request));
    let started = |events: &[Event]| {
        events.iter().find_map(|event| match event {
            Event::WorkflowStarted { id, .. } => Some(*id),
            _ => None,
        })
    };
    let key = command.key().map(|(name, key)| (name.to_owned(), key.to_owned()));
    // A start that left it at the workflow which has its key made no event.
    let existing = move |state: &crate::machine::State| {
        key.and_then(|(name, key)| state.keyed(&name, &key).map(|workflow| workflow.id))
    };
    let look =
        move |state: &crate::machine::State, events: &[Event]| started(events).or_else(|| existing(state));
    let id = api.writer.decide(command, look).await?;
    id.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the start left no event"))
}

/// What is not an id of this engine is the id of nothing.
pub fn parse(id: &str) -> Result<WorkflowId, Problem> {
    id.parse().map_err(|_| Rejection::no_workflow(id).into())
}

async fn find(api: &Api, id: &str) -> Result<Workflow, Problem> {
    let id = parse(id)?;
    Ok(api.workflow(id).await?.ok_or_else(|| Rejection::no_workflow(id))?)
}

async fn read(
    State(api): State<Api>,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let with_tasks = parameters.flag("includeTasks", true)?;
    let workflow = find(&api, &id).await?;
    Ok(json(&WorkflowView::of(&workflow, with_tasks)))
}

async fn status(
    State(api): State<Api>,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let with_output = parameters.flag("includeOutput", false)?;
    let with_variables = parameters.flag("includeVariables", false)?;
    let workflow = find(&api, &id).await?;
    Ok(json(&StatusView::of(&workflow, with_output, with_variables)))
}

/// Records that a page of them has when the client does not say.
const TASKS_A_PAGE: usize = 15;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    total_hits: usize,
    results: Vec<TaskView<'a>>,
}

/// A page of a workflow's task records, all or those of some statuses.
async fn tasks(
    State(api): State<Api>,
    Segment(id): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let start = parameters.number("start")?.unwrap_or(0);
    let count = parameters.number("count")?.unwrap_or(TASKS_A_PAGE);
    let wanted: Vec<String> = parameters.all("status").map(str::to_ascii_uppercase).collect();
    if let Some(unknown) = wanted.iter().find(|status| TaskStatus::from_name(status).is_none()) {
        return Err(Problem::bad_request(format!("status: '{unknown}' is not a status of a task")));
    }
    let workflow = find(&api, &id).await?;
    let wanted = |status: TaskStatus| wanted.is_empty() || wanted.iter().any(|name| name == status.name());
    let found: Vec<_> = workflow.tasks.iter().filter(|task| wanted(task.status)).collect();
    let shown = found.iter().skip(start).take(count).map(|task| TaskView::of(&workflow, task));
    Ok(json(&Page { total_hits: found.len(), results: shown.collect() }))
}
