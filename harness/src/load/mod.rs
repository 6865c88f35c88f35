//! Load: what starts workflows and watches them end.
//!
//! Closed load keeps N workflows in flight. It runs in a child process, because goose takes over Ctrl-C, the logger
//! and `process::exit`, and because its CPU can be told from the workers' that way.

pub mod child;
#[cfg(feature = "goose")]
pub mod closed;
pub mod spec;
#[cfg(feature = "goose")]
mod watch;
