//! What hosts the nodes of a target, and what hurts them. Nothing here knows what a workflow is.

pub mod clock;
pub mod command;
pub mod draw;
pub mod drill;
pub mod fault;
pub mod guard;
pub mod heal;
mod inject;
pub mod ledger;
pub mod lock;
pub mod probe;
pub mod process;
pub mod proxy;
pub mod role;
pub mod schedule;
pub mod substrate;
