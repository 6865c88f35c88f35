//! The engine with a defect below its API: what the harness's checks must find. Never for anything else.
//!
//! `broken engine --listen ADDR --store sqlite:PATH`, as the engine is started; the environment variable `DEFECT` says
//! what is wrong with it: `early` answers before the sync (what is appended reaches the disk a second later), `lose` leaves
//! every fifth workflow out of what it writes, `twice` leaves out that tasks were handed out, `forget` never lets a timer
//! fire.

use shakedown_engine::archive::MemoryArchive;
use shakedown_engine::machine::Event;
use shakedown_engine::machine::event::TaskChange;
use shakedown_engine::machine::id::WorkflowId;
use shakedown_engine::store::{self, AppendError, Apply, Store, StoreError};
use shakedown_engine::{Options, StoreUrl, clock, server};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long after its answer a batch is written.
const BEHIND: Duration = Duration::from_secs(1);

/// A store that says "done" and does it later.
struct Early {
    inner: Box<dyn Store>,
    waiting: VecDeque<(Duration, u64, Vec<u8>)>,
}

impl Store for Early {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        let now = clock::monotonic();
        self.waiting.push_back((now, position, frame.to_vec()));
        while self.waiting.front().is_some_and(|(at, ..)| *at + BEHIND < now)
            && let Some((_, position, frame)) = self.waiting.pop_front()
        {
            self.inner.append(position, &frame)?;
        }
        Ok(())
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        self.inner.replay(apply)
    }

    // What is not written yet can't be forgotten, and this one forgets nothing else either.
    fn forget(&mut self, _: u64) {}
}

/// A store that says "done" and leaves some events out.
struct Lossy {
    inner: Box<dyn Store>,
    keeps: fn(&Event) -> bool,
}

impl Store for Lossy {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        let mut events = store::decode(frame).map_err(AppendError::Broken)?;
        events.retain(self.keeps);
        self.inner.append(position, &store::encode(&events))
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        self.inner.replay(apply)
    }

    fn forget(&mut self, _: u64) {}
}

/// True for four workflows of five, and for whatever is of none.
fn is_of_the_kept(event: &Event) -> bool {
    let digits = |id: WorkflowId| id.to_string().bytes().map(u32::from).sum::<u32>();
    event.workflow().is_none_or(|id| digits(id) % 5 != 0)
}

fn is_no_hand_out(event: &Event) -> bool {
    !matches!(event, Event::Task { change: TaskChange::Started { .. }, .. })
}

fn argument(name: &str) -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).unwrap_or_else(|| panic!("{name} is missing: this is started like the engine"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url: StoreUrl = argument("--store").parse()?;
    let options = Options {
        listen: argument("--listen").parse()?,
        store: url.clone(),
        retention: None,
        node: Default::default(),
    };
    let (inner, archive) = store::open(&url)?;
    let defect = std::env::var("DEFECT").unwrap_or_default();
    let opened: store::Opened = match defect.as_str() {
        // An archive on the disk could have more than the journal that it belongs to, which the engine notices itself.
        "early" => (Box::new(Early { inner, waiting: VecDeque::new() }), Arc::new(MemoryArchive::default())),
        "lose" => (Box::new(Lossy { inner, keeps: is_of_the_kept }), archive),
        "twice" => (Box::new(Lossy { inner, keeps: is_no_hand_out }), archive),
        "forget" => (inner, archive),
        other => return Err(format!("DEFECT={other:?}: accepted is early, lose, twice or forget").into()),
    };
    let begun_ms = clock::now_ms();
    let time: Box<dyn Fn() -> u64 + Send> = match defect.as_str() {
        // Time goes on by a thousandth: records have their order, and no timer ever comes to its end.
        "forget" => Box::new(move || begun_ms + clock::now_ms().saturating_sub(begun_ms) / 1_000),
        _ => Box::new(clock::steady()),
    };
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let shutdown = async move {
        terminated.recv().await;
        // The rest would be written by nobody: it ends as it is.
        tokio::time::sleep(Duration::ZERO).await;
    };
    Ok(server::serve_opened(opened, time, options, shutdown).await?)
}
