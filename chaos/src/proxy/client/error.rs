//! Why a proxy server did not do what it was asked: each says what was tried, on what, and what to do next.

use std::time::Duration;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The address of the server is none.
    #[error("{address:?} is no address of a proxy server: {why}; give host:port, such as 127.0.0.1:8474")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The server was not reached: nothing was changed.
    #[error(
        "cannot {what}: no proxy server at {server} ({why}); start one there (shakedown proxy) or correct the address"
    )]
    Unreachable {
        /// What was tried.
        what: String,
        /// Where.
        server: String,
        /// What the system said.
        why: String,
    },
    /// The server was reached and did not answer: it may or may not have done it.
    #[error(
        "cannot tell whether to {what} worked: {server} {why}; look at its log, then ask again or reset it"
    )]
    NoAnswer {
        /// What was tried.
        what: String,
        /// Where.
        server: String,
        /// What happened.
        why: String,
    },
    /// The server said no.
    #[error("cannot {}: {} answered {} ({}); {}", .0.what, .0.server, .0.status, .0.error, .0.advice())]
    Refused(Refusal),
    /// The server said yes, and what is read back is something else.
    #[error(
        "to {what} was answered as done, but the server has {found}; somebody else changes it too, or it failed: look at its log"
    )]
    NotSo {
        /// What was tried.
        what: String,
        /// What is there.
        found: String,
    },
    /// The server is a Toxiproxy, which has nothing under `/x`.
    #[error(
        "{server} is no shakedown proxy: it has no /x; use `shakedown proxy` in its place for faults that Toxiproxy doesn't have"
    )]
    NotOurs {
        /// Which server.
        server: String,
    },
}

/// The server said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was tried.
    pub what: String,
    /// Where.
    pub server: String,
    /// HTTP status.
    pub status: u16,
    /// What it said.
    pub error: String,
}

impl Refusal {
    fn advice(&self) -> &'static str {
        match self.status {
            400 => "correct what is asked for",
            403 => "it takes this for a browser",
            404 => "create it first, or correct the name",
            409 => "remove the one that is there, or choose another name",
            500 => "see whether the address is free on that machine",
            _ => "look at its log",
        }
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An answer that was understood.
pub enum Outcome<T> {
    Done(T),
    Refused(Refusal),
}

/// A time in words, for [`ControlError::NoAnswer`].
pub fn late(limit: Duration) -> String {
    format!("gave no answer within {} s", limit.as_secs())
}
