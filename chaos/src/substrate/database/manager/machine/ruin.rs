//! A disaster that an operator orders, and the way back: what was about to be done is of no use then.

use super::super::super::event::{Phase, Shown};
use super::super::step::{How, Step};
use super::{Machine, Other};

impl Machine {
    /// An operator orders that all data be destroyed; a disaster asks nobody whether it suits.
    pub fn destroy(&mut self) {
        (self.ruined, self.failures, self.not_before_ns) = (true, 0, 0);
        (self.waits, self.redundant) = (false, false);
        (self.joining, self.target, self.silent_ns) = (None, None, None);
        // What the other one was is gone too: it is copied from the restored one.
        (self.other, self.next_how) = (Other::Standby, Some(How::Copy));
        self.queue = [Step::Destroy(self.primary)].into();
    }

    /// An operator orders that the latest backup take its place. Without a disaster there is nothing to do.
    pub fn put_back(&mut self) {
        let side = self.primary;
        if self.ruined {
            self.queue.extend([Step::PutBack(side), Step::Replay(side)]);
            self.queue.extend([Step::AwaitWritable(side), Step::Repoint(side)]);
        }
    }

    pub(super) fn rebuilt(&mut self, step: Step, at_ns: u64, shown: Shown) {
        let phase = match step {
            Step::Destroy(_) => Phase::Destroyed,
            Step::PutBack(_) => Phase::PutBack,
            _ => Phase::Replayed,
        };
        self.tell(phase, at_ns, step.side(), shown);
    }
}
