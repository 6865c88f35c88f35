//! Substrates: what hosts nodes and links, and how each can be hurt there. A node is one process (with all that it
//! starts) of a target or of the harness; a link is a connection that goes through a fault proxy.

mod cage;
pub mod local;
mod log_tail;
mod node;
mod spawner;

pub use cage::{Cage, MARK};
pub use node::{Node, NodeError, Ready, Spec};
