//! `/workflow/…`: finding workflows by the client's name for them, and those that are open.

use super::control::two;
use super::json;
use super::workflow_view::WorkflowView;
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::{self, Parameters, RequestBody, Segment};
use crate::archive::{ArchiveError, Query};
use crate::machine::status::WorkflowStatus;
use crate::machine::workflow::Workflow;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use std::collections::{BTreeMap, BTreeSet};

/// Names that one call may ask for.
const MAX_NAMES: usize = 1000;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/workflow/{name}/correlated/{id}", get(correlated))
        .route("/workflow/{name}/correlated", post(correlated_each))
        .route("/workflow/running/{name}", get(running))
}

/// Which workflows are shown, and how much of them.
#[derive(Clone, Copy)]
struct Shown {
    closed_too: bool,
    with_tasks: bool,
}

impl Shown {
    fn of(parameters: &Parameters) -> Result<Self, Problem> {
        let closed_too = parameters.flag("includeClosed", false)?;
        Ok(Self { closed_too, with_tasks: parameters.flag("includeTasks", false)? })
    }

    /// The workflows of these correlation ids, in memory and archived, oldest first.
    async fn find(
        self,
        api: &Api,
        name: &str,
        ids: Vec<String>,
    ) -> Result<BTreeMap<String, Vec<Workflow>>, Problem> {
        let (of, names) = (name.to_owned(), ids.clone());
        let look = move |state: &crate::machine::State| {
            let named = names.into_iter().map(|id| {
                let found = state.correlated(&of, &id).cloned().collect::<Vec<_>>();
                (id, found)
            });
            (named.collect::<BTreeMap<_, _>>(), state.removed().clone())
        };
        let (mut found, removed) = api.writer.read(look).await?;
        if !self.closed_too {
            let is_running = |workflow: &Workflow| workflow.status == WorkflowStatus::Running;
            found.values_mut().for_each(|workflows| workflows.retain(is_running));
            return Ok(found);
        }
        let queries: Vec<_> = ids.into_iter().map(|id| (Query::of_correlation(name, &id), id)).collect();
        let archived = api.archived(move |archive| {
            let pages = queries.into_iter().map(|(query, id)| Ok((id, archive.search(&query)?.workflows)));
            pages.collect::<Result<Vec<_>, ArchiveError>>()
        });
        for (id, archived) in archived.await? {
            let here = found.entry(id).or_default();
            // What is still in memory is newer there.
            let in_memory: BTreeSet<_> = here.iter().map(|workflow| workflow.id).collect();
            let is_new =
                |workflow: &Workflow| !in_memory.contains(&workflow.id) && !removed.contains(&workflow.id);
            here.extend(archived.into_iter().filter(is_new));
            here.sort_by_key(|workflow| workflow.id);
        }
        Ok(found)
    }

    fn views(self, found: &[Workflow]) -> Vec<WorkflowView<'_>> {
        found.iter().map(|workflow| WorkflowView::of(workflow, self.with_tasks)).collect()
    }
}

/// The workflows that carry a correlation id: how a client settles a start whose answer it lost.
async fn correlated(
    State(api): State<Api>,
    path: Result<Path<(String, String)>, PathRejection>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let (name, id) = two(path)?;
    let shown = Shown::of(&parameters)?;
    let found = shown.find(&api, &name, vec![id.clone()]).await?;
    Ok(json(&shown.views(&found[&id])))
}

/// The same for each of a list.
async fn correlated_each(
    State(api): State<Api>,
    Segment(name): Segment,
    parameters: Parameters,
    RequestBody(body): RequestBody,
) -> Result<Response, Problem> {
    let ids: Vec<String> = query::json(&body)?;
    if ids.len() > MAX_NAMES {
        let message = format!("the list holds {} correlation ids, it may hold {MAX_NAMES}", ids.len());
        return Err(Problem::bad_request(message));
    }
    let shown = Shown::of(&parameters)?;
    let found = shown.find(&api, &name, ids).await?;
    let views: BTreeMap<_, _> = found.iter().map(|(id, found)| (id, shown.views(found))).collect();
    Ok(json(&views))
}

/// Ids of the workflows of a name that have not ended. The version counts only with both times, as in Conductor.
async fn running(
    State(api): State<Api>,
    Segment(name): Segment,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let version: i64 = parameters.number("version")?.unwrap_or(1);
    let from: Option<u64> = parameters.number("startTime")?;
    let to: Option<u64> = parameters.number("endTime")?;
    let span = from.zip(to);
    let wanted = move |workflow: &&Workflow| {
        let def = &workflow.snapshot.def;
        let in_span =
            |(from, to): (u64, u64)| (from..=to).contains(&workflow.created_at) && def.version == version;
        def.name == name && !workflow.status.is_terminal() && span.is_none_or(in_span)
    };
    let look = move |state: &crate::machine::State| {
        state.workflows().filter(wanted).map(|workflow| workflow.id).collect::<Vec<_>>()
    };
    Ok(json(&api.writer.read(look).await?))
}
