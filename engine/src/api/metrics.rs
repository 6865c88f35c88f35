//! `/metrics` and `/actuator/prometheus`: what Prometheus scrapes; and the service time of every request.

use super::Api;
use super::problem::Problem;
use crate::clock;
use crate::metrics::{Now, Stopwatch};
use crate::writer::{Failure, Unavailable};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub fn routes() -> Router<Api> {
    Router::new().route("/metrics", get(scrape)).route("/actuator/prometheus", get(scrape))
}

async fn scrape(State(api): State<Api>) -> Result<Response, Problem> {
    let now_ms = clock::now_ms();
    let now = match api.writer.read(move |state| Now::of(state, now_ms)).await {
        Ok(now) => Some(now),
        // A node that follows tells what it counts itself; the state is the leader's to tell.
        Err(Failure::Unavailable(Unavailable::NotLeading)) => None,
        Err(failure) => return Err(failure.into()),
    };
    let text = api.metrics.exposition(now.as_ref());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// Measures every request from its receipt to its answer, by route.
pub async fn measure(State(api): State<Api>, request: Request, next: Next) -> Response {
    let stopwatch = Stopwatch::start();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let answer = next.run(request).await;
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    api.metrics.served(method.as_str(), route, answer.status().as_u16(), stopwatch.seconds());
    match answer.status() {
        StatusCode::INSUFFICIENT_STORAGE => api.metrics.refused("full"),
        StatusCode::SERVICE_UNAVAILABLE => api.metrics.refused("overloaded or stopping"),
        _ => {}
    }
    answer
}
