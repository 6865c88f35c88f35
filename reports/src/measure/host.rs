//! What the whole machine did in a level: all of its CPU, network and disks, whoever used them.

use super::resource::growth;
use super::{Measure, Scale, driver};
use crate::history::{History, HostUsage};
use crate::joined::LevelRun;

const MIB: f64 = 1_048_576.0;
const METHOD: &str = "counter at the end less at the beginning";

pub(super) fn measure(level: &LevelRun<'_>, history: &History, out: &mut Vec<Measure>) {
    let Some(window) = level.window_ns() else { return };
    let window_ns = window.1.saturating_sub(window.0) as f64;
    let n = history.hosts.iter().filter(|h| (window.0..=window.1).contains(&h.at_ns)).count() as u64;
    let counter = |of: &dyn Fn(&HostUsage) -> Option<u64>| {
        let points: Vec<(u64, u64)> = history.hosts.iter().filter_map(|h| Some((h.at_ns, of(h)?))).collect();
        growth(&points, window)
    };
    let mut push = |name: &str, value: Option<f64>, method: &'static str, scale| {
        if value.is_some() {
            out.push(Measure::plain(format!("{}/{name}", level.level.name), value, n, method, scale));
        }
    };
    let share = |ns: Option<f64>| Some(ns? / window_ns / driver::cores(history)?);
    let method = "time of all cores / (window × cores)";
    push("host_cpu_share", share(counter(&|h| Some(h.cpu_busy_ns))), method, Scale::RATIO);
    push("host_iowait_share", share(counter(&|h| Some(h.cpu_iowait_ns))), method, Scale::RATIO);
    push("host_steal_share", share(counter(&|h| Some(h.cpu_steal_ns))), method, Scale::RATIO);
    let mib = |bytes: Option<f64>| bytes.map(|bytes| bytes / MIB);
    push("host_loopback_mib", mib(counter(&|h| h.loopback_bytes)), METHOD, Scale::MIB);
    push("host_network_mib", mib(counter(&|h| h.network_bytes)), METHOD, Scale::MIB);
    push("host_disk_read_mib", mib(counter(&|h| h.disk_read_bytes)), METHOD, Scale::MIB);
    push("host_disk_written_mib", mib(counter(&|h| h.disk_written_bytes)), METHOD, Scale::MIB);
}
