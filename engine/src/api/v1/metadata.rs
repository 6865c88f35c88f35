//! `/metadata`: definitions.

use super::bulk::Bulk;
use super::json;
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, Payload, Segment};
use crate::machine::definition::{TaskDef, WorkflowDef};
use crate::machine::{Command, Registered, Rejection};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::Value;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/metadata/taskdefs", get(task_defs).post(save_task_defs).put(update_task_def))
        .route("/metadata/taskdefs/{name}", get(task_def))
        .route("/metadata/workflow", get(workflow_defs).post(save_workflow_def).put(save_workflow_defs))
        .route("/metadata/workflow/{name}", get(workflow_def))
}

/// A definition as it was registered, with the instants of its registration. They go after the definition's own
/// fields, so that one which a client echoed back does not count.
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
    let all =
        api.writer.read(|state| state.catalogue().task_defs().map(with_times).collect::<Vec<_>>()).await?;
    Ok(json(&all))
}

async fn task_def(State(api): State<Api>, Segment(name): Segment) -> Result<Response, Problem> {
    let missing = format!("No such taskType found by name: {name}");
    let found = api.writer.read(move |state| state.catalogue().task_def(&name).map(with_times)).await?;
    Ok(json(&found.ok_or(Rejection::NotFound(missing))?))
}

async fn save_task_defs(State(api): State<Api>, Payload(body): Payload) -> Result<(), Problem> {
    let defs: Vec<TaskDef> = query::json(&body)?;
    Ok(api.writer.decide(Command::SaveTaskDefs(defs), |_, _| ()).await?)
}

async fn update_task_def(State(api): State<Api>, Payload(body): Payload) -> Result<(), Problem> {
    let def: Box<TaskDef> = query::json(&body)?;
    Ok(api.writer.decide(Command::UpdateTaskDef(def), |_, _| ()).await?)
}

async fn workflow_defs(State(api): State<Api>) -> Result<Response, Problem> {
    let all = api
        .writer
        .read(|state| state.catalogue().workflow_defs().map(with_times).collect::<Vec<_>>())
        .await?;
    Ok(json(&all))
}

async fn workflow_def(
    State(api): State<Api>,
    Segment(name): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let version: Option<i64> = parameters.number("version")?;
    let missing = format!("No such workflow found by name: {name}, version: {version:?}");
    let found =
        api.writer.read(move |state| state.catalogue().workflow_def(&name, version).map(with_times)).await?;
    Ok(json(&found.ok_or(Rejection::NotFound(missing))?))
}

async fn save_workflow_def(
    State(api): State<Api>,
    parameters: Parameters,
    Payload(body): Payload,
) -> Result<(), Problem> {
    let overwrite = parameters.flag("overwrite", false)?;
    let def: Box<WorkflowDef> = query::json(&body)?;
    Ok(api.writer.decide(Command::SaveWorkflowDef { def, overwrite }, |_, _| ()).await?)
}

/// Each on its own: what fails is told in the body, the status is 200.
async fn save_workflow_defs(State(api): State<Api>, Payload(body): Payload) -> Result<Response, Problem> {
    let defs: Vec<Box<WorkflowDef>> = query::json(&body)?;
    if defs.is_empty() {
        return Err(Problem::bad_request("the list of workflow definitions is empty"));
    }
    let save =
        |def: Box<WorkflowDef>| (def.name.clone(), Ok(Command::SaveWorkflowDef { def, overwrite: true }));
    Ok(json(&Bulk::of(&api, defs.into_iter().map(save).collect()).await))
}
