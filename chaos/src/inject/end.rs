//! Faults that end a node: kill, stop, restart, one after another. What undoes them is that the node comes back, which
//! only its supervisor can do; when that is gone with this process, so are all nodes.

use crate::clock;
use crate::substrate::local::{Brought, Supervised, Supervision, ready_within};
use crate::substrate::{Doubt, Force, Known, NodeError, NotRun, Pen};
use std::sync::Arc;
use std::time::Duration;

/// SIGKILL.
pub(super) struct Kill {
    node: Arc<Supervised>,
    again_after: Option<Duration>,
    life: u64,
}

impl Kill {
    pub(super) fn new(node: Arc<Supervised>, again_after: Option<Duration>) -> Result<Self, NotRun> {
        if again_after.is_none() && node.spec().supervision == Supervision::Never {
            let reason = format!("nobody starts {} again after a kill", node.spec().spec.name);
            return Err(NotRun::new(reason, "say restart_after_ms"));
        }
        Ok(Self { node, again_after, life: 0 })
    }
}

impl Force for Kill {
    fn apply(&mut self, _: &Pen<'_>) -> Result<Known, Doubt> {
        self.life = self.node.life() + 1;
        let brought = self.node.kill(self.again_after)?;
        self.life = brought.ended.life + 1;
        Ok(gone("SIGKILL", &brought))
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let delay = match (self.again_after, self.node.spec().supervision) {
            (Some(after), _) | (None, Supervision::Again { after, .. }) => after,
            (None, Supervision::Never | Supervision::Manager) => Duration::ZERO,
        };
        back(&self.node, self.life, delay)
    }
}

/// SIGTERM, and it stays away.
pub(super) struct Stop {
    node: Arc<Supervised>,
    grace: Duration,
}

impl Stop {
    pub(super) fn new(node: Arc<Supervised>, grace: Duration) -> Self {
        Self { node, grace }
    }
}

impl Force for Stop {
    fn apply(&mut self, _: &Pen<'_>) -> Result<Known, Doubt> {
        Ok(gone("SIGTERM", &self.node.end(self.grace)?))
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let life = self.node.let_back();
        back(&self.node, life, Duration::ZERO)
    }
}

/// SIGTERM and started again: one node, or one after another.
pub(super) struct Restart {
    nodes: Vec<Arc<Supervised>>,
    grace: Duration,
    between: Duration,
    /// The life that the first one is to come back to.
    life: u64,
}

impl Restart {
    pub(super) fn new(nodes: Vec<Arc<Supervised>>, grace: Duration, between: Duration) -> Self {
        Self { nodes, grace, between, life: 0 }
    }
}

impl Force for Restart {
    fn apply(&mut self, _: &Pen<'_>) -> Result<Known, Doubt> {
        let ended = self.nodes[0].end(self.grace);
        // Also when it could not be ended: what else keeps it away is none of ours.
        self.life = self.nodes[0].let_back();
        Ok(gone("SIGTERM", &ended?))
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let mut told = Vec::new();
        let mut at_ns = clock::now_ns();
        for (index, node) in self.nodes.iter().enumerate() {
            let mut life = self.life;
            if index > 0 {
                std::thread::sleep(self.between);
                let ended = node.end(self.grace);
                life = node.let_back();
                ended?;
            }
            let known = back(node, life, Duration::ZERO)?;
            (at_ns, told) = (known.at_ns, [told, vec![known.evidence]].concat());
        }
        Ok(Known { at_ns, evidence: told.join("; ") })
    }
}

pub(super) fn gone(signal: &str, brought: &Brought) -> Known {
    let took = Duration::from_nanos(brought.ended.at_ns.saturating_sub(brought.sent_ns));
    let evidence = format!(
        "process {} is gone ({}), {:.2} ms after {signal}",
        brought.ended.pid,
        brought.ended.how(),
        took.as_secs_f64() * 1e3
    );
    Known { at_ns: brought.ended.at_ns, evidence }
}

fn back(node: &Supervised, life: u64, delay: Duration) -> Result<Known, Doubt> {
    let ready = match node.await_ready(life, delay + ready_within(node)) {
        // It is not missed any more.
        Err(standing @ NodeError::StandsBy { .. }) => {
            return Ok(Known { at_ns: clock::now_ns(), evidence: standing.to_string() });
        }
        other => other?,
    };
    let evidence = format!("{} is ready again as process {}", node.spec().spec.name, ready.pid);
    Ok(Known { at_ns: ready.at_ns, evidence })
}
