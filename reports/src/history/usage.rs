//! What processes and the machine use: cumulative counters, sampled every half second and at the ends of every level.
//!
//! A figure of a level is the difference of a counter between its beginning and its end, so a missed sample makes it
//! less precise and never wrong. What the kernel does not count, or does not let us read, is absent, never zero.

use serde::{Deserialize, Serialize};

/// A resource sample of one process.
///
/// Linux counts the network by namespace, not by process, so there is none here: [`HostUsage`] has the machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What it is in the run: `engine`, `harness` (its workers included), `load`.
    pub process: String,
    /// Its id: a counter goes on only within one process.
    pub pid: u32,
    /// When it was read.
    pub at_ns: u64,
    /// CPU time, user and system, of all its threads since it began.
    pub cpu_ns: u64,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u32,
    /// Bytes that it made storage read, since it began (`read_bytes` of /proc/PID/io: not what the page cache had).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes that it made storage write, since it began (`write_bytes` of /proc/PID/io).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Time that its threads waited for storage, where the kernel counts it (`kernel.task_delayacct`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_wait_ns: Option<u64>,
}

/// A sample of the whole machine that the harness runs on, as its kernel (or container) shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostUsage {
    /// When it was read.
    pub at_ns: u64,
    /// CPU time of all cores in user, system and interrupts, since the machine began (/proc/stat).
    pub cpu_busy_ns: u64,
    /// Time that cores were idle and waited for storage.
    pub cpu_iowait_ns: u64,
    /// Time that the hypervisor gave to others.
    pub cpu_steal_ns: u64,
    /// Bytes over the loopback interface of the harness's network namespace (/proc/net/dev).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopback_bytes: Option<u64>,
    /// Bytes over its other interfaces, both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_bytes: Option<u64>,
    /// Bytes read from all whole disks (/proc/diskstats).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_read_bytes: Option<u64>,
    /// Bytes written to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_written_bytes: Option<u64>,
}

/// A probe of the disk that holds the run directory: appends of a page, each synced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSyncs {
    /// When it began.
    pub at_ns: u64,
    /// Bytes of each append.
    pub bytes: u64,
    /// How long each append with its sync took.
    pub took_ns: Vec<u64>,
}
