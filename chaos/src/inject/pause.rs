//! SIGSTOP to every process of a node: it hangs, the kernel goes on taking its connections.

use crate::clock;
use crate::ledger::Undo;
use crate::process::Identity;
use crate::substrate::local::Supervised;
use crate::substrate::{Doubt, Force, Known, Pen};
use std::sync::Arc;
use std::time::Duration;

/// How long the processes may take to stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Pause {
    node: Arc<Supervised>,
    stopped: Vec<Identity>,
}

impl Pause {
    pub(super) fn new(node: Arc<Supervised>) -> Self {
        Self { node, stopped: Vec::new() }
    }
}

impl Force for Pause {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let name = &self.node.spec().spec.name;
        let node = self.node.running().ok_or_else(|| Doubt::new(format!("{name} does not run")))?;
        let mut announce = |new: &[Identity]| Ok(pen.write(&Undo::Continue { processes: new.to_vec() })?);
        let at_ns = freeze(node, &mut self.stopped, &mut announce)?;
        Ok(Known { at_ns, evidence: format!("{} of {name} in state T", pids(&self.stopped)) })
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let evidence = Undo::Continue { processes: self.stopped.clone() }.carry_out().map_err(Doubt::new)?;
        Ok(Known { at_ns: clock::now_ns(), evidence })
    }
}

/// Stops a process and all below it; returns since when all of them are known to be stopped. `announce` is told of those
/// that are stopped next, before they are; `stopped` holds all that were, however far that came.
///
/// # Errors
/// One runs on, or the first one is gone.
pub(crate) fn freeze(
    node: Identity,
    stopped: &mut Vec<Identity>,
    announce: &mut dyn FnMut(&[Identity]) -> Result<(), Doubt>,
) -> Result<u64, Doubt> {
    let deadline = clock::after(STOPPED_WITHIN);
    loop {
        // A process that was just about to start another one has done so by the time it stops.
        let all = node.tree().into_iter();
        let new: Vec<Identity> = all.filter(|one| one.is_alive() && !stopped.contains(one)).collect();
        if !new.is_empty() {
            announce(&new)?;
        }
        for process in &new {
            let sent = process.signal(libc::SIGSTOP);
            sent.map_err(|error| Doubt::new(format!("{process} got no SIGSTOP: {error}")))?;
            stopped.push(*process);
        }
        let going = stopped.iter().find(|one| one.state().is_some_and(|state| state != 'T'));
        let at_ns = clock::now_ns();
        match going {
            None if new.is_empty() => {
                let state = node.state().map_or("gone".to_owned(), String::from);
                let is_stopped = state == "T";
                return is_stopped
                    .then_some(at_ns)
                    .ok_or_else(|| Doubt::new(format!("{node} is in state {state}, not stopped")));
            }
            Some(process) if clock::until(deadline).is_zero() => {
                return Err(Doubt::new(format!("{process} runs on after SIGSTOP")));
            }
            _ => std::thread::yield_now(),
        }
    }
}

fn pids(processes: &[Identity]) -> String {
    let pids: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
    format!("process {}", pids.join(", "))
}
