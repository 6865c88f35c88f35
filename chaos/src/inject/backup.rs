//! A backup that is taken while everything goes on: asked of whoever looks after the data, and over by itself.

use crate::clock;
use crate::role::Role;
use crate::substrate::{Doubt, Force, Known, Pen};
use std::sync::Arc;

/// Who looks after data that can be backed up, destroyed, and put back. Its verbs block.
pub(crate) trait Keeper: Send + Sync {
    /// True when it looks after the data of this role.
    fn has(&self, role: &Role) -> bool;

    /// Takes a backup, and says how large it is and how long it took.
    ///
    /// # Errors
    /// There is none of it.
    fn back_up(&self) -> Result<String, Doubt>;

    /// Refuses what could not be undone: there is no backup to restore.
    ///
    /// # Errors
    /// There is none; nothing was done.
    fn can_restore(&self) -> Result<(), Doubt>;

    /// Kills whoever uses the data, who stay away, and removes it; returns when nothing of it is left.
    ///
    /// # Errors
    /// A part of it may be left.
    fn destroy(&self) -> Result<Known, Doubt>;

    /// Puts the latest backup where the data was, and starts who uses it; returns when they serve.
    ///
    /// # Errors
    /// They don't.
    fn put_back(&self) -> Result<Known, Doubt>;

    /// Returns when all is as safe as it was before. Whoever serves does so already.
    ///
    /// # Errors
    /// It isn't in time.
    fn is_whole(&self) -> Result<Option<String>, Doubt> {
        Ok(None)
    }
}

/// One backup, of each that has the role.
pub(super) struct Backup {
    keepers: Vec<Arc<dyn Keeper>>,
    taken: Option<Known>,
}

impl Backup {
    pub(super) fn new(keepers: Vec<Arc<dyn Keeper>>) -> Self {
        Self { keepers, taken: None }
    }
}

impl Force for Backup {
    /// It is in force from its beginning: what was acknowledged before that is in it.
    fn apply(&mut self, _: &Pen<'_>) -> Result<Known, Doubt> {
        let at_ns = clock::now_ns();
        let told: Result<Vec<String>, Doubt> = self.keepers.iter().map(|keeper| keeper.back_up()).collect();
        let evidence = told?.join("; ");
        self.taken = Some(Known { at_ns: clock::now_ns(), evidence: "it is whole".to_owned() });
        Ok(Known { at_ns, evidence })
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let nothing = || Known { at_ns: clock::now_ns(), evidence: "nothing was changed".to_owned() };
        Ok(self.taken.take().unwrap_or_else(nothing))
    }
}
