//! Who leads, watched beside a run in which nodes of one build take over from those of another: in the history as steps of
//! the engine, so that it shows whether both have led, and have read what the other wrote.

mod seen;

pub use seen::Side;

use super::leader::{self, Health};
use super::nodes::{Nodes, Sides};
use crate::clock;
use crate::journal::Journal;
use crate::target::conductor::Conductor;
use anyhow::Context as _;
use seen::{Lead, Seen};
use shakedown_reports::history::{Record, StepMark};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Who takes the steps.
const WHO: &str = "engine";
/// From one look at all nodes to the next: so late a lead is seen at most, besides the answers' own time.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A watch that goes on. Nothing is written any more once it was dropped.
#[derive(Debug)]
pub struct Watch {
    journal: Arc<Mutex<Option<Journal>>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to look at nodes of two sides, and tells what they are.
    ///
    /// # Errors
    /// The URL of a node isn't one.
    pub fn start(nodes: &Nodes, sides: Sides, journal: &Journal) -> anyhow::Result<Self> {
        sides.notes().into_iter().for_each(|note| journal.write(Record::Note(note)));
        let client = |(name, url): &(String, String)| anyhow::Ok((name.clone(), Conductor::new(url)?));
        let clients = nodes.all.iter().map(client).collect::<anyhow::Result<Vec<_>>>();
        let clients = clients.context("a node of the engine told no address")?;
        let journal = Arc::new(Mutex::new(Some(journal.clone())));
        let task = tokio::spawn(watch(clients, sides, Arc::clone(&journal)));
        Ok(Self { journal, task })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The footer of the history is its last line, whatever the task is at.
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.task.abort();
    }
}

async fn watch(nodes: Vec<(String, Conductor)>, sides: Sides, journal: Arc<Mutex<Option<Journal>>>) {
    let mut seen = Seen::new(sides.of.clone());
    loop {
        for (number, (name, client)) in nodes.iter().enumerate() {
            let Some(Health { role, epoch, position }) = leader::health(client).await else { continue };
            if role != leader::LEADS {
                continue;
            }
            if let Some(lead) = seen.take(number, epoch, position) {
                let step = step(name, &lead, &sides);
                let journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                journal.iter().for_each(|journal| journal.write(Record::Step(step.clone())));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn step(name: &str, lead: &Lead, sides: &Sides) -> StepMark {
    let build = match lead.side {
        Side::Blue => &sides.blue,
        Side::Green => &sides.green,
    };
    let read = match lead.read_of_other {
        Some(frames) => format!("; it has read {frames} frames that the other side wrote"),
        None => String::new(),
    };
    StepMark {
        who: WHO.to_owned(),
        step: lead.step(sides.are_one_build()),
        node: name.to_owned(),
        at_ns: clock::now_ns(),
        text: format!("{name}, {build}, with epoch {} from frame {}{read}", lead.epoch, lead.position),
    }
}
