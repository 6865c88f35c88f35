//! `samples.csv`: one row a workflow and one an execution, so that every figure can be computed again elsewhere.

use crate::joined::{Joined, WorkflowRun};
use serde::Serialize;

/// Instants are nanoseconds of the harness's clock (`*_ns`) or epoch milliseconds of the target's (`*_ms`).
#[derive(Debug, Default, Serialize)]
struct Row<'a> {
    kind: &'a str,
    level: &'a str,
    index: u64,
    correlation_id: &'a str,
    workflow_id: &'a str,
    task_id: &'a str,
    #[serde(rename = "ref")]
    reference: &'a str,
    pool: &'a str,
    worker: &'a str,
    attempt: Option<u32>,
    poll_count: Option<u32>,
    nonce: &'a str,
    due_ns: Option<u64>,
    polled_ns: Option<u64>,
    started_ns: Option<u64>,
    finished_ns: Option<u64>,
    planned_ns: Option<u64>,
    /// Of the start, or of the update.
    sent_ns: Option<u64>,
    /// When that was answered.
    answered_ns: Option<u64>,
    /// When the end of the workflow was seen.
    done_ns: Option<u64>,
    outcome: Option<crate::history::Outcome>,
    http_status: Option<u16>,
    /// Status of the workflow's or the task's record.
    status: &'a str,
    accepted: Option<bool>,
    created_ms: Option<u64>,
    scheduled_ms: Option<u64>,
    server_started_ms: Option<u64>,
    ended_ms: Option<u64>,
}

/// All samples as CSV with a header; an empty field is something that did not happen.
///
/// # Errors
/// A fault of the CSV writer, which memory as its sink does not have.
pub fn render(run: &Joined<'_>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for workflow in run.workflows() {
        writer.serialize(workflow_row(workflow))?;
        for execution in execution_rows(workflow) {
            writer.serialize(execution)?;
        }
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

fn workflow_row<'a>(workflow: &WorkflowRun<'a>) -> Row<'a> {
    let (start, record) = (workflow.start, workflow.record());
    Row {
        kind: "workflow",
        level: &workflow.planned.level,
        index: workflow.planned.index,
        correlation_id: &workflow.planned.correlation_id,
        workflow_id: workflow.workflow_id().unwrap_or(""),
        due_ns: start.map(|s| s.due_ns),
        sent_ns: start.map(|s| s.sent_ns),
        answered_ns: start.map(|s| s.done_ns),
        done_ns: workflow.observed.map(|o| o.done_ns),
        outcome: start.map(|s| s.outcome),
        http_status: start.and_then(|s| s.status),
        status: record.map_or("", |r| &r.status),
        created_ms: record.map(|r| r.created_ms),
        ended_ms: record.map(|r| r.ended_ms).filter(|ms| *ms > 0),
        ..Row::default()
    }
}

fn execution_rows<'a>(workflow: &WorkflowRun<'a>) -> impl Iterator<Item = Row<'a>> {
    let planned = workflow.planned;
    workflow.executions.iter().map(move |e| {
        let record = workflow.task_record(&e.task_id);
        Row {
            kind: "execution",
            level: &planned.level,
            index: planned.index,
            correlation_id: &planned.correlation_id,
            workflow_id: &e.workflow_id,
            task_id: &e.task_id,
            reference: &e.reference,
            pool: &e.pool,
            worker: &e.worker,
            attempt: Some(e.attempt),
            poll_count: Some(e.poll_count),
            nonce: &e.nonce,
            polled_ns: Some(e.polled_ns),
            started_ns: Some(e.started_ns),
            finished_ns: Some(e.finished_ns),
            planned_ns: Some(e.planned_ns),
            sent_ns: Some(e.update_sent_ns),
            answered_ns: Some(e.update_done_ns),
            outcome: Some(e.outcome),
            http_status: e.status,
            status: record.map_or("", |r| &r.status),
            accepted: Some(workflow.is_accepted(e)),
            scheduled_ms: Some(e.scheduled_ms),
            server_started_ms: Some(e.server_started_ms),
            ended_ms: record.map(|r| r.ended_ms).filter(|ms| *ms > 0),
            ..Row::default()
        }
    })
}
