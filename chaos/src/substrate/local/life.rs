//! One life of a node: since when it was ready, how it ended, who brought that about.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// When a node was ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Which of its lives, from 1.
    pub life: u64,
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub at_ns: u64,
    /// What it said.
    pub text: String,
    /// It serves only whoever [let it start alone](super::Supervised::release_alone), and will end again.
    pub alone: bool,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Which of its lives, from 1.
    pub life: u64,
    /// Its process.
    pub pid: u32,
    /// Since when that is known: right after the kernel handed over how it ended.
    pub at_ns: u64,
    /// How.
    pub status: ExitStatus,
}

impl Ended {
    /// How, in words: `signal 9`, `exit code 3`.
    #[must_use]
    pub fn how(&self) -> String {
        match (self.status.signal(), self.status.code()) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => self.status.to_string(),
        }
    }
}

/// An end that was brought about, and when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brought {
    /// When the first signal was sent.
    pub sent_ns: u64,
    /// The end.
    pub ended: Ended,
}
