//! The reference workflow orchestrator: compact, durable, speaking Conductor's REST API.
//!
//! ```text
//! REST (api) → command → machine: decide, evolve → append + sync (store) → answer
//!                              ↑ replay ← journal
//! ```
//!
//! [`machine`] decides and is pure; [`writer`] is the one place where a decision becomes durable before anybody hears
//! of it; [`store`] keeps the journal; [`api`] maps routes to commands and decides nothing. [`node`] lets several
//! engines share a store: one leads, the others follow and hand requests on.

pub mod api;
pub mod archive;
pub mod backup;
pub mod clock;
mod door;
pub mod machine;
pub mod metrics;
pub mod node;
pub mod postgres;
mod seal;
pub mod server;
pub mod store;
pub mod writer;

pub use node::NodeOptions;
pub use server::{EngineError, Options, serve};
pub use store::StoreUrl;
