//! An archive in one SQLite file beside the journal: one file has one writer lock, and the journal's is taken.
//!
//! Slices are saved without a sync (`synchronous=NORMAL`): the journal still has what they hold, and is told to
//! forget frames only after [`Archive::sync`]. Readers have connections of their own, so nobody waits for a save.

mod find;
mod schema;

pub(crate) use schema::meta;

use super::saved::{self, Snapshots};
use super::{Archive, ArchiveError, Page, Query, Recovered, Slice};
use crate::machine::event::SnapshotNumber;
use crate::machine::id::WorkflowId;
use crate::machine::snapshot::Snapshot;
use crate::machine::workflow::Workflow;
use crate::store;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reading connections that are kept open.
const KEPT_READERS: usize = 4;

/// Keeps aggregates in a SQLite file.
pub struct SqliteArchive {
    path: PathBuf,
    saver: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    snapshots: Snapshots,
}

impl SqliteArchive {
    /// Opens or creates the file. `store` is the id of the journal that it belongs to.
    ///
    /// # Errors
    /// [`ArchiveError`]: it can't be opened, or belongs to another journal.
    pub fn open(path: &Path, store: &str) -> Result<Self, ArchiveError> {
        let saver = schema::open(path).map_err(|error| failed(path, error))?;
        schema::pair(&saver, path, store)?;
        let (readers, snapshots) = (Mutex::default(), Snapshots::default());
        Ok(Self { path: path.to_owned(), saver: Mutex::new(saver), readers, snapshots })
    }

    fn saver(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic cut off was rolled back.
        self.saver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, ArchiveError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = kept.map_or_else(|| schema::open_reader(&self.path), Ok);
        let reader = reader.map_err(|error| failed(&self.path, error))?;
        let seen = look(&reader).map_err(|error| failed(&self.path, error));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(reader);
        }
        seen
    }

    fn broken(&self, why: impl ToString) -> ArchiveError {
        ArchiveError::Broken { path: self.path.display().to_string(), why: why.to_string() }
    }

    fn snapshot(&self, number: SnapshotNumber) -> Result<Arc<Snapshot>, ArchiveError> {
        if let Some(known) = self.snapshots.get(number) {
            return Ok(known);
        }
        let sql = "SELECT body FROM snapshot WHERE number = ?1";
        let body = self.read(|reader| {
            reader.prepare_cached(sql)?.query_row([number as i64], |row| row.get::<_, Vec<u8>>(0)).optional()
        })?;
        let body = body.ok_or_else(|| self.broken(format!("the definitions number {number} are missing")))?;
        let snapshot = Arc::new(saved::parse_snapshot(&body).map_err(|why| self.broken(why))?);
        self.snapshots.add([(number, Arc::clone(&snapshot))]);
        Ok(snapshot)
    }

    fn parse(&self, body: &[u8]) -> Result<Workflow, ArchiveError> {
        let mut workflow: Workflow = saved::unsealed("a workflow", body).map_err(|why| self.broken(why))?;
        workflow.attach(self.snapshot(workflow.snapshot_number)?);
        Ok(workflow)
    }
}

impl Archive for SqliteArchive {
    fn save(&self, slice: &Slice) -> Result<(), ArchiveError> {
        let mut saver = self.saver();
        let saved = saver.transaction().and_then(|transaction| {
            save_slice(&transaction, slice)?;
            transaction.commit()
        });
        saved.map_err(|error| failed(&self.path, error))?;
        self.snapshots.add(slice.snapshots.iter().cloned());
        Ok(())
    }

    fn sync(&self) -> Result<(), ArchiveError> {
        // A commit that syncs the log makes all commits before it durable. The checkpoint alone would not: while a
        // reader is at the file it has nothing to copy, and then it syncs nothing either, and says that all is well.
        let saver = self.saver();
        let marked = saver.pragma_update(None, "synchronous", "FULL").and_then(|()| {
            // A new value each time: a row that stays as it is would be no change, and its commit none either.
            let synced = "INSERT INTO meta (key, value) VALUES ('synced', 1)
                 ON CONFLICT (key) DO UPDATE SET value = value + 1";
            saver.prepare_cached(synced)?.execute([])
        });
        let back = saver.pragma_update(None, "synchronous", "NORMAL");
        let copied =
            marked.and(back).and_then(|()| saver.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
        copied.map_err(|error| failed(&self.path, error))
    }

    fn prune(&self, ended_before: u64, at_most: usize) -> Result<usize, ArchiveError> {
        let mut saver = self.saver();
        let pruned = saver.transaction().and_then(|transaction| {
            let sql =
                "SELECT n FROM workflow WHERE ended_at > 0 AND ended_at < ?1 ORDER BY ended_at LIMIT ?2";
            let mut select = transaction.prepare_cached(sql)?;
            let old = select.query_map(params![number(ended_before), at_most as i64], |row| row.get(0))?;
            let old = old.collect::<Result<Vec<i64>, _>>()?;
            drop(select);
            old.iter().try_for_each(|n| remove(&transaction, *n))?;
            transaction.commit()?;
            Ok(old.len())
        });
        pruned.map_err(|error| failed(&self.path, error))
    }

    fn load(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        let sql = "SELECT body FROM workflow JOIN body USING (n) WHERE id = ?1";
        let body = self.read(|reader| {
            let mut select = reader.prepare_cached(sql)?;
            select.query_row([id.to_string()], |row| row.get::<_, Vec<u8>>(0)).optional()
        })?;
        body.map(|body| self.parse(&body)).transpose()
    }

    fn keyed(&self, asked: &[(&str, &str)]) -> Result<Vec<Option<WorkflowId>>, ArchiveError> {
        let sql = "SELECT id FROM workflow WHERE idempotency_key = ?1 AND name = ?2 ORDER BY id DESC LIMIT 1";
        let found = self.read(|reader| {
            let mut select = reader.prepare_cached(sql)?;
            let newest = |(name, key): &(&str, &str)| {
                select.query_row([key, name], |row| row.get::<_, String>(0)).optional()
            };
            asked.iter().map(newest).collect::<Result<Vec<_>, _>>()
        })?;
        let id = |id: String| id.parse().map_err(|error| self.broken(error));
        found.into_iter().map(|found| found.map(id).transpose()).collect()
    }

    fn recover(&self, running: &mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError> {
        let (mut recovered, bodies) = self.read(|reader| {
            let meta = |key: &str| schema::meta(reader, key);
            let recovered = Recovered {
                low_water: meta("low_water")?.and_then(|text| text.parse().ok()).unwrap_or_default(),
                last_at: meta("last_at")?.and_then(|text| text.parse().ok()).unwrap_or_default(),
                ..Recovered::default()
            };
            let mut select = reader.prepare("SELECT number, body FROM snapshot")?;
            let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            Ok((recovered, (meta("catalogue")?, rows.collect::<Result<Vec<_>, _>>()?)))
        })?;
        let (catalogue, snapshots) = bodies;
        if let Some(catalogue) = catalogue {
            recovered.catalogue =
                saved::unsealed("the catalogue", catalogue.as_bytes()).map_err(|why| self.broken(why))?;
        }
        for (number, body) in snapshots {
            let snapshot = saved::parse_snapshot(&body).map_err(|why| self.broken(why))?;
            recovered.snapshots.insert(number as u64, Arc::new(snapshot));
        }
        self.snapshots.add(recovered.snapshots.iter().map(|(n, one)| (*n, Arc::clone(one))));
        self.read(|reader| {
            let sql = "SELECT body FROM workflow JOIN body USING (n) WHERE ended_at = 0 ORDER BY n";
            let mut select = reader.prepare(sql)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                match self.parse(row.get_ref(0)?.as_blob()?) {
                    Ok(workflow) => running(workflow),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(()))
        })??;
        Ok(recovered)
    }

    fn search(&self, query: &Query) -> Result<Page, ArchiveError> {
        let (total, exact, bodies) = self.read(|reader| find::find(reader, query))?;
        let workflows = bodies.iter().map(|body| self.parse(body)).collect::<Result<_, _>>()?;
        Ok(Page { total, exact, workflows })
    }
}

fn save_slice(transaction: &Transaction<'_>, slice: &Slice) -> Result<(), rusqlite::Error> {
    for workflow in &slice.workflows {
        save_workflow(transaction, workflow)?;
    }
    for id in &slice.removed {
        let mut select = transaction.prepare_cached("SELECT n FROM workflow WHERE id = ?1")?;
        let n = select.query_row([id.to_string()], |row| row.get(0)).optional()?;
        if let Some(n) = n {
            remove(transaction, n)?;
        }
    }
    for (number, snapshot) in &slice.snapshots {
        let body = saved::snapshot_json(snapshot).map_err(not_json)?;
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO snapshot (number, body) VALUES (?1, ?2)")?;
        insert.execute(params![*number as i64, body])?;
    }
    if let Some(catalogue) = &slice.catalogue {
        schema::set_meta(transaction, "catalogue", &String::from_utf8_lossy(&json(catalogue)?))?;
    }
    schema::set_meta(transaction, "low_water", &slice.low_water.to_string())?;
    schema::set_meta(transaction, "last_at", &slice.last_at.to_string())
}

fn save_workflow(transaction: &Transaction<'_>, workflow: &Workflow) -> Result<(), rusqlite::Error> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO workflow (id, name, version, status, correlation_id, created_at, updated_at, ended_at,
             idempotency_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET version = ?3, status = ?4, correlation_id = ?5, created_at = ?6,
             updated_at = ?7, ended_at = ?8
         RETURNING n",
    )?;
    let n: i64 = upsert.query_row(
        params![
            workflow.id.to_string(),
            workflow.snapshot.def.name,
            workflow.snapshot.def.version,
            workflow.status.name(),
            workflow.start.correlation_id.as_deref(),
            number(workflow.created_at),
            number(workflow.updated_at),
            number(workflow.ended_at),
            workflow.start.idempotency_key.as_deref(),
        ],
        |row| row.get(0),
    )?;
    let mut body = transaction.prepare_cached("INSERT OR REPLACE INTO body (n, body) VALUES (?1, ?2)")?;
    body.execute(params![n, json(workflow)?])?;
    Ok(())
}

fn remove(transaction: &Transaction<'_>, n: i64) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached("DELETE FROM body WHERE n = ?1")?.execute([n])?;
    transaction.prepare_cached("DELETE FROM workflow WHERE n = ?1")?.execute([n])?;
    Ok(())
}

/// Sealed JSON.
fn json(value: &impl Serialize) -> Result<Vec<u8>, rusqlite::Error> {
    saved::json(value).map_err(not_json)
}

fn not_json(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// SQLite's integers are signed.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn failed(path: &Path, error: rusqlite::Error) -> ArchiveError {
    let (path, why) = (path.display().to_string(), error.to_string());
    if store::is_full(&error) { ArchiveError::Full { path, why } } else { ArchiveError::Broken { path, why } }
}
