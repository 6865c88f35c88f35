//! `/tasks/queue`: how much waits in which queue, who polls it.

use super::task::domain;
use super::{json, text};
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{Parameters, Segment};
use crate::machine::polls::{self, Polled};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/tasks/queue/size", get(size))
        .route("/tasks/queue/sizes", get(sizes))
        .route("/tasks/queue/all", get(all))
        .route("/tasks/queue/all/verbose", get(all_verbose))
        .route("/tasks/queue/polldata", get(polled))
        .route("/tasks/queue/polldata/all", get(all_polled))
        .route("/tasks/queue/requeue/{kind}", post(requeue))
}

fn kind(parameters: &Parameters) -> Result<Arc<str>, Problem> {
    let kind = parameters.text("taskType").ok_or_else(|| Problem::bad_request("taskType must be given"))?;
    Ok(kind.into())
}

async fn size(State(api): State<Api>, parameters: Parameters) -> Result<Response, Problem> {
    let queue = polls::queue(&kind(&parameters)?, domain(&parameters).as_ref());
    Ok(json(&api.writer.read(move |state| state.indexes().depth(&queue)).await?))
}

async fn sizes(State(api): State<Api>, parameters: Parameters) -> Result<Response, Problem> {
    let kinds: Vec<String> = parameters.all("taskType").map(str::to_owned).collect();
    if kinds.is_empty() {
        return Err(Problem::bad_request("taskType must be given at least once"));
    }
    let sizes = api.writer.read(move |state| {
        let size = |kind: String| (kind.clone(), Value::from(state.indexes().depth(&kind)));
        kinds.into_iter().map(size).collect::<Map<String, Value>>()
    });
    Ok(json(&sizes.await?))
}

async fn all(State(api): State<Api>) -> Result<Response, Problem> {
    let sizes = api.writer.read(|state| {
        let depths = state.indexes().depths();
        depths.map(|(name, depth)| (name.to_owned(), Value::from(depth))).collect::<Map<String, Value>>()
    });
    Ok(json(&sizes.await?))
}

/// Of each queue what waits and what workers have. Conductor has shards; all is in one here, `a`.
async fn all_verbose(State(api): State<Api>) -> Result<Response, Problem> {
    let queues = api.writer.read(|state| {
        let mut queues: Map<String, Value> = Map::new();
        for (name, size) in state.indexes().depths() {
            queues.insert(name.to_owned(), value!({"a": {"size": size, "uacked": 0}}));
        }
        for (name, count) in state.indexes().all_in_progress() {
            let queue = queues.entry(name).or_insert_with(|| value!({"a": {"size": 0}}));
            queue["a"]["uacked"] = count.into();
        }
        queues
    });
    Ok(json(&queues.await?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PollData<'a> {
    queue_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<&'a str>,
    last_poll_time: u64,
}

fn views(polled: &[Polled]) -> Response {
    let views = polled.iter().map(|polled| PollData {
        queue_name: &polled.kind,
        domain: polled.domain.as_deref(),
        worker_id: polled.worker.as_deref(),
        last_poll_time: polled.at,
    });
    json(&views.collect::<Vec<_>>())
}

async fn polled(State(api): State<Api>, parameters: Parameters) -> Result<Response, Problem> {
    let kind = kind(&parameters)?;
    let of_kind = move |state: &crate::machine::State| {
        state.polls().all().filter(|polled| polled.kind == kind).cloned().collect::<Vec<_>>()
    };
    Ok(views(&api.writer.read(of_kind).await?))
}

async fn all_polled(State(api): State<Api>) -> Result<Response, Problem> {
    Ok(views(&api.writer.read(|state| state.polls().all().cloned().collect::<Vec<_>>()).await?))
}

/// Conductor puts pending tasks back into their queue and answers how many. Here a queue follows from the tasks, so
/// none can be missing: the answer is how many are there.
async fn requeue(State(api): State<Api>, Segment(kind): Segment) -> Result<Response, Problem> {
    Ok(text(&api.writer.read(move |state| state.indexes().depth(&kind)).await?))
}
