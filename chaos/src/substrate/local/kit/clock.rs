//! A wall clock of a node's own, by libfaketime: a library that is loaded into the node and adds to what the kernel
//! says. It can't be loaded into static or setuid programs.

use crate::ledger::Undo;
use crate::substrate::NotRun;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The library, for programs with threads.
const LIBRARY: &str = "libfaketimeMT.so.1";
/// The file's text while the clock is right.
pub const RIGHT: &str = "+0";

/// A clock that can be moved.
#[derive(Debug)]
pub struct SkewedClock {
    /// The file whose text says how wrong it is.
    pub file: PathBuf,
    /// The library.
    pub library: PathBuf,
}

impl SkewedClock {
    /// Makes one whose state is in `file`.
    ///
    /// # Errors
    /// The library is not there.
    pub fn make(file: &Path) -> Result<Self, NotRun> {
        let library = find()?;
        let written = fs::write(file, RIGHT);
        written.map_err(|error| {
            NotRun::new(
                format!("cannot write {}: {error}", file.display()),
                "make room for the run directory",
            )
        })?;
        Ok(Self { file: file.to_owned(), library })
    }

    /// Variables that a program needs to see it.
    #[must_use]
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        let words = [
            ("LD_PRELOAD", self.library.as_os_str().to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.as_os_str().to_owned()),
            // The file is read at every look at the clock, so that it moves while the node runs.
            ("FAKETIME_NO_CACHE", "1".into()),
            // Sleeps and time-outs go by the monotonic clock, and stay right.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ];
        words.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }

    /// What puts it right.
    #[must_use]
    pub fn undo(&self) -> Undo {
        Undo::Replace { file: self.file.clone(), text: RIGHT.to_owned() }
    }
}

/// Where the library is: where SHAKEDOWN_FAKETIME says, or where distributions put it.
///
/// # Errors
/// Nowhere.
pub fn find() -> Result<PathBuf, NotRun> {
    let told = std::env::var_os("SHAKEDOWN_FAKETIME").map(PathBuf::from);
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let by_architecture = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let usual =
        folders.into_iter().chain(by_architecture).map(|folder| folder.join("faketime").join(LIBRARY));
    told.into_iter().chain(usual).find(|path| path.is_file()).ok_or_else(|| {
        let remedy = "apt-get install libfaketime, or say where it is in SHAKEDOWN_FAKETIME";
        NotRun::new(format!("{LIBRARY} is not installed"), remedy)
    })
}
