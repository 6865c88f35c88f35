//! A TCP proxy that does things to connections. Its API is Toxiproxy's on the wire, so that Toxiproxy's clients drive
//! it; what is ours stands under `/x` (docs/proxy.md).
//!
//! What happens to bytes is decided by pure machines (`toxic`, `chain`); `link` moves the bytes. Settings are values
//! that links follow (a `watch` channel): whoever sets one never waits for a reader or a writer.

mod address;
mod alarm;
mod api;
mod attributes;
mod chain;
pub mod client;
mod collection;
mod connection;
mod counts;
pub(crate) mod dice;
mod door;
mod instance;
mod link;
mod postgres;
mod running;
pub mod server;
mod setting;
mod splice;
mod toxic;
