//! A planned change of roles in a pair of databases: asked for, and followed by what its manager tells.

use crate::role::Role;
use crate::substrate::{Doubt, Force, Known, Pen};
use std::sync::Arc;

/// Who can change roles on request.
pub(crate) trait Switch: Send + Sync {
    /// True when it looks after this role.
    fn has(&self, role: &Role) -> bool;

    /// Asks for the change; returns when it has begun. Blocks.
    ///
    /// # Errors
    /// It is refused, or nobody says that it began.
    fn begin(&self) -> Result<Known, Doubt>;

    /// Returns when the next change would be possible. Blocks.
    ///
    /// # Errors
    /// It isn't in time.
    fn is_over(&self) -> Result<Known, Doubt>;
}

/// One change.
pub(super) struct Switchover {
    switch: Arc<dyn Switch>,
    has_begun: bool,
}

impl Switchover {
    pub(super) fn new(switch: Arc<dyn Switch>) -> Self {
        Self { switch, has_begun: false }
    }
}

impl Force for Switchover {
    fn apply(&mut self, _: &Pen<'_>) -> Result<Known, Doubt> {
        let begun = self.switch.begin()?;
        self.has_begun = true;
        Ok(begun)
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        if self.has_begun {
            return self.switch.is_over();
        }
        Ok(Known { at_ns: crate::clock::now_ns(), evidence: "nothing was changed".to_owned() })
    }
}
