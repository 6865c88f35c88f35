//! What was found by simulation, step by step: the archive and the journal fit whatever is still on its way between
//! them, and what is taken up again stays.

use serde_json::json;
use shakedown_engine::machine::command::{Command, KeyTaken, OpenWorkflow, StartWorkflow};
use shakedown_engine::machine::event::Start;
use shakedown_engine::machine::id::WorkflowId;
use shakedown_engine::machine::{Event, Rejection, State};
use shakedown_engine::store::faulty::{Disk, Fault};
use shakedown_engine::writer::{Reply, Request, Unavailable, Writer};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// Notes which workflow a command was about, or why it was refused.
#[derive(Clone, Default)]
struct Note(Arc<Mutex<Option<Outcome>>>);

type Outcome = Result<Option<WorkflowId>, String>;

impl Reply for Note {
    fn look(&mut self, _: &State, outcome: Result<&[Event], Rejection>) {
        let outcome = outcome.map(|events| events.iter().find_map(Event::workflow));
        *self.0.lock().unwrap() = Some(outcome.map_err(|refused| refused.to_string()));
    }

    fn send(self: Box<Self>, durable: Result<(), Unavailable>) {
        if let Err(unavailable) = durable {
            *self.0.lock().unwrap() = Some(Err(unavailable.to_string()));
        }
    }
}

struct Bench {
    disk: Disk,
    clock: Arc<AtomicU64>,
    writer: Writer,
    retention: Option<Duration>,
    seed: u64,
}

impl Bench {
    fn new(retention: Option<Duration>) -> Self {
        let (disk, clock) = (Disk::default(), Arc::new(AtomicU64::new(1_000_000)));
        let writer = Self::open(&disk, &clock, retention).unwrap();
        let mut bench = Self { disk, clock, writer, retention, seed: 0 };
        let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t"}]});
        let def = serde_json::from_value(def).unwrap();
        bench.decide(Command::SaveWorkflowDef { def, overwrite: false }).unwrap();
        bench
    }

    fn open(disk: &Disk, clock: &Arc<AtomicU64>, retention: Option<Duration>) -> Result<Writer, String> {
        let time = Arc::clone(clock);
        let read = Box::new(move || time.load(Ordering::SeqCst));
        Writer::by_hand(disk.open(), read, retention).map_err(|error| error.to_string())
    }

    /// The power fails, and an engine starts again; so much of what was not synced is still there, per mille.
    fn again(self, kept: u64) -> Self {
        let Self { disk, clock, writer, retention, seed } = self;
        drop(writer);
        disk.lose_power(kept);
        let writer = Self::open(&disk, &clock, retention).unwrap();
        Self { disk, clock, writer, retention, seed }
    }

    fn decide(&mut self, command: Command) -> Outcome {
        let note = Note::default();
        self.step(Request::Decide(command, Box::new(note.clone())));
        note.0.lock().unwrap().take().unwrap()
    }

    fn step(&mut self, request: Request) {
        self.writer.step(&mut VecDeque::from([request])).unwrap();
    }

    fn start(&mut self) -> Result<WorkflowId, String> {
        self.seed += 1;
        let (name, start, seed) = ("w".to_owned(), Start::default(), self.seed);
        let start =
            StartWorkflow { name, version: None, inline: None, start, taken: KeyTaken::default(), seed };
        self.decide(Command::StartWorkflow(Box::new(start))).map(|id| id.unwrap())
    }

    fn terminate(&mut self, id: WorkflowId) {
        self.decide(Command::Terminate { id, reason: None, alarm: false }).unwrap();
    }

    /// Time passes, what is due is handed to the archivist, and the archivist does all of it.
    fn keep(&mut self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.look();
        while self.writer.archive() {}
        self.writer.archive();
        self.look();
    }

    fn look(&mut self) {
        self.step(Request::Read(Box::new(Note::default())));
    }
}

#[test]
fn a_full_disk_does_not_make_the_archive_ask_for_frames_that_are_gone() {
    let mut bench = Bench::new(None);
    let first = bench.start().unwrap();
    bench.clock.fetch_add(1, Ordering::SeqCst);
    bench.decide(Command::Pause(first)).unwrap();
    // Its slice is on its way when the disk is full: a replay finds it unsaved once more, and in no hurry.
    bench.clock.fetch_add(1000, Ordering::SeqCst);
    bench.look();
    bench.disk.plan(0, Fault::Full(0));
    assert!(bench.start().unwrap_err().contains("disk is full"));
    bench.keep(250);
    for _ in 0..10 {
        let id = bench.start().unwrap();
        bench.terminate(id);
    }
    bench.keep(1000);
    let mut bench = bench.again(0);
    bench.decide(Command::Resume(first)).unwrap();
}

#[test]
fn what_was_taken_up_again_is_not_forgotten_with_what_is_old() {
    let mut bench = Bench::new(Some(Duration::from_secs(60)));
    let id = bench.start().unwrap();
    bench.terminate(id);
    bench.keep(2000);
    for _ in 0..20 {
        let other = bench.start().unwrap();
        bench.terminate(other);
    }
    bench.keep(2000);
    bench.clock.fetch_add(55_000, Ordering::SeqCst);
    bench.decide(Command::Retry { id, resume_children: false }).unwrap();
    // By now it would be too old, had it not been retried; the archive has it as it ended.
    bench.keep(10_000);
    let mut bench = bench.again(1000);
    bench.decide(Command::Pause(id)).unwrap();
}

#[test]
fn what_is_too_old_is_gone_for_commands_before_it_is_gone_from_the_disk() {
    let mut bench = Bench::new(Some(Duration::from_secs(60)));
    let id = bench.start().unwrap();
    bench.terminate(id);
    bench.keep(2000);
    bench.clock.fetch_add(60_000, Ordering::SeqCst);
    assert!(
        bench.decide(Command::Retry { id, resume_children: false }).unwrap_err().contains("No such workflow")
    );
}

#[test]
fn a_search_is_answered_when_the_disk_is_full() {
    let mut bench = Bench::new(None);
    let (to, mut flushed) = oneshot::channel();
    bench.disk.plan(0, Fault::Full(0));
    let def = json!({"name": "other", "tasks": [{"name": "a", "taskReferenceName": "t"}]});
    let save = Command::SaveWorkflowDef { def: serde_json::from_value(def).unwrap(), overwrite: false };
    let save = Request::Decide(save, Box::new(Note::default()));
    bench.writer.step(&mut VecDeque::from([save, Request::Flush(to)])).unwrap();
    assert!(flushed.try_recv().is_ok(), "it goes on with what there is");
}

#[test]
fn what_was_removed_stays_removed_before_the_archive_knows() {
    let mut bench = Bench::new(None);
    let id = bench.start().unwrap();
    bench.terminate(id);
    bench.keep(2000);
    bench.decide(Command::Remove { id, open: OpenWorkflow::Refuse }).unwrap();
    let retry = Command::Retry { id, resume_children: false };
    assert!(bench.decide(retry.clone()).unwrap_err().contains("No such workflow"));
    let mut bench = bench.again(1000);
    assert!(bench.decide(retry).unwrap_err().contains("No such workflow"));
}
