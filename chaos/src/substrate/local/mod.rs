//! Nodes as child processes of this one.

pub use super::node::{Node, NodeError, Ready, Spec};
