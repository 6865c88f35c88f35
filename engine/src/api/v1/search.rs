//! `/workflow/search` and `/tasks/search`: what ran and runs, by fields; sorted and in pages.

use super::json;
use super::task_view::TaskView;
use super::workflow_view::{WorkflowView, failed_tasks};
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::archive::tasks::{READ, TaskQuery};
use crate::archive::{Page, Query};
use crate::machine::id::{TaskId, WorkflowId};
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::workflow::{Task, Workflow};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Results on a page when the client does not say.
const PAGE: usize = 100;
/// How long a search waits for the newest changes to be in the archive; then it goes on with what is there.
const FRESH: Duration = Duration::from_millis(250);

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/workflow/search", get(search))
        .route("/workflow/search-v2", get(search_v2))
        .route("/tasks/search", get(search_tasks))
        .route("/tasks/search-v2", get(search_tasks_v2))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Results<T> {
    total_hits: u64,
    /// Only said when it is so: `totalHits` is the bound of the count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_hits_capped: bool,
    results: Vec<T>,
}

/// A workflow in a list of results.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    workflow_type: &'a str,
    version: i64,
    workflow_id: WorkflowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    start_time: String,
    update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    status: WorkflowStatus,
    input: &'a str,
    output: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    execution_time: u64,
    failed_reference_task_names: String,
    failed_task_names: Vec<&'a str>,
    priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    input_size: usize,
    output_size: usize,
}

/// A task in a list of results.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskSummary<'a> {
    workflow_id: WorkflowId,
    workflow_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    scheduled_time: String,
    start_time: String,
    update_time: String,
    end_time: String,
    status: TaskStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    execution_time: u64,
    queue_wait_time: u64,
    task_def_name: &'a str,
    task_type: &'a str,
    input: &'a str,
    output: &'a str,
    task_id: TaskId,
    workflow_priority: u8,
}

impl<'a> TaskSummary<'a> {
    fn of(workflow: &'a Workflow, task: &'a Task) -> Self {
        let node = workflow.node(task);
        Self {
            workflow_id: workflow.id,
            workflow_type: &workflow.snapshot.def.name,
            correlation_id: workflow.start.correlation_id.as_deref(),
            scheduled_time: timestamp(task.scheduled_at),
            start_time: timestamp(task.started_at),
            update_time: timestamp(task.updated_at),
            end_time: timestamp(task.ended_at),
            status: task.status,
            reason_for_incompletion: task.reason.as_deref(),
            execution_time: task.ended_at.saturating_sub(task.started_at),
            queue_wait_time: task.started_at.saturating_sub(task.scheduled_at),
            task_def_name: &node.task.name,
            task_type: node.task_type(),
            input: task.input.text(),
            output: task.output.text(),
            task_id: workflow.task_id(task),
            workflow_priority: workflow.start.priority,
        }
    }
}

impl<'a> Summary<'a> {
    fn of(workflow: &'a Workflow) -> Self {
        let failed = failed_tasks(workflow);
        let references: Vec<&str> =
            failed.iter().map(|node| node.task.task_reference_name.as_str()).collect();
        let (input, output) = (workflow.start.input.text(), workflow.output.text());
        let ended = workflow.status.is_terminal();
        Self {
            workflow_type: &workflow.snapshot.def.name,
            version: workflow.snapshot.def.version,
            workflow_id: workflow.id,
            correlation_id: workflow.start.correlation_id.as_deref(),
            start_time: timestamp(workflow.created_at),
            update_time: timestamp(workflow.updated_at),
            end_time: ended.then(|| timestamp(workflow.ended_at)),
            status: workflow.status,
            input_size: input.len(),
            output_size: output.len(),
            input,
            output,
            reason_for_incompletion: workflow.reason.as_deref(),
            execution_time: if ended { workflow.ended_at.saturating_sub(workflow.created_at) } else { 0 },
            failed_reference_task_names: references.join(","),
            failed_task_names: failed.iter().map(|node| node.task.name.as_str()).collect(),
            priority: workflow.start.priority,
            created_by: workflow.start.created_by.as_deref(),
        }
    }
}

async fn search(State(api): State<Api>, parameters: Parameters) -> Result<Response, Problem> {
    let page = find(&api, &parameters).await?;
    Ok(answer(&page, Summary::of))
}

async fn search_v2(State(api): State<Api>, parameters: Parameters) -> Result<Response, Problem> {
    let page = find(&api, &parameters).await?;
    Ok(answer(&page, |workflow| WorkflowView::of(workflow, true)))
}

fn answer<'p, T: Serialize>(page: &'p Page, view: impl Fn(&'p Workflow) -> T) -> Response {
    let results = page.workflows.iter().map(view).collect();
    json(&Results { total_hits: page.total, total_hits_capped: !page.exact, results })
}

async fn search_tasks(State(api): State<Api>, parameters: Parameters) -> Result<Response, Problem> {
    answer_tasks(&api, &parameters, |workflow, task| json!(TaskSummary::of(workflow, task))).await
}

async fn search_tasks_v2(State(api): State<Api>, parameters: Parameters) -> Result<Response, Problem> {
    answer_tasks(&api, &parameters, |workflow, task| json!(TaskView::of(workflow, task))).await
}

async fn answer_tasks(
    api: &Api,
    parameters: &Parameters,
    view: impl Fn(&Workflow, &Task) -> Value,
) -> Result<Response, Problem> {
    let Asked { query, sort, start, size } = asked(parameters)?;
    let query = TaskQuery::parse(query, sort, start, size).map_err(Problem::bad_request)?;
    let of_workflows = query.workflows();
    let page = look(api, of_workflows).await?;
    if page.total > READ as u64 {
        return Err(Problem::bad_request(format!(
            "the conditions lead to {} workflows or more, and a search of tasks reads at most {READ}: narrow it by \
             workflowId, workflowType, correlationId, or startTime > (milliseconds)",
            page.total
        )));
    }
    let (hits, tasks) = query.select(&page.workflows);
    let results = tasks.into_iter().map(|(workflow, task)| view(workflow, task)).collect();
    Ok(json(&Results::<Value> { total_hits: hits as u64, total_hits_capped: false, results }))
}

/// What every search is given.
struct Asked<'p> {
    query: &'p str,
    sort: &'p str,
    start: usize,
    size: usize,
}

fn asked(parameters: &Parameters) -> Result<Asked<'_>, Problem> {
    if let Some(text) = parameters.text("freeText").filter(|text| *text != "*") {
        return Err(Problem::bad_request(format!(
            "freeText is '{text}'; this engine searches by fields only: use query, and freeText=*"
        )));
    }
    Ok(Asked {
        query: parameters.text("query").unwrap_or_default(),
        sort: parameters.text("sort").unwrap_or_default(),
        start: parameters.number("start")?.unwrap_or(0),
        size: parameters.number("size")?.unwrap_or(PAGE),
    })
}

async fn find(api: &Api, parameters: &Parameters) -> Result<Page, Problem> {
    let Asked { query, sort, start, size } = asked(parameters)?;
    let exact = parameters.flag("exactCount", false)?;
    let query = Query::parse(query, sort, start, size, exact).map_err(Problem::bad_request)?;
    look(api, query).await
}

async fn look(api: &Api, query: Query) -> Result<Page, Problem> {
    // What the client did before it asked is found, unless the disk takes its time.
    if let Ok(flushed) = tokio::time::timeout(FRESH, api.writer.flush()).await {
        flushed.map_err(crate::writer::Failure::from)?;
    }
    api.archived(move |archive| archive.search(&query)).await
}

/// `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'` of milliseconds since the epoch.
/// The calendar is the one of <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn timestamp(ms: u64) -> String {
    let (days, in_day) = (ms / 86_400_000 + 719_468, ms % 86_400_000);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", in_day % 1000)
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn instants_are_written_as_dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (4_102_444_800_000, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(ms), text);
        }
    }
}
