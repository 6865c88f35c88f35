//! What outlives the databases' data: base copies, and the archive of the log since. A disaster leaves it alone.

use super::config::Archive;
use super::place::{self, Home, User};
use super::{DatabaseError, Side, pair::Pair};
use crate::clock;
use crate::fault::Fault;
use crate::role::Role;
use crate::substrate::files;
use crate::substrate::local::Local;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Its folders.
pub struct Vault {
    folder: PathBuf,
    /// The base copies that are whole, the latest last.
    bases: Mutex<Vec<PathBuf>>,
    user: Option<User>,
}

impl Vault {
    /// True when a backup of a database is planned: an archive has to be there before the first start.
    pub fn wanted(local: &Local) -> bool {
        let is_one = |fault: &Fault| matches!(fault, Fault::Backup {});
        local.planned().iter().any(|one| is_one(&one.fault) && matches!(one.on, Role::Database(_)))
    }

    /// Makes its folders, beside the databases' own.
    ///
    /// # Errors
    /// The system refuses.
    pub fn make(home: &Home, user: Option<&User>) -> Result<Self, DatabaseError> {
        let make = || {
            let folder = home.room("vault", user)?;
            place::own_folder(&folder.join("archive"), user)?;
            Ok(folder)
        };
        let failed = |source| DatabaseError::file("make", &home.folder.join("vault"), source);
        let folder = make().map_err(failed)?;
        Ok(Self { folder, bases: Mutex::default(), user: user.cloned() })
    }

    /// The archive of the log.
    #[must_use]
    pub fn archive(&self, timeout_s: u32) -> Archive {
        Archive { folder: self.folder.join("archive"), timeout_s }
    }

    /// The latest base copy.
    ///
    /// # Errors
    /// There is none.
    pub fn latest(&self) -> Result<PathBuf, DatabaseError> {
        let bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        let none = || DatabaseError::State("there is no backup of the databases yet".to_owned());
        bases.last().cloned().ok_or_else(none)
    }

    /// Takes a base copy of the primary, and says how large it is and how long it took. Blocks.
    ///
    /// # Errors
    /// `pg_basebackup` fails.
    pub fn back_up(&self, pair: &Pair, primary: Side) -> Result<String, DatabaseError> {
        let cluster = pair.cluster(primary);
        let free = (1..=u32::MAX).map(|n| self.folder.join(format!("base-{n}"))).find(|base| !base.exists());
        let base =
            free.ok_or_else(|| DatabaseError::State("every name of a base copy is taken".to_owned()))?;
        let began_ns = clock::now_ns();
        let made = place::own_folder(&base, self.user.as_ref());
        made.map_err(|source| DatabaseError::file("make", &base, source))?;
        cluster.copy_into(&base, &cluster.door(), false)?;
        let took = Duration::from_nanos(clock::now_ns().saturating_sub(began_ns)).as_secs_f64();
        let contents = files::measure(&base).map_err(|source| DatabaseError::file("read", &base, source))?;
        self.bases.lock().unwrap_or_else(PoisonError::into_inner).push(base.clone());
        Ok(format!("{}: {contents} in {took:.2} s, in {}", cluster.name, base.display()))
    }

    /// What is in the archive, in words: how many pieces, and how old the newest is.
    #[must_use]
    pub fn told(&self) -> String {
        let pieces: Vec<SystemTime> = pieces(&self.folder.join("archive"));
        let newest = pieces.iter().max().and_then(|at| at.elapsed().ok());
        let newest =
            newest.map_or_else(String::new, |age| format!(", the newest {:.2} s old", age.as_secs_f64()));
        format!("{} pieces of the log are archived{newest}", pieces.len())
    }
}

/// When each piece was archived.
fn pieces(archive: &Path) -> Vec<SystemTime> {
    let entries = fs::read_dir(archive).into_iter().flatten().flatten();
    let whole = entries.filter(|entry| !entry.file_name().to_string_lossy().ends_with(".part"));
    whole.filter_map(|entry| entry.metadata().ok()?.modified().ok()).collect()
}
