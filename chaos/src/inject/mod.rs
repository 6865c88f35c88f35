//! How each fault is done: one kind, one file, and the one `match`.

mod end;
mod pause;

use crate::fault::Fault;
use crate::schedule::Injection;
use crate::substrate::local::Supervised;
use crate::substrate::{Aimed, Force, NotRun};
use std::sync::Arc;
use std::time::Duration;

/// What hurts nodes that are child processes of ours.
///
/// # Errors
/// This machine can't do it.
pub(crate) fn local(injection: &Injection, nodes: Vec<Arc<Supervised>>) -> Result<Aimed, NotRun> {
    let names: Vec<&str> = nodes.iter().map(|node| node.spec().spec.name.as_str()).collect();
    let thing = names.join(", ");
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
        Fault::Pause {} => Box::new(pause::Pause::new(node)),
        other => {
            let reason = format!("a {} of local nodes is not supported", other.kind());
            return Err(NotRun::new(reason, "use another fault"));
        }
    };
    Ok(Aimed { thing, force })
}
