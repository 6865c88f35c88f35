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

    /// Stops what is not stopped yet, and returns whether there was any.
    fn stop(&mut self, pen: &Pen<'_>, node: Identity) -> Result<bool, Doubt> {
        let new: Vec<Identity> =
            node.tree().into_iter().filter(|one| one.is_alive() && !self.stopped.contains(one)).collect();
        if new.is_empty() {
            return Ok(false);
        }
        pen.write(&Undo::Continue { processes: new.clone() })?;
        for process in &new {
            let sent = process.signal(libc::SIGSTOP);
            sent.map_err(|error| Doubt::new(format!("{process} got no SIGSTOP: {error}")))?;
        }
        self.stopped.extend(new);
        Ok(true)
    }
}

impl Force for Pause {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let name = &self.node.spec().spec.name;
        let node = self.node.running().ok_or_else(|| Doubt::new(format!("{name} does not run")))?;
        let deadline = clock::after(STOPPED_WITHIN);
        loop {
            // A process that was just about to start another one has done so by the time it stops.
            let more = self.stop(pen, node)?;
            let going = self.stopped.iter().find(|one| one.state().is_some_and(|state| state != 'T'));
            let at_ns = clock::now_ns();
            match going {
                None if !more => {
                    let state = node.state().map_or("gone".to_owned(), String::from);
                    if state != "T" {
                        return Err(Doubt::new(format!("{node} is in state {state}, not stopped")));
                    }
                    let evidence =
                        format!("{} of {} in state T", pids(&self.stopped), self.node.spec().spec.name);
                    return Ok(Known { at_ns, evidence });
                }
                Some(process) if clock::until(deadline).is_zero() => {
                    return Err(Doubt::new(format!("{process} runs on after SIGSTOP")));
                }
                _ => std::thread::yield_now(),
            }
        }
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let evidence = Undo::Continue { processes: self.stopped.clone() }.carry_out().map_err(Doubt::new)?;
        Ok(Known { at_ns: clock::now_ns(), evidence })
    }
}

fn pids(processes: &[Identity]) -> String {
    let pids: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
    format!("process {}", pids.join(", "))
}
