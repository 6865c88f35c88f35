//! What processes use: CPU and memory, from /proc and getrusage.

use crate::clock;
use crate::journal::Journal;
use shakedown_reports::history::{Record, Resource};
use std::fs;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often processes are sampled.
const EVERY: Duration = Duration::from_secs(1);

/// Samples the processes that it is told of, once a second, until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    processes: Arc<Mutex<Vec<(String, u32)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sampler {
    /// Starts sampling this process as `harness`.
    pub fn start(journal: Journal) -> Self {
        let processes = Arc::new(Mutex::new(vec![("harness".to_owned(), std::process::id())]));
        let watched = Arc::clone(&processes);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            loop {
                ticks.tick().await;
                let now = watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for (process, pid) in now {
                    if let Some((cpu_s, resident_bytes)) = of_process(pid) {
                        let at_ns = clock::now_ns();
                        journal.write(Record::Resource(Resource { process, at_ns, cpu_s, resident_bytes }));
                    }
                }
            }
        });
        Self { processes, task }
    }

    /// Samples process `pid` too, in place of an earlier one of that name.
    pub fn watch(&self, process: &str, pid: u32) {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.retain(|(name, _)| name != process);
        processes.push((process.to_owned(), pid));
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// CPU seconds and resident bytes of a process; `None` when it is gone.
pub fn of_process(pid: u32) -> Option<(f64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    // SAFETY: sysconf takes an integer and returns one.
    let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    let cpu_ticks = cpu_ticks(&stat)?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process are far below 2^53")]
    let cpu_s = cpu_ticks as f64 / ticks as f64;
    Some((cpu_s, pages * u64::try_from(page).ok()?))
}

/// utime + stime (fields 14 and 15 of proc(5) stat). The name in field 2 may hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// CPU seconds of this process and of its children that have ended and were awaited.
pub fn own_cpu_s() -> f64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].into_iter().map(rusage_s).sum()
}

fn rusage_s(who: libc::c_int) -> f64 {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: getrusage fills the whole struct when it returns 0; it is read only then.
    let usage = unsafe {
        if libc::getrusage(who, usage.as_mut_ptr()) != 0 {
            return 0.0;
        }
        usage.assume_init()
    };
    #[expect(clippy::cast_precision_loss, reason = "CPU seconds are far below 2^53")]
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_read() {
        let (cpu_s, resident_bytes) = of_process(std::process::id()).unwrap();
        assert!(cpu_s >= 0.0 && resident_bytes > 100_000, "{cpu_s} {resident_bytes}");
        assert!(own_cpu_s() >= 0.0);
        assert_eq!(of_process(u32::MAX), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(42));
    }
}
