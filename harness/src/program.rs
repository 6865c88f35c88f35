//! This program itself, to be started again as engine or as load.

use std::io;
use std::path::PathBuf;

/// Where this program can be started from, also when its file was replaced (by a build, say) while it runs.
///
/// # Errors
/// The system doesn't tell.
pub fn path() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    // The kernel keeps a running program's file, and shows it to the program's own children as well.
    Ok(if path.is_file() { path } else { PathBuf::from("/proc/self/exe") })
}
