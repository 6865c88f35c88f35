//! Who is asked for what only they can do: a change of roles, a backup of their data and its restore.

use super::backups::NodeKeeper;
use super::{Local, Supervised};
use crate::fault::Fault;
use crate::inject::{self, Keeper, Switch};
use crate::role::Role;
use crate::schedule::Injection;
use crate::substrate::{Aimed, Unaimed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Those who were introduced.
#[derive(Default)]
pub(super) struct Asked {
    switches: Mutex<Vec<Arc<dyn Switch>>>,
    keepers: Mutex<Vec<Arc<dyn Keeper>>>,
}

fn lock<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Local {
    /// From now on `switch` is asked for the changes of roles that it can make.
    pub(crate) fn add_switch(&self, switch: Arc<dyn Switch>) {
        lock(&self.asked.switches).push(switch);
    }

    /// From now on `keeper` is asked about the data of its roles.
    pub(crate) fn add_keeper(&self, keeper: Arc<dyn Keeper>) {
        lock(&self.asked.keepers).push(keeper);
    }

    /// Whom an injection asks, where it asks somebody; `None`: it is done to nodes or links.
    pub(super) fn ask(&self, injection: &Injection) -> Result<Option<Aimed>, Unaimed> {
        Ok(Some(match &injection.fault {
            Fault::Switchover {} => inject::switchover(injection, self.switch(&injection.on)?),
            Fault::Backup {} => inject::backup(injection, self.keepers(injection)?),
            Fault::Restore { clients } => {
                let keepers = self.keepers(injection)?;
                let clients: Vec<Arc<Supervised>> =
                    clients.iter().flat_map(|role| self.of_role(role)).collect();
                inject::restore(injection, keepers, clients)
            }
            _ => return Ok(None),
        }))
    }

    fn switch(&self, role: &Role) -> Result<Arc<dyn Switch>, Unaimed> {
        let found = lock(&self.asked.switches).iter().find(|switch| switch.has(role)).cloned();
        let nobody =
            || format!("nobody changes the role of {role} on request; a switchover is on db.primary");
        found.ok_or_else(|| Unaimed::Nobody(nobody()))
    }

    /// Who looks after the data of a role: somebody who was introduced, else each of its nodes.
    fn keepers(&self, injection: &Injection) -> Result<Vec<Arc<dyn Keeper>>, Unaimed> {
        if let Some(keeper) = lock(&self.asked.keepers).iter().find(|keeper| keeper.has(&injection.on)) {
            return Ok(vec![Arc::clone(keeper)]);
        }
        let of = |node| NodeKeeper::of(node).map(|keeper| Arc::new(keeper) as Arc<dyn Keeper>);
        Ok(self.victims(injection)?.into_iter().map(of).collect::<Result<_, _>>()?)
    }
}
