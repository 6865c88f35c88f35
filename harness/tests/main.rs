//! The real binary, by subject. One program, because linking is most of what a build of tests costs; what measures, and is
//! disturbed by neighbours, is a program of its own beside it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bad_input;
mod bad_load;
mod blue_green;
mod broken_engines;
#[path = "shakedown/drill.rs"]
mod drill;
mod drills;
mod engine_process;
mod full_disk;
mod kill;
mod lost_answer;
mod main_line;
#[path = "shakedown/mod.rs"]
mod program;
mod proxy_process;
mod schema;
mod shrinking;
mod somebody_elses_server;
mod suites;
mod tidy;
#[path = "shakedown/wire.rs"]
mod wire;
