//! Blue-green: the nodes that stand by take over from those that run, and those stand by. Nobody is ended before all of
//! the new ones serve, so that new ones that do not come up cost nothing. What undoes it is the same fault once more;
//! when this process is gone, so are all nodes.

use super::end;
use crate::clock;
use crate::substrate::local::{Supervised, ready_within};
use crate::substrate::{Doubt, Force, Known, Pen};
use std::sync::Arc;
use std::time::Duration;

/// One switch.
pub(super) struct BlueGreen {
    /// All nodes of the role; which of them stand by is looked at when it begins.
    nodes: Vec<Arc<Supervised>>,
    grace: Duration,
    /// Those that are to be ended, the last one of them next.
    old: Vec<Arc<Supervised>>,
    /// Those that take over.
    new: Vec<Arc<Supervised>>,
    /// All of the new ones serve: from then on there is no way back but the next switch.
    has_switched: bool,
}

impl BlueGreen {
    pub(super) fn new(nodes: Vec<Arc<Supervised>>, grace: Duration) -> Self {
        Self { nodes, grace, old: Vec::new(), new: Vec::new(), has_switched: false }
    }

    /// Ends one of the old ones, when no new one is away; since when the new ones serve without it.
    fn end(&self, node: &Supervised, told: &mut Vec<String>) -> Result<u64, Doubt> {
        self.await_new()?;
        let name = &node.spec().spec.name;
        let gone_ns = match node.stand_by(self.grace)? {
            Some(brought) => {
                let known = end::gone("SIGTERM", &brought);
                told.push(format!("{name}: {}", known.evidence));
                known.at_ns
            }
            None => {
                told.push(format!("{name} did not run"));
                clock::now_ns()
            }
        };
        Ok(gone_ns.max(self.await_new()?))
    }

    /// Since when all of the new ones are ready: one that fell is started again by its supervisor.
    fn await_new(&self) -> Result<u64, Doubt> {
        let mut at_ns = 0;
        for node in &self.new {
            let life = node.life() + u64::from(node.running().is_none());
            at_ns = at_ns.max(node.await_ready(life, ready_within(node))?.at_ns);
        }
        Ok(at_ns)
    }

    /// Those that were started are ended again, and all is as before.
    fn take_back(&self) -> Result<Known, Doubt> {
        for node in &self.new {
            node.stand_by(self.grace)?;
        }
        let evidence = format!(
            "nobody else was ended: {} as before; standing by: {}",
            names(&self.old),
            names(&self.new)
        );
        Ok(Known { at_ns: clock::now_ns(), evidence })
    }
}

impl Force for BlueGreen {
    fn apply(&mut self, _: &Pen<'_>) -> Result<Known, Doubt> {
        (self.new, self.old) = self.nodes.iter().cloned().partition(|node| node.stands_by());
        if self.new.is_empty() {
            return Err(Doubt::new(
                "no node of that role stands by, so nobody can take over; add nodes that do",
            ));
        }
        let lives: Vec<u64> = self.new.iter().map(|node| node.take_over()).collect();
        for (node, life) in self.new.iter().zip(lives) {
            node.await_serving(life).map_err(|why| {
                let name = &node.spec().spec.name;
                Doubt::new(format!("{name} can't take over, so nobody was ended: {why}"))
            })?;
        }
        self.has_switched = true;
        let evidence = format!("{} serve, and {} are told to end now", names(&self.new), names(&self.old));
        Ok(Known { at_ns: clock::now_ns(), evidence })
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        if !self.has_switched {
            return self.take_back();
        }
        let (mut told, mut at_ns) = (Vec::new(), clock::now_ns());
        // The last one first, as always: who came first has led for longest, and is asked by most.
        while let Some(node) = self.old.pop() {
            at_ns = at_ns.max(self.end(&node, &mut told)?);
        }
        told.push(format!("serving: {}", names(&self.new)));
        Ok(Known { at_ns, evidence: told.join("; ") })
    }
}

fn names(nodes: &[Arc<Supervised>]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| node.spec().spec.name.as_str()).collect();
    names.join(", ")
}
