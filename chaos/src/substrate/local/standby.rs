//! Nodes that stand by: made ready and not started until they take over from others, who then stand by themselves.

use super::life::{Brought, Readiness};
use super::{Local, NodeChange, NodeError, NodeSpec, Supervised, ready_within};
use crate::clock;
use std::sync::Arc;
use std::time::Duration;

/// One look at whether a node that says that it is ready really serves; what it sees instead. Returns in bounded time.
pub type Proof = Box<dyn Fn(&Readiness) -> Result<(), String> + Send + Sync>;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Local {
    /// Makes everything ready for a node that stands by. It has its roles, and no fault is aimed at it, until it
    /// [takes over](Supervised::take_over). Blocks.
    ///
    /// # Errors
    /// There is one of its name, or no thread to be had.
    pub fn prepare_standby(&self, spec: NodeSpec) -> Result<Arc<Supervised>, NodeError> {
        let node = self.prepare_node(spec)?;
        node.stand_by(Duration::ZERO)?;
        Ok(node)
    }
}

impl Supervised {
    /// From now on it counts as serving only when `proof` says so; only the first such proof counts.
    pub fn proven_by(&self, proof: Proof) {
        let _ = self.proof.set(proof);
    }

    /// True while it stands by.
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.lock().stands_by
    }

    /// Wants it to run, and to stand by no longer. Returns the number of the life that is then its next.
    pub fn take_over(&self) -> u64 {
        self.lock().stands_by = false;
        self.want()
    }

    /// Ends it in order (its stop signal, then SIGKILL after `grace`) if it runs, and keeps it standing by from now on.
    /// `None`: it did not run. Blocks until it is gone.
    ///
    /// # Errors
    /// The system refuses, or it is still there.
    pub fn stand_by(&self, grace: Duration) -> Result<Option<Brought>, NodeError> {
        {
            // Before the signal, or its supervisor would start it again.
            self.lock().stands_by = true;
            self.shared.changed.notify_all();
        }
        let brought = match self.send(self.shared.spec.stop_signal, |_| ()) {
            Ok((life, sent_ns)) => Some(self.end_life(life, sent_ns, grace)?),
            Err(NodeError::NotRunning { .. }) => None,
            Err(error) => return Err(error),
        };
        let pid = brought.as_ref().map_or(0, |brought| brought.ended.pid);
        self.shared.tell(NodeChange::StandsBy, pid, clock::now_ns(), "");
        Ok(brought)
    }

    /// Returns when life `life` is ready and [proven](Self::proven_by) to serve, and still runs then. What does not come up
    /// the first time is not waited for. Blocks.
    ///
    /// # Errors
    /// It did not come up, did not serve, or ended meanwhile: why.
    pub fn await_serving(&self, life: u64) -> Result<Readiness, String> {
        let deadline = clock::after(ready_within(self));
        let ready = self.await_only(life, clock::until(deadline)).map_err(|error| error.to_string())?;
        loop {
            let proven = self.proof.get().map_or(Ok(()), |proof| proof(&ready));
            // Why it ended says more than what was seen of it afterwards.
            if let Some(ended) = self.ended().filter(|ended| ended.life >= life) {
                let tail = crate::substrate::log_tail::of(&self.spec().spec.log);
                return Err(format!(
                    "it ended after it was ready ({}); the end of its log:\n{tail}",
                    ended.how()
                ));
            }
            match proven {
                Ok(()) => return Ok(ready),
                Err(why) if clock::until(deadline).is_zero() => {
                    return Err(format!("it does not serve: {why}"));
                }
                Err(_) => drop(self.await_end(life, LOOK_EVERY)),
            }
        }
    }
}
