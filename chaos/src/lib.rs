//! What hosts the nodes of a target, and what hurts them. Nothing here knows what a workflow is.

pub mod clock;
mod draw;
pub mod drill;
pub mod fault;
mod inject;
pub mod ledger;
pub mod process;
pub mod role;
pub mod schedule;
pub mod substrate;
