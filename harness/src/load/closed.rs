//! Closed load on goose: one `execute()` for a level, our recorder inside. Runs in the load child only.

use super::pace::Pace;
use super::spec::{BEGAN, LoadSpec, Shape};
use super::watch;
use crate::clock;
use crate::journal::{self, Journal};
use crate::target::outcome;
use anyhow::Context as _;
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::prelude::*;
use shakedown_reports::history::{Call, Observed, Outcome, Record, Start};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Deadline of one request; a stalled target becomes a sample, not a stalled driver.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// What all places in flight share.
struct Level {
    spec: LoadSpec,
    concurrency: u32,
    waves: u32,
    journal: Journal,
    pace: Pace,
    places: AtomicU64,
    began: AtomicBool,
}

/// One of the N places in flight.
#[derive(Clone)]
struct Place {
    number: u64,
    wave: u64,
    free_ns: u64,
}

/// What a request came to.
struct Sent {
    sent_ns: u64,
    done_ns: u64,
    outcome: Outcome,
    status: Option<u16>,
    text: Result<String, String>,
}

/// Runs the level of `spec` and writes its records to `out`.
///
/// # Errors
/// The file can't be written, or goose refuses the level.
pub fn run(spec: LoadSpec, out: &Path) -> anyhow::Result<()> {
    let (journal, writer) = journal::open(out).with_context(|| format!("cannot write {}", out.display()))?;
    let Shape::Closed { concurrency, waves } = spec.shape else {
        anyhow::bail!("an open level was given to the driver of closed load")
    };
    let (places, began) = (AtomicU64::new(0), AtomicBool::new(false));
    let pace = Pace::new(concurrency);
    let level = Level { spec, concurrency, waves, journal, pace, places, began };
    // One thread is enough for far more than a closed level asks for, and leaves the rest to target and workers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(attack(Arc::new(level)))?;
    drop(runtime);
    writer.close().with_context(|| format!("cannot write {}", out.display()))
}

async fn attack(level: Arc<Level>) -> anyhow::Result<()> {
    let (users, waves) = (level.concurrency.to_string(), level.waves.to_string());
    let host = level.spec.base.clone();
    // All places at once: goose's default is one more each second.
    let arguments = ["--host", &host, "-u", &users, "-r", "100000", "--iterations", &waves];
    let quiet = ["-q", "--no-telnet", "--no-print-metrics", "--no-status-codes"];
    let configuration = GooseConfiguration::parse_args_default(&[&arguments[..], &quiet[..]].concat())?;
    let client = GooseClientBuilder::new().without_cookies().timeout(REQUEST_WITHIN);
    let scenario = Scenario::new("closed")
        .register_transaction(transaction_of(&level, take_place).set_on_start())
        .register_transaction(transaction_of(&level, one_workflow));
    GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(client)?
        .register_scenario(scenario)
        .execute()
        .await?;
    Ok(())
}

type Step =
    for<'u> fn(&'u mut GooseUser, Arc<Level>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'u>>;

fn transaction_of(level: &Arc<Level>, step: Step) -> Transaction {
    let level = Arc::clone(level);
    Transaction::new(Arc::new(move |user| {
        let work = step(user, Arc::clone(&level));
        Box::pin(async move {
            work.await;
            Ok(())
        })
    }))
}

/// Takes a place and opens its connection, so that the first start does not pay for it.
fn take_place(
    user: &mut GooseUser,
    level: Arc<Level>,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
    Box::pin(async move {
        let number = level.places.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}/tasks/queue/sizes?taskType=shakedown_preflight", level.spec.base);
        let _ = send(user.client.get(url)).await;
        let free_ns = clock::now_ns();
        if !level.began.swap(true, Ordering::Relaxed) {
            println!("{BEGAN}{free_ns}");
        }
        user.set_session_data(Place { number, wave: 0, free_ns });
    })
}

/// Starts the next workflow of this place and watches it to its end.
fn one_workflow(
    user: &mut GooseUser,
    level: Arc<Level>,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
    Box::pin(async move {
        let place = user.get_session_data_unchecked::<Place>().clone();
        let index = place.wave * u64::from(level.concurrency) + place.number;
        if let Some((workflow_id, started_ns)) = start(user, &level, index, place.free_ns).await {
            let observed = observe(user, &level, index, workflow_id, started_ns).await;
            level.journal.write(Record::Observed(observed));
        }
        user.set_session_data(Place { wave: place.wave + 1, free_ns: clock::now_ns(), ..place });
    })
}

async fn start(user: &GooseUser, level: &Level, index: u64, due_ns: u64) -> Option<(String, u64)> {
    let spec = &level.spec;
    let correlation_id = spec.correlation_id(index);
    let body = spec.start_request(index);
    // Never sent twice: a start whose fate is unknown is settled by its correlation id when the run is over.
    let sent = send(user.client.post(format!("{}/workflow", spec.base)).json(&body)).await;
    let workflow_id = sent.text.as_ref().ok().map(|text| text.trim().trim_matches('"').to_owned());
    level.journal.write(Record::Start(Start {
        level: spec.level.clone(),
        index,
        correlation_id,
        due_ns,
        sent_ns: sent.sent_ns,
        done_ns: sent.done_ns,
        outcome: sent.outcome,
        status: sent.status,
        workflow_id: workflow_id.clone(),
        error: sent.text.err(),
        tries: 1,
    }));
    workflow_id.map(|workflow_id| (workflow_id, sent.sent_ns))
}

async fn observe(
    user: &GooseUser,
    level: &Level,
    index: u64,
    workflow_id: String,
    started_ns: u64,
) -> Observed {
    let spec = &level.spec;
    let work_ns = spec.to_start(index).expected_ns;
    let give_up_ns = started_ns + spec.drain_ns.max(work_ns);
    let expected_ns = level.pace.expected_ns(work_ns);
    let url = format!("{}/workflow/{workflow_id}/status", spec.base);
    let mut last_sent_ns = started_ns;
    tokio::time::sleep(clock::until(watch::first_read_ns(started_ns, expected_ns))).await;
    loop {
        let sent = send(user.client.get(&url)).await;
        level.journal.write(Record::Call(Call {
            level: spec.level.clone(),
            op: "status".to_owned(),
            sent_ns: sent.sent_ns,
            done_ns: sent.done_ns,
            outcome: sent.outcome,
            status: sent.status,
        }));
        let status = sent.text.ok().and_then(|text| status_in(&text));
        let failed = status.is_none();
        let ended = status.as_deref().is_some_and(watch::is_terminal);
        if ended || sent.done_ns >= give_up_ns {
            level.pace.learn(sent.done_ns.saturating_sub(started_ns + work_ns), last_sent_ns == started_ns);
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
        tokio::time::sleep(level.pace.pause(sent.done_ns, started_ns, expected_ns, failed)).await;
    }
}

fn status_in(text: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(answer.get("status")?.as_str()?.to_owned())
}

/// One request on the level's shared client, timed from before it is sent to after its body is read.
async fn send(request: reqwest::RequestBuilder) -> Sent {
    let sent_ns = clock::now_ns();
    let mut status = None;
    let answered = async {
        let response = request.send().await?;
        status = Some(response.status().as_u16());
        response.text().await
    };
    let answer = answered.await;
    let done_ns = clock::now_ns();
    let (outcome, text) = match (answer, status) {
        (Ok(text), Some(status)) => match outcome::of_status(status) {
            Outcome::Ok => (Outcome::Ok, Ok(text)),
            refused => {
                (refused, Err(format!("HTTP {status}: {}", text.chars().take(200).collect::<String>())))
            }
        },
        (Err(error), _) if error.is_connect() => (Outcome::Failed, Err(format!("cannot connect: {error:?}"))),
        (Err(error), _) => (Outcome::Unknown, Err(format!("{error:?}"))),
        (Ok(_), None) => (Outcome::Unknown, Err("an answer without a status".to_owned())),
    };
    Sent { sent_ns, done_ns, outcome, status, text }
}
