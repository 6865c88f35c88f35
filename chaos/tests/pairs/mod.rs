//! What tests of database pairs share: a pair on a substrate with a proxy, a writer that keeps account, reads of both
//! sides.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use super::stage::{DUMMY, LIMIT, Stage, until};
use shakedown_chaos::clock;
use shakedown_chaos::schedule::Planned;
use shakedown_chaos::substrate::database::{Database, Door, Event, Phase, Session, Settings, Side, SqlError};
use shakedown_chaos::substrate::local::{Ready, Spec};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a phase may take before a test gives up: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(60);
/// How long a statement of a client may take.
const WRITE_WITHIN: Duration = Duration::from_secs(1);

/// A pair on a stage.
pub struct Act {
    pub db: Database,
    pub stage: Stage,
}

impl Act {
    /// A pair without planned faults; `None`, and a word, where this machine can't run one.
    pub fn new(settings: Settings) -> Option<Self> {
        Self::planned(settings, &[])
    }

    pub fn planned(settings: Settings, planned: &[Planned]) -> Option<Self> {
        if let Err(not_run) = Database::can_run() {
            eprintln!("not run: {not_run}");
            return None;
        }
        let stage = Stage::new(planned);
        stage.local.start_proxy(proxy(&stage)).unwrap();
        let print = Arc::new(|event: &Event| eprintln!("{} {event}", event.at_ns / 1_000_000));
        let db = Database::start(&stage.local, stage.folder.path(), settings, print).unwrap();
        Some(Self { db, stage })
    }

    /// A phase that came after the first `after` events.
    pub fn await_phase(&self, phase: Phase, after: usize) -> Event {
        self.db.await_phase(phase, after, SOON).unwrap()
    }

    pub fn session(&self, side: Side) -> (tokio::runtime::Runtime, Session) {
        let runtime = runtime();
        let session = runtime.block_on(Session::open(&self.db.door(side), LIMIT)).unwrap();
        (runtime, session)
    }

    /// The rows of the test's table on one side.
    pub fn rows(&self, side: Side) -> BTreeSet<i64> {
        let (runtime, session) = self.session(side);
        let rows = runtime.block_on(session.ask("SELECT n FROM written", &[], LIMIT)).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub fn run(&self, side: Side, sql: &str) {
        self.try_run(side, sql).unwrap();
    }

    pub fn try_run(&self, side: Side, sql: &str) -> Result<(), SqlError> {
        let (runtime, session) = self.session(side);
        runtime.block_on(session.run(sql, LIMIT))
    }

    /// One number from the database in which the manager has its tables.
    pub fn one_in_postgres(&self, side: Side, sql: &str) -> i64 {
        let door = Door { database: "postgres".to_owned(), ..self.db.door(side) };
        let runtime = runtime();
        let session = runtime.block_on(Session::open(&door, LIMIT)).unwrap();
        runtime.block_on(session.value(sql, LIMIT)).unwrap()
    }

    /// Makes the table that a writer writes.
    pub fn table(&self) {
        let owner = &self.db.settings().database;
        self.run(
            Side::First,
            &format!("CREATE TABLE written (n bigint PRIMARY KEY); ALTER TABLE written OWNER TO {owner}"),
        );
    }

    /// Waits until one side knows the table: a standby replays a moment later.
    pub fn await_table(&self, side: Side) {
        until("the table is there", || self.try_run(side, "SELECT n FROM written").is_ok());
    }

    /// Rows on one side, until they are the same as on the other: the standby replays a moment later.
    pub fn agree(&self) -> BTreeSet<i64> {
        self.await_table(Side::First);
        self.await_table(Side::Second);
        let deadline = clock::after(SOON);
        loop {
            let (first, second) = (self.rows(Side::First), self.rows(Side::Second));
            if first == second {
                return first;
            }
            let differ: Vec<_> = first.symmetric_difference(&second).collect();
            assert!(!clock::until(deadline).is_zero(), "the sides differ in {differ:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn proxy(stage: &Stage) -> Spec {
    Spec {
        name: "proxy".to_owned(),
        program: DUMMY.into(),
        args: vec!["proxy".into()],
        env: vec![],
        log: stage.folder.path().join("proxy.log"),
        ready: Some(Ready { prefix: "listening on ".to_owned(), within: LIMIT }),
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// What a writer knows of its rows.
#[derive(Debug, Default)]
pub struct Account {
    /// Number and instant of those that were acknowledged.
    pub acknowledged: Vec<(i64, u64)>,
    /// Those of which nobody can say.
    pub unknown: BTreeSet<i64>,
    /// How often somebody said no.
    pub refused: u64,
}

impl Account {
    pub fn lost(&self, rows: &BTreeSet<i64>) -> Vec<i64> {
        self.acknowledged.iter().map(|(n, _)| *n).filter(|n| !rows.contains(n)).collect()
    }

    /// When the first row was acknowledged after an instant.
    pub fn first_after(&self, at_ns: u64) -> u64 {
        self.acknowledged.iter().map(|(_, at_ns)| *at_ns).find(|one| *one > at_ns).unwrap()
    }
}

/// A client that writes one row after another through the list of hosts.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Account>,
}

impl Writer {
    pub fn start(url: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || runtime().block_on(write(&url, &stopped)));
        Self { stop, thread }
    }

    pub fn end(self) -> Account {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

async fn write(url: &str, stop: &AtomicBool) -> Account {
    let mut account = Account::default();
    let mut next = 0;
    // Bounded twice over: by the one who stops it, and by a number that no test reaches.
    while !stop.load(Ordering::Acquire) && next < 1_000_000 {
        let connecting = tokio_postgres::connect(url, tokio_postgres::NoTls);
        let Ok(Ok((client, connection))) = tokio::time::timeout(WRITE_WITHIN, connecting).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let carrier = tokio::spawn(connection);
        while !stop.load(Ordering::Acquire) && next < 1_000_000 {
            next += 1;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&next];
            let row = client.execute("INSERT INTO written VALUES ($1)", &values);
            match tokio::time::timeout(WRITE_WITHIN, row).await {
                Ok(Ok(_)) => account.acknowledged.push((next, clock::now_ns())),
                Ok(Err(error)) if error.as_db_error().is_some_and(|said| said.code().code() == "25006") => {
                    account.refused += 1;
                    break;
                }
                _ => {
                    account.unknown.insert(next);
                    break;
                }
            }
        }
        carrier.abort();
    }
    account
}
