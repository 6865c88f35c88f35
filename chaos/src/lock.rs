//! Two runs must not hurt one target at one time: a lock by the target's name, held by the kernel, so that it is free
//! when its holder is gone. What the last holder left in force is told too.

use crate::ledger::{Account, FILE, LedgerError};
use crate::process::Identity;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A target that nobody else may hurt while this is held.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: a child that is just being started has a copy of the file until it runs its program, and
        // the kernel frees a lock only with its last copy. What fails here is freed then.
        let _ = self.file.unlock();
    }
}

/// Who holds (or held) a lock.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    target: String,
    owner: Identity,
    run_dir: PathBuf,
}

/// Why a target can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else hurts it.
    #[error(
        "{target} is being hurt by another run ({}, process {pid}); wait for it, or end it with Ctrl-C",
        run_dir.display()
    )]
    Held {
        /// The target.
        target: String,
        /// The other run.
        run_dir: PathBuf,
        /// Its process.
        pid: u32,
    },
    /// The last run on it did not heal everything.
    #[error(
        "the last run on {target} left {count} faults in force ({}): `shakedown heal {}` first",
        run_dir.display(), run_dir.display()
    )]
    Leftovers {
        /// The target.
        target: String,
        /// The other run.
        run_dir: PathBuf,
        /// How many.
        count: usize,
    },
    /// Nobody can say what the last run on it left in force.
    #[error(
        "what the last run on {target} left in force is not known: {source}; see to it that nothing of it is left, then \
         remove that file"
    )]
    Unread {
        /// The target.
        target: String,
        /// Why.
        source: LedgerError,
    },
    /// The lock's file can't be used.
    #[error("cannot lock {target} by the file {}: {source}; is the folder writable?", path.display())]
    File {
        /// The target.
        target: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of `target` in `folder` (the machine's temporary one), for the run in `run_dir`.
    ///
    /// # Errors
    /// Somebody else has it, or left faults in force, or there is no such folder.
    pub fn take(folder: &Path, target: &str, run_dir: &Path) -> Result<Self, LockError> {
        let path = folder.join(format!("shakedown-{}.lock", file_name(target)));
        let failed = |source| LockError::File { target: target.to_owned(), path: path.clone(), source };
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = opened.map_err(failed)?;
        let locked = file.try_lock();
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        // A file that was cut off when its writer died tells nothing, and its writer had begun nothing.
        let last = serde_json::from_str::<Holder>(&text).ok();
        let mut lock = match locked {
            Ok(()) => Self { file },
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) => {
                let (run_dir, pid) = last.map(|last| (last.run_dir, last.owner.pid)).unwrap_or_default();
                return Err(LockError::Held { target: target.to_owned(), run_dir, pid });
            }
        };
        if let Some(last) = last {
            last.has_healed(target)?;
        }
        let run_dir = std::path::absolute(run_dir).map_err(failed)?;
        let holder = Holder { target: target.to_owned(), owner: Identity::ours(), run_dir };
        lock.name(&holder).map_err(failed)?;
        Ok(lock)
    }

    /// Writes down who holds it.
    fn name(&mut self, holder: &Holder) -> io::Result<()> {
        let text = serde_json::to_string(holder)?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())
    }
}

impl Holder {
    /// Nothing is in force any more of what it did to the target.
    fn has_healed(self, target: &str) -> Result<(), LockError> {
        if !self.run_dir.join(FILE).exists() {
            return Ok(());
        }
        let target = target.to_owned();
        match Account::read(&self.run_dir) {
            Err(source) => Err(LockError::Unread { target, source }),
            Ok(account) => match account.open().count() {
                0 => Ok(()),
                count => Err(LockError::Leftovers { target, run_dir: self.run_dir, count }),
            },
        }
    }
}

/// A name that any file system takes, and that no two targets share.
fn file_name(target: &str) -> String {
    let plain: String = target
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' })
        .take(80)
        .collect();
    format!("{plain}-{:016x}", crate::draw::bits(0, target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Ledger, Stage, Undo};

    #[test]
    fn a_second_run_on_one_target_is_refused_and_another_target_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (target, run) = ("http://conductor:8080/api", folder.path().join("run-1"));
        let lock = Lock::take(folder.path(), target, &run).unwrap();
        let error = Lock::take(folder.path(), target, &folder.path().join("run-2")).unwrap_err().to_string();
        assert!(error.contains("run-1") && error.contains(&std::process::id().to_string()), "{error}");
        Lock::take(folder.path(), "http://conductor:8081/api", &run).unwrap();
        drop(lock);
        Lock::take(folder.path(), target, &run).unwrap();
    }

    #[test]
    fn a_lock_that_was_let_go_is_free_although_a_child_has_a_copy_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), "t", folder.path()).unwrap();
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(folder.path(), "t", folder.path()).unwrap();
        drop(copy);
    }

    #[test]
    fn what_the_last_run_left_in_force_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), "t", folder.path()).unwrap();
        let ledger = Ledger::create(folder.path(), "t").unwrap();
        let id = ledger.intend("full disk", 1, "engine", None, None).unwrap();
        ledger.undo(id, &Undo::Remove { file: folder.path().join("ballast") }).unwrap();
        drop(lock);
        let error = Lock::take(folder.path(), "t", folder.path()).unwrap_err().to_string();
        assert!(error.contains("1 faults") && error.contains("shakedown heal"), "{error}");
        ledger.came(id, Stage::Healed, 1, "gone").unwrap();
        Lock::take(folder.path(), "t", folder.path()).unwrap();
    }

    #[test]
    fn a_ledger_that_can_not_be_read_counts_as_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        drop(Lock::take(folder.path(), "t", folder.path()).unwrap());
        std::fs::write(folder.path().join(FILE), "{\"entry\":\"ope\n").unwrap();
        let error = Lock::take(folder.path(), "t", folder.path()).unwrap_err().to_string();
        assert!(error.contains("not known") && error.contains(FILE), "{error}");
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        Lock::take(folder.path(), "t", folder.path()).unwrap();
    }
}
