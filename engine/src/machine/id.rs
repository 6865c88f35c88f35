//! Ids of workflows and tasks: UUID-shaped, derived, and convertible into each other.
//!
//! A workflow id is a version-7 UUID (its first 48 bits are the creation time) whose last 24 bits are zero.
//! A task's id is its workflow's id with the task's sequence number in those 24 bits. So a task id names its
//! workflow without an index, no randomness is needed to schedule, and both sort by age.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Bits of an id that hold the sequence number of a task.
const SEQUENCE_BITS: u32 = 24;
const SEQUENCE_MASK: u128 = (1 << SEQUENCE_BITS) - 1;
/// Task records that one workflow can have.
pub const MAX_SEQUENCE: u32 = (1 << SEQUENCE_BITS) - 1;

/// A workflow's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkflowId(u128);

/// A task's id: its workflow and its sequence number, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId {
    /// The workflow that it belongs to.
    pub workflow: WorkflowId,
    /// Its number in the workflow.
    pub sequence: u32,
}

/// The text is not an id of this engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an id of this engine: expected a UUID such as 01890a5d-ac96-774b-bcce-b302a0000000")]
pub struct NotAnId(pub String);

impl WorkflowId {
    /// The id of a workflow created at `at_ms`, from 64 random bits (50 of them are used).
    #[must_use]
    pub fn new(at_ms: u64, seed: u64) -> Self {
        let mixed = mix(seed);
        let time = u128::from(at_ms & 0xffff_ffff_ffff) << 80;
        let version = 0x7_u128 << 76;
        let high = u128::from(mixed & 0xfff) << 64;
        let variant = 0b10_u128 << 62;
        let low = u128::from((mixed >> 12) & 0x3f_ffff_ffff) << SEQUENCE_BITS;
        Self(time | version | high | variant | low)
    }

    /// The id of this workflow's task number `sequence`.
    #[must_use]
    pub fn task(self, sequence: u32) -> TaskId {
        TaskId { workflow: self, sequence }
    }
}

impl TaskId {
    /// Bits that follow from the id, for what is drawn on its behalf.
    #[must_use]
    pub fn seed(self) -> u64 {
        let bits = self.workflow.0;
        mix((bits >> 64) as u64) ^ mix(bits as u64 | u64::from(self.sequence))
    }
}

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014): spreads close seeds over all bits.
#[must_use]
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn write_uuid(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut shift = 128;
    for (position, byte) in text.iter_mut().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            continue;
        }
        shift -= 4;
        *byte = HEX[((bits >> shift) & 0xf) as usize];
    }
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

fn parse_uuid(text: &str) -> Result<u128, NotAnId> {
    let refuse = || NotAnId(text.chars().take(80).collect());
    if text.len() != 36 {
        return Err(refuse());
    }
    let mut bits = 0_u128;
    for (position, byte) in text.bytes().enumerate() {
        let dash = matches!(position, 8 | 13 | 18 | 23);
        match (dash, byte) {
            (true, b'-') => {}
            (false, _) => {
                let digit = char::from(byte).to_digit(16).ok_or_else(refuse)?;
                bits = (bits << 4) | u128::from(digit);
            }
            _ => return Err(refuse()),
        }
    }
    Ok(bits)
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

impl fmt::Debug for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.workflow.0 | u128::from(self.sequence), f)
    }
}

impl FromStr for WorkflowId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bits = parse_uuid(text)?;
        if bits & SEQUENCE_MASK == 0 { Ok(Self(bits)) } else { Err(NotAnId(text.to_owned())) }
    }
}

impl FromStr for TaskId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bits = parse_uuid(text)?;
        let sequence = (bits & SEQUENCE_MASK) as u32;
        if sequence == 0 {
            return Err(NotAnId(text.to_owned()));
        }
        Ok(WorkflowId(bits & !SEQUENCE_MASK).task(sequence))
    }
}

impl Serialize for WorkflowId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WorkflowId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7_and_name_their_workflow() {
        let id = WorkflowId::new(1_700_000_000_000, 42);
        let text = id.to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "7");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        assert_eq!(text.parse::<WorkflowId>(), Ok(id));
        let task = id.task(22);
        assert_eq!(task.to_string().parse::<TaskId>(), Ok(task));
        assert!(task.to_string().parse::<WorkflowId>().is_err());
        assert!(text.parse::<TaskId>().is_err());
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in
            ["", "12", "zzzzzzzz-ac96-774b-bcce-b302a0000000", "01890a5dac96-774b-bcce-b302a-0000000", "é"]
        {
            assert!(text.parse::<WorkflowId>().is_err(), "{text}");
        }
    }

    #[test]
    fn different_seeds_give_different_ids() {
        let ids: std::collections::BTreeSet<_> = (0..10_000).map(|seed| WorkflowId::new(1, seed)).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
