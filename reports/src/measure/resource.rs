//! What each process took of the machine: CPU, memory, storage; by level, and its memory over the whole run.
//!
//! Counters are read at the ends of a level's window (between two samples: on the straight line between them) and
//! subtracted, process by process: a new process of the same name starts a new count.

use super::{Clock, Measure, Scale, driver};
use crate::history::{History, Resource};
use crate::joined::LevelRun;
use crate::trend;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes in a mebibyte.
const MIB: f64 = 1_048_576.0;

/// The process that the harness loads.
const TARGET: &str = "engine";

/// The memory of each process over the whole run.
pub(super) fn peaks(history: &History, out: &mut Vec<Measure>) {
    let mut peaks: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for sample in &history.resources {
        let (peak, n) = peaks.entry(&sample.process).or_default();
        (*peak, *n) = ((*peak).max(sample.resident_bytes), *n + 1);
    }
    for (process, (peak, n)) in peaks {
        let name = format!("memory_peak_mib.{process}");
        out.push(Measure::plain(name, Some(peak as f64 / MIB), n, "largest of n samples", Scale::MIB));
    }
}

/// What each process took in a level.
pub(super) fn measure(level: &LevelRun<'_>, history: &History, out: &mut Vec<Measure>) {
    let Some(window) = level.window_ns() else { return };
    let all: BTreeSet<&str> = history.resources.iter().map(|r| r.process.as_str()).collect();
    for process in all {
        let used = Used::new(history, process, window);
        if used.n > 0 {
            one_process(level, history, &used, out);
        }
    }
    let name = format!("{}/harness_cpu_ratio", level.level.name);
    let target = Used::new(history, TARGET, window).counter(|r| Some(r.cpu_ns));
    if let (Some(target), Some(harness)) = (target.filter(|ns| *ns > 0.0), harness_cpu_ns(history, window)) {
        let method = "CPU time of harness and load / of the engine";
        out.push(Measure::plain(name, Some(harness / target), 1, method, Scale::RATIO));
    }
    let starts = level.workflows.iter().filter(|w| w.attempted()).count() as u64;
    let load = Used::new(history, "load", window).counter(|r| Some(r.cpu_ns)).filter(|_| starts > 0);
    if let Some(load) = load {
        let each_ms = Some(load / 1e6 / starts as f64);
        let method = "CPU time of the load child / starts";
        let name = format!("{}/load_cpu_per_start_ms", level.level.name);
        out.push(Measure::plain(
            name,
            each_ms,
            starts,
            method,
            Scale { clock: Clock::None, ..Scale::HARNESS_MS },
        ));
    }
}

fn one_process(level: &LevelRun<'_>, history: &History, used: &Used<'_>, out: &mut Vec<Measure>) {
    let process = used.process;
    let name = |n: &str| format!("{}/{n}.{process}", level.level.name);
    let window_ns = used.window.1.saturating_sub(used.window.0) as f64;
    let cpu_cores = used.counter(|r| Some(r.cpu_ns)).map(|ns| ns / window_ns);
    let cpu = |n: &str, value, scale| Measure::plain(name(n), value, used.n, "CPU time / window", scale);
    out.push(cpu("cpu_cores", cpu_cores, Scale::COUNT));
    let share = cpu_cores.zip(driver::cores(history)).map(|(cpu, cores)| cpu / cores);
    out.push(cpu("cpu_share", share, Scale::RATIO));

    let peak = used.inside().map(|r| r.resident_bytes).max().map(|bytes| bytes as f64 / MIB);
    let largest =
        |n: &str, value, scale| Measure::plain(name(n), value, used.n, "largest of n samples", scale);
    out.push(largest("memory_peak_mib", peak, Scale::MIB));
    let share = peak.zip(memory_mib(history)).map(|(mib, all)| mib / all);
    out.push(largest("memory_share", share, Scale::RATIO));
    let minutes = |at_ns: u64| at_ns.saturating_sub(used.window.0) as f64 / 60e9;
    let grown: Vec<(f64, f64)> =
        used.inside().map(|r| (minutes(r.at_ns), r.resident_bytes as f64 / MIB)).collect();
    let growth = trend::slope(&grown);
    out.push(Measure::estimate(name("memory_growth_mib_per_min"), growth, Scale::MIB_PER_MIN));

    let mut counted = |n: &str, value: Option<f64>, method, scale| {
        if value.is_some() {
            out.push(Measure::plain(name(n), value, used.n, method, scale));
        }
    };
    let mib = |bytes: Option<f64>| bytes.map(|bytes| bytes / MIB);
    let method = "counter at the end less at the beginning";
    counted("disk_read_mib", mib(used.counter(|r| r.read_bytes)), method, Scale::MIB);
    counted("disk_written_mib", mib(used.counter(|r| r.written_bytes)), method, Scale::MIB);
    let waited = used.counter(|r| r.io_wait_ns).map(|ns| ns / window_ns);
    counted("io_wait_share", waited, "time waited for storage / window", Scale::RATIO);
}

/// CPU time of everything that is the harness: itself with its workers, and the load child; nanoseconds.
pub(super) fn harness_cpu_ns(history: &History, window: (u64, u64)) -> Option<f64> {
    let harness = Used::new(history, "harness", window).counter(|r| Some(r.cpu_ns))?;
    let load = Used::new(history, "load", window).counter(|r| Some(r.cpu_ns));
    Some(harness + load.unwrap_or(0.0))
}

/// Memory that the machine (or the container) has, when the header tells.
fn memory_mib(history: &History) -> Option<f64> {
    history.header.machine.get("memory_mib")?.parse().ok().filter(|mib| *mib > 0.0)
}

/// The samples of one process, over a window.
struct Used<'h> {
    process: &'h str,
    window: (u64, u64),
    samples: Vec<&'h Resource>,
    /// Samples inside of the window.
    n: u64,
}

impl<'h> Used<'h> {
    fn new(history: &'h History, process: &'h str, window: (u64, u64)) -> Self {
        let samples: Vec<&Resource> = history.resources.iter().filter(|r| r.process == process).collect();
        let n = samples.iter().filter(|r| (window.0..=window.1).contains(&r.at_ns)).count() as u64;
        Self { process, window, samples, n }
    }

    fn inside(&self) -> impl Iterator<Item = &'h Resource> {
        let (began, ended) = self.window;
        self.samples.iter().copied().filter(move |r| (began..=ended).contains(&r.at_ns))
    }

    /// By how much a counter grew in the window; `None` when no process has two samples that tell.
    fn counter(&self, of: impl Fn(&Resource) -> Option<u64>) -> Option<f64> {
        let mut by_pid: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
        for sample in &self.samples {
            if let Some(value) = of(sample) {
                by_pid.entry(sample.pid).or_default().push((sample.at_ns, value));
            }
        }
        let grown = |points: Vec<(u64, u64)>| growth(&points, self.window);
        by_pid.into_values().filter_map(grown).reduce(|a, b| a + b)
    }
}

/// By how much a counter, sampled at rising instants, grew in a window; `None` with fewer than two samples, or when
/// the window lies wholly outside of them.
pub(super) fn growth(points: &[(u64, u64)], (began, ended): (u64, u64)) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 || first.0 >= ended || last.0 <= began {
        return None;
    }
    Some(at(points, ended) - at(points, began))
}

/// A counter or a value of one process, sampled at rising instants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter<'p>(&'p [(u64, u64)]);

impl<'p> Counter<'p> {
    /// Of its instants and values.
    pub(crate) fn new(points: &'p [(u64, u64)]) -> Self {
        Self(points)
    }

    /// The part of a window over which there are samples.
    fn covered(&self, (began, ended): (u64, u64)) -> Option<(u64, u64)> {
        let (began, ended) = (began.max(self.0.first()?.0), ended.min(self.0.last()?.0));
        (began < ended).then_some((began, ended))
    }

    /// By how much it grew per second, over the part of a window that the samples cover.
    pub(crate) fn per_second(&self, window: (u64, u64)) -> Option<f64> {
        let (began, ended) = self.covered(window)?;
        Some(growth(self.0, (began, ended))?.max(0.0) / ((ended - began) as f64 / 1e9))
    }

    /// Its largest value in a window; between two samples it is on the straight line between them.
    pub(crate) fn largest(&self, window: (u64, u64)) -> Option<f64> {
        let inside =
            self.0.iter().filter(|(at, _)| (window.0..=window.1).contains(at)).map(|(_, v)| *v as f64);
        inside.reduce(f64::max).or_else(|| Some(at(self.0, self.covered(window)?.0)))
    }
}

/// The value at an instant, on the straight line between its neighbours; outside of all, that of the nearest.
fn at(points: &[(u64, u64)], at_ns: u64) -> f64 {
    let after = points.partition_point(|(instant, _)| *instant < at_ns);
    match (after.checked_sub(1).map(|before| points[before]), points.get(after)) {
        (Some((x0, y0)), Some((x1, y1))) => {
            let share = (at_ns - x0) as f64 / (x1 - x0) as f64;
            y0 as f64 + share * (y1.saturating_sub(y0)) as f64
        }
        (Some((_, value)), None) => value as f64,
        (None, Some((_, value))) => *value as f64,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_between_its_samples() {
        let points = [(100, 0), (200, 1_000), (300, 1_000), (400, 5_000)];
        assert_eq!(growth(&points, (150, 250)), Some(500.0));
        assert_eq!(growth(&points, (100, 400)), Some(5_000.0));
        assert_eq!(growth(&points, (350, 900)), Some(2_000.0), "nothing is made up after the last sample");
        assert_eq!(growth(&points, (0, 150)), Some(500.0));
        assert_eq!(growth(&points, (400, 500)), None);
        assert_eq!(growth(&points[..1], (50, 500)), None);
        let counter = Counter::new(&points);
        assert_eq!(counter.per_second((0, 150)), Some(1e10), "only what the samples cover is divided by");
        assert_eq!(counter.per_second((500, 600)), None);
        assert_eq!(counter.largest((250, 350)), Some(1_000.0));
        assert_eq!(counter.largest((340, 360)), Some(2_600.0));
        assert_eq!(counter.largest((500, 600)), None);
    }
}
