//! What nodes left behind: processes that carry our mark though whoever started them is gone.
//!
//! The kernel ends a node with its parent (the parent-death signal), but not what the node itself started, and not a
//! node whose program is setuid: executing such a one clears the signal. The mark is inherited by all of them.

use super::cage::MARK;
use crate::process::{self, Identity};
use std::fs;

/// The mark that processes started by `owner` carry.
pub(crate) fn mark(owner: Identity) -> String {
    format!("{}:{}", owner.pid, owner.start_ticks)
}

/// Ends every process that carries the mark of `owner`; returns those that it ended.
pub fn of(owner: Identity) -> Vec<Identity> {
    let mark = mark(owner);
    end(|found| found == mark)
}

/// Ends every process that carries the mark of somebody who is gone; returns those that it ended.
pub fn abandoned() -> Vec<Identity> {
    end(|found| {
        let owner = found.split_once(':').and_then(|(pid, start_ticks)| {
            Some(Identity { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? })
        });
        owner.is_some_and(|owner| !owner.is_alive())
    })
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
