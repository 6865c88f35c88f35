//! A frame: the events of one batch, as the journal keeps them.

use crate::machine::Event;

/// Version of the events' format, written beside every frame.
pub const FRAME_VERSION: i64 = 1;

/// The bytes of a batch of events.
#[must_use]
pub fn encode(events: &[Event]) -> Vec<u8> {
    serde_json::to_vec(events).expect("events hold JSON values and string keys only")
}

/// A frame of `bytes` that holds no event: shows whether there is space.
#[must_use]
pub fn padding(bytes: usize) -> Vec<u8> {
    let mut frame = vec![b' '; bytes.max(2)];
    frame[0] = b'[';
    frame[1] = b']';
    frame
}

/// The events of a frame.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(frame: &[u8]) -> Result<Vec<Event>, String> {
    serde_json::from_slice(frame)
        .map_err(|error| format!("a frame of {} bytes does not parse: {error}", frame.len()))
}
