//! A limit on a node's memory: by its control group, or, where there is none, on its address space.
//!
//! They end differently, and the evidence says which it was: the kernel's OOM killer sends SIGKILL (exit status 137
//! of shells); a program that is refused address space usually aborts (134).

use super::revive;
use crate::clock;
use crate::ledger::Undo;
use crate::process::Identity;
use crate::substrate::local::Supervised;
use crate::substrate::local::kit::group::{Group, Version};
use crate::substrate::{Doubt, Force, Known, Pen};
use std::fs;
use std::io;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// How much a node may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Allowed {
    /// In all.
    Limit(u64),
    /// More than it has.
    Headroom(u64),
}

pub(super) struct Memory {
    node: Arc<Supervised>,
    allowed: Allowed,
    undo: Vec<Undo>,
    killed_before: u64,
}

impl Memory {
    pub(super) fn new(node: Arc<Supervised>, allowed: Allowed) -> Self {
        Self { node, allowed, undo: Vec::new(), killed_before: 0 }
    }

    fn bytes(&self, used: u64) -> u64 {
        match self.allowed {
            Allowed::Limit(mib) => mib * MIB,
            Allowed::Headroom(mib) => used + mib * MIB,
        }
    }

    fn limit_group(&mut self, pen: &Pen<'_>, group: &Group, node: Identity) -> Result<Known, Doubt> {
        let files = Files::of(group);
        if !group.holds(node.pid) {
            return Err(Doubt::new(format!("{node} is not in {}", group.folder.display())));
        }
        self.killed_before = group.figure(files.events, "oom_kill");
        let used = group.figure("memory.stat", files.used);
        let asked = self.bytes(used);
        for file in [Some(files.limit), files.swap].into_iter().flatten() {
            let undo = Undo::Write { file: group.file(file), text: group.read(file).map_err(unread)? };
            pen.write(&undo)?;
            self.undo.push(undo);
        }
        let set = lower(group, &files, asked)?;
        let at_ns = clock::now_ns();
        let in_force = group.number(files.limit).map_err(unread)?;
        if in_force > set {
            return Err(Doubt::new(format!(
                "the limit is {} MiB after {} MiB was set",
                in_force / MIB,
                set / MIB
            )));
        }
        let beyond =
            if set > asked { ", the least that the kernel takes while so much is in use" } else { "" };
        let evidence = format!(
            "{} may take {:.1} MiB{beyond} and has {:.1} MiB ({})",
            self.node.spec().spec.name,
            mib(set),
            mib(used),
            files.name
        );
        Ok(Known { at_ns, evidence })
    }

    fn limit_address_space(&mut self, pen: &Pen<'_>, node: Identity) -> Result<Known, Doubt> {
        let mapped = mapped(node.pid).ok_or_else(|| Doubt::new(format!("{node} is gone")))?;
        let before = address_space(node.pid, None).map_err(|error| Doubt::new(error.to_string()))?;
        let undo =
            Undo::AddressSpace { process: node, bytes: (before != libc::RLIM_INFINITY).then_some(before) };
        pen.write(&undo)?;
        self.undo.push(undo);
        let bytes = self.bytes(mapped);
        address_space(node.pid, Some(bytes)).map_err(|error| Doubt::new(error.to_string()))?;
        let at_ns = clock::now_ns();
        let in_force = address_space(node.pid, None).map_err(|error| Doubt::new(error.to_string()))?;
        if in_force != bytes {
            return Err(Doubt::new(format!(
                "its address space is limited to {in_force} bytes, not to {bytes}"
            )));
        }
        let evidence = format!(
            "{} may map {:.1} MiB and has {:.1} MiB (RLIMIT_AS, for want of a control group: it is refused memory \
             rather than killed, and its next life is not limited)",
            self.node.spec().spec.name,
            mib(bytes),
            mib(mapped)
        );
        Ok(Known { at_ns, evidence })
    }
}

impl Force for Memory {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let node = Arc::clone(&self.node);
        let process = super::running(&node)?;
        match node.kit().memory() {
            Ok(group) => self.limit_group(pen, group, process),
            Err(_) => self.limit_address_space(pen, process),
        }
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let mut told = Vec::new();
        for undo in self.undo.iter().rev() {
            told.push(undo.carry_out().map_err(Doubt::new)?);
        }
        if let Ok(group) = self.node.kit().memory() {
            let killed = group.figure(Files::of(group).events, "oom_kill").saturating_sub(self.killed_before);
            told.push(format!("the kernel killed {killed} of its processes for want of memory (oom_kill)"));
        }
        if let Some(ended) = self.node.ended() {
            told.push(format!("its last end: {}", ended.how()));
        }
        revive(&self.node, told)
    }
}

/// Names of the files of a group, by version.
struct Files {
    name: &'static str,
    limit: &'static str,
    swap: Option<&'static str>,
    events: &'static str,
    /// In `memory.stat`: what can't be given back.
    used: &'static str,
}

impl Files {
    fn of(group: &Group) -> Self {
        let with_swap = |file: &'static str| group.file(file).exists().then_some(file);
        match group.version {
            Version::Two => Self {
                name: "cgroup v2",
                limit: "memory.max",
                swap: with_swap("memory.swap.max"),
                events: "memory.events",
                used: "anon",
            },
            Version::One => Self {
                name: "cgroup v1",
                limit: "memory.limit_in_bytes",
                swap: with_swap("memory.memsw.limit_in_bytes"),
                events: "memory.oom_control",
                used: "total_rss",
            },
        }
    }
}

/// Sets the limit, or the lowest one above it that the kernel takes: version 1 refuses one below what is in use.
fn lower(group: &Group, files: &Files, asked: u64) -> Result<u64, Doubt> {
    let failed = |error: io::Error| {
        Doubt::new(format!("cannot limit the memory of {}: {error}", group.folder.display()))
    };
    let mut bytes = asked;
    loop {
        match group.write(files.limit, &bytes.to_string()) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && bytes < asked + (64 << 30) => {
                bytes += MIB
            }
            written => break written.map_err(failed)?,
        }
    }
    // Without this one what doesn't fit would go to swap. Version 1 counts both together there.
    if let Some(swap) = files.swap {
        let most = if group.version == Version::Two { 0 } else { bytes };
        group.write(swap, &most.to_string()).map_err(failed)?;
    }
    Ok(bytes)
}

fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bytes = bytes as f64;
    bytes / 1_048_576.0
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn unread(error: io::Error) -> Doubt {
    Doubt::new(format!("cannot read the control group: {error}"))
}

/// Address space that a process has mapped, bytes.
fn mapped(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?.trim().strip_suffix(" kB")?;
    Some(kib.trim().parse::<u64>().ok()? << 10)
}

/// Sets the soft limit of a process's address space, if one is given; returns the one that held before.
fn address_space(pid: u32, bytes: Option<u64>) -> io::Result<u64> {
    let new = bytes.map(|bytes| libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY });
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `new` is null or a valid rlimit, `old` a valid one; both outlive the call.
    if unsafe { libc::prlimit(pid.cast_signed(), libc::RLIMIT_AS, new, &raw mut old) } != 0 {
        let error = io::Error::last_os_error();
        return Err(io::Error::new(
            error.kind(),
            format!("cannot limit the memory of process {pid}: {error}"),
        ));
    }
    Ok(old.rlim_cur)
}
