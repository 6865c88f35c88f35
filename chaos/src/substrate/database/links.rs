//! The links of a pair of databases, and how its manager cuts them: such that what a fault has cut is the fault's to heal, and
//! that healing it opens nothing which the manager keeps closed.

use super::DatabaseError;
use crate::proxy::client::{Control, Stream, Toxic};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What closes a link that somebody else has disabled, and may enable at any time.
const BOLT: &str = "shakedown-fence";

/// The connections to two databases, each through a proxy.
pub(super) struct Links {
    pub control: Control,
    /// Those of clients, to each.
    pub clients: [SocketAddr; 2],
    /// Those of standbys, from each.
    pub replication: [SocketAddr; 2],
    /// That of clients, to whoever is the primary.
    pub moving: SocketAddr,
    /// Links that the manager keeps cut.
    pub cuts: Mutex<BTreeMap<String, Cut>>,
}

/// How a link was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its proxy is disabled: connects are refused.
    Disabled,
    /// Its proxy was disabled already: every connection is reset, should that end.
    Bolted,
}

impl Links {
    /// Cuts a link; what is on its way is lost.
    ///
    /// # Errors
    /// The proxy doesn't do so.
    pub async fn cut(&self, link: &str) -> Result<(), DatabaseError> {
        let known = self.cuts().get(link).copied();
        let cut = match known {
            Some(cut) => cut,
            None if self.control.proxy(link).await.map_err(DatabaseError::proxy)?.enabled => Cut::Disabled,
            None => Cut::Bolted,
        };
        // First: an order whose answer is lost may have been carried out, and is to be healed then.
        self.cuts().insert(link.to_owned(), cut);
        match cut {
            Cut::Disabled => self.control.set_enabled(link, false).await.map(drop),
            Cut::Bolted => {
                // At the first byte of a client, which the database does not get.
                let bolt = Toxic::new(BOLT, "reset_peer", Stream::Upstream, &[("timeout", json!(0))]);
                self.control.set_toxic(link, &bolt).await.map(drop)
            }
        }
        .map_err(DatabaseError::proxy)
    }

    /// Heals a link when it was the manager who cut it.
    ///
    /// # Errors
    /// The proxy doesn't do so.
    pub async fn heal(&self, link: &str) -> Result<(), DatabaseError> {
        let cut = self.cuts().get(link).copied();
        match cut {
            None => return Ok(()),
            Some(Cut::Disabled) => self.control.set_enabled(link, true).await.map(drop),
            Some(Cut::Bolted) => self.control.remove_toxic(link, BOLT).await,
        }
        .map_err(DatabaseError::proxy)?;
        self.cuts().remove(link);
        Ok(())
    }

    fn cuts(&self) -> MutexGuard<'_, BTreeMap<String, Cut>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
