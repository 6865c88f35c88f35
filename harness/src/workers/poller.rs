//! The long-polling loop of one task type.

use super::lease::{self, Lease, Taken};
use super::pool::{Pool, Slot};
use super::{Shared, work};
use crate::clock;
use crate::target::http::Exchange;
use crate::target::wire::PolledTask;
use shakedown_reports::history::{Call, Record};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// First pause after a poll that failed, and the longest: a target that comes back is noticed within a quarter of a
/// second.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Polls until the fleet stops, then waits for the work in progress to be given up.
pub async fn run(shared: Arc<Shared>, task_type: String, pool: Arc<Pool>) {
    let worker = format!("{}-{}", shared.spec.tag, pool.name());
    let mut works = JoinSet::new();
    tokio::select! {
        () = poll_for_ever(&shared, &task_type, &pool, &worker, &mut works) => {}
        () = shared.stopped() => {}
    }
    while works.join_next().await.is_some() {}
}

async fn poll_for_ever(
    shared: &Arc<Shared>,
    task_type: &str,
    pool: &Arc<Pool>,
    worker: &str,
    works: &mut JoinSet<()>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        // One more than nothing: with all slots busy, one task of each type at most waits here, not in the queue.
        // Its wait for a slot counts as wait in the queue. A poller that never asked while its pool is full could
        // be starved by the other types of the pool.
        let count = pool.free().max(1);
        let (exchange, tasks) =
            shared.spec.target.poll(task_type, worker, count, shared.spec.poll_wait).await;
        while works.try_join_next().is_some() {}
        match tasks {
            Some(tasks) if tasks.is_empty() => {
                journal_call(shared, "poll_empty", &exchange);
                tell_recovery(task_type, pause);
                pause = FIRST_PAUSE;
            }
            Some(tasks) => {
                tell_recovery(task_type, pause);
                pause = FIRST_PAUSE;
                take(shared, pool, worker, works, tasks, exchange.done_ns).await;
                // Work that takes no time reports before the next poll goes out.
                tokio::task::yield_now().await;
            }
            None => {
                journal_call(shared, "poll", &exchange);
                if pause == FIRST_PAUSE {
                    let why = exchange.error().unwrap_or_else(|| "the answer can't be understood".to_owned());
                    tracing::info!(task_type, why, "the target can't be polled; trying again");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn tell_recovery(task_type: &str, pause: Duration) {
    if pause > FIRST_PAUSE {
        tracing::info!(task_type, "the target can be polled again");
    }
}

/// Gives each task a slot, in order. Nothing more is polled until the last of them has one.
async fn take(
    shared: &Arc<Shared>,
    pool: &Arc<Pool>,
    worker: &str,
    works: &mut JoinSet<()>,
    tasks: Vec<PolledTask>,
    polled_ns: u64,
) {
    let mut waiting = VecDeque::from(tasks);
    while let Some(first) = waiting.front() {
        let mut lease = Lease::new(first, polled_ns);
        let slot = slot_for(shared, pool, worker, &mut lease, &waiting).await;
        let Some(task) = waiting.pop_front() else { return };
        let handed =
            work::Handed { task, lease, polled_ns, pool: pool.name().to_owned(), worker: worker.to_owned() };
        works.spawn(work::run(Arc::clone(shared), Arc::clone(pool), handed, slot));
    }
}

/// Waits for a slot; the tasks that wait here show signs of life meanwhile, or the target would hand them out again.
async fn slot_for(
    shared: &Arc<Shared>,
    pool: &Pool,
    worker: &str,
    lease: &mut Lease,
    waiting: &VecDeque<PolledTask>,
) -> Slot {
    // One future for the whole wait: asking anew would mean to queue at the end.
    let slot = pool.slot();
    tokio::pin!(slot);
    loop {
        tokio::select! {
            // A free slot is taken without asking the timer.
            biased;
            slot = &mut slot => return slot,
            () = shared.timer.sleep_until(lease.next_ns) => {
                for task in waiting {
                    lease::extend(&shared.spec.target, task, worker, &Taken::none(task, clock::now_ns()));
                }
                lease.renew();
            }
        }
    }
}

fn journal_call(shared: &Shared, op: &str, exchange: &Exchange) {
    shared.spec.journal.write(Record::Call(Call {
        level: String::new(),
        op: op.to_owned(),
        sent_ns: exchange.sent_ns,
        done_ns: exchange.done_ns,
        outcome: exchange.outcome(),
        status: exchange.status,
    }));
}
