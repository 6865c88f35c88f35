//! `/health`: healthy when the writer answers, and an append worked a moment ago or works now.

use super::json;
use crate::api::Api;
use crate::writer::Unavailable;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use std::time::Duration;

/// A writer that takes longer is not well.
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    health_results: Vec<Finding>,
    suppressed_health_results: [(); 0],
    healthy: bool,
}

#[derive(Serialize)]
struct Finding {
    name: &'static str,
    healthy: bool,
    details: String,
}

pub fn routes() -> Router<Api> {
    Router::new().route("/health", get(health))
}

async fn health(State(api): State<Api>) -> Response {
    let trouble = match tokio::time::timeout(DEADLINE, api.writer.check()).await {
        Ok(Ok(())) => None,
        Ok(Err(Unavailable::Full(why))) => Some(format!("the disk is full: {why}")),
        Ok(Err(other)) => Some(other.to_string()),
        Err(_) => Some(format!("the writer did not answer within {} s", DEADLINE.as_secs())),
    };
    let healthy = trouble.is_none();
    let details = trouble.unwrap_or_else(|| "takes requests and appends".to_owned());
    let finding = Finding { name: "writer", healthy, details };
    let body = Health { health_results: vec![finding], suppressed_health_results: [], healthy };
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json(&body)).into_response()
}
