//! The engine on PostgreSQL: the store's laws, the archive's, and several nodes that are killed and stopped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(
    clippy::disallowed_methods,
    reason = "servers and processes are real, and so is the time that they take"
)]

mod archive;
mod cluster;
mod doubt;
mod input;
mod nodes;
#[path = "../populations/mod.rs"]
mod populations;
mod process;
mod relay;
#[path = "../stage/mod.rs"]
mod stage;
mod store;
