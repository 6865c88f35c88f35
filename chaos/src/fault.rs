//! Faults as data: what is done, with figures that carry their unit. How each is done is in `inject/`.

use crate::role::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a node has to end in order, unless the scenario says otherwise.
const GRACE_MS: u64 = 10_000;
/// How long a command has, unless the scenario says otherwise.
const COMMAND_WITHIN_S: u64 = 30;
/// Size of the disk that a node gets to be filled, unless the scenario says otherwise.
const DISK_MIB: u64 = 64;
/// Flipped bytes, unless the scenario says otherwise.
const CORRUPT_BYTES: u32 = 16;

/// What is done to a node or a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// SIGKILL. The node is started again by its supervisor, or after the given time.
    Kill {
        /// Milliseconds until it is started again; without it, what the node's supervisor does anyway.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restart_after_ms: Option<u64>,
    },
    /// SIGTERM, and the node stays away as long as the fault lasts.
    Stop {
        /// Milliseconds until it is killed, if it doesn't end.
        #[serde(default = "grace_ms")]
        grace_ms: u64,
    },
    /// SIGSTOP to every process of the node: it hangs, its connections stay open. Healed by SIGCONT.
    Pause {},
    /// SIGTERM, and started again at once.
    Restart {
        /// Milliseconds until it is killed, if it doesn't end.
        #[serde(default = "grace_ms")]
        grace_ms: u64,
    },
    /// Every node of the role is restarted, one after another; the next one when the last one is ready.
    RollingRestart {
        /// Milliseconds until a node is killed, if it doesn't end.
        #[serde(default = "grace_ms")]
        grace_ms: u64,
        /// Milliseconds between one that is ready and the next one.
        #[serde(default)]
        between_ms: u64,
    },
    /// The nodes of the role that stand by are started; when all of them serve, the others are ended, one after another,
    /// and stand by from then on. Once more, and it is the way back.
    BlueGreen {
        /// Milliseconds until a node is killed, if it doesn't end.
        #[serde(default = "grace_ms")]
        grace_ms: u64,
    },
    /// Nothing comes through the link.
    Partition {
        /// What those at its ends see of it.
        #[serde(default)]
        style: PartitionStyle,
    },
    /// Every byte of the link comes later, in both directions each.
    Latency {
        /// Milliseconds later.
        latency_ms: u64,
        /// Milliseconds by which that varies.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// The link carries so much and no more, in each direction.
    Bandwidth {
        /// Kilobytes (1,000 bytes) a second.
        kb_per_s: u64,
    },
    /// Connections of the link are reset (RST), those that are open and those that come.
    Reset {
        /// Milliseconds that a connection lives before.
        #[serde(default)]
        after_ms: u64,
    },
    /// Connections of the link are closed when so many bytes came back over them.
    Cut {
        /// Bytes.
        after_bytes: u64,
    },
    /// Connections of the link to a PostgreSQL server are reset at the answer to a commit, which is dropped: the server has
    /// committed, and the client can't know. Only through a proxy of this program's.
    CutAtCommit {
        /// At which commit of each connection, from 1.
        #[serde(default = "first")]
        nth: u64,
    },
    /// Connections of the link stay open, new ones are accepted, and they carry nothing; nobody is told.
    HalfOpen {},
    /// The node may take so much memory and no more. Exactly one of the two figures is given.
    Memory {
        /// Mebibytes in all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_mib: Option<u64>,
        /// Mebibytes more than it uses when the fault is injected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        headroom_mib: Option<u64>,
    },
    /// The node gets so much CPU and no more. The machine's other processes keep theirs.
    Cpu {
        /// CPU cores: 0.05 is 5 ms of every 100 ms.
        cores: f64,
    },
    /// The disk that holds the node's data is full: a disk of its own, never the machine's.
    DiskFull {
        /// Mebibytes that this disk has in all.
        #[serde(default = "disk_mib")]
        disk_mib: u64,
    },
    /// The node's wall clock is wrong. Its monotonic clock and its sleeps go on as they were.
    ClockSkew {
        /// Seconds that it is ahead of (or, negative, behind) the truth.
        offset_s: f64,
    },
    /// The node is killed, bytes of a file of its data are flipped, and it is started again.
    Corrupt {
        /// The file, relative to the node's data; `*` stands for any text without a slash. The seed draws one of
        /// those that match.
        file: String,
        /// How many bytes.
        #[serde(default = "corrupt_bytes")]
        bytes: u32,
    },
    /// A planned change of roles: the standby of a pair of databases becomes the primary, and the other way round.
    Switchover {},
    /// A backup of the data is taken, beside whatever else goes on.
    Backup {},
    /// The data is destroyed, and the latest backup takes its place.
    Restore {
        /// Whose nodes are ended before the restored one starts, and started when it is there: those that remember more
        /// than the backup knows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        clients: Vec<Role>,
    },
    /// Commands of your own: kubectl, ssh, a cloud's tool.
    Command {
        /// Program and arguments that inject; exit code 0 means that it was done.
        inject: Vec<String>,
        /// Program and arguments that heal. Must do no harm when there is nothing to heal.
        heal: Vec<String>,
        /// Program and arguments that say whether the fault is in force: exit code 0 yes, 1 no, else nobody knows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        verify: Vec<String>,
        /// Seconds that each of them has.
        #[serde(default = "command_within_s")]
        within_s: u64,
    },
}

/// What those at the ends of a partitioned link see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartitionStyle {
    /// Open connections are closed, new ones refused.
    #[default]
    Reject,
    /// Nothing is answered, not even a connect, and nothing is closed.
    Drop,
    /// Nothing gets to the server; its own bytes still come.
    ToServer,
    /// Nothing gets to the client; its own bytes still come.
    ToClient,
}

fn grace_ms() -> u64 {
    GRACE_MS
}

fn first() -> u64 {
    1
}

fn command_within_s() -> u64 {
    COMMAND_WITHIN_S
}

fn disk_mib() -> u64 {
    DISK_MIB
}

fn corrupt_bytes() -> u32 {
    CORRUPT_BYTES
}

impl Fault {
    /// Its kind, as scenarios write it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Stop { .. } => "stop",
            Self::Pause {} => "pause",
            Self::Restart { .. } => "restart",
            Self::RollingRestart { .. } => "rolling_restart",
            Self::BlueGreen { .. } => "blue_green",
            Self::Partition { .. } => "partition",
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Reset { .. } => "reset",
            Self::Cut { .. } => "cut",
            Self::CutAtCommit { .. } => "cut_at_commit",
            Self::HalfOpen {} => "half_open",
            Self::Memory { .. } => "memory",
            Self::Cpu { .. } => "cpu",
            Self::DiskFull { .. } => "disk_full",
            Self::ClockSkew { .. } => "clock_skew",
            Self::Corrupt { .. } => "corrupt",
            Self::Switchover {} => "switchover",
            Self::Backup {} => "backup",
            Self::Restore { .. } => "restore",
            Self::Command { .. } => "command",
        }
    }

    /// True when it hurts a connection, false when it hurts a process.
    #[must_use]
    pub fn is_of_link(&self) -> bool {
        matches!(
            self,
            Self::Partition { .. }
                | Self::Latency { .. }
                | Self::Bandwidth { .. }
                | Self::Reset { .. }
                | Self::Cut { .. }
                | Self::CutAtCommit { .. }
                | Self::HalfOpen {}
        )
    }

    /// True when it is over by itself (a kill after which the node comes back): it takes no time to last.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Kill { .. }
                | Self::Restart { .. }
                | Self::RollingRestart { .. }
                | Self::BlueGreen { .. }
                | Self::Switchover {}
                | Self::Backup {}
                | Self::Restore { .. }
        )
    }

    /// True when it hurts every node of its role, not one of them.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        matches!(
            self,
            Self::RollingRestart { .. } | Self::BlueGreen { .. } | Self::Backup {} | Self::Restore { .. }
        )
    }

    /// True when, though it [passes](Self::passes), the next of its kind begins only when it is over.
    #[must_use]
    pub fn takes_turns(&self) -> bool {
        matches!(self, Self::BlueGreen { .. })
    }

    /// How long injecting it may take by its own figures, and undoing it as long again: a command and the one that
    /// verifies it. All others take a small part of what is granted anyway.
    #[must_use]
    pub fn takes(&self) -> Duration {
        match self {
            Self::Command { within_s, .. } => Duration::from_secs(within_s.saturating_mul(2)),
            // The old primary may have to be copied anew.
            Self::Switchover {} => Duration::from_secs(60),
            // All of the data is copied, and for a standby once more.
            Self::Backup {} | Self::Restore { .. } => Duration::from_secs(240),
            _ => Duration::ZERO,
        }
    }

    /// What is wrong with its figures.
    ///
    /// # Errors
    /// What is wrong, and what would be accepted.
    pub fn check(&self) -> Result<(), String> {
        let refuse = |what: &str| Err(format!("{}: {what}", self.kind()));
        match self {
            Self::Latency { latency_ms, jitter_ms } if *latency_ms == 0 && *jitter_ms == 0 => {
                refuse("latency_ms = 0 does nothing; give at least 1")
            }
            Self::Latency { latency_ms, jitter_ms } if jitter_ms > latency_ms => {
                refuse("jitter_ms is more than latency_ms: bytes would come before they were sent")
            }
            Self::Bandwidth { kb_per_s: 0 } => {
                refuse("kb_per_s = 0 carries nothing; that is a partition with style = \"drop\"")
            }
            Self::CutAtCommit { nth: 0 } => refuse("nth = 0: the first commit is 1"),
            Self::Memory { limit_mib, headroom_mib } if limit_mib.is_some() == headroom_mib.is_some() => {
                refuse("give exactly one of limit_mib and headroom_mib")
            }
            Self::Memory { limit_mib: Some(0), .. } => refuse("limit_mib = 0 leaves nothing to start with"),
            // Below a hundredth of a core the kernel's smallest quota, 1 ms of 100 ms, would be passed.
            Self::Cpu { cores } if !(0.01..=1024.0).contains(cores) => {
                refuse("cores must be from 0.01 to 1024")
            }
            Self::DiskFull { disk_mib } if !(8..=4096).contains(disk_mib) => {
                refuse("disk_mib must be from 8 to 4096")
            }
            Self::ClockSkew { offset_s }
                if *offset_s == 0.0 || !offset_s.is_finite() || offset_s.abs() > 1e9 =>
            {
                refuse("offset_s must be a number of seconds other than 0")
            }
            Self::Corrupt { file, .. } if !is_inside(file) => refuse(
                "file must be relative to the node's data and stay inside it: \"engine.db\", \"*.wal\"",
            ),
            Self::Corrupt { bytes: 0, .. } => refuse("bytes = 0 does nothing; give at least 1"),
            Self::Restore { clients } if clients.iter().any(|role| matches!(role, Role::Link(_))) => {
                refuse("clients are nodes that are ended and started, such as \"engine\"; a link is none")
            }
            Self::Command { inject, heal, .. } if inject.is_empty() || heal.is_empty() => {
                refuse("inject and heal each need a program: inject = [\"kubectl\", \"delete\", …]")
            }
            Self::Command { within_s: 0, .. } => refuse("within_s = 0 gives the commands no time"),
            _ => Ok(()),
        }
    }
}

/// A relative path without a way out.
fn is_inside(file: &str) -> bool {
    use std::path::{Component, Path};
    let parts = Path::new(file).components();
    !file.is_empty() && parts.into_iter().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fault, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn faults_are_read_strictly_and_written_back() {
        let kill = read(r#"{"fault":"kill"}"#).unwrap();
        assert_eq!(kill, Fault::Kill { restart_after_ms: None });
        assert_eq!(serde_json::to_string(&kill).unwrap(), r#"{"fault":"kill"}"#);
        let partition = read(r#"{"fault":"partition","style":"to_client"}"#).unwrap();
        assert_eq!(partition, Fault::Partition { style: PartitionStyle::ToClient });
        assert_eq!(partition.kind(), "partition");
        for wrong in [
            r#"{"fault":"pause","grace_ms":1}"#,
            r#"{"fault":"latency"}"#,
            r#"{"fault":"explode"}"#,
            r#"{"fault":"memory","limit":64}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn figures_that_mean_nothing_are_refused_with_what_would_do() {
        for (text, part) in [
            (r#"{"fault":"latency","latency_ms":0}"#, "at least 1"),
            (r#"{"fault":"latency","latency_ms":5,"jitter_ms":6}"#, "before they were sent"),
            (r#"{"fault":"bandwidth","kb_per_s":0}"#, "drop"),
            (r#"{"fault":"cut_at_commit","nth":0}"#, "the first commit is 1"),
            (r#"{"fault":"memory"}"#, "exactly one"),
            (r#"{"fault":"memory","limit_mib":5,"headroom_mib":5}"#, "exactly one"),
            (r#"{"fault":"cpu","cores":0.0}"#, "0.01"),
            (r#"{"fault":"disk_full","disk_mib":1}"#, "8 to 4096"),
            (r#"{"fault":"clock_skew","offset_s":0}"#, "other than 0"),
            (r#"{"fault":"corrupt","file":"/etc/passwd"}"#, "relative"),
            (r#"{"fault":"corrupt","file":"../engine.db"}"#, "inside"),
            (r#"{"fault":"command","inject":[],"heal":["true"]}"#, "program"),
            (r#"{"fault":"restore","clients":["link:clients"]}"#, "are nodes"),
        ] {
            let error = read(text).unwrap().check().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(read(r#"{"fault":"cpu","cores":0.05}"#).unwrap().check(), Ok(()));
    }
}
