//! What processes and the machine use, sampled beside a run by a thread of its own.
//!
//! A thread and not a task: a busy runtime must not thin the samples out just when they tell most.

mod proc;

use crate::clock;
use crate::journal::Journal;
use shakedown_reports::history::Record;
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often processes are sampled; reading one takes a tenth of a millisecond.
const EVERY: Duration = Duration::from_millis(500);

/// What the sampler is told.
#[derive(Debug)]
enum Request {
    /// Sample a process too, in place of an earlier one of that name.
    Watch(String, u32),
    /// Sample everything now, and say when that is done.
    Now(Sender<()>),
    /// Sample nothing any more.
    Stop,
}

/// Names processes to a sampler; cheap to clone, and may outlive it.
#[derive(Debug, Clone)]
pub struct Watcher {
    requests: Sender<Request>,
}

impl Watcher {
    /// Samples process `pid` too, in place of an earlier one of that name.
    pub fn watch(&self, process: &str, pid: u32) {
        // A sampler that is gone samples nothing.
        let _ = self.requests.send(Request::Watch(process.to_owned(), pid));
    }
}

/// Samples the processes that it is told of, and the machine, until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    requests: Sender<Request>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts sampling the machine, and this process as `harness`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(journal: Journal) -> io::Result<Self> {
        let (requests, asked) = channel();
        let thread =
            std::thread::Builder::new().name("sampler".to_owned()).spawn(move || run(&journal, &asked))?;
        Ok(Self { requests, thread: Some(thread) })
    }

    /// Names processes to it, for others.
    pub fn watcher(&self) -> Watcher {
        Watcher { requests: self.requests.clone() }
    }

    /// Samples process `pid` too, in place of an earlier one of that name.
    pub fn watch(&self, process: &str, pid: u32) {
        self.watcher().watch(process, pid);
    }

    /// Samples everything now; blocks for the millisecond that it takes. The ends of a level are sampled like this.
    pub fn now(&self) {
        let (done, sampled) = channel();
        // The thread ends only with the sampler.
        let _ = self.requests.send(Request::Now(done));
        let _ = sampled.recv();
    }
}

impl Drop for Sampler {
    /// Returns when no sample will be written any more: nothing may come after the footer of a history.
    fn drop(&mut self) {
        let _ = self.requests.send(Request::Stop);
        // A thread that panicked writes nothing either.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(journal: &Journal, asked: &Receiver<Request>) {
    let mut processes = BTreeMap::from([("harness".to_owned(), std::process::id())]);
    let mut next_ns = clock::now_ns();
    loop {
        match asked.recv_timeout(clock::until(next_ns)) {
            Ok(Request::Watch(process, pid)) => {
                processes.insert(process, pid);
            }
            Ok(Request::Now(done)) => {
                sample(journal, &processes);
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => {
                sample(journal, &processes);
                // From the plan, not from now: a late sample does not make the next one late.
                next_ns = (next_ns + clock::nanos(EVERY)).max(clock::now_ns());
            }
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn sample(journal: &Journal, processes: &BTreeMap<String, u32>) {
    for (process, pid) in processes {
        if let Some(usage) = proc::of_process(process, *pid) {
            journal.write(Record::Resource(usage));
        }
    }
    if let Some(usage) = proc::of_host() {
        journal.write(Record::Host(usage));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal;

    #[test]
    fn everything_is_sampled_when_asked_and_a_new_process_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let (journal, writer) = journal::open(&path).unwrap();
        let sampler = Sampler::start(journal).unwrap();
        let own = std::process::id();
        sampler.watch("engine", u32::MAX);
        sampler.now();
        sampler.watch("engine", own);
        sampler.now();
        drop(sampler);
        writer.close().unwrap();
        let records = journal::read(&path).unwrap();
        let engines: Vec<u32> = records
            .iter()
            .filter_map(|record| match record {
                Record::Resource(usage) if usage.process == "engine" => Some(usage.pid),
                _ => None,
            })
            .collect();
        assert!(!engines.is_empty() && engines.iter().all(|pid| *pid == own), "{records:?}");
        assert!(records.iter().any(|record| matches!(record, Record::Host(usage) if usage.cpu_busy_ns > 0)));
    }
}
