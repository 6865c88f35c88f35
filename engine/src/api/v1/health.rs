//! `/health`: healthy when the writer answers, and an append worked a moment ago or works now.

use super::json;
use crate::api::Api;
use crate::node::{Role, View};
use crate::writer::Unavailable;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A writer that takes longer is not well.
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    health_results: Vec<Finding>,
    suppressed_health_results: [(); 0],
    healthy: bool,
    #[serde(flatten)]
    node: Option<Place>,
}

/// A node's place among those that share its store.
#[derive(Serialize)]
struct Place {
    node: String,
    role: &'static str,
    epoch: u64,
    position: u64,
    /// Where the leader is reached, for one that follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
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

async fn health(State(api): State<Api>, view: Option<Extension<View>>) -> Response {
    let role = view.as_ref().map(|view| view.role.borrow().clone());
    let trouble = match role {
        Some(Role::Starting) => Some("reads the journal".to_owned()),
        Some(Role::Following(None)) => Some("follows, and no node leads at the moment".to_owned()),
        // It hands on what comes, and could not yet take over.
        Some(Role::Following(Some(_))) if view.as_ref().is_some_and(|view| !view.is_warm()) => {
            Some("reads the journal".to_owned())
        }
        Some(Role::Following(Some(_))) => None,
        Some(Role::Leading) | None => check(&api).await,
    };
    let healthy = trouble.is_none();
    let details = trouble.unwrap_or_else(|| match &role {
        Some(Role::Following(Some(leader))) => format!("follows {} at {}", leader.node, leader.url),
        _ => "takes requests and appends".to_owned(),
    });
    let node = view.zip(role).map(|(Extension(view), role)| Place::of(&view, role));
    let finding = Finding { name: "writer", healthy, details };
    let body = Health { health_results: vec![finding], suppressed_health_results: [], healthy, node };
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json(&body)).into_response()
}

impl Place {
    fn of(view: &View, role: Role) -> Self {
        let (name, leader) = match role {
            Role::Starting => ("starting", None),
            Role::Leading => ("leader", None),
            Role::Following(leader) => ("follower", leader.map(|leader| leader.url)),
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (epoch, position) = (read(&view.counts.epoch), read(&view.counts.position));
        Self { node: view.name.clone(), role: name, epoch, position, leader }
    }
}

async fn check(api: &Api) -> Option<String> {
    match tokio::time::timeout(DEADLINE, api.writer.check()).await {
        Ok(Ok(())) => None,
        Ok(Err(Unavailable::Full(why))) => Some(format!("the disk is full: {why}")),
        Ok(Err(other)) => Some(other.to_string()),
        Err(_) => Some(format!("the writer did not answer within {} s", DEADLINE.as_secs())),
    }
}
