//! Who does the work of a run: workers inside of the harness, or processes of workers that faults can hit.

use crate::journal::Journal;
use crate::workers::Fleet;
use crate::workers::tail::Tail;
use shakedown_reports::history::{Begun, End, Record};
use std::collections::BTreeMap;
use std::io;

/// The workers of a run.
#[derive(Debug)]
pub enum Crew {
    /// In the harness itself.
    Inside(Fleet),
    /// In processes of their own.
    Processes(Processes),
}

/// What the harness knows of its worker processes.
#[derive(Debug)]
pub struct Processes {
    tail: Tail,
    journal: Journal,
    executions: u64,
    /// Work that was begun and of which no end is known, by its nonce.
    in_hand: BTreeMap<String, Begun>,
}

impl Crew {
    /// Sets the slots of pools by name. Processes have theirs from the beginning.
    pub fn resize(&self, slots: &BTreeMap<String, u32>) {
        if let Self::Inside(fleet) = self {
            fleet.resize(slots);
        }
    }

    /// Executions that are known so far.
    pub fn executions(&self) -> u64 {
        match self {
            Self::Inside(fleet) => fleet.executions(),
            Self::Processes(processes) => processes.executions,
        }
    }

    /// Takes over what worker processes recorded since the last look; returns the work that was begun.
    ///
    /// # Errors
    /// Their files can't be read.
    pub fn look(&mut self) -> io::Result<Vec<Begun>> {
        match self {
            Self::Inside(_) => Ok(Vec::new()),
            Self::Processes(processes) => processes.take_over(),
        }
    }
}

impl Processes {
    /// Processes that write into files of `tail`; what they record goes into `journal`.
    pub fn new(tail: Tail, journal: Journal) -> Self {
        Self { tail, journal, executions: 0, in_hand: BTreeMap::new() }
    }

    fn take_over(&mut self) -> io::Result<Vec<Begun>> {
        let mut begun = Vec::new();
        for record in self.tail.new_records()? {
            match &record {
                Record::Begun(one) => {
                    self.in_hand.insert(one.nonce.clone(), one.clone());
                    begun.push(one.clone());
                }
                Record::Execution(one) => {
                    self.in_hand.remove(&one.nonce);
                    self.executions += 1;
                }
                _ => {}
            }
            self.journal.write(record);
        }
        Ok(begun)
    }

    /// Takes over the rest, when every process has ended: work without an end was cut off with its worker.
    ///
    /// # Errors
    /// Their files can't be read.
    pub fn close(mut self, ended_ns: &dyn Fn(&Begun) -> u64) -> io::Result<()> {
        self.take_over()?;
        for begun in std::mem::take(&mut self.in_hand).into_values() {
            let at_ns = ended_ns(&begun).max(begun.started_ns);
            self.journal.write(Record::Execution(begun.ended(End::cut_off(at_ns))));
        }
        Ok(())
    }
}
