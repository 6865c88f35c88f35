//! One execution of a task: the work itself, with signs of life, and the record of it.

use super::assignment::Job;
use super::lease::{self, Lease, Taken};
use super::pool::{Pool, Slot};
use super::update::{self, Updated};
use super::{Shared, update::Report};
use crate::target::wire::PolledTask;
use crate::{clock, draw};
use serde_json::{Value, json};
use shakedown_reports::history::{Begun, End, Record, Reported};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A task in the hands of a worker.
#[derive(Debug)]
pub struct Handed {
    /// The task.
    pub task: PolledTask,
    /// When it has to show a sign of life.
    pub lease: Lease,
    /// When the answer that handed it out was read.
    pub polled_ns: u64,
    /// Pool that does it.
    pub pool: String,
    /// Name of the worker.
    pub worker: String,
}

/// What the work came to.
struct Done {
    finished_ns: u64,
    steps_s: BTreeMap<String, f64>,
    reported: Reported,
    extended: Taken,
}

/// Does the task, reports it and journals the execution; then the next one, if the answer to the report brings one.
/// The slot is held until the last report is answered.
pub async fn run(shared: Arc<Shared>, pool: Arc<Pool>, mut handed: Handed, slot: Slot) {
    while let Some((polled_ns, task)) = run_one(&shared, &pool, &handed).await {
        let lease = Lease::new(&task, polled_ns);
        handed = Handed { task, lease, polled_ns, ..handed };
    }
    drop(slot);
}

/// One task. The next is asked for only while other slots are free: else those who wait for one come first.
async fn run_one(shared: &Arc<Shared>, pool: &Pool, handed: &Handed) -> Option<(u64, PolledTask)> {
    let number = shared.executions.fetch_add(1, Ordering::Relaxed);
    let nonce = format!("{}.{number}", shared.spec.tag);
    let job = shared.spec.assignments.job(&handed.task);
    let begun = begun(shared, handed, &job, &nonce);
    if shared.spec.tell_begun {
        shared.spec.journal.write(Record::Begun(begun.clone()));
    }
    let done = work(shared, handed, &job, begun.started_ns).await;
    let (updated, next) = match done.reported {
        Reported::Nothing => (Updated::never(done.finished_ns), None),
        reported => {
            let report = Report { reported, output: output(handed, &nonce, &done.steps_s) };
            tokio::select! {
                answered = update::send(&shared.spec.target, handed, report, pool.free() > 0) => answered,
                () = shared.stopped() => (Updated::cut_off(done.finished_ns, clock::now_ns()), None),
            }
        }
    };
    let answered_ns = updated.done_ns;
    let end = End {
        finished_ns: done.finished_ns,
        reported: done.reported,
        update_sent_ns: updated.sent_ns,
        update_done_ns: updated.done_ns,
        outcome: updated.outcome,
        status: updated.status,
        tries: updated.tries,
        steps_s: done.steps_s,
        extended_ns: done.extended.last_ns(),
    };
    shared.spec.journal.write(Record::Execution(begun.ended(end)));
    next.map(|task| (answered_ns, task))
}

/// "Works" from `started_ns` until the planned instant; steps one after another.
async fn work(shared: &Arc<Shared>, handed: &Handed, job: &Job, started_ns: u64) -> Done {
    let end_ns = |work_s: f64| started_ns + real_ns(work_s, shared.spec.speed);
    let mut steps_s = BTreeMap::new();
    let taken = Taken::none(&handed.task, handed.polled_ns);
    let planned = async {
        let mut lease = handed.lease;
        let (mut begun_ns, mut worked_s) = (started_ns, 0.0);
        for (step, step_s) in &job.steps_s {
            worked_s += step_s;
            sleep(shared, handed, &mut lease, &taken, end_ns(worked_s)).await;
            let ended_ns = clock::now_ns();
            steps_s.insert(step.clone(), workflow_s(ended_ns - begun_ns, shared.spec.speed));
            begun_ns = ended_ns;
        }
        sleep(shared, handed, &mut lease, &taken, end_ns(job.work_s)).await;
    };
    let whole = tokio::select! {
        () = planned => true,
        () = shared.stopped() => false,
    };
    let reported = if whole { verdict(shared, handed, job) } else { Reported::Nothing };
    Done { finished_ns: clock::now_ns(), steps_s, reported, extended: taken }
}

async fn sleep(shared: &Arc<Shared>, handed: &Handed, lease: &mut Lease, taken: &Taken, until_ns: u64) {
    while lease.next_ns < until_ns {
        shared.timer.sleep_until(lease.next_ns).await;
        lease.renew();
        lease::extend(&shared.spec.target, &handed.task, &handed.worker, taken);
    }
    shared.timer.sleep_until(until_ns).await;
}

/// How the execution ends: drawn per attempt, so that a retry has its own luck.
fn verdict(shared: &Shared, handed: &Handed, job: &Job) -> Reported {
    let (behaviour, task) = (&shared.spec.behaviour, &handed.task);
    let key =
        format!("failure/{}/{}/{}/{}", job.level, job.index, task.reference_task_name, task.retry_count);
    let luck = draw::uniform(shared.spec.seed, &key);
    if luck < behaviour.terminal_failure_rate {
        Reported::FailedTerminally
    } else if luck < behaviour.terminal_failure_rate + behaviour.failure_rate {
        Reported::Failed
    } else {
        Reported::Completed
    }
}

fn output(handed: &Handed, nonce: &str, steps_s: &BTreeMap<String, f64>) -> Value {
    let mut output = json!({ "nonce": nonce, "task": handed.task.reference_task_name });
    if !steps_s.is_empty() {
        output["steps_s"] = json!(steps_s);
    }
    output
}

/// Workflow seconds as real nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, which is right here"
)]
pub fn real_ns(workflow_s: f64, speed: f64) -> u64 {
    (workflow_s / speed * 1e9).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "a duration in nanoseconds is far below 2^53")]
fn workflow_s(real_ns: u64, speed: f64) -> f64 {
    real_ns as f64 / 1e9 * speed
}

/// Nonces of the predecessors that the task's input carries.
fn carried(task: &PolledTask) -> BTreeMap<String, String> {
    let carried = task.input_data.get("after").and_then(Value::as_object).into_iter().flatten();
    carried.filter_map(|(name, nonce)| Some((name.clone(), nonce.as_str()?.to_owned()))).collect()
}

fn begun(shared: &Shared, handed: &Handed, job: &Job, nonce: &str) -> Begun {
    let task = &handed.task;
    Begun {
        level: job.level.clone(),
        index: job.index,
        workflow_id: task.workflow_instance_id.clone(),
        task_id: task.task_id.clone(),
        reference: task.reference_task_name.clone(),
        task_type: task.task_type.clone(),
        pool: handed.pool.clone(),
        worker: handed.worker.clone(),
        attempt: task.retry_count,
        poll_count: task.poll_count,
        nonce: nonce.to_owned(),
        after: carried(task),
        polled_ns: handed.polled_ns,
        started_ns: clock::now_ns(),
        planned_ns: real_ns(job.work_s, shared.spec.speed),
        scheduled_ms: task.scheduled_time,
        server_started_ms: task.start_time,
        lease_s: task.response_timeout_seconds,
    }
}
