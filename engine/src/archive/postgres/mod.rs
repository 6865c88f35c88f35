//! An archive in PostgreSQL, beside the journal. A slice is one statement: it is saved whole, in one round trip, and
//! only while its node has the lead.
//!
//! Saving locks the head row `FOR KEY SHARE`: that neither waits for appends nor makes them wait, and whoever takes
//! the lead waits for it, so that no save of an old leader ends after its reign. Each save has a number: one whose
//! outcome nobody told is sent again and not carried out twice. What is saved is durable at once; the commit shares its
//! sync with the appends beside it.

mod find;
mod pool;

use super::saved::{self, Snapshots};
use super::{Archive, ArchiveError, Page, Query, Recovered, Slice};
use crate::machine::event::SnapshotNumber;
use crate::machine::id::WorkflowId;
use crate::machine::snapshot::Snapshot;
use crate::machine::workflow::Workflow;
use crate::metrics::NodeCounts;
use crate::postgres::head::{signed, unsigned};
use crate::postgres::session::{Parameters, Session, Trouble};
use crate::postgres::{Caller, connect};
use pool::{FOR_LOOKERS, LENT, Pool};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::Row;

/// Workflows read in one go.
const AT_ONCE: i64 = 500;

const FENCE: &str = "fence AS (SELECT 1 FROM head WHERE holder = $1 FOR KEY SHARE)";

const SAVE: &str = "turn AS (
         UPDATE archive SET saves = saves + 1, low_water = greatest(low_water, $3), last_at = greatest(last_at, $4),
             catalogue = coalesce($5, catalogue)
         FROM fence WHERE saves = $2 RETURNING 1),
     definitions AS (
         INSERT INTO snapshot (number, body) SELECT s.number, s.body
         FROM turn, unnest($6::bigint[], $7::bytea[]) AS s (number, body)
         ON CONFLICT (number) DO UPDATE SET body = excluded.body),
     gone AS (DELETE FROM workflow USING turn WHERE id = ANY ($8::bytea[])),
     kept AS (
         INSERT INTO workflow (id, name, version, status, correlation_id, idempotency_key, created_at, updated_at,
             ended_at, body)
         SELECT w.* FROM turn, unnest($9::bytea[], $10::bytea[], $11::bigint[], $12::bytea[], $13::bytea[],
             $14::bytea[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bytea[]) AS w
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status,
             correlation_id = excluded.correlation_id, created_at = excluded.created_at,
             updated_at = excluded.updated_at, ended_at = excluded.ended_at, body = excluded.body)
     SELECT count(*) FROM turn";

const PRUNE: &str = "old AS (
         SELECT id FROM workflow, fence WHERE ended_at > 0 AND ended_at < $2 ORDER BY ended_at LIMIT $3)
     DELETE FROM workflow USING old WHERE workflow.id = old.id";

/// Number of a question, and its answer; what was asked for and isn't there has none. For each by its index.
const KEYED: &str = "SELECT asked.n, w.id
     FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS asked (key, name, n) CROSS JOIN LATERAL (
         SELECT id FROM workflow WHERE substr(idempotency_key, 1, 200) = substr(asked.key, 1, 200)
             AND idempotency_key = asked.key AND name = asked.name ORDER BY id DESC LIMIT 1) AS w";

const RUNNING: &str = "SELECT id, body FROM workflow WHERE ended_at = 0 AND id > $1 ORDER BY id LIMIT $2";

/// Begins a transaction that sees the database as it is now, whatever others do to it.
pub(crate) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Keeps aggregates in PostgreSQL.
pub struct PostgresArchive {
    caller: Caller,
    sessions: Pool,
    snapshots: Snapshots,
    term: Mutex<Term>,
    /// What the node that this belongs to has seen.
    counts: Arc<NodeCounts>,
}

/// In whose name is saved.
#[derive(Default, Clone)]
struct Term {
    holder: String,
    /// Saves so far, once known.
    saves: Option<i64>,
}

impl PostgresArchive {
    pub(crate) fn new(caller: Caller, counts: Arc<NodeCounts>) -> Self {
        let (sessions, snapshots, term) = (Pool::default(), Snapshots::default(), Mutex::default());
        Self { caller, sessions, snapshots, term, counts }
    }

    /// From now on it saves in the name of a new holder of the lead.
    pub(crate) fn lead(&self, holder: &str) {
        *self.term.lock().unwrap_or_else(PoisonError::into_inner) =
            Term { holder: holder.to_owned(), saves: None };
    }

    fn term(&self) -> Term {
        self.term.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn path(&self) -> String {
        self.caller.address.to_string()
    }

    fn broken(&self, why: impl ToString) -> ArchiveError {
        ArchiveError::Broken { path: self.path(), why: why.to_string() }
    }

    fn failed(&self, trouble: &Trouble) -> ArchiveError {
        let (path, why) = (self.path(), trouble.to_string());
        match trouble {
            _ if trouble.is_full() => ArchiveError::Full { path, why },
            // A statement that was refused because of the server's condition may succeed later.
            Trouble::Refused { code, .. } if !is_passing(code.code()) => ArchiveError::Broken { path, why },
            _ => ArchiveError::Away { path, why },
        }
    }

    /// Lends a session; one that is of no more use is not kept.
    fn with<T>(
        &self,
        work: impl Fn(&mut Session) -> Result<T, Trouble>,
        tries: usize,
        most: usize,
    ) -> Result<T, ArchiveError> {
        let mut last = None;
        for _ in 0..tries {
            let lent = self.sessions.lend(&self.caller, self.counts.epoch.load(Ordering::Relaxed), most);
            let mut lent =
                lent.map_err(|unreachable| ArchiveError::Away { path: self.path(), why: unreachable.why })?;
            let Some(session) = lent.session() else { continue };
            match work(session) {
                Err(doubt @ Trouble::Doubt(_)) => {
                    lent.give_up();
                    last = Some(self.failed(&doubt));
                }
                done => return done.map_err(|trouble| self.failed(&trouble)),
            }
        }
        Err(last.unwrap_or_else(|| self.broken("it was not asked")))
    }

    /// Reads: once more over a new connection, when one that was kept had broken meanwhile.
    fn read(&self, sql: &str, parameters: Parameters<'_>, most: usize) -> Result<Vec<Row>, ArchiveError> {
        self.with(|session| session.query(sql, parameters), 2, most)
    }

    fn one(&self, id: WorkflowId, most: usize) -> Result<Option<Workflow>, ArchiveError> {
        let sql = "SELECT body FROM workflow WHERE id = $1";
        let rows = self.read(sql, &[&id.to_string().as_bytes()], most)?;
        rows.first().map(|row| self.parse(row.get(0), most)).transpose()
    }

    fn snapshot(&self, number: SnapshotNumber, most: usize) -> Result<Arc<Snapshot>, ArchiveError> {
        if let Some(known) = self.snapshots.get(number) {
            return Ok(known);
        }
        let rows = self.read("SELECT body FROM snapshot WHERE number = $1", &[&signed(number)], most)?;
        let row = rows
            .first()
            .ok_or_else(|| self.broken(format!("the definitions number {number} are missing")))?;
        let snapshot = Arc::new(saved::parse_snapshot(row.get(0)).map_err(|why| self.broken(why))?);
        self.snapshots.add([(number, Arc::clone(&snapshot))]);
        Ok(snapshot)
    }

    fn parse(&self, body: &[u8], most: usize) -> Result<Workflow, ArchiveError> {
        let mut workflow: Workflow = saved::unsealed("a workflow", body).map_err(|why| self.broken(why))?;
        workflow.attach(self.snapshot(workflow.snapshot_number, most)?);
        Ok(workflow)
    }

    /// Everything but what ended, as one transaction of the session sees it.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    pub(crate) fn recover_in(
        &self,
        session: &mut Session,
        running: &mut dyn FnMut(Workflow),
    ) -> Result<Recovered, ArchiveError> {
        let mut read = |sql: &str, parameters: Parameters<'_>| {
            session.query(sql, parameters).map_err(|trouble| self.failed(&trouble))
        };
        let rows = read("SELECT low_water, last_at, catalogue FROM archive", &[])?;
        let row = rows.first().ok_or_else(|| self.broken("its row is missing"))?;
        let (low_water, last_at) = (unsigned(row.get(0)), unsigned(row.get(1)));
        let mut recovered = Recovered { low_water, last_at, ..Recovered::default() };
        if let Some(catalogue) = row.get::<_, Option<&[u8]>>(2) {
            recovered.catalogue =
                saved::unsealed("the catalogue", catalogue).map_err(|why| self.broken(why))?;
        }
        for row in read("SELECT number, body FROM snapshot", &[])? {
            let snapshot = saved::parse_snapshot(row.get(1)).map_err(|why| self.broken(why))?;
            recovered.snapshots.insert(unsigned(row.get(0)), Arc::new(snapshot));
        }
        self.snapshots.add(recovered.snapshots.iter().map(|(n, one)| (*n, Arc::clone(one))));
        let mut after: Vec<u8> = Vec::new();
        loop {
            let rows = read(RUNNING, &[&after, &AT_ONCE])?;
            let Some(last) = rows.last() else { return Ok(recovered) };
            after = last.get(0);
            rows.iter().try_for_each(|row| self.parse(row.get(1), LENT).map(&mut *running))?;
        }
    }

    /// How many saves there were, while the lead is this holder's.
    fn saves(&self, holder: &str) -> Result<i64, ArchiveError> {
        let sql = "SELECT saves, (SELECT holder FROM head) FROM archive";
        let rows = self.with(|session| session.query(sql, &[]), 1, LENT)?;
        let row = rows.first().ok_or_else(|| self.broken("its row is missing"))?;
        if row.get::<_, String>(1) != holder {
            return Err(ArchiveError::Deposed { path: self.path() });
        }
        Ok(row.get(0))
    }

    fn saved(&self, saves: i64) {
        self.term.lock().unwrap_or_else(PoisonError::into_inner).saves = Some(saves);
    }
}

/// SQLSTATE classes that speak of the server's condition and not of the statement: 25006 read-only, 40 rollback,
/// 53 resources, 55 not in the needed state, 57 intervention.
fn is_passing(code: &str) -> bool {
    code == "25006" || ["40", "53", "55", "57"].iter().any(|class| code.starts_with(class))
}

impl Archive for PostgresArchive {
    fn save(&self, slice: &Slice) -> Result<(), ArchiveError> {
        let columns = Columns::of(slice).map_err(|error| self.broken(error))?;
        let Term { holder, saves } = self.term();
        let saves = match saves {
            Some(saves) => saves,
            None => self.saves(&holder)?,
        };
        self.saved(saves);
        let sql = format!("WITH {FENCE}, {SAVE}");
        let done = self.with(|session| columns.send(session, &sql, &holder, saves), 1, LENT)?;
        // Nothing happened: it was saved by the try before this one, whose answer was lost, or the lead is lost.
        if done == 0 && self.saves(&holder)? != saves + 1 {
            return Err(self.broken(format!("the number of saves is not {saves}; somebody else saves too")));
        }
        self.saved(saves + 1);
        self.snapshots.add(slice.snapshots.iter().cloned());
        Ok(())
    }

    fn sync(&self) -> Result<(), ArchiveError> {
        // Every save is durable by itself.
        Ok(())
    }

    fn prune(&self, ended_before: u64, at_most: usize) -> Result<usize, ArchiveError> {
        let sql = format!("WITH {FENCE}, {PRUNE}");
        let (holder, before, most) = (self.term().holder, signed(ended_before), at_most as i64);
        let gone = self.with(|session| session.execute(&sql, &[&holder, &before, &most]), 1, LENT)?;
        Ok(usize::try_from(gone).unwrap_or(usize::MAX))
    }

    fn load(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        self.one(id, LENT)
    }

    fn look(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        self.one(id, FOR_LOOKERS)
    }

    fn keyed(&self, asked: &[(&str, &str)]) -> Result<Vec<Option<WorkflowId>>, ArchiveError> {
        let (names, keys): (Vec<&[u8]>, Vec<&[u8]>) =
            asked.iter().map(|(name, key)| (name.as_bytes(), key.as_bytes())).unzip();
        let mut found = vec![None; asked.len()];
        for row in self.read(KEYED, &[&keys, &names], LENT)? {
            let at = usize::try_from(row.get::<_, i64>(0) - 1).ok().and_then(|at| found.get_mut(at));
            let at = at.ok_or_else(|| self.broken("it answered a question that was not asked"))?;
            let text = String::from_utf8_lossy(row.get(1)).into_owned();
            *at = Some(text.parse().map_err(|error| self.broken(error))?);
        }
        Ok(found)
    }

    fn recover(&self, running: &mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError> {
        let away = |why| ArchiveError::Away { path: self.path(), why };
        let mut session = connect::to_primary(&self.caller).map_err(|unreachable| away(unreachable.why))?;
        let snapshot = session.batch(SNAPSHOT);
        snapshot.map_err(|trouble| self.failed(&trouble))?;
        self.recover_in(&mut session, running)
    }

    fn search(&self, query: &Query) -> Result<Page, ArchiveError> {
        let (total, exact, bodies) = self.with(|session| find::find(session, query), 2, FOR_LOOKERS)?;
        let workflows = bodies.iter().map(|body| self.parse(body, FOR_LOOKERS)).collect::<Result<_, _>>()?;
        Ok(Page { total, exact, workflows })
    }
}

/// A slice as arrays, one a column.
#[derive(Default)]
struct Columns {
    low_water: i64,
    last_at: i64,
    catalogue: Option<Vec<u8>>,
    numbers: Vec<i64>,
    definitions: Vec<Vec<u8>>,
    gone: Vec<Vec<u8>>,
    ids: Vec<Vec<u8>>,
    names: Vec<Vec<u8>>,
    versions: Vec<i64>,
    statuses: Vec<Vec<u8>>,
    correlation_ids: Vec<Option<Vec<u8>>>,
    keys: Vec<Option<Vec<u8>>>,
    created: Vec<i64>,
    updated: Vec<i64>,
    ended: Vec<i64>,
    bodies: Vec<Vec<u8>>,
}

impl Columns {
    fn of(slice: &Slice) -> Result<Self, serde_json::Error> {
        let mut columns = Self {
            low_water: signed(slice.low_water),
            last_at: signed(slice.last_at),
            catalogue: slice.catalogue.as_ref().map(saved::json).transpose()?,
            gone: slice.removed.iter().map(|id| id.to_string().into_bytes()).collect(),
            ..Self::default()
        };
        for (number, snapshot) in &slice.snapshots {
            columns.numbers.push(signed(*number));
            columns.definitions.push(saved::snapshot_json(snapshot)?);
        }
        for workflow in &slice.workflows {
            let bytes = |text: &Arc<str>| text.as_bytes().to_vec();
            columns.ids.push(workflow.id.to_string().into_bytes());
            columns.names.push(workflow.snapshot.def.name.clone().into_bytes());
            columns.versions.push(workflow.snapshot.def.version);
            columns.statuses.push(workflow.status.name().as_bytes().to_vec());
            columns.correlation_ids.push(workflow.start.correlation_id.as_ref().map(bytes));
            columns.keys.push(workflow.start.idempotency_key.as_ref().map(bytes));
            columns.created.push(signed(workflow.created_at));
            columns.updated.push(signed(workflow.updated_at));
            columns.ended.push(signed(workflow.ended_at));
            columns.bodies.push(saved::json(workflow)?);
        }
        Ok(columns)
    }

    /// Answers 1 when it was saved, 0 when it was not this save's turn.
    fn send(&self, session: &mut Session, sql: &str, holder: &str, saves: i64) -> Result<i64, Trouble> {
        let rows = session.query(
            sql,
            &[
                &holder,
                &saves,
                &self.low_water,
                &self.last_at,
                &self.catalogue,
                &self.numbers,
                &self.definitions,
                &self.gone,
                &self.ids,
                &self.names,
                &self.versions,
                &self.statuses,
                &self.correlation_ids,
                &self.keys,
                &self.created,
                &self.updated,
                &self.ended,
                &self.bodies,
            ],
        )?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }
}
