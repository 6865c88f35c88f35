//! The machine that a run ran on, for "same machine?" in comparisons.

use std::collections::BTreeMap;
use std::fs;

/// `cores`, `memory_mib`, `kernel`, `os`.
pub fn describe() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("cores".to_owned(), cores().to_string()),
        ("memory_mib".to_owned(), memory_mib().map_or_else(|| "unknown".to_owned(), |mib| mib.to_string())),
        ("kernel".to_owned(), first_line("/proc/sys/kernel/osrelease")),
        ("os".to_owned(), os()),
    ])
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory that this process may use: the container's limit where there is one, else the machine's.
pub fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()?;
    // cgroup 2, then 1; without a limit the first says "max" and the second a number beyond any machine.
    let limit = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    Some((kib / 1024).min(limit.map_or(u64::MAX, |bytes| bytes >> 20)))
}

fn os() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned())
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
