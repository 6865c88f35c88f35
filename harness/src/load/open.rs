//! Open load: each workflow is sent when it is due, whatever became of those before it. Runs in the load child.
//!
//! A thread of its own does nothing but sleep until the next arrival, so no answer that is being read can make it
//! late; one tokio thread sends and reads. Between them is a queue: what waits there shows as lag, never as silence.

use super::spec::{BEGAN, LoadSpec, Shape};
use super::watch::{self, Turns};
use crate::clock;
use crate::journal::{self, Journal};
use crate::target::conductor::{Conductor, started_id};
use crate::target::http::Exchange;
use anyhow::Context as _;
use shakedown_reports::history::{Call, Observed, Outcome, Record, Shed, Start};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

/// From the end of the preparations to the beginning of the schedule: the first arrival is not late by them.
const LEAD: Duration = Duration::from_millis(50);
/// Pauses between the tries of one start, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

struct Level {
    spec: LoadSpec,
    journal: Journal,
    target: Conductor,
    in_flight: AtomicU64,
    turns: Turns,
    /// When the last workflow is due; set when the schedule begins.
    last_due_ns: OnceLock<u64>,
}

/// Runs the level of `spec` and writes its records to `out`.
///
/// # Errors
/// The file can't be written, or the system refuses a thread.
pub fn run(spec: LoadSpec, out: &Path) -> anyhow::Result<()> {
    let (journal, writer) = journal::open(out).with_context(|| format!("cannot write {}", out.display()))?;
    let target = Conductor::new(&spec.base)?;
    let within_ns = spec.workflows.iter().map(|workflow| workflow.due_ns).max().unwrap_or(0);
    let turns = Turns::new(spec.workflows.len(), within_ns);
    let (in_flight, last_due_ns) = (AtomicU64::new(0), OnceLock::new());
    let level = Level { spec, journal, target, in_flight, turns, last_due_ns };
    // One thread sends thousands a second, and leaves the rest of the machine to target and workers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(offer(Arc::new(level)))?;
    drop(runtime);
    writer.close().with_context(|| format!("cannot write {}", out.display()))
}

/// Offers the whole schedule and waits until everything that was sent has ended, or was given up.
async fn offer(level: Arc<Level>) -> anyhow::Result<()> {
    // A connection is open before the first arrival, which would pay for it.
    level.target.queue_sizes(&["shakedown_preflight".to_owned()]).await;
    let began_ns = clock::now_ns() + clock::nanos(LEAD);
    println!("{BEGAN}{began_ns}");
    let last_due_ns = level.spec.workflows.iter().map(|workflow| began_ns + workflow.due_ns).max();
    level.last_due_ns.get_or_init(|| last_due_ns.unwrap_or(began_ns));
    let mut due = pace(&level.spec, began_ns)?;
    let cap = match level.spec.shape {
        Shape::Open { in_flight_cap } => u64::from(in_flight_cap),
        Shape::Closed { .. } => anyhow::bail!("a closed level was given to the driver of open load"),
    };
    let mut running = JoinSet::new();
    while let Some((index, due_ns)) = due.recv().await {
        let in_flight = level.in_flight.load(Ordering::Relaxed);
        if in_flight >= cap {
            let at_ns = clock::now_ns();
            let shed = Shed { level: level.spec.level.clone(), index, due_ns, at_ns, in_flight };
            level.journal.write(Record::Shed(shed));
            continue;
        }
        level.in_flight.fetch_add(1, Ordering::Relaxed);
        running.spawn(one_workflow(Arc::clone(&level), index, due_ns));
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
    Ok(())
}

/// Tells each index at the instant at which it is due.
fn pace(spec: &LoadSpec, began_ns: u64) -> std::io::Result<UnboundedReceiver<(u64, u64)>> {
    let (arrive, arrivals) = unbounded_channel();
    let due: Vec<u64> = spec.workflows.iter().map(|workflow| began_ns + workflow.due_ns).collect();
    std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        clock::precise_sleeps();
        for (index, due_ns) in (0u64..).zip(due) {
            clock::sleep_until(due_ns);
            if arrive.send((index, due_ns)).is_err() {
                return;
            }
        }
    })?;
    Ok(arrivals)
}

/// Starts one workflow and watches it to its end.
async fn one_workflow(level: Arc<Level>, index: u64, due_ns: u64) {
    let started = start(&level, index, due_ns).await;
    if let Some((workflow_id, sent_ns)) = started.filter(|_| level.spec.watch) {
        let observed = observe(&level, index, workflow_id, sent_ns).await;
        level.journal.write(Record::Observed(observed));
    }
    level.in_flight.fetch_sub(1, Ordering::Relaxed);
}

async fn start(level: &Level, index: u64, due_ns: u64) -> Option<(String, u64)> {
    let spec = &level.spec;
    let Sent { first_sent_ns, last: sent, tries, may_have_happened } = send(level, index).await;
    let workflow_id = started_id(&sent);
    let outcome = fate(sent.outcome(), workflow_id.is_some(), may_have_happened);
    level.journal.write(Record::Start(Start {
        level: spec.level.clone(),
        index,
        correlation_id: spec.correlation_id(index),
        due_ns,
        sent_ns: first_sent_ns,
        done_ns: sent.done_ns,
        outcome,
        status: sent.status,
        workflow_id: workflow_id.clone(),
        error: sent.error(),
        tries,
    }));
    workflow_id.map(|workflow_id| (workflow_id, sent.sent_ns))
}

/// What became of a start whose last try was answered like this.
fn fate(last: Outcome, has_id: bool, may_have_happened: bool) -> Outcome {
    match last {
        // A yes without an id may stand for a workflow that nobody can name.
        Outcome::Ok if !has_id => Outcome::Unknown,
        // A refusal says nothing of an earlier try that was not answered.
        Outcome::Failed if may_have_happened => Outcome::Unknown,
        outcome => outcome,
    }
}

/// A start as it was sent, the last time.
struct Sent {
    first_sent_ns: u64,
    last: Exchange,
    tries: u32,
    /// One of the tries was not answered.
    may_have_happened: bool,
}

/// Sends a start. Without an idempotency key it is never sent twice: one whose fate is unknown is settled by its
/// correlation id when the run is over. With one, it is sent until it is answered, or refused for good.
async fn send(level: &Level, index: u64) -> Sent {
    let spec = &level.spec;
    let request = spec.start_request(index);
    let within = Duration::from_millis(spec.start_within_ms);
    let mut last = level.target.start_within(&request, within).await;
    let first_sent_ns = last.sent_ns;
    let give_up_ns = first_sent_ns + spec.retry_for_ms * 1_000_000;
    let (mut tries, mut pause) = (1, FIRST_PAUSE);
    let mut may_have_happened = last.outcome() == Outcome::Unknown;
    while is_worth_another_try(&last) && clock::now_ns() + clock::nanos(pause) < give_up_ns {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        last = level.target.start_within(&request, within).await;
        tries += 1;
        may_have_happened |= last.outcome() == Outcome::Unknown;
    }
    Sent { first_sent_ns, last, tries, may_have_happened }
}

/// Not answered, or refused for the moment: 429, 503 and 507 say "later".
fn is_worth_another_try(sent: &Exchange) -> bool {
    match sent.status {
        None => true,
        Some(status) => status == 429 || status >= 500,
    }
}

async fn observe(level: &Level, index: u64, workflow_id: String, started_ns: u64) -> Observed {
    let spec = &level.spec;
    let expected_ns = spec.to_start(index).expected_ns;
    // The drain time begins when nothing arrives any more: what is in force until then keeps nobody's workflow from its
    // end for good.
    let give_up_ns =
        level.last_due_ns.get().copied().unwrap_or(0).max(started_ns) + spec.drain_ns.max(expected_ns);
    let mut last_sent_ns = started_ns;
    tokio::time::sleep(clock::until(watch::first_read_ns(started_ns, expected_ns))).await;
    loop {
        let sent = level.target.status(&workflow_id).await;
        level.journal.write(Record::Call(Call {
            level: spec.level.clone(),
            op: "status".to_owned(),
            sent_ns: sent.sent_ns,
            done_ns: sent.done_ns,
            outcome: sent.outcome(),
            status: sent.status,
        }));
        let status = crate::target::conductor::status_in(&sent);
        let ended = status.as_deref().is_some_and(watch::is_terminal);
        if ended || sent.done_ns >= give_up_ns {
            return Observed {
                level: spec.level.clone(),
                index,
                workflow_id,
                done_ns: sent.done_ns,
                status: status.unwrap_or_else(|| "RUNNING".to_owned()),
                resolution_ns: sent.done_ns - last_sent_ns,
            };
        }
        last_sent_ns = sent.sent_ns;
        rest(level, sent.done_ns, started_ns, give_up_ns).await;
    }
}

/// Waits until the next read is worth its cost, and its turn has come; when the time is over nobody waits.
async fn rest(level: &Level, read_ns: u64, started_ns: u64, give_up_ns: u64) {
    let pause = watch::sparing_pause(read_ns, started_ns);
    tokio::time::sleep(clock::until(give_up_ns.min(read_ns + clock::nanos(pause)))).await;
    let turn_ns = level.turns.take(clock::now_ns());
    tokio::time::sleep(clock::until(give_up_ns.min(turn_ns))).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_after_a_try_without_an_answer_settles_nothing() {
        assert_eq!(fate(Outcome::Failed, false, true), Outcome::Unknown);
        assert_eq!(fate(Outcome::Failed, false, false), Outcome::Failed);
        assert_eq!(fate(Outcome::Ok, true, true), Outcome::Ok);
        assert_eq!(fate(Outcome::Ok, false, false), Outcome::Unknown);
        assert_eq!(fate(Outcome::Unknown, false, false), Outcome::Unknown);
    }
}
