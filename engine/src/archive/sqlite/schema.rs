//! The archive's tables, and how its file is opened.

use crate::archive::ArchiveError;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::path::Path;
use std::time::Duration;

/// Version of the file's layout (`user_version`).
const SCHEMA_VERSION: i64 = 2;
/// Marks the file as ours (`application_id`): "SHKA".
const APPLICATION_ID: i64 = 0x5348_4b41;
/// How long a connection waits for another one's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every index serves a field that can be searched or sorted by; ties are in the order of starts.
const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE snapshot (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE body (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE workflow (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        status TEXT NOT NULL,
        correlation_id TEXT,
        idempotency_key TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        ended_at INTEGER NOT NULL);
    CREATE INDEX by_name ON workflow (name, created_at, id);
    CREATE INDEX by_name_and_status ON workflow (name, status, created_at, id);
    CREATE INDEX by_status ON workflow (status, created_at, id);
    CREATE INDEX by_correlation_id ON workflow (correlation_id, created_at, id);
    CREATE INDEX by_key ON workflow (idempotency_key, name, id) WHERE idempotency_key IS NOT NULL;
    CREATE INDEX by_created_at ON workflow (created_at, id);
    CREATE INDEX by_updated_at ON workflow (updated_at, created_at, id);
    CREATE INDEX by_ended_at ON workflow (ended_at, created_at, id);";

/// Opens the file for saving, and makes its tables when it is new.
pub fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // Automatic checkpoints would run inside a save; `sync` does them.
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;
         PRAGMA cache_size=-8192;",
    )?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(&format!(
            "BEGIN; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; {TABLES} COMMIT;"
        ))?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Opens the file for reading.
pub fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA query_only=ON; PRAGMA cache_size=-4096;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Checks that the file is an archive, and of the journal `store`; a new one becomes that.
pub fn pair(connection: &Connection, path: &Path, store: &str) -> Result<(), ArchiveError> {
    let mismatch = |why: String| ArchiveError::Mismatch { path: path.display().to_string(), why };
    let failed = |error| super::failed(path, error);
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(failed)? != APPLICATION_ID {
        return Err(mismatch("it is a SQLite database of another program".to_owned()));
    }
    let found = pragma("user_version").map_err(failed)?;
    if found > SCHEMA_VERSION {
        return Err(mismatch(format!(
            "it has schema version {found}, this engine knows up to {SCHEMA_VERSION}; use the newer engine"
        )));
    }
    match meta(connection, "store").map_err(failed)? {
        Some(known) if known == store => Ok(()),
        Some(known) => Err(mismatch(format!("it belongs to the store {known}, the journal is {store}"))),
        None => set_meta(connection, "store", store).map_err(failed),
    }
}

/// A value of the table `meta`.
pub fn meta(connection: &Connection, key: &str) -> Result<Option<String>, rusqlite::Error> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    select.query_row([key], |row| row.get(0)).optional()
}

/// Sets a value of the table `meta`.
pub fn set_meta(connection: &Connection, key: &str, value: &str) -> Result<(), rusqlite::Error> {
    let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?;
    insert.execute(params![key, value]).map(|_| ())
}
