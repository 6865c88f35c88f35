//! The failover manager: looks each interval, lets the machine decide, and does what it says. It knows of a primary only
//! what a write with a deadline tells, which is the same for one that is dead and one that hangs.

mod act;
mod compare;
mod machine;
mod rebuild;
mod step;
#[cfg(test)]
mod story;
mod watch;

use super::DatabaseError;
use super::event::{LateWrites, News};
use super::pair::Pair;
use super::sql::SqlError;
use crate::clock;
use crate::substrate::link;
use machine::Machine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use watch::Watcher;

/// What a manager is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The roles are to change, without loss.
    Switchover,
    /// Both are to be killed, and their data destroyed.
    Destroy,
    /// The latest backup is to take the place of what was destroyed.
    PutBack,
    /// Nobody needs it any more.
    End,
}

/// Looks after a pair until it is told to end. Blocks.
pub fn run(pair: &Arc<Pair>, news: &News, redundant: &AtomicBool, orders: UnboundedReceiver<Order>) {
    link::block_on(tend(pair, news, redundant, orders));
}

async fn tend(pair: &Arc<Pair>, news: &News, redundant: &AtomicBool, mut orders: UnboundedReceiver<Order>) {
    let mut machine = Machine::new(pair.settings.clone());
    let mut watcher = Watcher::new(Arc::clone(pair));
    let interval = Duration::from_millis(pair.settings.interval_ms);
    loop {
        let due_ns = clock::after(interval);
        let look = watcher.look(machine.primary()).await;
        machine.look(&look);
        tell(&mut machine, news, redundant);
        while let Some(step) = machine.next(clock::now_ns()) {
            match act::perform(pair, step).await {
                Ok(shown) => machine.done(step, clock::now_ns(), shown),
                Err(error @ DatabaseError::NoRoom { .. }) => {
                    machine.postponed(step, clock::now_ns(), error.to_string());
                }
                Err(error) => machine.failed(step, clock::now_ns(), error.to_string()),
            }
            tell(&mut machine, news, redundant);
        }
        // Steps take their time, and whoever has just been promoted is looked at without delay.
        match tokio::time::timeout(clock::until(due_ns), orders.recv()).await {
            Err(_) => {}
            Ok(Some(Order::Switchover)) => machine.switch(clock::now_ns()),
            Ok(Some(Order::Destroy)) => machine.destroy(),
            Ok(Some(Order::PutBack)) => machine.put_back(),
            Ok(Some(Order::End) | None) => return,
        }
    }
}

fn tell(machine: &mut Machine, news: &News, redundant: &AtomicBool) {
    redundant.store(machine.is_redundant(), Ordering::Release);
    machine.take_events().into_iter().for_each(|event| news.tell(event));
}

impl LateWrites {
    fn count(&mut self, outcome: &Result<(), SqlError>) {
        match outcome {
            Ok(()) => self.accepted += 1,
            Err(error) if error.is_fenced_off() => self.refused += 1,
            Err(_) => self.unknown += 1,
        }
    }
}
