//! The disaster and the way back: data is destroyed, and the latest backup takes its place.

use super::backup::Keeper;
use crate::clock;
use crate::substrate::local::{Supervised, ready_within};
use crate::substrate::{Doubt, Force, Known, NodeError, Pen};
use std::sync::Arc;
use std::time::Duration;

/// How long a client has to end in order: what it waits for is gone.
const GRACE: Duration = Duration::from_secs(1);

/// One restore, of each that has the role.
pub(super) struct Restore {
    keepers: Vec<Arc<dyn Keeper>>,
    clients: Vec<Arc<Supervised>>,
    /// There may be something to put back.
    is_touched: bool,
}

impl Restore {
    pub(super) fn new(keepers: Vec<Arc<dyn Keeper>>, clients: Vec<Arc<Supervised>>) -> Self {
        Self { keepers, clients, is_touched: false }
    }

    /// Puts all data back; the clients are away by then.
    fn put_back(&self) -> Result<Vec<Known>, Doubt> {
        self.keepers.iter().map(|keeper| keeper.put_back()).collect()
    }

    /// Ends the clients, all at once, each until it is let back, however that comes out.
    fn end_clients(&self) -> Result<(), Doubt> {
        let end = |client: &Supervised| match client.end(GRACE) {
            Ok(_) | Err(NodeError::NotRunning { .. }) => Ok(()),
            Err(error) => Err(Doubt::from(error)),
        };
        let panicked = |_| Err(Doubt::new("who was to end a client panicked"));
        std::thread::scope(|scope| {
            let ends: Vec<_> = self.clients.iter().map(|client| scope.spawn(move || end(client))).collect();
            ends.into_iter().map(|ended| ended.join().unwrap_or_else(panicked)).fold(Ok(()), Result::and)
        })
    }

    /// Lets the clients back, also when there is nothing for them to come back to.
    fn start_clients(&self) -> Result<Vec<Known>, Doubt> {
        let lives: Vec<u64> = self.clients.iter().map(|client| client.let_back()).collect();
        let back = self.clients.iter().zip(lives).map(|(client, life)| {
            let ready = client.await_ready(life, ready_within(client))?;
            let evidence = format!("{} is ready again as process {}", client.spec().spec.name, ready.pid);
            Ok(Known { at_ns: ready.at_ns, evidence })
        });
        back.collect()
    }
}

impl Force for Restore {
    fn apply(&mut self, _: &Pen<'_>) -> Result<Known, Doubt> {
        self.keepers.iter().try_for_each(|keeper| keeper.can_restore())?;
        self.is_touched = true;
        let gone: Result<Vec<Known>, Doubt> = self.keepers.iter().map(|keeper| keeper.destroy()).collect();
        Ok(joined(gone?))
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        if !self.is_touched {
            return Ok(Known { at_ns: clock::now_ns(), evidence: "nothing was changed".to_owned() });
        }
        // Each of the three, whatever became of the one before.
        let (ended, put_back, clients) = (self.end_clients(), self.put_back(), self.start_clients());
        ended?;
        let known = joined(put_back?.into_iter().chain(clients?).collect());
        // It serves since then; that it is as safe as before is looked at besides.
        let whole: Result<Vec<Option<String>>, Doubt> =
            self.keepers.iter().map(|keeper| keeper.is_whole()).collect();
        let told = [known.evidence].into_iter().chain(whole?.into_iter().flatten());
        Ok(Known { at_ns: known.at_ns, evidence: told.collect::<Vec<_>>().join("; ") })
    }
}

/// All of it is known since the last of it is.
fn joined(all: Vec<Known>) -> Known {
    let at_ns = all.iter().map(|known| known.at_ns).max().unwrap_or_else(clock::now_ns);
    let told: Vec<String> = all.into_iter().map(|known| known.evidence).collect();
    Known { at_ns, evidence: told.join("; ") }
}
