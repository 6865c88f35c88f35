//! What the engine does, by subject. One program for all of them, because linking is most of what a build of tests costs;
//! only what needs a process of its own, or is long, is a program beside it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod archive;
mod backup;
mod bombs;
mod conformance;
mod family;
mod faults;
mod keeping;
mod keys;
mod laws;
mod metrics;
mod populations;
mod shared_definitions;
mod stage;
mod transcripts;
mod writer;
