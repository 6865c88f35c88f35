//! Processes by their true names: an id is reused by the kernel, an id with its start time is not.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A process that can't be mistaken for a later one of the same id (on one boot of the machine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub pid: u32,
    /// When it was started, clock ticks after boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// `R` running, `S` sleeping, `T` stopped, `Z` ended and not reaped …
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// When it was started.
    pub start_ticks: u64,
}

impl Stat {
    /// Reads that of a process; `None` when there is no such process.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in the second field may hold blanks and parentheses: what counts begins after the last one.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let start_ticks = fields.nth(17)?.parse().ok()?;
        Some(Self { state, parent, start_ticks })
    }
}

impl Identity {
    /// That of the process which has this id now; `None` when there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Stat::of(pid).map(|stat| Self { pid, start_ticks: stat.start_ticks })
    }

    /// That of this process.
    ///
    /// # Panics
    /// Never on Linux with `/proc` mounted, which everything here needs.
    #[must_use]
    pub fn ours() -> Self {
        Self::of(std::process::id()).expect("/proc is mounted: this process is in it")
    }

    /// Its state, or `None` when it is gone (ended and only not reaped counts as gone).
    #[must_use]
    pub fn state(&self) -> Option<char> {
        let stat = Stat::of(self.pid)?;
        (stat.start_ticks == self.start_ticks && !matches!(stat.state, 'Z' | 'X')).then_some(stat.state)
    }

    /// True while it runs, or is stopped.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.state().is_some()
    }

    /// Sends it a signal; `false` when it is gone. Never hits another process.
    ///
    /// # Errors
    /// The system refuses.
    pub fn signal(&self, signal: i32) -> io::Result<bool> {
        let descriptor = match descriptor(self.pid) {
            Ok(descriptor) => descriptor,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
            Err(error) => return Err(error),
        };
        // The descriptor holds on to whoever has the id now; only then is it asked who that is.
        if !self.is_alive() {
            return Ok(false);
        }
        match send(&descriptor, signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    /// It and all processes below it, parents first.
    #[must_use]
    pub fn tree(&self) -> Vec<Identity> {
        let all = every();
        let mut tree = vec![*self];
        let mut next = 0;
        while let Some(parent) = tree.get(next).map(|one| one.pid) {
            tree.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(identity, _)| *identity));
            next += 1;
        }
        tree
    }
}

/// Every process that can be seen.
#[must_use]
pub fn every() -> Vec<(Identity, Stat)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let with_stat = pids.filter_map(|pid| Some((pid, Stat::of(pid)?)));
    with_stat.map(|(pid, stat)| (Identity { pid, start_ticks: stat.start_ticks }, stat)).collect()
}

/// The kernel's name for this boot of the machine: process ids and mounts of another boot mean nothing.
#[must_use]
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// A descriptor that stands for the process which has this id now.
///
/// # Errors
/// There is none (ESRCH), or the system refuses.
pub fn descriptor(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let raw = i32::try_from(raw).unwrap_or(-1);
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `raw` was just returned by the kernel and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sends a signal to the process that a descriptor stands for.
///
/// # Errors
/// It is gone (ESRCH), or the system refuses.
pub fn send(descriptor: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: an open pidfd, no siginfo, no flags.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            descriptor.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Returns when the process that a descriptor stands for has ended (`true`), or after `limit`; `None`: no limit.
///
/// # Errors
/// The system refuses.
pub fn await_end(descriptor: &OwnedFd, limit: Option<Duration>) -> io::Result<bool> {
    let deadline = limit.map(crate::clock::after);
    loop {
        let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let left_ms = deadline.map_or(-1, |deadline| {
            let left = crate::clock::until(deadline);
            // Rounded up: a poll that ends a part of a millisecond early would spin.
            i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: one valid pollfd, which outlives the call.
        match unsafe { libc::poll(&raw mut poll, 1, left_ms) } {
            0 => return Ok(false),
            1.. => return Ok(true),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1000 100 1844";
        assert_eq!(Stat::parse(text), Some(Stat { state: 'S', parent: 1, start_ticks: 12_345 }));
        assert_eq!(Stat::parse("7 (broken"), None);
    }

    #[test]
    fn a_reused_id_is_somebody_else() {
        let us = Identity::ours();
        assert!(us.is_alive());
        assert!(us.signal(0).unwrap(), "signal 0 only asks");
        let earlier = Identity { start_ticks: us.start_ticks - 1, ..us };
        assert!(!earlier.is_alive());
        assert!(!earlier.signal(libc::SIGKILL).unwrap(), "or this test would have ended here");
    }

    #[test]
    fn a_tree_holds_the_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let tree = Identity::ours().tree();
        assert!(tree.iter().any(|one| one.pid == child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
