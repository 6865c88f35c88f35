//! Load: what starts workflows and watches them end.
//!
//! Closed load keeps N workflows in flight, on goose. Open load sends each when it is due, on the harness's own
//! client. Both run in a child process: goose takes over Ctrl-C, the logger and `process::exit`, an arrival must not
//! wait for the workers, and the driver's CPU can be told from theirs that way.

pub mod child;
#[cfg(feature = "goose")]
pub mod closed;
pub mod open;
#[cfg(feature = "goose")]
mod pace;
pub mod pacer;
pub mod spec;
pub mod watch;
