//! A pool of workers: so many slots, each of which does one task at a time; who waits first is served first.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right to do one task; the slot is free again when it is dropped.
pub type Slot = OwnedSemaphorePermit;

/// The slots of one agent.
#[derive(Debug)]
pub struct Pool {
    name: String,
    free: Arc<Semaphore>,
    size: Mutex<u32>,
    /// Slots that are to vanish as soon as whoever holds them is done.
    owed: AtomicU32,
}

impl Pool {
    /// A pool without slots.
    pub fn new(name: &str) -> Self {
        let free = Arc::new(Semaphore::new(0));
        Self { name: name.to_owned(), free, size: Mutex::new(0), owed: AtomicU32::new(0) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Slots that nobody holds or waits for.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Waits for a slot, in the order of asking.
    pub async fn slot(&self) -> Slot {
        loop {
            let slot = Arc::clone(&self.free)
                .acquire_owned()
                .await
                .expect("the semaphore of a pool is never closed");
            let pay = |owed: u32| owed.checked_sub(1);
            if self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, pay).is_err() {
                return slot;
            }
            slot.forget();
        }
    }

    /// Sets the number of slots; slots in use that are too many vanish when they are given back.
    pub fn resize(&self, slots: u32) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if slots >= *size {
            self.free.add_permits((slots - *size) as usize);
        } else {
            let surplus = *size - slots;
            let forgotten = u32::try_from(self.free.forget_permits(surplus as usize)).unwrap_or(surplus);
            self.owed.fetch_add(surplus - forgotten, Ordering::AcqRel);
        }
        *size = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pool_grows_and_shrinks_also_while_its_slots_are_in_use() {
        let pool = Pool::new("codegen");
        pool.resize(3);
        let held = [pool.slot().await, pool.slot().await];
        assert_eq!(pool.free(), 1);
        pool.resize(1);
        assert_eq!(pool.free(), 0);
        drop(held);
        let last = pool.slot().await;
        assert_eq!(pool.free(), 0, "one of the two vanished");
        drop(last);
        pool.resize(2);
        assert_eq!(pool.free(), 2);
    }
}
