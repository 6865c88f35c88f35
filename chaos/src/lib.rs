//! What hosts the nodes of a target, and what hurts them. Nothing here knows what a workflow is.

pub mod substrate;
