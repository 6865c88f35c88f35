//! A journal in one SQLite file: WAL, one synced commit a frame, checkpoints on a thread of their own.
//!
//! `synchronous=FULL` syncs the write-ahead log in every commit, so an appended frame survives a power cut.
//! SQLite's automatic checkpoint would run inside a commit and stall everyone who waits for it; it is off,
//! and a second connection copies the log into the file beside the writer.

use super::frame::FRAME_VERSION;
use super::{AppendError, Apply, Store, StoreError};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi, params};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Version of the file's layout (`user_version`).
const SCHEMA_VERSION: i64 = 2;
/// Marks the file as ours (`application_id`): "SHKD".
const APPLICATION_ID: i64 = 0x5348_4b44;
/// Frames appended between two checkpoints of SQLite's log: about 6 MiB of log at a kilobyte a frame.
const CHECKPOINT_EVERY: u64 = 1024;
/// Frames that go with one append when they are not needed any more: more than come, and few enough to be quick.
const FORGOTTEN_AT_ONCE: u64 = 4;

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// The disk: the product's setting.
    Full,
    /// Nothing: an acknowledged frame may be lost. Exists so that the durability test can be seen to fail.
    Off,
}

/// Keeps frames in a SQLite file.
pub struct Sqlite {
    path: PathBuf,
    connection: Connection,
    /// What tells this journal from others; its archive has it too.
    id: String,
    /// Position of the first frame that is kept.
    first: u64,
    /// Frames before this are not needed.
    needed: u64,
    appended: u64,
    checkpointer: Option<Checkpointer>,
    _lock: Lock,
}

impl Sqlite {
    /// Opens or creates the file and takes its lock.
    ///
    /// # Errors
    /// [`StoreError`]: in use, can't be opened, not a journal, or of a newer engine.
    pub fn open(path: &Path, synchronous: Synchronous) -> Result<Self, StoreError> {
        let refuse = |why: String| StoreError::Open { path: path.to_owned(), why };
        let lock = lock(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| refuse(error.to_string()))?;
        prepare(&connection, path, synchronous)?;
        let (id, first) = identity(&connection).map_err(|error| refuse(error.to_string()))?;
        let checkpointer = Checkpointer::start(path).map_err(refuse)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            id,
            first,
            needed: 0,
            appended: 0,
            checkpointer: Some(checkpointer),
            _lock: lock,
        })
    }

    /// What tells this journal from others.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Inserts a frame, and takes some out that are not needed, in one transaction.
    fn insert(&mut self, position: u64, frame: &[u8]) -> Result<(), rusqlite::Error> {
        const INSERT: &str = "INSERT INTO journal (position, version, frame) VALUES (?1, ?2, ?3)";
        let row = params![position as i64, FRAME_VERSION, frame];
        let forgotten = self.needed.min(position).min(self.first + FORGOTTEN_AT_ONCE);
        if forgotten <= self.first {
            // One statement outside of a transaction is one transaction: its commit is the sync.
            self.connection.prepare_cached(INSERT)?.execute(row)?;
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        transaction.prepare_cached(INSERT)?.execute(row)?;
        transaction.prepare_cached("DELETE FROM journal WHERE position < ?1")?.execute([forgotten as i64])?;
        transaction.commit()?;
        self.first = forgotten;
        Ok(())
    }

    /// Has the log copied into the file from time to time. Most of it is copied beside the writer; the log starts
    /// over only when all of it is, so the writer copies the few frames that came meanwhile itself.
    fn checkpoint(&mut self) {
        let Some(checkpointer) = &self.checkpointer else { return };
        if checkpointer.copied.swap(false, Ordering::AcqRel)
            && let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "could not copy the end of the write-ahead log");
        }
        if self.appended.is_multiple_of(CHECKPOINT_EVERY) {
            checkpointer.ask();
        }
    }

    fn corrupt(&self, why: impl ToString) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), why: why.to_string() }
    }
}

/// An advisory lock beside the file: two engines on one journal would each think they are the only writer.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: a child that is just being started has a copy of the file until it runs its program, and
        // the kernel frees a lock only with its last copy. What fails here is freed then.
        let _ = self.0.unlock();
    }
}

/// Takes the lock beside the file.
pub(crate) fn lock(path: &Path) -> Result<Lock, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let open = |why: std::io::Error| StoreError::Open { path: path.to_owned(), why: why.to_string() };
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(why)) => Err(open(why)),
    }
}

fn prepare(connection: &Connection, path: &Path, synchronous: Synchronous) -> Result<(), StoreError> {
    let corrupt = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Corrupt { path: path.to_owned(), why: error.to_string() }
        }
        _ => StoreError::Open { path: path.to_owned(), why: error.to_string() },
    };
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let found = pragma("user_version").map_err(corrupt)?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(corrupt)?;
    if tables > 0 && pragma("application_id").map_err(corrupt)? != APPLICATION_ID {
        let why = "it is a SQLite database of another program".to_owned();
        return Err(StoreError::Corrupt { path: path.to_owned(), why });
    }
    let level = if synchronous == Synchronous::Full { "FULL" } else { "OFF" };
    let settings =
        format!("PRAGMA journal_mode=WAL; PRAGMA synchronous={level}; PRAGMA wal_autocheckpoint=0;");
    connection.execute_batch(&settings).map_err(corrupt)?;
    const JOURNAL: &str =
        "CREATE TABLE journal (position INTEGER PRIMARY KEY, version INTEGER NOT NULL, frame BLOB NOT NULL);";
    // Nothing is written to a store that is up to date: a full disk must not keep it from being read.
    let steps = match (tables, found) {
        (0, _) => JOURNAL,
        (_, SCHEMA_VERSION) => return Ok(()),
        _ => "",
    };
    connection
        .execute_batch(&format!(
            "BEGIN; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; {steps}
             CREATE TABLE identity (id TEXT NOT NULL); INSERT INTO identity VALUES (lower(hex(randomblob(16))));
             COMMIT;"
        ))
        .map_err(corrupt)
}

/// What tells this journal from others, and the position of its first frame.
fn identity(connection: &Connection) -> Result<(String, u64), rusqlite::Error> {
    let id = connection.query_row("SELECT id FROM identity", [], |row| row.get(0))?;
    let first: Option<i64> =
        connection.query_row("SELECT min(position) FROM journal", [], |row| row.get(0))?;
    Ok((id, first.unwrap_or(0).unsigned_abs()))
}

impl Store for Sqlite {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        self.insert(position, frame).map_err(append_error)?;
        self.appended += 1;
        self.checkpoint();
        Ok(())
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        let sql = "SELECT position, version, frame FROM journal ORDER BY position";
        let mut select = self.connection.prepare(sql).map_err(|error| self.corrupt(error))?;
        let mut rows = select.query([]).map_err(|error| self.corrupt(error))?;
        let mut next = self.first;
        while let Some(row) = rows.next().map_err(|error| self.corrupt(error))? {
            let read = (|| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))();
            let (position, version) = read.map_err(|error: rusqlite::Error| self.corrupt(error))?;
            if version > FRAME_VERSION {
                let path = self.path.clone();
                return Err(StoreError::Newer { path, found: version, known: FRAME_VERSION });
            }
            if position != next as i64 {
                return Err(self.corrupt(format!("frame {next} is missing, the next one is {position}")));
            }
            let frame = row.get_ref(2).map_err(|error| self.corrupt(error))?;
            let bytes = frame.as_blob().map_err(|error| self.corrupt(error))?;
            apply(next, bytes).map_err(|why| self.corrupt(format!("frame {position}: {why}")))?;
            next += 1;
        }
        Ok(next)
    }

    fn forget(&mut self, position: u64) {
        self.needed = self.needed.max(position);
    }
}

/// A full disk (or the file size limit of the process) rolls back cleanly; whatever else, the disk decides.
fn append_error(error: rusqlite::Error) -> AppendError {
    if is_full(&error) {
        AppendError::Full(error.to_string())
    } else {
        AppendError::Broken(error.to_string())
    }
}

/// True when there was no space: for the file or its log, or for the index of the log, which is told otherwise.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull) || code == Some(ffi::SQLITE_IOERR_SHMSIZE)
}

/// Copies SQLite's log into the file, on a thread and a connection of its own.
struct Checkpointer {
    asked: mpsc::SyncSender<()>,
    /// Set when a copy is through.
    copied: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    fn start(path: &Path) -> Result<Self, String> {
        let connection = Connection::open(path).map_err(|error| error.to_string())?;
        connection.busy_timeout(Duration::from_secs(1)).map_err(|error| error.to_string())?;
        let (asked, asks) = mpsc::sync_channel::<()>(1);
        let copied = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&copied);
        let run = move || {
            while asks.recv().is_ok() {
                // Passive: never waits for the writer, never makes it wait.
                let pages =
                    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
                match pages {
                    Ok(pages) => {
                        tracing::debug!(pages, "copied the write-ahead log into the store");
                        done.store(true, Ordering::Release);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "could not copy the write-ahead log; it keeps growing")
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpointer".into()).spawn(run);
        Ok(Self { asked, copied, thread: Some(thread.map_err(|error| error.to_string())?) })
    }

    fn ask(&self) {
        // Full means that one is asked for already.
        let _ = self.asked.try_send(());
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        if let Some(mut checkpointer) = self.checkpointer.take() {
            let thread = checkpointer.thread.take();
            drop(checkpointer);
            let _ = thread.map(JoinHandle::join);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(store: &mut Sqlite) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        store
            .replay(&mut |_, frame| {
                frames.push(frame.to_vec());
                Ok(())
            })
            .unwrap();
        frames
    }

    #[test]
    fn frames_come_back_in_order_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let mut store = Sqlite::open(&path, Synchronous::Full).unwrap();
        for (position, frame) in ["a", "b", "c"].into_iter().enumerate() {
            store.append(position as u64, frame.as_bytes()).unwrap();
        }
        drop(store);
        let mut store = Sqlite::open(&path, Synchronous::Full).unwrap();
        assert_eq!(replayed(&mut store), [b"a", b"b", b"c"]);
    }

    #[test]
    fn the_log_starts_over_under_steady_load() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let mut store = Sqlite::open(&path, Synchronous::Off).unwrap();
        let frame = vec![b' '; 1000];
        for position in 0..CHECKPOINT_EVERY * 8 {
            store.append(position, &frame).unwrap();
            if store.appended.is_multiple_of(CHECKPOINT_EVERY) {
                // The copy beside the writer is given its time, on any machine.
                let copied = &store.checkpointer.as_ref().unwrap().copied;
                let mut looks = (0..100_000_000).map(|_| std::thread::yield_now());
                assert!(looks.any(|()| copied.load(Ordering::Acquire)), "the log was never copied");
            }
        }
        let log = std::fs::metadata(dir.path().join("journal.db-wal")).unwrap().len();
        let one_round = CHECKPOINT_EVERY * 3 * 4096;
        assert!(log < 2 * one_round, "the write-ahead log has grown to {log} bytes");
        assert_eq!(replayed(&mut store).len() as u64, CHECKPOINT_EVERY * 8);
    }

    #[test]
    fn a_second_opener_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let _held = Sqlite::open(&path, Synchronous::Full).unwrap();
        let refused = Sqlite::open(&path, Synchronous::Full).err().unwrap();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    }

    #[test]
    fn what_was_closed_can_be_opened_although_a_child_has_a_copy_of_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let held = lock(&path).unwrap();
        let copy = held.0.try_clone().unwrap();
        drop(held);
        drop(Sqlite::open(&path, Synchronous::Full).unwrap());
        drop(copy);
    }

    #[test]
    fn what_is_no_journal_or_newer_or_has_a_gap_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let garbage = dir.path().join("garbage.db");
        std::fs::write(&garbage, vec![7_u8; 8192]).unwrap();
        assert!(matches!(Sqlite::open(&garbage, Synchronous::Full).err(), Some(StoreError::Corrupt { .. })));
        assert_eq!(std::fs::read(&garbage).unwrap(), vec![7_u8; 8192]);

        let newer = dir.path().join("newer.db");
        drop(Sqlite::open(&newer, Synchronous::Full).unwrap());
        Connection::open(&newer).unwrap().execute_batch("PRAGMA user_version=99").unwrap();
        assert!(matches!(
            Sqlite::open(&newer, Synchronous::Full).err(),
            Some(StoreError::Newer { found: 99, .. })
        ));

        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE other (id)").unwrap();
        assert!(matches!(Sqlite::open(&foreign, Synchronous::Full).err(), Some(StoreError::Corrupt { .. })));

        let gap = dir.path().join("gap.db");
        let mut store = Sqlite::open(&gap, Synchronous::Full).unwrap();
        store.append(0, b"[]").unwrap();
        store.append(2, b"[]").unwrap();
        let refused = store.replay(&mut |_, _| Ok(())).err().unwrap();
        assert!(refused.to_string().contains("frame 1 is missing"), "{refused}");
    }

    #[test]
    fn a_full_disk_rolls_back_and_the_store_goes_on_when_there_is_space() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(&dir.path().join("journal.db"), Synchronous::Full).unwrap();
        store.append(0, b"[]").unwrap();
        let limit = |pages: i64| format!("PRAGMA max_page_count={pages}");
        let set = |store: &Sqlite, pages| store.connection.query_row(&limit(pages), [], |_| Ok(())).unwrap();
        set(&store, 4);
        let refused = store.append(1, &vec![b' '; 100_000]).unwrap_err();
        assert!(matches!(refused, AppendError::Full(_)), "{refused}");
        assert_eq!(replayed(&mut store).len(), 1);
        set(&store, 1_000_000);
        store.append(1, &vec![b' '; 100_000]).unwrap();
        assert_eq!(replayed(&mut store).len(), 2);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let refused = Sqlite::open(Path::new("/nonexistent/folder/j.db"), Synchronous::Full).err().unwrap();
        assert!(refused.to_string().contains("/nonexistent/folder/j.db"), "{refused}");
    }
}
