//! When a run is stopped before its plan is through: the scenario's bounds, and the file `stop` in the run directory.

use crate::clock;
use crate::scenario::drill::StopWhen;
use crate::scenario::fault::duration;
use crate::workers::tail::Tail;
use shakedown_reports::history::{Outcome, Record};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often is looked: a disk that fills at 1 GB/s gains 200 MB in between.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Name of the file whose appearance stops a run.
pub const FILE: &str = "stop";

/// What is looked at while load runs.
#[derive(Debug)]
pub struct Stop {
    when: StopWhen,
    directory: PathBuf,
    load: Tail,
    failed_starts: u64,
    began_ns: u64,
    next_ns: u64,
}

impl Stop {
    /// The conditions of a run whose load begins now.
    pub fn new(when: StopWhen, directory: &Path, logs: &Path) -> Self {
        let (load, began_ns) = (Tail::new(logs, "load-"), clock::now_ns());
        Self { when, directory: directory.to_owned(), load, failed_starts: 0, began_ns, next_ns: 0 }
    }

    /// Why the run is to be stopped, if it is. What can't be read stops nothing.
    pub fn asked(&mut self) -> Option<String> {
        let now_ns = clock::now_ns();
        if now_ns < self.next_ns {
            return None;
        }
        self.next_ns = now_ns + clock::nanos(LOOK_EVERY);
        let file = self.directory.join(FILE);
        if file.exists() {
            return Some(format!("{} asks for it", file.display()));
        }
        let took = Duration::from_nanos(now_ns - self.began_ns);
        if let Some(wall) = self.when.wall_time.map(duration).filter(|wall| took > *wall) {
            return Some(format!("the load took longer than stop_when.wall_time = {wall:?}"));
        }
        self.too_little_is_free().or_else(|| self.too_many_failed())
    }

    fn too_little_is_free(&self) -> Option<String> {
        let below = |what: &str, least: Option<u64>, free: Option<u64>| {
            let (least, free) = (least?, free?);
            (free < least)
                .then(|| format!("{free} MiB are free of {what}, and {least} are to be (stop_when)"))
        };
        let disk = self.when.disk_free_mib.and_then(|_| disk_free_mib(&self.directory));
        let memory = self.when.memory_free_mib.and_then(|_| memory_free_mib());
        below("the run directory's disk", self.when.disk_free_mib, disk)
            .or_else(|| below("the machine's memory", self.when.memory_free_mib, memory))
    }

    fn too_many_failed(&mut self) -> Option<String> {
        let most = self.when.failed_starts?;
        let not_ok = |record: &Record| matches!(record, Record::Start(start) if start.outcome != Outcome::Ok);
        let new = self.load.new_records().ok()?;
        self.failed_starts += new.iter().filter(|record| not_ok(record)).count() as u64;
        let failed = self.failed_starts;
        (failed > most).then(|| format!("{failed} starts failed, and stop_when.failed_starts = {most}"))
    }
}

fn disk_free_mib(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: all zeroes is a statvfs; the call writes to it, and reads a path that ends in a zero byte.
    let (told, disk) = unsafe {
        let mut disk: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut disk), disk)
    };
    (told == 0).then(|| disk.f_bavail * disk.f_frsize / 1_048_576)
}

fn memory_free_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::write_line;
    use crate::scenario::units::RealTime;
    use serde_json::json;
    use std::fs;

    fn asked(when: StopWhen, folder: &Path) -> Option<String> {
        Stop::new(when, folder, folder).asked()
    }

    #[test]
    fn each_condition_stops_and_none_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let none = StopWhen::default();
        assert_eq!(asked(none, folder), None);
        let disk = asked(StopWhen { disk_free_mib: Some(u64::MAX), ..none }, folder).unwrap();
        assert!(disk.contains("disk"), "{disk}");
        let memory = asked(StopWhen { memory_free_mib: Some(u64::MAX), ..none }, folder).unwrap();
        assert!(memory.contains("memory"), "{memory}");
        let long = asked(StopWhen { wall_time: Some(RealTime(0.0)), ..none }, folder).unwrap();
        assert!(long.contains("wall_time"), "{long}");
        let start = |outcome: &str| {
            let mut line = Vec::new();
            let record = json!({ "kind": "start", "level": "x", "index": 1, "correlation_id": "r/x/1", "due_ns": 1,
                "sent_ns": 1, "done_ns": 1, "outcome": outcome, "status": null, "workflow_id": null });
            write_line(&mut line, &record).unwrap();
            line
        };
        fs::write(folder.join("load-x.jsonl"), [start("ok"), start("failed"), start("unknown")].concat())
            .unwrap();
        assert_eq!(asked(StopWhen { failed_starts: Some(2), ..none }, folder), None);
        let failed = asked(StopWhen { failed_starts: Some(1), ..none }, folder).unwrap();
        assert!(failed.starts_with("2 starts failed"), "{failed}");
        fs::write(folder.join(FILE), "").unwrap();
        assert!(asked(none, folder).unwrap().contains("asks for it"));
    }
}
