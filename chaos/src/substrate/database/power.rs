//! The process of a database: started, stopped in order, and ended as by a loss of power.

use super::DatabaseError;
use super::cluster::Cluster;
use crate::clock;
use crate::process::{self, Identity};
use crate::substrate::NodeError;
use crate::substrate::local::{Brought, Readiness};
use std::fs;
use std::time::Duration;

/// How long processes that were sent SIGKILL may take to be gone.
const ORPHANS_WITHIN: Duration = Duration::from_secs(10);

impl Cluster {
    /// Starts it, and returns when it takes connections (a standby: when it is consistent too).
    ///
    /// # Errors
    /// It doesn't come up within `limit`, or a fault keeps it away; it is gone then.
    pub fn start(&self, limit: Duration) -> Result<Readiness, DatabaseError> {
        let life = self.node.release();
        self.node.want();
        self.or_held(self.node.await_unhindered(life, limit))
    }

    /// The same, only to be asked by us and stopped again: to a fault that has ended it, it is not back.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_alone(&self, limit: Duration) -> Result<Readiness, DatabaseError> {
        let life = self.node.release_alone();
        self.node.want();
        self.or_held(self.node.await_alone(life, limit))
    }

    fn or_held(&self, ready: Result<Readiness, NodeError>) -> Result<Readiness, DatabaseError> {
        if ready.is_err() {
            self.node.hold(libc::SIGKILL, Duration::ZERO)?;
        }
        Ok(ready?)
    }

    /// Stops it in order (clients are sent away, a primary's standby gets everything first), or kills it after
    /// `grace`; nobody starts it then but [`Cluster::start`]. `None`: it did not run.
    ///
    /// # Errors
    /// It is still there.
    pub fn stop(&self, grace: Duration) -> Result<Option<Brought>, DatabaseError> {
        let brought = self.node.hold(libc::SIGINT, grace)?;
        self.end_orphans()?;
        Ok(brought)
    }

    /// SIGKILL to all of it at once, stopped processes too: a machine that loses its power, but for the page cache.
    /// Nobody starts it then but [`Cluster::start`]. `None`: it did not run.
    ///
    /// # Errors
    /// It is still there.
    pub fn crash(&self) -> Result<Option<Brought>, DatabaseError> {
        let brought = self.node.hold(libc::SIGKILL, Duration::ZERO)?;
        self.end_orphans()?;
        Ok(brought)
    }

    /// Without a namespace of its own the first process does not take the others with it, and one that is stopped does
    /// not even notice: it would go on in files that are somebody else's by then. All of them are at home in its folder.
    fn end_orphans(&self) -> Result<(), DatabaseError> {
        let is_at_home =
            |pid: u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.data);
        let deadline = clock::after(ORPHANS_WITHIN);
        loop {
            let all = process::every().into_iter().map(|(one, _)| one);
            let left: Vec<Identity> = all.filter(|one| is_at_home(one.pid) && one.is_alive()).collect();
            if left.is_empty() {
                return Ok(());
            }
            if clock::until(deadline).is_zero() {
                let name = &self.name;
                return Err(DatabaseError::State(format!(
                    "{} processes of {name} are still there {ORPHANS_WITHIN:?} after SIGKILL; the machine may be stuck on I/O",
                    left.len()
                )));
            }
            left.iter().for_each(|one| drop(one.signal(libc::SIGKILL)));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
