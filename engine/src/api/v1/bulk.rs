//! `/workflow/bulk/…`: controlling up to 1000 workflows, each on its own. What fails is told in the body, the status
//! is 200.

use super::control::{reason, removal};
use super::json;
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, RequestBody};
use crate::machine::command::OpenWorkflow;
use crate::machine::id::WorkflowId;
use crate::machine::{Command, Rejection};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, post, put};
use serde::Serialize;
use serde_json::{Map, Value};

/// Workflows that one call may name; Conductor's bound.
const MAX_IDS: usize = 1000;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/workflow/bulk/pause", put(pause))
        .route("/workflow/bulk/resume", put(resume))
        .route("/workflow/bulk/restart", post(restart))
        .route("/workflow/bulk/retry", post(retry))
        .route("/workflow/bulk/terminate", post(terminate))
        .route("/workflow/bulk/remove", delete(remove))
        .route("/workflow/bulk/terminate-remove", delete(terminate_remove))
}

/// What became of each of many.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bulk {
    /// Why, for each that failed.
    pub bulk_error_results: Map<String, Value>,
    /// Those that went well, in order.
    pub bulk_successful_results: Vec<String>,
}

impl Bulk {
    /// Carries out each command on its own and tells of it under its name.
    pub async fn of(api: &Api, named: Vec<(String, Result<Command, Rejection>)>) -> Self {
        let mut bulk = Self::default();
        let (mut names, mut commands) = (Vec::new(), Vec::new());
        for (name, command) in named {
            match command {
                Ok(command) => {
                    names.push(name);
                    commands.push(command);
                }
                Err(rejection) => drop(bulk.bulk_error_results.insert(name, rejection.to_string().into())),
            }
        }
        let done = api.writer.decide_each(commands).await;
        for (name, result) in names.into_iter().zip(done) {
            match result {
                Ok(()) => bulk.bulk_successful_results.push(name),
                Err(failure) => drop(bulk.bulk_error_results.insert(name, failure.to_string().into())),
            }
        }
        bulk
    }
}

async fn each(
    api: &Api,
    RequestBody(body): RequestBody,
    command: impl Fn(WorkflowId) -> Command,
) -> Result<Response, Problem> {
    let ids: Vec<String> = query::json(&body)?;
    if ids.is_empty() || ids.len() > MAX_IDS {
        let message = format!("the list holds {} workflow ids, it must hold 1 to {MAX_IDS}", ids.len());
        return Err(Problem::bad_request(message));
    }
    let named = ids.into_iter().map(|id| {
        let parsed = id.parse().map_err(|_| Rejection::no_workflow(&id));
        (id, parsed.map(&command))
    });
    Ok(json(&Bulk::of(api, named.collect()).await))
}

async fn pause(State(api): State<Api>, body: RequestBody) -> Result<Response, Problem> {
    each(&api, body, Command::Pause).await
}

async fn resume(State(api): State<Api>, body: RequestBody) -> Result<Response, Problem> {
    each(&api, body, Command::Resume).await
}

async fn restart(
    State(api): State<Api>,
    parameters: Parameters,
    body: RequestBody,
) -> Result<Response, Problem> {
    let latest = parameters.flag("useLatestDefinitions", false)?;
    each(&api, body, |id| Command::Restart { id, latest }).await
}

async fn retry(State(api): State<Api>, body: RequestBody) -> Result<Response, Problem> {
    each(&api, body, |id| Command::Retry { id, resume_children: false }).await
}

async fn terminate(
    State(api): State<Api>,
    parameters: Parameters,
    body: RequestBody,
) -> Result<Response, Problem> {
    let reason = reason(&parameters);
    let alarm = parameters.flag("triggerFailureWorkflow", false)?;
    each(&api, body, |id| Command::Terminate { id, reason: reason.clone(), alarm }).await
}

async fn remove(
    State(api): State<Api>,
    parameters: Parameters,
    body: RequestBody,
) -> Result<Response, Problem> {
    let open = removal(&parameters)?;
    each(&api, body, |id| Command::Remove { id, open: open.clone() }).await
}

async fn terminate_remove(
    State(api): State<Api>,
    parameters: Parameters,
    body: RequestBody,
) -> Result<Response, Problem> {
    let open = OpenWorkflow::Terminate(reason(&parameters));
    each(&api, body, |id| Command::Remove { id, open: open.clone() }).await
}
