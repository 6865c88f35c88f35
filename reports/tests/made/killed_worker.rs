//! A worker that was killed with a task in hand, put into a made run.

use super::MS;
use shakedown_reports::history::{Begun, Execution, FinalTask, History, Outcome, Reported};
use shakedown_reports::plan::{Plan, TaskRules};
use std::collections::BTreeMap;

/// A worker takes the task of a workflow in hand and is killed; the lease of 2 s runs out and another does it.
pub fn kill_a_worker(plan: &mut Plan, history: &mut History, index: u64) {
    const LEASE_NS: u64 = 2_000_000_000;
    plan.rules.push(TaskRules {
        task_type: "do_t".into(),
        retry_count: 2,
        retry_delay_s: 0.0,
        concurrent_limit: Some(200),
    });
    let own = |level: &str, i: u64| level == "chaos" && i == index;
    let at = history.executions.iter().position(|e| own(&e.level, e.index)).unwrap();
    let first = history.executions[at].clone();
    history.begun.push(begun(&first));
    let later = |e: &mut Execution, ns: u64| {
        for instant in [
            &mut e.polled_ns,
            &mut e.started_ns,
            &mut e.finished_ns,
            &mut e.update_sent_ns,
            &mut e.update_done_ns,
        ] {
            *instant += ns;
        }
        e.scheduled_ms += ns / MS;
        e.server_started_ms += ns / MS;
    };
    let mut second = Execution { attempt: 1, nonce: "n-second".into(), task_id: "second".into(), ..first };
    later(&mut second, LEASE_NS + 20 * MS);
    let left = &mut history.executions[at];
    *left = Execution {
        reported: Reported::Nothing,
        outcome: Outcome::Unknown,
        status: None,
        tries: 0,
        lease_s: 2.0,
        ..left.clone()
    };
    history.executions.push(second);
    let shift_ms = LEASE_NS / MS + 20;
    for observed in history.observed.iter_mut().filter(|o| own(&o.level, o.index)) {
        observed.done_ns += shift_ms * MS;
    }
    for read in history.finals.iter_mut().filter(|f| own(&f.level, f.index)) {
        let task = read.tasks[0].clone();
        let kept = FinalTask {
            attempt: 1,
            task_id: "second".into(),
            nonce: Some("n-second".into()),
            ..task.clone()
        };
        let kept = FinalTask {
            scheduled_ms: task.scheduled_ms + shift_ms,
            started_ms: task.started_ms + shift_ms,
            ended_ms: task.ended_ms + shift_ms,
            ..kept
        };
        read.ended_ms += shift_ms;
        read.tasks = vec![FinalTask { status: "TIMED_OUT".into(), nonce: None, ..task }, kept];
    }
}

fn begun(e: &Execution) -> Begun {
    Begun {
        level: e.level.clone(),
        index: e.index,
        workflow_id: e.workflow_id.clone(),
        task_id: e.task_id.clone(),
        reference: e.reference.clone(),
        task_type: e.task_type.clone(),
        pool: e.pool.clone(),
        worker: e.worker.clone(),
        attempt: e.attempt,
        poll_count: e.poll_count,
        nonce: e.nonce.clone(),
        after: BTreeMap::new(),
        polled_ns: e.polled_ns,
        started_ns: e.started_ns,
        planned_ns: e.planned_ns,
        scheduled_ms: e.scheduled_ms,
        server_started_ms: e.server_started_ms,
        lease_s: 2.0,
    }
}
