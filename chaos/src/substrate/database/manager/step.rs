//! What a manager can do.

use super::super::Side;

/// Something that a manager does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Keeps a lost primary from writing.
    Fence(Side),
    /// Stops a primary in order, so that the standby has everything.
    StopInOrder(Side),
    /// Makes the standby the primary.
    Promote(Side),
    /// Writes on the new primary until that works.
    AwaitWritable(Side),
    /// Leads clients to it.
    Repoint(Side),
    /// Tries to write on the fenced one.
    TryLate(Side),
    /// Asks a stopped primary of before, alone, what it has that the new one has not.
    Compare(Side),
    /// Stops one whose data are to be put in order.
    Stop(Side),
    /// Starts a primary again where it was.
    Restart(Side),
    /// Makes a stopped one a standby of the other.
    Rejoin(Side, How),
    /// Kills both, the primary first, and removes their data.
    Destroy(Side),
    /// Puts the latest backup where the data was.
    PutBack(Side),
    /// Starts it, and waits until it has the archived log and takes writes.
    Replay(Side),
    /// Lets commits go on without the standby.
    Degrade(Side),
    /// Makes commits wait for the standby.
    Restore(Side),
}

/// How a stopped database becomes a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was one, and goes on.
    Start,
    /// What the primary doesn't know is taken back.
    Rewind,
    /// It is copied anew.
    Copy,
}

impl Step {
    /// The database that it is about.
    #[must_use]
    pub fn side(self) -> Side {
        let (Self::Fence(side)
        | Self::StopInOrder(side)
        | Self::Promote(side)
        | Self::AwaitWritable(side)
        | Self::Repoint(side)
        | Self::TryLate(side)
        | Self::Compare(side)
        | Self::Stop(side)
        | Self::Restart(side)
        | Self::Rejoin(side, _)
        | Self::Destroy(side)
        | Self::PutBack(side)
        | Self::Replay(side)
        | Self::Degrade(side)
        | Self::Restore(side)) = self;
        side
    }
}
