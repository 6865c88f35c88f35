//! How each fault is done: one kind, one file, and the one `match`.

mod backup;
mod blue_green;
mod clock_skew;
mod command;
mod corrupt;
mod cpu;
pub(crate) mod disk_full;
mod end;
mod link;
mod memory;
pub(crate) mod pause;
mod restore;
mod switchover;

pub(crate) use backup::Keeper;
pub(crate) use switchover::Switch;

use crate::clock;
use crate::fault::Fault;
use crate::process::Identity;
use crate::schedule::Injection;
use crate::substrate::link::Link;
use crate::substrate::local::{Supervised, ready_within};
use crate::substrate::{Aimed, Doubt, Force, Known, NodeError, NotRun};
use std::sync::Arc;
use std::time::Duration;

/// The user's own commands; `None` when the fault is another one. They go anywhere.
pub(crate) fn command(injection: &Injection) -> Option<Aimed> {
    let force = command::Command::of(injection)?;
    Some(Aimed { things: vec![injection.on.to_string()], force: Box::new(force) })
}

/// What hurts a link: each of its parts, where it leads to several nodes.
pub(crate) fn link(injection: &Injection, parts: Vec<Link>) -> Aimed {
    let things = parts.iter().map(|part| part.name.clone()).collect();
    let parts = parts.into_iter().map(|part| link::Link::new(part, injection)).collect();
    Aimed { things, force: Box::new(link::Parts::new(parts)) }
}

/// What changes roles.
pub(crate) fn switchover(injection: &Injection, switch: Arc<dyn Switch>) -> Aimed {
    Aimed { things: vec![injection.on.to_string()], force: Box::new(switchover::Switchover::new(switch)) }
}

/// What takes a backup.
pub(crate) fn backup(injection: &Injection, keepers: Vec<Arc<dyn Keeper>>) -> Aimed {
    Aimed { things: vec![injection.on.to_string()], force: Box::new(backup::Backup::new(keepers)) }
}

/// What destroys data and puts the latest backup in its place.
pub(crate) fn restore(
    injection: &Injection,
    keepers: Vec<Arc<dyn Keeper>>,
    clients: Vec<Arc<Supervised>>,
) -> Aimed {
    Aimed { things: vec![injection.on.to_string()], force: Box::new(restore::Restore::new(keepers, clients)) }
}

/// What hurts nodes that are child processes of ours.
///
/// # Errors
/// This machine can't do it.
pub(crate) fn local(injection: &Injection, nodes: Vec<Arc<Supervised>>) -> Result<Aimed, NotRun> {
    let things: Vec<String> = nodes.iter().map(|node| node.spec().spec.name.clone()).collect();
    let Some(node) = nodes.first().cloned() else {
        return Err(NotRun::new("there is nobody to hurt", "name a role that the target has"));
    };
    let ms = Duration::from_millis;
    let force: Box<dyn Force> = match &injection.fault {
        Fault::Kill { restart_after_ms } => Box::new(end::Kill::new(node, restart_after_ms.map(ms))?),
        Fault::Stop { grace_ms } => Box::new(end::Stop::new(node, ms(*grace_ms))),
        Fault::Restart { grace_ms } => Box::new(end::Restart::new(nodes, ms(*grace_ms), Duration::ZERO)),
        Fault::RollingRestart { grace_ms, between_ms } => {
            Box::new(end::Restart::new(nodes, ms(*grace_ms), ms(*between_ms)))
        }
        Fault::BlueGreen { grace_ms } => Box::new(blue_green::BlueGreen::new(nodes, ms(*grace_ms))),
        Fault::Pause {} => Box::new(pause::Pause::new(node)),
        Fault::Memory { limit_mib, headroom_mib } => {
            let headroom = memory::Allowed::Headroom(headroom_mib.unwrap_or(0));
            Box::new(memory::Memory::new(node, limit_mib.map_or(headroom, memory::Allowed::Limit)))
        }
        Fault::Cpu { cores } => Box::new(cpu::Cpu::new(node, *cores)),
        Fault::DiskFull { .. } => {
            let (folder, kind) = node.kit().disk().map(|disk| (disk.folder.clone(), disk.kind()))?;
            Box::new(disk_full::DiskFull::new(node, folder, kind))
        }
        Fault::ClockSkew { offset_s } => {
            node.kit().clock()?;
            Box::new(clock_skew::ClockSkew::new(node, *offset_s))
        }
        Fault::Corrupt { file, bytes } => {
            let data = node.spec().data.clone().ok_or_else(|| {
                NotRun::new(
                    format!("{} keeps no data in a folder of its own", node.spec().spec.name),
                    "give the node a folder for it",
                )
            })?;
            Box::new(corrupt::Corrupt::new(node, data, file.clone(), *bytes, injection.seed))
        }
        other => {
            let reason = format!("a {} of local nodes is not supported", other.kind());
            return Err(NotRun::new(reason, "use another fault"));
        }
    };
    Ok(Aimed { things, force })
}

/// The node's process; a node that is away can't be hurt.
fn running(node: &Supervised) -> Result<Identity, Doubt> {
    node.running().ok_or_else(|| Doubt::new(format!("{} does not run", node.spec().spec.name)))
}

/// Ends a healing: a node that the fault has ended comes up again, also when its supervisor has given it up. One that
/// another fault keeps away is not started; it is waited for. One that stands by meanwhile is not missed.
fn revive(node: &Supervised, mut told: Vec<String>) -> Result<Known, Doubt> {
    let at_ns = clock::now_ns();
    let was_away = node.running().is_none();
    let life = node.want();
    let ready = match node.await_ready(life, ready_within(node)) {
        Err(standing @ NodeError::StandsBy { .. }) => {
            told.push(standing.to_string());
            return Ok(Known { at_ns, evidence: told.join("; ") });
        }
        other => other?,
    };
    if was_away || ready.at_ns > at_ns {
        told.push(format!("{} is ready again as process {}", node.spec().spec.name, ready.pid));
    }
    Ok(Known { at_ns: at_ns.max(ready.at_ns), evidence: told.join("; ") })
}
