//! The tables, and the check that they are what this engine knows.

use super::connect::{self, Caller, Surveyed, Unreachable};
use super::session::{Session, Trouble};
use crate::clock;
use crate::store::StoreError;
use std::path::PathBuf;
use std::time::Duration;

/// Version of the tables.
pub(crate) const SCHEMA_VERSION: i32 = 1;
/// A start asks every host what it is, and waits no longer for one that does not answer.
const SURVEY: Duration = Duration::from_secs(1);

/// Text is kept as bytes: what clients send may hold a NUL, which PostgreSQL's text can't, and bytes are ordered and
/// compared as in memory, whatever the collation of the database.
///
/// The index over `epoch` makes it a key: what locks the head row `FOR KEY SHARE` (the archive) waits for who takes the
/// lead and makes it wait, and not for appends, which leave the epoch alone. Pages of the head are mostly free, so
/// that its versions stay in one page. Frames are not compressed: the processor is dearer than the disk. Indexes are
/// over the first bytes, as an entry must fit into a third of a page.
const TABLES: &str = "
    CREATE TABLE head (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        store text NOT NULL,
        version int NOT NULL,
        position bigint NOT NULL,
        epoch bigint NOT NULL,
        beat bigint NOT NULL,
        holder text NOT NULL,
        node text NOT NULL,
        url text NOT NULL,
        lease_ms bigint NOT NULL
    ) WITH (fillfactor = 10);
    CREATE UNIQUE INDEX head_epoch ON head (epoch);
    CREATE TABLE frame (
        position bigint PRIMARY KEY,
        epoch bigint NOT NULL,
        version int NOT NULL,
        frame bytea NOT NULL);
    ALTER TABLE frame ALTER frame SET STORAGE EXTERNAL;
    CREATE TABLE archive (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        saves bigint NOT NULL,
        low_water bigint NOT NULL,
        last_at bigint NOT NULL,
        catalogue bytea
    ) WITH (fillfactor = 10);
    INSERT INTO archive (saves, low_water, last_at) VALUES (0, 0, 0);
    CREATE TABLE snapshot (number bigint PRIMARY KEY, body bytea NOT NULL);
    CREATE TABLE workflow (
        id bytea PRIMARY KEY,
        name bytea NOT NULL,
        version bigint NOT NULL,
        status bytea NOT NULL,
        correlation_id bytea,
        idempotency_key bytea,
        created_at bigint NOT NULL,
        updated_at bigint NOT NULL,
        ended_at bigint NOT NULL,
        body bytea NOT NULL);
    CREATE INDEX by_name ON workflow (substr(name, 1, 200), created_at, id);
    CREATE INDEX by_name_and_status ON workflow (substr(name, 1, 200), status, created_at, id);
    CREATE INDEX by_status ON workflow (status, created_at, id);
    CREATE INDEX by_correlation_id ON workflow (substr(correlation_id, 1, 200), created_at, id);
    CREATE INDEX by_key ON workflow (substr(idempotency_key, 1, 200), id) WHERE idempotency_key IS NOT NULL;
    CREATE INDEX by_created_at ON workflow (created_at, id);
    CREATE INDEX by_updated_at ON workflow (updated_at, created_at, id);
    CREATE INDEX by_ended_at ON workflow (ended_at, created_at, id);";

/// Connects, makes the tables where there are none, and answers the session and what tells this store from others.
///
/// # Errors
/// [`StoreError`]: not reachable, of another program, or of a newer engine.
pub(crate) fn open(caller: &Caller) -> Result<(Session, String), StoreError> {
    let mut session = connect::to_primary(caller).map_err(away)?;
    let found = check(caller, &mut session)?;
    let store = match found {
        Some(store) => {
            one_primary(caller)?;
            store
        }
        None => {
            create(caller, &mut session)?;
            let made = check(caller, &mut session)?;
            made.ok_or_else(|| corrupt(caller, "its tables were made and are not there".to_owned()))?
        }
    };
    Ok((session, store))
}

/// What tells this store from others; `None` when there is none yet.
fn check(caller: &Caller, session: &mut Session) -> Result<Option<String>, StoreError> {
    let failed = |trouble: Trouble| failed(caller, &trouble);
    let tables =
        "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm')";
    let head = "SELECT count(*) FROM information_schema.columns
         WHERE table_schema = $1 AND table_name = 'head' AND column_name IN ('store', 'version', 'epoch', 'beat')";
    let schema = caller.address.schema();
    let mut count = |sql: &str| session.query(sql, &[&schema]).map(|rows| rows[0].get::<_, i64>(0));
    match (count(tables).map_err(failed)?, count(head).map_err(failed)?) {
        (0, _) => return Ok(None),
        (_, 4) => {}
        _ => {
            let why =
                format!("the schema {schema} has tables of another program; name another by ?schema=NAME");
            return Err(corrupt(caller, why));
        }
    }
    let rows = session.query("SELECT store, version FROM head", &[]).map_err(failed)?;
    let row = rows.first().ok_or_else(|| corrupt(caller, "its head row is missing".to_owned()))?;
    let version: i32 = row.get(1);
    if version > SCHEMA_VERSION {
        let (found, known) = (i64::from(version), i64::from(SCHEMA_VERSION));
        return Err(StoreError::Newer { path: shown(caller), found, known });
    }
    Ok(Some(row.get(0)))
}

fn create(caller: &Caller, session: &mut Session) -> Result<(), StoreError> {
    same_cluster(caller)?;
    let schema = caller.address.schema();
    let store = format!("{:016x}{:016x}", clock::entropy(), clock::entropy());
    // Two nodes may get here at once: the second finds what the first made.
    let sql = format!(
        "BEGIN;
         SELECT pg_advisory_xact_lock(hashtext('shakedown {schema}'));
         DO $make$ BEGIN
             IF to_regclass('{schema}.head') IS NULL THEN
                 CREATE SCHEMA IF NOT EXISTS {schema};
                 {TABLES}
                 INSERT INTO head (store, version, position, epoch, beat, holder, node, url, lease_ms)
                     VALUES ('{store}', {SCHEMA_VERSION}, 0, 0, 0, '', '', '', 0);
             END IF;
         END $make$;
         COMMIT;"
    );
    tracing::info!(store = %caller.address, "making the tables");
    let made = session.batch(&sql);
    made.map_err(|trouble| failed(caller, &trouble))
}

/// A store is only made when every host of the list was seen and is of one cluster: one that is away may have it.
fn same_cluster(caller: &Caller) -> Result<(), StoreError> {
    let hosts = connect::survey(caller).map_err(away)?;
    if let Some((host, Err(why))) = hosts.iter().find(|(_, answer)| answer.is_err()) {
        return refuse(format!(
            "{} has no tables on the host that takes writes, and {host} cannot be asked ({why}): the store may be \
             there; bring it up, or take it out of the list",
            caller.address
        ));
    }
    fit_together(&hosts)
}

/// An engine only starts when no two hosts of the list take writes; one that is away is not waited for.
fn one_primary(caller: &Caller) -> Result<(), StoreError> {
    if caller.address.servers().len() < 2 {
        return Ok(());
    }
    let hasty = Caller { deadline: SURVEY.min(caller.deadline), ..caller.clone() };
    fit_together(&connect::survey(&hasty).map_err(away)?)
}

fn fit_together(hosts: &[Surveyed]) -> Result<(), StoreError> {
    let (mut known, mut primary): (Option<(&String, &String)>, Option<&String>) = (None, None);
    for (host, answer) in hosts {
        let Ok(kind) = answer else { continue };
        match (known, &kind.cluster) {
            (Some((other, identifier)), Some(cluster)) if identifier != cluster => {
                return refuse(format!(
                    "{other} and {host} are two clusters (system identifiers {identifier} and {cluster}), not one \
                     with its standbys; list only servers that replicate one another"
                ));
            }
            (_, Some(cluster)) => known = Some((host, cluster)),
            _ => {}
        }
        if kind.standby {
            continue;
        }
        if let Some(other) = primary {
            // Whoever manages the databases may be about to stop one of them.
            let why = format!(
                "{other} and {host} both take writes: one of them was a primary before and must be stopped, or made \
                 a standby of the other (pg_rewind), before an engine starts"
            );
            return Err(StoreError::Database { why, may_pass: true });
        }
        primary = Some(host);
    }
    Ok(())
}

fn refuse(why: String) -> Result<(), StoreError> {
    Err(StoreError::Database { why, may_pass: false })
}

pub(crate) fn away(unreachable: Unreachable) -> StoreError {
    StoreError::Database { why: unreachable.why, may_pass: unreachable.may_pass }
}

pub(crate) fn failed(caller: &Caller, trouble: &Trouble) -> StoreError {
    let why = format!("{} cannot be used: {trouble}", caller.address);
    StoreError::Database { why, may_pass: matches!(trouble, Trouble::Doubt(_)) }
}

pub(crate) fn corrupt(caller: &Caller, why: String) -> StoreError {
    StoreError::Corrupt { path: shown(caller), why }
}

fn shown(caller: &Caller) -> PathBuf {
    caller.address.to_string().into()
}
