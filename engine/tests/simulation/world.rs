//! The world: one engine on a disk that fails, clients that ask at random, and the oracle that hears every answer.

use crate::cast;
use crate::dice::Dice;
use crate::oracle::Oracle;
use crate::plants::Plant;
use crate::requests::{Asked, Subject, Wish};
use shakedown_engine::archive::{Archive, Query};
use shakedown_engine::machine::id::{TaskId, WorkflowId};
use shakedown_engine::store::faulty::Disk;
use shakedown_engine::writer::{Request, Writer};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// After a start no timer fires for so long, by the contract.
const GRACE_MS: u64 = 1000;
/// Lines of the story that a failure shows.
const SHOWN: usize = 400;

pub type Told = Result<(), String>;

pub struct World {
    pub dice: Dice,
    pub disk: Disk,
    pub oracle: Oracle,
    pub plant: Option<Plant>,
    pub crashes: u64,
    pub clock: Arc<AtomicU64>,
    pub engine: Option<(Writer, Arc<dyn Archive>)>,
    pub requests: VecDeque<Request>,
    pub asked: Vec<Asked>,
    pub number: u64,
    /// Starts by correlation id, with what was found out.
    pub starts: BTreeMap<String, (&'static str, Option<WorkflowId>)>,
    /// Starts whose answer never came.
    pub open_starts: Vec<String>,
    /// Tasks that workers were handed.
    pub tasks: Vec<TaskId>,
    pub quiet_until: u64,
    pub full: bool,
    story: VecDeque<String>,
    digest: u64,
}

impl World {
    pub fn new(seed: u64, plant: Option<Plant>) -> Self {
        let retention = seed.is_multiple_of(4).then_some(20_000);
        Self {
            dice: Dice::new(seed),
            disk: Disk::default(),
            oracle: Oracle::new(retention),
            plant,
            crashes: 0,
            clock: Arc::new(AtomicU64::new(1_700_000_000_000)),
            engine: None,
            requests: VecDeque::new(),
            asked: Vec::new(),
            number: 0,
            starts: BTreeMap::new(),
            open_starts: Vec::new(),
            tasks: Vec::new(),
            quiet_until: 0,
            full: false,
            story: VecDeque::new(),
            digest: 0,
        }
    }

    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub fn pass(&mut self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// The last lines of what happened.
    pub fn story(&self) -> String {
        self.story.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Equal for equal stories on equal journals.
    pub fn digest(&self) -> (u64, u64, usize) {
        (self.disk.digest(), self.digest, self.starts.len())
    }

    pub fn tell(&mut self, line: String) {
        let at = self.now() - 1_700_000_000_000;
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.digest = line.bytes().fold(self.digest.rotate_left(5) ^ at, hash);
        if self.story.len() == SHOWN {
            self.story.pop_front();
        }
        self.story.push_back(format!("{at:>7} ms  {line}"));
    }

    /// Starts the engine on the disk, reads everything that is known, and settles what was unknown.
    pub fn open(&mut self) -> Told {
        for _ in 0..20 {
            if self.engine.is_some() && self.open_starts.is_empty() {
                return Ok(());
            }
            if self.engine.is_none() {
                self.start_engine()?;
            }
            self.settle_starts();
            let ids = self.oracle.workflows();
            ids.into_iter().for_each(|id| self.read(id));
            self.step()?;
        }
        Err("it does not come up".to_owned())
    }

    /// Nobody hears an answer any more; starts are to be settled.
    fn lose_answers(&mut self) {
        self.requests.clear();
        for asked in std::mem::take(&mut self.asked) {
            if let Wish::Start { correlation, .. } | Wish::Settle { correlation, .. } = asked.what {
                self.open_starts.push(correlation);
            }
        }
    }

    fn start_engine(&mut self) -> Told {
        let opened = self.disk.open();
        let opened = match self.plant {
            Some(plant) => plant.on(opened),
            None => opened,
        };
        let archive = Arc::clone(&opened.1);
        let time = Arc::clone(&self.clock);
        let clock = Box::new(move || time.load(Ordering::SeqCst));
        let retention = self.oracle.retention.map(Duration::from_millis);
        let writer = Writer::by_hand(opened, clock, retention);
        let writer = writer.map_err(|error| format!("it can't be started again: {error}"))?;
        self.quiet_until = if writer.position() > 0 { self.now() + GRACE_MS } else { 0 };
        self.tell(format!("the engine starts, the journal has {} frames", writer.position()));
        self.engine = Some((writer, archive));
        self.full = false;
        Ok(())
    }

    /// The process ends; with `power` the machine too, and what was not synced is lost, but for so many per mille.
    pub fn crash(&mut self, power: Option<u64>) {
        self.engine = None;
        self.crashes += 1;
        self.lose_answers();
        let power = power.or(self.disk.is_dark().then_some(0));
        if let Some(kept) = power {
            self.disk.lose_power(kept);
        }
        self.tell(format!("the process is gone, power lost: {power:?}"));
    }

    /// Asks what became of the starts whose answer was lost, by their correlation id.
    pub fn settle_starts(&mut self) {
        for correlation in std::mem::take(&mut self.open_starts) {
            let Some((name, _)) = self.starts.get(&correlation).copied() else { continue };
            let (look, answer) = self.look(Subject::Correlated(name, correlation.clone()));
            self.ask(Request::Read(look), Wish::Settle { correlation, answer });
        }
    }

    pub fn exists(&mut self, correlation: &str, name: &'static str, id: WorkflowId) {
        self.starts.insert(correlation.to_owned(), (name, Some(id)));
        if let Some(plot) = cast::plot(name) {
            self.oracle.exists(id, plot);
        }
    }

    /// A search; `None` when the engine ended meanwhile, or its disk is full and it goes on with what there is.
    pub fn find(&mut self, query: &str) -> Result<Option<Vec<WorkflowId>>, String> {
        let (to, mut flushed) = oneshot::channel();
        self.requests.push_back(Request::Flush(to));
        for _ in 0..200 {
            self.step()?;
            let Some((writer, archive)) = &mut self.engine else { return Ok(None) };
            match flushed.try_recv() {
                Err(TryRecvError::Empty) => drop(writer.archive()),
                Err(TryRecvError::Closed) => return Err("a search is left alone".to_owned()),
                Ok(()) if self.full => return Ok(None),
                Ok(()) => {
                    let query = Query::parse(query, "startTime:ASC", 0, 5000, true)?;
                    let Ok(page) = archive.search(&query) else { return Ok(None) };
                    let found: Vec<WorkflowId> = page.workflows.iter().map(|workflow| workflow.id).collect();
                    let whole = page.total == found.len() as u64;
                    return if whole { Ok(Some(found)) } else { Err("a search miscounts".to_owned()) };
                }
            }
        }
        Err("a search never sees what is durable".to_owned())
    }

    /// One step of the engine, and everything that clients hear from it. The engine may be gone after it.
    pub fn step(&mut self) -> Told {
        let (to, answer) = oneshot::channel();
        self.ask(Request::Check(to), Wish::Check(answer));
        let Some((writer, _)) = &mut self.engine else {
            self.lose_answers();
            return Ok(());
        };
        let ended = writer.step(&mut self.requests).err();
        self.hear(ended.is_some())?;
        if let Some(error) = ended {
            self.tell(format!("the engine ends: {error}"));
            let kept = self.dice.draw(1001);
            self.crash(self.disk.is_dark().then_some(kept));
        }
        Ok(())
    }

    /// The archivist's next piece of work.
    pub fn archive(&mut self) {
        if let Some((writer, _)) = &mut self.engine {
            writer.archive();
        }
    }
}
