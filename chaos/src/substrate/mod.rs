//! Substrates: what hosts nodes. A node is one process of a target or of the harness.

pub mod local;
mod log_tail;
mod spawner;
