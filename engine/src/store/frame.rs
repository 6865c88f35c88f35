//! A frame: the events of one batch, as the journal keeps them: a JSON list, sealed with its CRC-32.

use crate::machine::Event;
use crate::seal::{sealed, unsealed};

/// Version of the events' format, written beside every frame.
pub const FRAME_VERSION: i64 = 1;

/// A frame in the making: its bytes grow with every event, so that a batch knows its size.
#[derive(Debug, Default)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.bytes.push(if self.bytes.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut self.bytes, event).expect("events hold JSON values and string keys only");
    }

    /// True when no event was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole frame.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        if self.bytes.is_empty() {
            self.bytes.push(b'[');
        }
        self.bytes.push(b']');
        sealed(self.bytes)
    }
}

/// The bytes of a list of events.
#[must_use]
pub fn encode(events: &[Event]) -> Vec<u8> {
    let mut frame = Frame::default();
    events.iter().for_each(|event| frame.push(event));
    frame.into_bytes()
}

/// A frame of `bytes` that holds no event: shows whether there is space.
#[must_use]
pub fn padding(bytes: usize) -> Vec<u8> {
    let mut frame = vec![b' '; bytes.max(2)];
    frame[0] = b'[';
    frame[1] = b']';
    sealed(frame)
}

/// The events of a frame.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(frame: &[u8]) -> Result<Vec<Event>, String> {
    let events = unsealed(frame).map_err(|why| format!("a frame of {why}"))?;
    serde_json::from_slice(events)
        .map_err(|error| format!("a frame of {} bytes does not parse: {error}", frame.len()))
}
