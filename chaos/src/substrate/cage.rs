//! What a node is started in: limits, groups and variables that faults work with, and a mark by which what it leaves
//! behind is found.

use super::sweep;
use crate::process::Identity;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The variable that marks every process of ours and all that they start: `PID:START_TICKS:NAMESPACE` of the process
/// that started the node, and the namespace of processes in which that has this id.
pub const MARK: &str = "SHAKEDOWN_NODE_OF";

/// What a node is started in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cage {
    /// Folders of control groups that it is put into.
    pub cgroups: Vec<PathBuf>,
    /// Variables of faults that need them from the start.
    pub env: Vec<(OsString, OsString)>,
    /// It is the first process of a namespace of its own, so that all that it starts ends with it. Needs root. Such a
    /// process ignores SIGTERM unless it handles it.
    pub own_processes: bool,
    /// Most address space, bytes.
    pub address_space: Option<u64>,
    /// User and group that it runs as; needs root.
    pub user: Option<(u32, u32)>,
}

impl Cage {
    /// Makes `command` start in it.
    ///
    /// # Errors
    /// A control group can't be entered.
    pub(super) fn close(&self, command: &mut Command) -> io::Result<()> {
        command.env(MARK, sweep::mark(Identity::ours())).envs(self.env.iter().cloned());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let doors = self.cgroups.iter().map(|folder| enter(folder)).collect::<io::Result<Vec<File>>>()?;
        let address_space = self.address_space;
        // SAFETY: the closure runs between fork and exec and calls only async-signal-safe functions (write,
        // setrlimit); it neither allocates nor locks.
        unsafe {
            command.pre_exec(move || {
                for door in &doors {
                    // 0 is whoever writes it.
                    if libc::write(door.as_raw_fd(), c"0".as_ptr().cast(), 1) != 1 {
                        return Err(io::Error::last_os_error());
                    }
                }
                if let Some(bytes) = address_space {
                    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
                    if libc::setrlimit(libc::RLIMIT_AS, &raw const limit) != 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        Ok(())
    }
}

fn enter(folder: &std::path::Path) -> io::Result<File> {
    let path = folder.join("cgroup.procs");
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot open {}: {error}", path.display()));
    OpenOptions::new().write(true).open(&path).map_err(named)
}
