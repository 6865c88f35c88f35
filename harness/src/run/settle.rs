//! After the load: every start whose fate is unknown is settled, and every workflow is read back.

use super::Stage;
use crate::clock;
use crate::target::http::Exchange;
use crate::target::wire::{StoredTask, StoredWorkflow};
use serde_json::{Value, json};
use shakedown_reports::history::{FinalTask, FinalWorkflow, Note, Outcome, Record, Start};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long the reading may take after an interrupt: the person waits.
const IN_A_HURRY: Duration = Duration::from_secs(5);
/// How long one workflow is tried to be read.
const TRY_FOR: Duration = Duration::from_secs(10);
/// From one try to the next.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Reads back what `starts` became, for the `reading`th time. What can't be read stays unknown, and a note says so.
pub async fn read_back(stage: &Stage<'_>, starts: &[Start], reading: u32) {
    if stage.interrupt.is_asked() && !stage.host.is_ours() {
        end_what_runs(stage, starts).await;
    }
    tokio::select! {
        () = read_all(stage, starts, reading) => {}
        () = patience(stage) => stage.note("interrupted: not every workflow was read back", Value::Null),
    }
}

/// Ends a moment after an interrupt, whenever it comes.
async fn patience(stage: &Stage<'_>) {
    stage.interrupt.asked().await;
    tokio::time::sleep(IN_A_HURRY).await;
}

/// Readers that work side by side: a load of thousands is read back in seconds, and no server is hurt by eight.
const READERS: usize = 8;

async fn read_all(stage: &Stage<'_>, starts: &[Start], reading: u32) {
    let next = AtomicUsize::new(0);
    let silent = AtomicBool::new(false);
    let reader = || async {
        while let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)) {
            if silent.load(Ordering::Relaxed) {
                return;
            }
            if !read_start(stage, start, reading).await {
                // A target that does not answer for one does not for the next: nobody waits for each of them.
                silent.store(true, Ordering::Relaxed);
            }
        }
    };
    let [a, b, c, d, e, f, g, h]: [_; READERS] = std::array::from_fn(|_| reader());
    tokio::join!(a, b, c, d, e, f, g, h);
    if silent.into_inner() {
        stage.note("the target does not answer: the rest was not read back", Value::Null);
    }
}

/// Reads what one start became; false when the target does not answer.
async fn read_start(stage: &Stage<'_>, start: &Start, reading: u32) -> bool {
    match (start.outcome, &start.workflow_id) {
        (Outcome::Ok, Some(id)) => {
            // One that was sent more often may have been taken more often.
            let once = start.tries == 1;
            read_one(stage, start, id, reading).await
                && (once || look_for(stage, start, reading, Some(id)).await)
        }
        (Outcome::Unknown, _) => settle(stage, start, reading).await,
        // Under faults a target may say no and do it all the same.
        (Outcome::Failed, _) if !stage.plan.injections.is_empty() => {
            look_for(stage, start, reading, None).await
        }
        _ => true,
    }
}

/// A server of somebody else keeps nothing running that a run left behind.
async fn end_what_runs(stage: &Stage<'_>, starts: &[Start]) {
    let all = async {
        for workflow_id in starts.iter().filter_map(|start| start.workflow_id.as_deref()) {
            // One that has ended refuses, and that is as well.
            stage.host.target.terminate(workflow_id, "the shakedown run was interrupted").await;
        }
    };
    if tokio::time::timeout(IN_A_HURRY, all).await.is_err() {
        stage.note("interrupted: workflows of this run may still be running at the target", Value::Null);
    }
}

/// Reads one back; false when the target does not answer.
async fn read_one(stage: &Stage<'_>, start: &Start, workflow_id: &str, reading: u32) -> bool {
    let give_up_ns = clock::now_ns() + clock::nanos(TRY_FOR);
    loop {
        let (exchange, workflow) = stage.host.target.workflow(workflow_id).await;
        match (workflow, exchange.status) {
            (Some(workflow), _) => {
                stage.journal.write(Record::Final(told(start, workflow_id, workflow, reading)));
                return true;
            }
            (None, Some(404)) => {
                stage.journal.write(Record::Final(unknown_there(start, workflow_id, reading)));
                return true;
            }
            _ if clock::now_ns() > give_up_ns => {
                let error = exchange.error().unwrap_or_else(|| "the answer can't be understood".to_owned());
                let data = json!({ "workflow_id": workflow_id, "error": error });
                stage.note("a workflow could not be read back", data);
                return tells(&exchange);
            }
            _ => tokio::time::sleep(AGAIN_AFTER).await,
        }
    }
}

/// Asks the target for the correlation id of a start that may or may not have happened; false when it does not answer.
async fn settle(stage: &Stage<'_>, start: &Start, reading: u32) -> bool {
    let Some(name) = stage.plan.template_of(start) else { return true };
    let (exchange, found) = correlated(stage, name, start).await;
    let data = |more: Value| json!({ "correlation_id": start.correlation_id, "found": more });
    match found.as_deref() {
        Some([]) => {
            stage.note("a start of unknown fate did not happen", data(json!([])));
            stage.journal.write(Record::Final(unknown_there(start, "", reading)));
        }
        Some(workflows) => {
            let ids: Vec<&str> = workflows.iter().map(|workflow| workflow.workflow_id.as_str()).collect();
            stage.note("a start of unknown fate happened", data(json!(ids)));
            write_all(stage, start, workflows, reading);
        }
        None => {
            let why = exchange.error().unwrap_or_else(|| "the answer can't be understood".to_owned());
            stage.note("a start of unknown fate stays unknown: the target can't be asked", data(json!(why)));
        }
    }
    tells(&exchange)
}

/// Asks the target for the correlation id of a start: of one that it refused there must be nothing, of one that it took
/// nothing but `known`. False when it does not answer.
async fn look_for(stage: &Stage<'_>, start: &Start, reading: u32, known: Option<&str>) -> bool {
    let Some(name) = stage.plan.template_of(start) else { return true };
    let (exchange, found) = correlated(stage, name, start).await;
    match found {
        Some(workflows) if workflows.is_empty() && known.is_none() => {
            stage.journal.write(Record::Final(unknown_there(start, "", reading)));
        }
        Some(mut workflows) => {
            workflows.retain(|workflow| Some(workflow.workflow_id.as_str()) != known);
            write_all(stage, start, &workflows, reading);
        }
        // The check says how many were looked for.
        None => {}
    }
    tells(&exchange)
}

/// False when there was no answer, or one that there is nobody to give it: a gateway, or a node whose database is away,
/// says the same of the next.
fn tells(exchange: &Exchange) -> bool {
    exchange.status.is_some_and(|status| !(502..=504).contains(&status))
}

/// The workflows under the correlation id of a start; asked again for a while when the target can't tell.
async fn correlated(stage: &Stage<'_>, name: &str, start: &Start) -> (Exchange, Option<Vec<StoredWorkflow>>) {
    let give_up_ns = clock::now_ns() + clock::nanos(TRY_FOR);
    loop {
        let asked = stage.host.target.correlated(name, &start.correlation_id).await;
        if asked.1.is_some() || clock::now_ns() > give_up_ns {
            return asked;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

fn write_all(stage: &Stage<'_>, start: &Start, workflows: &[StoredWorkflow], reading: u32) {
    for workflow in workflows {
        let id = &workflow.workflow_id;
        stage.journal.write(Record::Final(told(start, id, workflow.clone(), reading)));
    }
}

impl Stage<'_> {
    /// Adds a remark to the history.
    pub fn note(&self, text: &str, data: Value) {
        self.journal.write(Record::Note(Note { at_ns: clock::now_ns(), text: text.to_owned(), data }));
    }
}

fn unknown_there(start: &Start, workflow_id: &str, reading: u32) -> FinalWorkflow {
    FinalWorkflow { found: false, ..told(start, workflow_id, StoredWorkflow::default(), reading) }
}

fn told(start: &Start, workflow_id: &str, workflow: StoredWorkflow, reading: u32) -> FinalWorkflow {
    FinalWorkflow {
        level: start.level.clone(),
        index: start.index,
        reading,
        workflow_id: workflow_id.to_owned(),
        found: true,
        status: workflow.status,
        reason: workflow.reason_for_incompletion,
        created_ms: workflow.create_time,
        ended_ms: workflow.end_time,
        tasks: workflow.tasks.into_iter().map(task).collect(),
    }
}

fn task(task: StoredTask) -> FinalTask {
    FinalTask {
        task_id: task.task_id,
        reference: task.reference_task_name,
        task_type: task.task_type,
        status: task.status,
        attempt: task.retry_count,
        poll_count: task.poll_count,
        nonce: task.output_data.get("nonce").and_then(Value::as_str).map(str::to_owned),
        scheduled_ms: task.scheduled_time,
        started_ms: task.start_time,
        ended_ms: task.end_time,
        reason: task.reason_for_incompletion,
    }
}
