//! `/metadata`: definitions.

use super::bulk::Bulk;
use super::control::two;
use super::json;
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, RequestBody, Segment};
use crate::machine::definition::{TaskDef, WorkflowDef};
use crate::machine::{Command, Registered, Rejection, validate};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/metadata/taskdefs", get(task_defs).post(save_task_defs).put(update_task_def))
        .route("/metadata/taskdefs/{name}", get(task_def).delete(remove_task_def))
        .route("/metadata/workflow/validate", post(validate_workflow_def))
        .route("/metadata/workflow/latest-versions", get(latest_versions))
        .route("/metadata/workflow/names", get(names))
        .route("/metadata/workflow/names-and-versions", get(names_and_versions))
        .route("/metadata/workflow/{name}/versions", get(versions))
        .route("/metadata/workflow/{name}/{version}", delete(remove_workflow_def))
        .route("/metadata/workflow", get(workflow_defs).post(save_workflow_def).put(save_workflow_defs))
        .route("/metadata/workflow/{name}", get(workflow_def))
}

/// A definition as it was registered, with the instants of its registration. They go after the definition's own
/// fields, so that one which a client echoed back does not count. Never called on the writer's thread: there may be
/// thousands of definitions.
fn with_times<T: Serialize>(registered: &Registered<T>) -> Value {
    let mut value = serde_json::to_value(&*registered.def).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.retain(|_, field| !field.is_null());
        map.insert("createTime".into(), registered.created_at.into());
        map.insert("updateTime".into(), registered.updated_at.into());
    }
    value
}

async fn task_defs(State(api): State<Api>) -> Result<Response, Problem> {
    let all = api.writer.read(|state| state.catalogue().task_defs().cloned().collect::<Vec<_>>()).await?;
    Ok(json(&all.iter().map(with_times).collect::<Vec<_>>()))
}

async fn task_def(State(api): State<Api>, Segment(name): Segment) -> Result<Response, Problem> {
    let missing = format!("No such taskType found by name: {name}");
    let found = api.writer.read(move |state| state.catalogue().task_def(&name).cloned()).await?;
    Ok(json(&with_times(&found.ok_or(Rejection::NotFound(missing))?)))
}

async fn save_task_defs(State(api): State<Api>, RequestBody(body): RequestBody) -> Result<(), Problem> {
    let defs: Vec<TaskDef> = query::json(&body)?;
    Ok(api.writer.decide(Command::SaveTaskDefs(defs), |_, _| ()).await?)
}

async fn update_task_def(State(api): State<Api>, RequestBody(body): RequestBody) -> Result<(), Problem> {
    let def: Box<TaskDef> = query::json(&body)?;
    Ok(api.writer.decide(Command::UpdateTaskDef(def), |_, _| ()).await?)
}

async fn workflow_defs(State(api): State<Api>) -> Result<Response, Problem> {
    let all = api.writer.read(|state| state.catalogue().workflow_defs().cloned().collect::<Vec<_>>()).await?;
    Ok(json(&all.iter().map(with_times).collect::<Vec<_>>()))
}

async fn workflow_def(
    State(api): State<Api>,
    Segment(name): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let version: Option<i64> = parameters.number("version")?;
    let missing = format!("No such workflow found by name: {name}, version: {version:?}");
    let found = api.writer.read(move |state| state.catalogue().workflow_def(&name, version).cloned()).await?;
    Ok(json(&with_times(&found.ok_or(Rejection::NotFound(missing))?)))
}

async fn save_workflow_def(
    State(api): State<Api>,
    parameters: Parameters,
    RequestBody(body): RequestBody,
) -> Result<(), Problem> {
    let overwrite = parameters.flag("overwrite", false)?;
    let def: Box<WorkflowDef> = query::json(&body)?;
    Ok(api.writer.decide(Command::SaveWorkflowDef { def, overwrite }, |_, _| ()).await?)
}

/// Each on its own: what fails is told in the body, the status is 200.
async fn save_workflow_defs(
    State(api): State<Api>,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    let defs: Vec<Box<WorkflowDef>> = query::json(&body)?;
    if defs.is_empty() {
        return Err(Problem::bad_request("the list of workflow definitions is empty"));
    }
    let save =
        |def: Box<WorkflowDef>| (def.name.clone(), Ok(Command::SaveWorkflowDef { def, overwrite: true }));
    Ok(json(&Bulk::of(&api, defs.into_iter().map(save).collect()).await))
}

async fn remove_task_def(State(api): State<Api>, Segment(name): Segment) -> Result<(), Problem> {
    Ok(api.writer.decide(Command::RemoveTaskDef(name), |_, _| ()).await?)
}

async fn remove_workflow_def(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<(), Problem> {
    let (name, version) = two(path)?;
    let number = version.parse();
    let version =
        number.map_err(|_| Problem::bad_request(format!("version: '{version}' is not a whole number")))?;
    Ok(api.writer.decide(Command::RemoveWorkflowDef { name, version }, |_, _| ()).await?)
}

/// Says whether a definition could be registered, without doing it.
async fn validate_workflow_def(RequestBody(body): RequestBody) -> Result<(), Problem> {
    let def: WorkflowDef = query::json(&body)?;
    Ok(validate::workflow_def(&def)?)
}

async fn latest_versions(State(api): State<Api>) -> Result<Response, Problem> {
    let latest = api.writer.read(|state| {
        let catalogue = state.catalogue();
        let latest = catalogue.workflow_names().filter_map(|name| catalogue.workflow_def(name, None));
        latest.cloned().collect::<Vec<_>>()
    });
    Ok(json(&latest.await?.iter().map(with_times).collect::<Vec<_>>()))
}

async fn names(State(api): State<Api>) -> Result<Response, Problem> {
    let names =
        api.writer.read(|state| state.catalogue().workflow_names().map(str::to_owned).collect::<Vec<_>>());
    Ok(json(&names.await?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    name: String,
    version: i64,
    create_time: u64,
}

fn summary(registered: &Registered<WorkflowDef>) -> Summary {
    let def = &registered.def;
    Summary { name: def.name.clone(), version: def.version, create_time: registered.created_at }
}

async fn names_and_versions(State(api): State<Api>) -> Result<Response, Problem> {
    let all = api.writer.read(|state| {
        let catalogue = state.catalogue();
        let named = catalogue
            .workflow_names()
            .map(|name| (name.to_owned(), catalogue.versions(name).map(summary).collect::<Vec<_>>()));
        named.collect::<BTreeMap<_, _>>()
    });
    Ok(json(&all.await?))
}

async fn versions(State(api): State<Api>, Segment(name): Segment) -> Result<Response, Problem> {
    let missing = format!("No such workflow found by name: {name}");
    let look = move |state: &crate::machine::State| {
        state.catalogue().versions(&name).map(summary).collect::<Vec<_>>()
    };
    let found = api.writer.read(look).await?;
    if found.is_empty() { Err(Rejection::NotFound(missing).into()) } else { Ok(json(&found)) }
}
