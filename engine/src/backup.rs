//! Backups of an engine on SQLite, taken while it runs, and the way back.
//!
//! Journal and archive are two files that must fit, so both are copied as they were at one instant: a reader's snapshot of
//! each is held, the archive's taken first. The journal forgets frames only long after the archive has what they brought,
//! so the snapshot of the journal taken just after goes on from it; where it does not, both are taken again. Nothing is
//! called a backup before an engine has read it back, and nothing becomes a store before the same.

use crate::archive::archive_meta;
use crate::clock;
use crate::store::{self, StoreError, StoreUrl, archive_path};
use crate::writer::{WriterError, replay};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Format of a backup's folder.
const FORMAT: u32 = 1;
/// The files of a backup.
const JOURNAL: &str = "engine.db";
const MANIFEST: &str = "backup.json";
/// Tries to find journal and archive at one instant.
const TRIES: u32 = 100;
/// Pages copied in one step: 4 MiB, then others have the disk.
const PAGES: i32 = 1024;
const PAUSE: Duration = Duration::from_millis(1);

/// What a backup holds; `backup.json` beside its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the folder.
    pub format: u32,
    /// When it was taken, milliseconds since the epoch: everything acknowledged before is in it.
    pub taken_at_ms: u64,
    /// Position of the journal's next frame.
    pub position: u64,
    /// Workflows that had not left memory.
    pub in_memory: u64,
    /// The journal's file.
    pub journal: Mark,
    /// The archive's file.
    pub archive: Mark,
}

/// By this a file is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its length.
    pub bytes: u64,
    /// CRC-32 of all of it.
    pub crc32: u32,
}

/// A backup that can't be taken or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What would be written is there already.
    #[error("{path} is there already; nothing was changed, move it away or name another")]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// It is no backup, or not as it was taken.
    #[error("{path} cannot be restored: {why}; nothing was changed, take another backup")]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file can't be read or written.
    #[error("cannot {what} {path}: {why}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Journal and archive never were at one instant.
    #[error("{path} changes too fast to be copied: {why}; try again when there is less load")]
    Restless {
        /// The store.
        path: PathBuf,
        /// What did not fit.
        why: String,
    },
    /// What was copied can't be read by an engine.
    #[error("what was copied from {path} is no store that an engine can start from: {why}")]
    Unreadable {
        /// Where from.
        path: PathBuf,
        /// What the engine said.
        why: String,
    },
}

fn failed<E: ToString>(what: &'static str, path: &Path) -> impl FnOnce(E) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::Io { what, path, why: error.to_string() }
}

/// Copies the store of an engine, which may run meanwhile, into a new folder.
///
/// # Errors
/// [`BackupError`]; the folder is there only when the backup is whole.
pub fn backup(store: &Path, to: &Path) -> Result<Manifest, BackupError> {
    absent(to)?;
    let partial = beside(to, "partial");
    clear(&partial)?;
    fs::create_dir_all(&partial).map_err(failed("make the folder", &partial))?;
    let journal = partial.join(JOURNAL);
    let archive = archive_path(&journal);
    let taken_at_ms = clock::now_ms();
    let sources = Sources::hold(store)?;
    copy_pages(&sources.archive, &archive)?;
    copy_pages(&sources.journal, &journal)?;
    drop(sources);
    let (position, in_memory) = read_back(&journal, store)?;
    let (journal, archive) = (mark(&journal)?, mark(&archive)?);
    let manifest = Manifest { format: FORMAT, taken_at_ms, position, in_memory, journal, archive };
    let path = partial.join(MANIFEST);
    let json = serde_json::to_vec_pretty(&manifest).map_err(failed("write", &path))?;
    fs::write(&path, json).map_err(failed("write", &path))?;
    sync(&path)?;
    sync(&partial)?;
    fs::rename(&partial, to).map_err(failed("move the finished backup to", to))?;
    sync(parent(to))?;
    Ok(manifest)
}

/// Makes a store of a backup, where there is none.
///
/// # Errors
/// [`BackupError`]; the store is there only when it is whole.
pub fn restore(from: &Path, store: &Path) -> Result<Manifest, BackupError> {
    let manifest = manifest(from)?;
    // An engine that runs on it holds this lock.
    let _lock = store::lock(store).map_err(|error| match error {
        StoreError::InUse { path } => BackupError::Exists { path },
        other => failed("use", store)(other),
    })?;
    for name in ["", "-wal", "-shm", ".archive", ".archive-wal", ".archive-shm"] {
        absent(&beside_name(store, name))?;
    }
    let new = beside(store, "restoring");
    let files = [(from.join(JOURNAL), new.clone(), &manifest.journal)];
    let archive = (archive_path(&from.join(JOURNAL)), archive_path(&new), &manifest.archive);
    for (source, target, expected) in files.into_iter().chain([archive]) {
        clear(&target)?;
        fs::copy(&source, &target).map_err(failed("copy", &source))?;
        let found = mark(&target)?;
        if found != *expected {
            clear(&target)?;
            let why = format!("{} is {found}, it was taken as {expected}", source.display());
            return Err(BackupError::Damaged { path: from.to_owned(), why });
        }
    }
    let (position, _) = read_back(&new, from)?;
    if position != manifest.position {
        let why = format!("its journal ends at frame {position}, not at {}", manifest.position);
        return Err(BackupError::Damaged { path: from.to_owned(), why });
    }
    // The archive first: alone it makes an engine refuse to start, a journal alone would not.
    for (new, target) in [(archive_path(&new), archive_path(store)), (new, store.to_owned())] {
        sync(&new)?;
        fs::rename(&new, &target).map_err(failed("move the restored file to", &target))?;
    }
    sync(parent(store))?;
    Ok(manifest)
}

/// Reads what a folder says of its backup.
fn manifest(from: &Path) -> Result<Manifest, BackupError> {
    let path = from.join(MANIFEST);
    let damaged = |why: String| BackupError::Damaged { path: from.to_owned(), why };
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(format!("it has no {MANIFEST}, so it is no backup, or not a whole one")));
        }
        read => read.map_err(failed("read", &path))?,
    };
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| damaged(format!("{MANIFEST}: {error}")))?;
    if manifest.format != FORMAT {
        let found = manifest.format;
        return Err(damaged(format!(
            "it has format {found}, this engine knows {FORMAT}; use the newer engine"
        )));
    }
    Ok(manifest)
}

/// Journal and archive, held at one instant by a reader's transaction each.
struct Sources {
    journal: Connection,
    archive: Connection,
}

impl Sources {
    fn hold(store: &Path) -> Result<Self, BackupError> {
        let mut why = String::new();
        for _ in 0..TRIES {
            let path = archive_path(store);
            let archive = reader(&path)?;
            let low_water = archive_meta(&archive, "low_water").map_err(failed("read the archive", &path))?;
            let low_water: u64 = low_water.and_then(|text| text.parse().ok()).unwrap_or_default();
            let journal = reader(store)?;
            let sql = "SELECT coalesce(min(position), 0), coalesce(max(position), -1) + 1 FROM journal";
            let (first, next) = journal
                .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
                .map_err(failed("read the journal", store))?;
            if first.unsigned_abs() <= low_water && low_water <= next.unsigned_abs() {
                return Ok(Self { journal, archive });
            }
            why = format!("the archive ends at frame {low_water}, the journal has {first} to {next}");
        }
        Err(BackupError::Restless { path: store.to_owned(), why })
    }
}

/// A connection whose transaction sees the file as it is with its first look.
fn reader(path: &Path) -> Result<Connection, BackupError> {
    // The index of the write-ahead log must be writable, also for who only reads.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open", path))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed("open", path))?;
    connection
        .execute_batch("PRAGMA query_only=ON; BEGIN; SELECT count(*) FROM sqlite_master;")
        .map_err(failed("read", path))?;
    Ok(connection)
}

fn copy_pages(source: &Connection, target: &Path) -> Result<(), BackupError> {
    let failed = || failed::<rusqlite::Error>("copy into", target);
    let mut copy = Connection::open(target).map_err(failed())?;
    // It is synced as a whole at its end.
    copy.execute_batch("PRAGMA synchronous=OFF").map_err(failed())?;
    let pages = Backup::new(source, &mut copy).map_err(failed())?;
    while pages.step(PAGES).map_err(failed())? != StepResult::Done {
        std::thread::sleep(PAUSE);
    }
    drop(pages);
    copy.close().map_err(|(_, error)| failed()(error))
}

/// Starts an engine's state from a copy; answers the next position and how many workflows are in memory.
fn read_back(journal: &Path, from: &Path) -> Result<(u64, u64), BackupError> {
    let read = || -> Result<(u64, u64), WriterError> {
        let (mut store, archive) = store::open(&StoreUrl::Sqlite(journal.to_owned()))?;
        let replayed = replay(store.as_mut(), archive.as_ref())?;
        Ok((replayed.position, replayed.state.workflows().count() as u64))
    };
    let done =
        read().map_err(|error| BackupError::Unreadable { path: from.to_owned(), why: error.to_string() })?;
    clear(&beside_name(journal, ".lock"))?;
    Ok(done)
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes with the CRC {:08x}", self.bytes, self.crc32)
    }
}

fn mark(path: &Path) -> Result<Mark, BackupError> {
    let mut file = File::open(path).map_err(failed("read", path))?;
    let (mut sum, mut bytes, mut buffer) = (crc32fast::Hasher::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).map_err(failed("read", path))?;
        if read == 0 {
            return Ok(Mark { bytes, crc32: sum.finalize() });
        }
        sum.update(&buffer[..read]);
        bytes += read as u64;
    }
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("sync", path))
}

fn absent(path: &Path) -> Result<(), BackupError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path)(error)),
        Ok(_) => Err(BackupError::Exists { path: path.to_owned() }),
    }
}

/// Removes what an earlier try has left.
fn clear(path: &Path) -> Result<(), BackupError> {
    let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    beside_name(path, &format!(".{what}"))
}

fn beside_name(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
