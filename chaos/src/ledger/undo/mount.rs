//! Mounts, by the folder on which they are.

use super::until_none;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// True when something is mounted on the folder.
pub fn is_mounted(folder: &Path) -> bool {
    let Ok(table) = fs::read("/proc/self/mountinfo") else { return false };
    // The kernel names folders without links in them, and writes blanks as \040.
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let wanted = escaped(folder.as_os_str().as_bytes());
    table.split(|byte| *byte == b'\n').any(|line| line.split(|byte| *byte == b' ').nth(4) == Some(&wanted))
}

fn escaped(path: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
        byte => vec![*byte],
    };
    path.iter().flat_map(escape).collect()
}

/// Unmounts what is on the folder; while somebody uses it, for `within`.
pub fn unmount(folder: &Path, within: Duration) -> Result<String, String> {
    if !is_mounted(folder) {
        return Ok(format!("nothing is mounted on {} any more", folder.display()));
    }
    let Ok(path) = CString::new(folder.as_os_str().as_bytes()) else {
        return Err(format!("{} is no path", folder.display()));
    };
    let attempt = || {
        // SAFETY: a path that ends with a zero, and no flags.
        let unmounted = unsafe { libc::umount2(path.as_ptr(), 0) } == 0;
        (!unmounted).then(io::Error::last_os_error).filter(|_| is_mounted(folder))
    };
    match until_none(attempt) {
        None => Ok(format!("{} is unmounted", folder.display())),
        Some(error) => Err(format!("cannot unmount {} within {within:?}: {error}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_known_and_folders_are_none() {
        assert!(is_mounted(Path::new("/proc")));
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_mounted(folder.path()));
        assert!(unmount(folder.path(), Duration::ZERO).unwrap().contains("nothing is mounted"));
        assert_eq!(escaped(b"/a b"), b"/a\\040b");
    }
}
