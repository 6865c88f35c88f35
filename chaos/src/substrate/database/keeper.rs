//! Backups of a pair, and the way back from a disaster, for a drill: base copies are taken beside its manager, and the rest
//! is asked of it.

use super::DatabaseError;
use super::event::{News, Phase};
use super::manager::Order;
use super::pair::Pair;
use super::vault::Vault;
use crate::inject::Keeper;
use crate::role::{Role, Seat};
use crate::substrate::{Doubt, Known};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// A manager may be in the middle of a step, whose data are gone then.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// All of it is copied, and the log since replayed.
const BACK_WITHIN: Duration = Duration::from_secs(150);
/// The standby is copied anew.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// Looks after the data of a pair.
pub(super) struct PairKeeper {
    pair: Weak<Pair>,
    news: Arc<News>,
    orders: UnboundedSender<Order>,
    /// How many events there were before the last disaster.
    before: Mutex<usize>,
}

impl PairKeeper {
    /// Weak: the substrate must not keep alive what keeps the substrate alive.
    pub(super) fn new(pair: &Arc<Pair>, news: &Arc<News>, orders: &UnboundedSender<Order>) -> Self {
        let (pair, news, orders) = (Arc::downgrade(pair), Arc::clone(news), orders.clone());
        Self { pair, news, orders, before: Mutex::new(0) }
    }

    fn set_before(&self, events: usize) {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = events;
    }

    fn with_vault<T>(
        &self,
        deed: impl FnOnce(&Pair, &Vault) -> Result<T, DatabaseError>,
    ) -> Result<T, Doubt> {
        let pair = self.pair.upgrade().ok_or_else(|| Doubt::new("the databases have ended"))?;
        let vault = pair.vault.as_ref().ok_or_else(|| {
            Doubt::new("the databases have no archive: none of their backups was planned before they started")
        })?;
        deed(&pair, vault).map_err(|error| Doubt::new(error.to_string()))
    }

    fn order(&self, order: Order) -> Result<(), Doubt> {
        self.orders.send(order).map_err(|_| Doubt::new("the manager of the databases has ended"))
    }

    /// Waits for a phase that comes after the disaster was asked for; says what came instead.
    fn await_one(&self, phase: Phase, within: Duration) -> Result<Known, Doubt> {
        let after = *self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let instead = || {
            let came: Vec<String> = self.news.all().iter().skip(after).map(ToString::to_string).collect();
            let came = if came.is_empty() { "nothing".to_owned() } else { came.join("; ") };
            Doubt::new(format!("{} did not come within {within:?}; what came: {came}", phase.name()))
        };
        let event = self.news.await_phase(phase, after, within).ok_or_else(instead)?;
        Ok(Known { at_ns: event.at_ns, evidence: event.to_string() })
    }
}

impl Keeper for PairKeeper {
    fn has(&self, role: &Role) -> bool {
        *role == Role::Database(Seat::Primary)
    }

    fn back_up(&self) -> Result<String, Doubt> {
        self.with_vault(|pair, vault| vault.back_up(pair, pair.primary()))
    }

    fn can_restore(&self) -> Result<(), Doubt> {
        self.with_vault(|_, vault| vault.latest()).map(|_| ())
    }

    fn destroy(&self) -> Result<Known, Doubt> {
        let ordered = self.news.all().len();
        self.set_before(ordered);
        self.order(Order::Destroy)?;
        let destroyed = self.await_one(Phase::Destroyed, GONE_WITHIN)?;
        // A failover that went on was brought to its end first: its steps are none of the restore.
        self.set_before(self.news.first(Phase::Destroyed, ordered));
        Ok(destroyed)
    }

    fn put_back(&self) -> Result<Known, Doubt> {
        // Or what is put back would be destroyed after.
        self.await_one(Phase::Destroyed, GONE_WITHIN)?;
        self.order(Order::PutBack)?;
        let steps = [Phase::PutBack, Phase::Replayed, Phase::Writable, Phase::Repointed];
        let taken: Result<Vec<Known>, Doubt> =
            steps.into_iter().map(|phase| self.await_one(phase, BACK_WITHIN)).collect();
        let taken = taken?;
        let at_ns = taken.iter().map(|known| known.at_ns).max().unwrap_or_default();
        let told: Vec<String> = taken.into_iter().map(|known| known.evidence).collect();
        Ok(Known { at_ns, evidence: told.join("; ") })
    }

    fn is_whole(&self) -> Result<Option<String>, Doubt> {
        self.await_one(Phase::RedundancyRestored, WHOLE_WITHIN).map(|known| Some(known.evidence))
    }
}
