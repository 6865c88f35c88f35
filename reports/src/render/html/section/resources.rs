//! What each process, and the whole machine, took over time.

use super::over_time::{numbers, of_stretches};
use super::{Context, HALF, NOTHING, section};
use crate::history::{HostUsage, Resource};
use crate::measure::Counter;
use crate::render::html::chart::line::{Mark, Series, Stroke};
use crate::render::html::figure::Figure;
use crate::render::html::markup::Markup;
use crate::render::units;
use crate::timeline::Timeline;
use std::collections::BTreeMap;

/// Bytes in a mebibyte.
const MIB: f64 = 1_048_576.0;
/// Nanoseconds in a second.
const S: f64 = 1e9;
/// Most processes that are drawn.
const MOST_PROCESSES: usize = 12;
/// Colour of the first line of the machine.
const OF_MACHINE: usize = 6;

/// A counter or value of a process: `None` where the kernel does not tell.
type OfProcess = fn(&Resource) -> Option<u64>;
/// A counter of the machine, with the name of its line.
type OfMachine = (&'static str, fn(&HostUsage) -> Option<u64>);

/// One thing that is used.
struct Used {
    title: &'static str,
    how: &'static str,
    axis: &'static str,
    unit: &'static str,
    /// How many of what is counted are one of the unit.
    one: f64,
    /// True for a counter, of which its growth per second is drawn; false for a value as it is.
    grows: bool,
    process: Option<OfProcess>,
    /// What is said of the machine's lines, and the lines.
    machine: Option<(&'static str, &'static [OfMachine])>,
}

/// What is drawn, in this order; one that no sample tells of is left out.
const USED: [Used; 6] = [
    Used {
        title: "CPU",
        how: "CPU time per second: 1 is one core.",
        axis: "cores",
        unit: "cores",
        one: S,
        grows: true,
        process: Some(|r| Some(r.cpu_ns)),
        machine: Some((
            "All processes, those of others too.",
            &[("busy", |h| Some(h.cpu_busy_ns)), ("taken by the hypervisor", |h| Some(h.cpu_steal_ns))],
        )),
    },
    Used {
        title: "Written to disk",
        how: "Bytes that each made storage write.",
        axis: "per second",
        unit: "MiB/s",
        one: MIB,
        grows: true,
        process: Some(|r| r.written_bytes),
        machine: Some(("What went to its disks.", &[("written", |h| h.disk_written_bytes)])),
    },
    Used {
        title: "Read from disk",
        how: "Bytes that storage was read for; what the page cache had is not in it.",
        axis: "per second",
        unit: "MiB/s",
        one: MIB,
        grows: true,
        process: Some(|r| r.read_bytes),
        machine: Some(("What came from its disks.", &[("read", |h| h.disk_read_bytes)])),
    },
    Used {
        title: "Waiting for storage",
        how: "Seconds per second, over all threads of each.",
        axis: "at once",
        unit: "waiting",
        one: S,
        grows: true,
        process: Some(|r| r.io_wait_ns),
        machine: Some(("Cores that were idle meanwhile.", &[("waiting", |h| Some(h.cpu_iowait_ns))])),
    },
    Used {
        title: "Memory",
        how: "Resident memory.",
        axis: "resident",
        unit: "MiB",
        one: MIB,
        grows: false,
        process: Some(|r| Some(r.resident_bytes)),
        machine: None,
    },
    Used {
        title: "Network",
        how: "",
        axis: "per second",
        unit: "MiB/s",
        one: MIB,
        grows: true,
        process: None,
        machine: Some((
            "Both directions; the kernel does not count it by process.",
            &[("loopback", |h| h.loopback_bytes), ("other interfaces", |h| h.network_bytes)],
        )),
    },
];

/// Writes the section.
pub(in super::super) fn write(m: &mut Markup, context: &Context<'_>) {
    section(m, "resources", "Resources over time", |m| {
        let figures = USED.iter().flat_map(|used| [of_processes(context, used), of_machine(context, used)]);
        let mut drawn = figures.flatten().peekable();
        if drawn.peek().is_none() {
            m.element("p", &[], NOTHING);
        }
        m.within("div", &[("class", &"grid2")], |m| drawn.for_each(|figure| figure.write(m)));
    });
}

fn of_processes(context: &Context<'_>, used: &Used) -> Option<Figure> {
    let of = used.process?;
    // By process id: a counter goes on only within one process.
    let mut processes: BTreeMap<&str, BTreeMap<u32, Vec<&Resource>>> = BTreeMap::new();
    for sample in &context.run.history.resources {
        processes.entry(&sample.process).or_default().entry(sample.pid).or_default().push(sample);
    }
    let points = |samples: &Vec<&Resource>| rising(samples.iter().filter_map(|s| Some((s.at_ns, of(s)?))));
    let lines = processes.iter().take(MOST_PROCESSES).enumerate().map(|(i, (process, pids))| {
        line(context, used, (process, i), &pids.values().map(points).collect::<Vec<_>>())
    });
    let mut how = used.how.to_owned();
    if processes.len() > MOST_PROCESSES {
        how += &format!(" The first {MOST_PROCESSES} of {} processes are drawn.", processes.len());
    }
    figure(context, used, (&format!("{} of each process", used.title), &how), lines.collect(), &[])
}

fn of_machine(context: &Context<'_>, used: &Used) -> Option<Figure> {
    let (how, counters) = used.machine?;
    let lines = counters.iter().enumerate().map(|(i, (name, of))| {
        let points = context.run.history.hosts.iter().filter_map(|h| Some((h.at_ns, of(h)?)));
        line(context, used, (name, OF_MACHINE + i), &[rising(points)])
    });
    let cores = context.summary.machine.get("cores").and_then(|c| c.parse::<f64>().ok());
    let whole = cores.filter(|c| used.unit == "cores" && c.is_finite());
    let marks: Vec<Mark> =
        whole.map(|value| Mark { value, name: "all cores".to_owned() }).into_iter().collect();
    figure(context, used, (&format!("{} of the whole machine", used.title), how), lines.collect(), &marks)
}

fn line(
    context: &Context<'_>,
    used: &Used,
    (name, colour): (&str, usize),
    counters: &[Vec<(u64, u64)>],
) -> Series {
    let timeline = &context.timeline;
    let values = (0..timeline.count()).map(|i| value(timeline, i, used, counters));
    of_stretches(name, colour, Stroke::Line, timeline, values)
}

fn figure(
    context: &Context<'_>,
    used: &Used,
    (title, how): (&str, &str),
    mut series: Vec<Series>,
    marks: &[Mark],
) -> Option<Figure> {
    // A line that is 0 all along says nothing.
    series.retain(|s| s.points.iter().any(|p| p.1.is_some_and(|v| v > 0.0)));
    if series.is_empty() {
        return None;
    }
    let step = units::value(context.timeline.step_s(), "s");
    let of = if used.grows { "Means" } else { "Largest" };
    let how = format!("{how} {of} of stretches of {step}.");
    Some(numbers(context, (title, &how), (used.axis, used.unit), HALF, series, marks))
}

/// Samples in the order of their instants, one an instant.
fn rising(points: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    points.collect::<BTreeMap<u64, u64>>().into_iter().collect()
}

/// What a stretch of the run shows of one thing's counters (one a process id), in the unit that is drawn.
fn value(timeline: &Timeline, i: usize, used: &Used, counters: &[Vec<(u64, u64)>]) -> Option<f64> {
    let window = timeline.window_ns(i);
    let of_one = |points: &Vec<(u64, u64)>| {
        let counter = Counter::new(points);
        if used.grows { counter.per_second(window) } else { counter.largest(window) }
    };
    let values = counters.iter().filter_map(of_one);
    let value = if used.grows { values.reduce(|a, b| a + b) } else { values.reduce(f64::max) };
    value.map(|v| v / used.one)
}
