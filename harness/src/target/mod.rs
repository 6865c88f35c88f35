//! Targets: the orchestrator under test, met over its REST API like any user meets it.

pub mod conductor;
pub mod http;
pub mod outcome;
pub mod preflight;
pub mod wire;
