//! What the threads of a drill wait for: a time, an event, a text in a log, a file, the end.

use crate::clock;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often logs and folders are looked at: a marker is seen so much later at most.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(super) struct Signals {
    origin_ns: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    over: bool,
    events: BTreeMap<String, u64>,
}

impl Signals {
    pub(super) fn new(origin_ns: u64) -> Self {
        Self { origin_ns, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn feed(&self, event: &str) {
        let mut state = self.lock();
        match state.events.get_mut(event) {
            Some(count) => *count += 1,
            None => {
                state.events.insert(event.to_owned(), 1);
            }
        }
        self.changed.notify_all();
    }

    pub(super) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// True when what has not begun is not to begin any more.
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Waits until this long after the beginning; `false`: the end came first.
    pub(super) fn await_time(&self, after: Duration) -> bool {
        self.sleep_until(self.origin_ns.saturating_add(clock::nanos(after)))
    }

    /// Waits for an instant; `false`: the end came first.
    pub(super) fn sleep_until(&self, at_ns: u64) -> bool {
        let mut state = self.lock();
        loop {
            let left = clock::until(at_ns);
            if state.over || left.is_zero() {
                return !state.over;
            }
            state = self.pause(state, left);
        }
    }

    /// Waits for the nth event of that name; `false`: the end came first.
    pub(super) fn await_event(&self, name: &str, nth: u64) -> bool {
        let mut state = self.lock();
        loop {
            if state.over {
                return false;
            }
            if state.events.get(name).is_some_and(|count| *count >= nth) {
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until it is seen; `false`: the end came first.
    pub(super) fn await_seen(&self, watch: &mut Watch) -> bool {
        while !watch.look() {
            if !self.sleep_until(clock::after(LOOK_EVERY)) {
                return false;
            }
        }
        true
    }

    fn pause<'s>(&self, state: MutexGuard<'s, State>, left: Duration) -> MutexGuard<'s, State> {
        match self.changed.wait_timeout(state, left) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something to look for.
pub(super) enum Watch {
    /// A file that comes into being.
    File(PathBuf),
    /// The nth line with a text, in what is written to logs from now on.
    Logs { logs: Vec<Tail>, text: String, left: u64 },
}

impl Watch {
    pub(super) fn of_file(path: PathBuf) -> Self {
        Self::File(path)
    }

    pub(super) fn of_logs(logs: Vec<PathBuf>, text: &str, nth: u64) -> Self {
        Self::Logs { logs: logs.into_iter().map(Tail::new).collect(), text: text.to_owned(), left: nth }
    }

    fn look(&mut self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            Self::Logs { logs, text, left } => {
                let new: u64 = logs.iter_mut().map(|log| log.count(text)).sum();
                *left = left.saturating_sub(new);
                *left == 0
            }
        }
    }
}

/// A log, and how far it was read.
pub(super) struct Tail {
    path: PathBuf,
    read_to: u64,
    /// What came after the last end of a line.
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        let read_to = fs::metadata(&path).map_or(0, |data| data.len());
        Self { path, read_to, rest: Vec::new() }
    }

    /// How many new whole lines hold the text.
    fn count(&mut self, text: &str) -> u64 {
        let Ok(length) = fs::metadata(&self.path).map(|data| data.len()) else { return 0 };
        if length <= self.read_to {
            return 0;
        }
        let Ok(mut file) = File::open(&self.path) else { return 0 };
        let mut new = Vec::new();
        if file.seek(SeekFrom::Start(self.read_to)).and_then(|_| file.read_to_end(&mut new)).is_err() {
            return 0;
        }
        self.read_to += u64::try_from(new.len()).unwrap_or(0);
        self.rest.extend(new);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return 0 };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let lines = String::from_utf8_lossy(&whole);
        u64::try_from(lines.lines().filter(|line| line.contains(text)).count()).unwrap_or(0)
    }
}
