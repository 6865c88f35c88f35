//! A store that fails as disks do, for simulations: a journal and an archive on one disk in memory that says what is
//! durable, and on which each call can go wrong as planned. No clock and no chance: the plan says everything.

mod archive;
mod log;

use super::{AppendError, Apply, Opened, Store, StoreError};
use archive::{FaultyArchive, Saved};
use log::Log;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong with one call that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power fails before anything is written.
    PowerBefore,
    /// The power fails after the write and before the sync.
    PowerBetween,
    /// The power fails after the sync: all is there, and nobody hears of it.
    PowerAfter,
    /// An error is answered, and nothing was done.
    Fails,
    /// It is done, and an error is answered: the answer came too late.
    TimedOut,
    /// No space, for this call and so many that follow.
    Full(u32),
}

/// A disk. Clones are the same disk; it outlives the engines that are opened on it.
#[derive(Clone, Default)]
pub struct Disk {
    content: Arc<Mutex<Content>>,
}

#[derive(Default)]
struct Content {
    /// Faults by the number of the call that they hit.
    plan: BTreeMap<u64, Fault>,
    /// Calls so far that write.
    calls: u64,
    /// Calls to come that find no space.
    full: u32,
    /// No call works until the power is back.
    dark: bool,
    journal: Log,
    archive: Saved,
}

/// What a call does.
enum Course {
    /// All that it should.
    Well,
    /// As much as the fault lets it, and answers the error.
    Until(Reached, String),
    /// Nothing: there is no space.
    NoSpace,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Nothing,
    Written,
    Synced,
}

impl Disk {
    /// A store and an archive on this disk, for one engine.
    #[must_use]
    pub fn open(&self) -> Opened {
        let store = FaultyStore { disk: self.clone(), needed: 0 };
        (Box::new(store), Arc::new(FaultyArchive::new(self.clone())))
    }

    /// Lets a fault hit the call that comes after so many others.
    pub fn plan(&self, after_calls: u64, fault: Fault) {
        let content = &mut *self.content();
        content.plan.insert(content.calls + 1 + after_calls, fault);
    }

    /// Forgets the faults that have not come, and has space again.
    pub fn mend(&self) {
        let content = &mut *self.content();
        content.plan.clear();
        content.full = 0;
    }

    /// The power fails and comes back. Of what was written and not synced, `kept` per mille is still there, from the
    /// front, to the byte: a frame that is cut is not taken for one.
    pub fn lose_power(&self, kept: u64) {
        let content = &mut *self.content();
        content.journal.lose(kept);
        content.archive.lose(kept);
        content.dark = false;
    }

    /// True after a fault that took the power away.
    #[must_use]
    pub fn is_dark(&self) -> bool {
        self.content().dark
    }

    /// Calls so far that write.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.content().calls
    }

    /// Turns one bit of a synced frame around.
    pub fn damage(&self, position: u64, bit: usize) {
        self.content().journal.damage(position, bit);
    }

    /// Something of every frame that was ever written: equal for equal journals.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.content().journal.digest()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Nothing that is done under the lock can panic half-way.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// What becomes of the next call that writes.
    fn course(&mut self) -> Course {
        if self.dark {
            return Course::Until(Reached::Nothing, "there is no power".to_owned());
        }
        self.calls += 1;
        if let Some(Fault::Full(calls)) = self.plan.get(&self.calls) {
            self.full = self.full.max(calls + 1);
        }
        let fault = self.plan.remove(&self.calls);
        if self.full > 0 {
            self.full -= 1;
            return Course::NoSpace;
        }
        let reached = match fault {
            None | Some(Fault::Full(_)) => return Course::Well,
            Some(Fault::PowerBefore | Fault::Fails) => Reached::Nothing,
            Some(Fault::PowerBetween) => Reached::Written,
            Some(Fault::PowerAfter | Fault::TimedOut) => Reached::Synced,
        };
        self.dark = !matches!(fault, Some(Fault::Fails | Fault::TimedOut));
        Course::Until(reached, format!("planned: {fault:?} at call {}", self.calls))
    }
}

/// A journal on a [`Disk`].
struct FaultyStore {
    disk: Disk,
    /// Frames before this are not needed.
    needed: u64,
}

impl Store for FaultyStore {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        let content = &mut *self.disk.content();
        if position != content.journal.next() {
            let next = content.journal.next();
            return Err(AppendError::Broken(format!("position {position} was asked for, {next} is next")));
        }
        let (reached, answer) = match content.course() {
            Course::NoSpace => return Err(AppendError::Full("planned: the disk is full".to_owned())),
            Course::Well => (Reached::Synced, Ok(())),
            Course::Until(reached, why) => (reached, Err(AppendError::Broken(why))),
        };
        if reached >= Reached::Written {
            content.journal.write(frame);
        }
        if reached >= Reached::Synced {
            content.journal.sync(self.needed);
        }
        answer
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        let damaged = |why| StoreError::Corrupt { path: "a faulty disk".into(), why };
        // Read before it is applied: who applies reads the archive on the same disk.
        let frames = {
            let content = &mut *self.disk.content();
            content.journal.recover();
            content.journal.frames().map_err(damaged)?
        };
        for (position, frame) in &frames {
            apply(*position, frame).map_err(damaged)?;
        }
        Ok(self.disk.content().journal.next())
    }

    fn forget(&mut self, position: u64) {
        self.needed = position;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(disk: &Disk) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut take = |_, frame: &[u8]| {
            frames.push(frame.to_vec());
            Ok(())
        };
        disk.open().0.replay(&mut take).unwrap();
        frames
    }

    #[test]
    fn a_cut_frame_is_not_there_and_a_whole_one_is() {
        for kept in 0..=1000 {
            let disk = Disk::default();
            disk.open().0.append(0, b"first").unwrap();
            disk.plan(0, Fault::PowerBetween);
            assert!(matches!(disk.open().0.append(1, b"second"), Err(AppendError::Broken(_))));
            assert!(disk.open().0.append(1, b"second").is_err(), "the power is gone");
            disk.lose_power(kept);
            let expected: &[&[u8]] = if kept < 1000 { &[b"first"] } else { &[b"first", b"second"] };
            assert_eq!(frames(&disk), expected, "{kept}");
        }
    }

    #[test]
    fn each_fault_leaves_what_it_says() {
        for (fault, left, dark) in [
            (Fault::PowerBefore, 0, true),
            (Fault::PowerBetween, 0, true),
            (Fault::PowerAfter, 1, true),
            (Fault::Fails, 0, false),
            (Fault::TimedOut, 1, false),
            (Fault::Full(0), 0, false),
        ] {
            let disk = Disk::default();
            disk.plan(0, fault);
            assert!(disk.open().0.append(0, b"[]").is_err(), "{fault:?}");
            assert_eq!(disk.is_dark(), dark, "{fault:?}");
            disk.lose_power(0);
            assert_eq!(frames(&disk).len(), left, "{fault:?}");
        }
    }

    #[test]
    fn a_damaged_frame_is_refused() {
        for bit in 0..(16 + 5) * 8 {
            let disk = Disk::default();
            disk.open().0.append(0, b"[1,2]").unwrap();
            disk.open().0.append(1, b"[]").unwrap();
            disk.damage(0, bit);
            let refused = disk.open().0.replay(&mut |_, _| Ok(())).unwrap_err().to_string();
            assert!(refused.contains("is damaged"), "{refused}");
        }
    }

    #[test]
    fn frames_that_are_not_needed_go_with_later_appends_and_the_last_stays() {
        let disk = Disk::default();
        let (mut store, _) = disk.open();
        (0..10).for_each(|position| store.append(position, b"[]").unwrap());
        store.forget(10);
        (10..20).for_each(|position| store.append(position, b"[]").unwrap());
        let mut first = None;
        let next = store.replay(&mut |position, _| {
            first.get_or_insert(position);
            Ok(())
        });
        assert_eq!((first, next.unwrap()), (Some(10), 20));
    }
}
