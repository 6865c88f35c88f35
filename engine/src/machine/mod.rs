//! The machine: pure. Commands in, events out; no clock, no randomness, no input or output.
//!
//! [`decide`] looks at the state and says what happens, [`State::evolve`] makes it so. Time is an argument;
//! random bits come with the command and what is drawn from them is stored in the events, so a replay gives
//! the same state.

pub mod bounds;
mod catalogue;
pub mod command;
pub mod deadline;
mod decide;
pub mod definition;
pub mod event;
pub mod expression;
pub mod id;
pub mod index;
pub mod payload;
pub mod polls;
mod rates;
pub mod rejection;
pub mod retry;
mod scope;
mod seconds;
pub mod snapshot;
mod state;
pub mod status;
mod task;
pub mod validate;
pub mod wait;
pub mod workflow;

pub use catalogue::{Catalogue, Registered};
pub use command::Command;
pub use decide::decide;
pub use event::Event;
pub use payload::Payload;
pub use rejection::Rejection;
pub use state::State;
