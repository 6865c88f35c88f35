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

/// Allows this process and its children as many open files as the system lets them have. A server that stalls under
/// open load is met by a thousand connections, and many systems begin with a limit of 1,024.
pub fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid rlimit. A refusal leaves the limit as it was: connections then say so.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
