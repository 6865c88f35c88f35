//! A journal in memory: for tests, and for looking at the engine without a disk.

use super::{AppendError, Apply, Store, StoreError};
use std::collections::VecDeque;

/// Keeps frames until the process ends.
#[derive(Debug, Default)]
pub struct Memory {
    frames: VecDeque<Vec<u8>>,
    /// Position of the first frame.
    first: u64,
}

impl Store for Memory {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        let expected = self.first + self.frames.len() as u64;
        if position != expected {
            return Err(AppendError::Broken(format!(
                "position {position} was asked for, {expected} is next"
            )));
        }
        self.frames.push_back(frame.to_vec());
        Ok(())
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        for (frame, position) in self.frames.iter().zip(self.first..) {
            apply(position, frame).map_err(|why| StoreError::Corrupt { path: "memory".into(), why })?;
        }
        Ok(self.first + self.frames.len() as u64)
    }

    fn forget(&mut self, position: u64) {
        while self.first < position && self.frames.len() > 1 {
            self.frames.pop_front();
            self.first += 1;
        }
    }
}
