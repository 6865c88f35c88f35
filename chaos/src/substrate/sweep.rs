//! What nodes left behind: processes that carry our mark though whoever started them is gone.
//!
//! The kernel ends a node with its parent (the parent-death signal), but not what the node itself started, and not a
//! node whose program is setuid: executing such a one clears the signal. The mark is inherited by all of them.
//!
//! An id of a process means something in one namespace of processes only: from a host, those of a container are seen
//! with other ids, and the one that a mark names seems to be gone. So marks of other namespaces are left alone.

use super::cage::MARK;
use crate::process::{self, Identity};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The mark that processes started by `owner`, one of our namespace of processes, carry.
#[must_use]
pub fn mark(owner: Identity) -> String {
    format!("{}:{}:{}", owner.pid, owner.start_ticks, namespace())
}

/// The kernel's number of our namespace of processes.
fn namespace() -> u64 {
    // Without /proc there would be no processes to be found either.
    fs::metadata("/proc/self/ns/pid").map_or(0, |data| data.ino())
}

/// Ends every process that carries the mark of `owner`; returns those that it ended.
pub fn of(owner: Identity) -> Vec<Identity> {
    let mark = mark(owner);
    end(|found| found == mark)
}

/// Ends every process that carries the mark of somebody who is gone; returns those that it ended.
pub fn abandoned() -> Vec<Identity> {
    let ours = namespace();
    end(|found| owner(found, ours).is_some_and(|owner| !owner.is_alive()))
}

/// Whom a mark names; `None` when it is no mark, or one of another namespace.
fn owner(mark: &str, ours: u64) -> Option<Identity> {
    let [pid, start_ticks, namespace] = mark.split(':').collect::<Vec<_>>().try_into().ok()?;
    let owner = Identity { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? };
    (namespace.parse() == Ok(ours)).then_some(owner)
}

fn end(unwanted: impl Fn(&str) -> bool) -> Vec<Identity> {
    let marked = process::every()
        .into_iter()
        .map(|(identity, _)| identity)
        .filter(|identity| identity.is_alive() && mark_of(identity.pid).is_some_and(|mark| unwanted(&mark)));
    // A process that can't be signalled (somebody else's) can't be read either, and so was not found.
    marked.filter(|identity| identity.signal(libc::SIGKILL).unwrap_or(false)).collect()
}

fn mark_of(pid: u32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{MARK}=");
    let found = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix.as_bytes()));
    found.map(|mark| String::from_utf8_lossy(mark).into_owned())
}
