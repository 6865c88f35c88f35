//! Folders as a whole: how much is in them, and how they are emptied.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// How much is, or was, in a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Files of all folders below.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl fmt::Display for Contents {
    #[expect(clippy::cast_precision_loss, reason = "it is rounded for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {:.1} MiB", self.files, self.bytes as f64 / f64::from(1 << 20))
    }
}

/// Looks how much is in a folder; what goes away meanwhile is not counted.
///
/// # Errors
/// The folder can't be read.
pub(crate) fn measure(folder: &Path) -> io::Result<Contents> {
    let mut found = Contents::default();
    for entry in fs::read_dir(folder)?.flatten() {
        let Ok(told) = entry.metadata() else { continue };
        let inner = match told.is_dir() {
            true => measure(&entry.path()).unwrap_or_default(),
            false => Contents { files: 1, bytes: told.len() },
        };
        found = Contents { files: found.files + inner.files, bytes: found.bytes + inner.bytes };
    }
    Ok(found)
}

/// Removes what is in a folder, which stays: something may be mounted on it. Returns what there was.
///
/// # Errors
/// Something is still there.
pub(crate) fn empty(folder: &Path) -> io::Result<Contents> {
    let contents = measure(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    match fs::read_dir(folder)?.next() {
        None => Ok(contents),
        Some(_) => Err(io::Error::other("something was written there meanwhile")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_and_emptied_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("base/1")).unwrap();
        fs::write(folder.path().join("base/1/7"), "1234").unwrap();
        fs::write(folder.path().join("8"), "12").unwrap();
        let contents = Contents { files: 2, bytes: 6 };
        assert_eq!(measure(folder.path()).unwrap(), contents);
        assert_eq!(empty(folder.path()).unwrap(), contents);
        assert_eq!(measure(folder.path()).unwrap(), Contents::default());
        assert!(measure(&folder.path().join("base")).is_err(), "it is gone");
    }
}
