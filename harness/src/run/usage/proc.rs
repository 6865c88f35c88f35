//! Readers of /proc: pure functions over its texts, and the calls that fetch them.

use crate::clock;
use shakedown_reports::history::{HostUsage, Resource};
use std::fs;

/// Bytes of a sector in /proc/diskstats, whatever the disk's own are.
const SECTOR: u64 = 512;

/// What a process uses; `None` when it is gone.
pub fn of_process(process: &str, pid: u32) -> Option<Resource> {
    let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let (stat, statm) = (file("stat")?, file("statm")?);
    let resident_pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let io = file("io").unwrap_or_default();
    Some(Resource {
        process: process.to_owned(),
        pid,
        at_ns: clock::now_ns(),
        // To the nanosecond; the ticks of /proc/PID/stat are 10 ms.
        cpu_ns: clock::cpu_ns_of(pid)?,
        resident_bytes: resident_pages * system(libc::_SC_PAGESIZE)?,
        threads: u32::try_from(field(&stat, 20)?).ok()?,
        read_bytes: named(&io, "read_bytes:"),
        written_bytes: named(&io, "write_bytes:"),
        io_wait_ns: if delays_are_counted() { ticks_ns(field(&stat, 42)?) } else { None },
    })
}

/// What the machine uses; `None` where /proc does not tell.
pub fn of_host() -> Option<HostUsage> {
    let file = |path: &str| fs::read_to_string(path).ok();
    let stat = file("/proc/stat")?;
    let cpu: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|text| text.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are in user and nice already.
    let [user, nice, system, _idle, iowait, irq, softirq, steal, ..] = cpu[..] else { return None };
    let network = file("/proc/net/dev").map(|text| network_bytes(&text));
    let disks = file("/proc/diskstats").map(|text| disk_bytes(&text, &is_whole_disk));
    Some(HostUsage {
        at_ns: clock::now_ns(),
        cpu_busy_ns: ticks_ns(user + nice + system + irq + softirq)?,
        cpu_iowait_ns: ticks_ns(iowait)?,
        cpu_steal_ns: ticks_ns(steal)?,
        loopback_bytes: network.map(|(loopback, _)| loopback),
        network_bytes: network.map(|(_, others)| others),
        disk_read_bytes: disks.map(|(read, _)| read),
        disk_written_bytes: disks.map(|(_, written)| written),
    })
}

/// Bytes over the loopback interface, and over all others in both directions. What loopback sends it also receives,
/// so it is counted once.
fn network_bytes(text: &str) -> (u64, u64) {
    let (mut loopback, mut others) = (0, 0);
    for (name, counters) in text.lines().filter_map(|line| line.split_once(':')) {
        let counters: Vec<u64> = counters.split_whitespace().filter_map(|text| text.parse().ok()).collect();
        let (Some(received), Some(sent)) = (counters.first(), counters.get(8)) else { continue };
        if name.trim() == "lo" { loopback += received } else { others += received + sent }
    }
    (loopback, others)
}

/// Bytes read from and written to the disks that `is_whole` says are whole ones: a partition is part of one.
fn disk_bytes(text: &str, is_whole: &dyn Fn(&str) -> bool) -> (u64, u64) {
    let (mut read, mut written) = (0, 0);
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        if fields.get(2).is_some_and(|name| is_whole(name)) {
            read += number(5) * SECTOR;
            written += number(9) * SECTOR;
        }
    }
    (read, written)
}

/// A disk of its own: not a partition, and not one that is stored on or made of others (loop, dm, md, ram, zram).
fn is_whole_disk(name: &str) -> bool {
    let is_made = ["loop", "dm-", "md", "ram", "zram"].iter().any(|kind| name.starts_with(kind));
    !is_made && fs::exists(format!("/sys/block/{name}")).unwrap_or(false)
}

/// Since Linux 5.14 the time that tasks wait for storage is counted only when asked for.
fn delays_are_counted() -> bool {
    fs::read_to_string("/proc/sys/kernel/task_delayacct").is_ok_and(|text| text.trim() == "1")
}

/// Field `number` of proc(5) stat, from 1. The name in field 2 may hold spaces and parentheses.
fn field(stat: &str, number: usize) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number - 3)?.parse().ok()
}

/// The number after `name` on a line of its own.
fn named(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

fn ticks_ns(ticks: u64) -> Option<u64> {
    Some(ticks * (1_000_000_000 / system(libc::_SC_CLK_TCK)?))
}

fn system(name: libc::c_int) -> Option<u64> {
    // SAFETY: sysconf takes an integer and returns one.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|value| *value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_read() {
        let before = of_process("harness", std::process::id()).unwrap();
        let mut sum = 0u64;
        while clock::cpu_ns_of(std::process::id()).unwrap() < before.cpu_ns + 2_000_000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let after = of_process("harness", std::process::id()).unwrap();
        assert!(after.cpu_ns >= before.cpu_ns + 2_000_000, "two milliseconds of work are seen");
        assert!(after.resident_bytes > 100_000 && after.threads >= 1, "{after:?}");
        assert_eq!(of_process("gone", u32::MAX), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 5 0 100 1 1";
        assert_eq!((field(stat, 14), field(stat, 20), field(stat, 42)), (Some(30), Some(5), None));
        assert_eq!(named("rchar: 5\nread_bytes: 4096\nwrite_bytes: 7\n", "write_bytes:"), Some(7));
    }

    #[test]
    fn loopback_is_told_from_other_interfaces_and_counted_once() {
        let text = "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 500 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n\
                    \x20 eth0:70 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n";
        assert_eq!(network_bytes(text), (500, 100));
    }

    #[test]
    fn disks_are_counted_once_and_partitions_not_again() {
        let text = "254 0 vda 10 0 8 5 20 0 16 5 0 0 0\n254 1 vda1 10 0 8 5 20 0 16 5 0 0 0\n";
        assert_eq!(disk_bytes(text, &|name| name == "vda"), (4_096, 8_192));
    }
}
