//! A journal in memory: for tests, and for looking at the engine without a disk.

use super::{AppendError, Store, StoreError};

/// Keeps frames until the process ends.
#[derive(Debug, Default)]
pub struct Memory {
    frames: Vec<Vec<u8>>,
}

impl Store for Memory {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        let expected = self.frames.len() as u64;
        if position != expected {
            return Err(AppendError::Broken(format!(
                "position {position} was asked for, {expected} is next"
            )));
        }
        self.frames.push(frame.to_vec());
        Ok(())
    }

    fn replay(&mut self, apply: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<u64, StoreError> {
        for frame in &self.frames {
            apply(frame).map_err(|why| StoreError::Corrupt { path: "memory".into(), why })?;
        }
        Ok(self.frames.len() as u64)
    }
}
