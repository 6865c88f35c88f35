//! Conductor's API: `/api/…`.

mod bulk;
mod control;
mod execute;
mod health;
mod lists;
mod metadata;
mod queues;
mod search;
mod task;
mod task_view;
mod workflow;
mod workflow_view;

use super::Api;
use super::problem::Problem;
use super::query::MAX_BODY;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub fn routes() -> Router<Api> {
    let workflows = workflow::routes().merge(lists::routes()).merge(control::routes()).merge(bulk::routes());
    let api = Router::new()
        .merge(metadata::routes())
        .merge(workflows)
        .merge(task::routes())
        .merge(queues::routes())
        .merge(execute::routes())
        .merge(search::routes());
    let router = Router::new().nest("/api", api.merge(health::routes())).merge(health::routes());
    let router = router.fallback(unknown).method_not_allowed_fallback(wrong_method);
    router.layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn unknown(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("this engine has no resource {}", uri.path()))
}

async fn wrong_method(uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take this method", uri.path()))
}

/// A JSON answer.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A bare id.
fn text(value: &impl ToString) -> Response {
    ([(header::CONTENT_TYPE, "text/plain;charset=UTF-8")], value.to_string()).into_response()
}
