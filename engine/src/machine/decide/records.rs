//! Making task records.

use super::draft::{Draft, fill_from_template};
use super::flow;
use crate::machine::bounds::MAX_DECIDED_BYTES;
use crate::machine::definition::Kind;
use crate::machine::event::{Scheduled, TaskChange};
use crate::machine::payload::Payload;
use crate::machine::snapshot::NodeIndex;
use crate::machine::status::{TaskStatus, WorkflowStatus};
use crate::machine::wait;
use crate::machine::workflow::Task;
use std::sync::Arc;

/// Makes the first record of a node; a fork brings its branches and its join.
pub fn schedule(draft: &mut Draft, index: NodeIndex) {
    let delay_ms = draft.workflow.snapshot.node(index).task.start_delay.ms();
    schedule_as(draft, index, Attempt { delay_ms, ..Attempt::first(draft.now) });
}

/// The same with another input or delay.
pub fn schedule_as(draft: &mut Draft, index: NodeIndex, attempt: Attempt) {
    if draft.workflow.status != WorkflowStatus::Running {
        return;
    }
    let (kind, branches, next) = {
        let node = draft.workflow.snapshot.node(index);
        (node.kind, node.branches.clone(), node.next)
    };
    make_record(draft, index, attempt);
    if kind == Kind::Fork {
        // A person may have skipped one of them already.
        for index in branches.into_iter().chain(next) {
            let is_join = Some(index) == next;
            if draft.workflow.latest(index).is_none() && (is_join || !draft.is_too_large()) {
                schedule(draft, index);
            }
        }
    }
}

fn first_status(kind: Kind, delay_ms: u64) -> TaskStatus {
    match kind {
        Kind::Simple | Kind::SubWorkflow => TaskStatus::Scheduled,
        Kind::Wait if delay_ms > 0 => TaskStatus::Scheduled,
        Kind::Wait | Kind::Join => TaskStatus::InProgress,
        Kind::Fork => TaskStatus::Completed,
    }
}

/// What a record has of its own, besides its place.
pub struct Attempt {
    pub number: u32,
    pub delay_ms: u64,
    pub first_at: u64,
    pub retry_of: Option<u32>,
    pub reason: Option<Arc<str>>,
    /// A person passes over it.
    pub skipped: bool,
    /// Replaces what the definition's parameters give.
    pub input: Option<Payload>,
}

impl Attempt {
    pub fn first(now: u64) -> Self {
        Self {
            number: 0,
            delay_ms: 0,
            first_at: now,
            retry_of: None,
            reason: None,
            skipped: false,
            input: None,
        }
    }

    pub fn after(task: &Task, delay_ms: u64) -> Self {
        Self {
            number: task.attempt + 1,
            delay_ms,
            first_at: task.first_at,
            retry_of: Some(task.seq),
            reason: task.reason.clone(),
            skipped: false,
            input: None,
        }
    }
}

/// Makes a record. One that cannot be done fails at once.
pub fn make_record(draft: &mut Draft, index: NodeIndex, attempt: Attempt) {
    let seq = draft.workflow.next_seq();
    let node = draft.workflow.snapshot.node(index);
    let kind = node.kind;
    let given = attempt.input.or_else(|| draft.evaluate(&node.task.input_parameters, Some(seq)));
    if given.is_none() {
        draft.count_bytes(MAX_DECIDED_BYTES + 1);
    }
    let node = draft.workflow.snapshot.node(index);
    let mut input = given.unwrap_or_default();
    let template = node.def.as_deref().map(|def| &def.input_template);
    if let Some(template) = template.filter(|template| !template.is_empty()) {
        input = fill_from_template(input.object(), template).into();
    }
    draft.count_bytes(input.text().len());
    let status = if attempt.skipped { TaskStatus::Skipped } else { first_status(kind, attempt.delay_ms) };
    let waits = kind == Kind::Wait && !attempt.skipped;
    let wait = if waits { wait::read(&input.object()) } else { Ok(None) };
    let scheduled = Scheduled {
        node: index,
        status,
        wait: wait.clone().unwrap_or_default(),
        domain: domain(draft, index).filter(|_| kind == Kind::Simple && !attempt.skipped),
        attempt: attempt.number,
        delay_ms: attempt.delay_ms,
        input,
        first_at: attempt.first_at,
        retry_of: attempt.retry_of,
        reason: attempt.reason,
    };
    draft.change_task(seq, TaskChange::Scheduled(Box::new(scheduled)));
    if let Err(why) = wait {
        fail(draft, seq, why.into());
    }
}

/// Ends a record that no retry can help.
fn fail(draft: &mut Draft, seq: u32, why: Arc<str>) {
    let (status, reason) = (TaskStatus::FailedWithTerminalError, Some(why));
    draft.change_task(seq, TaskChange::Ended { status, worker: None, output: None, reason });
    flow::settle_failure(draft, seq, 0);
}

/// The domain that the workflow's start asked for, for a worker's task.
fn domain(draft: &Draft, index: NodeIndex) -> Option<Arc<str>> {
    let domains = &draft.workflow.start.task_to_domain;
    let node = draft.workflow.snapshot.node(index);
    let list = domains.get(&node.task.name).or_else(|| domains.get("*"))?;
    draft.state.polls().choose(&node.queue, list, draft.now)
}
