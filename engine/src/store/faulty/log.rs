//! The journal's bytes on a faulty disk: what is synced, and what is only written.

use std::collections::VecDeque;

/// Frames that go with one append when they are not needed any more.
const FORGOTTEN_AT_ONCE: u64 = 3;
/// Bytes before a frame: its length and its checksum.
const HEAD: usize = 16;

/// Records, each a head and a frame.
#[derive(Default)]
pub(super) struct Log {
    /// Position of the first record.
    first: u64,
    synced: VecDeque<Vec<u8>>,
    /// Records written one after another.
    unsynced: Vec<u8>,
    digest: u64,
}

impl Log {
    /// Position of the next frame.
    pub fn next(&self) -> u64 {
        self.first + self.synced.len() as u64 + split(&self.unsynced).0.len() as u64
    }

    pub fn write(&mut self, frame: &[u8]) {
        self.digest = checksum(frame) ^ self.digest.rotate_left(7);
        self.unsynced.extend((frame.len() as u64).to_le_bytes());
        self.unsynced.extend(checksum(frame).to_le_bytes());
        self.unsynced.extend(frame);
    }

    /// What was written is durable, and with it some frames before `needed` are gone.
    pub fn sync(&mut self, needed: u64) {
        let next = self.next();
        self.synced.extend(split(&self.unsynced).0);
        self.unsynced.clear();
        let forgotten = needed.min(next.saturating_sub(1)).min(self.first + FORGOTTEN_AT_ONCE);
        while self.first < forgotten && self.synced.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Of what is not synced only the front is left, `kept` per mille.
    pub fn lose(&mut self, kept: u64) {
        let left = self.unsynced.len() as u64 * kept.min(1000) / 1000;
        self.unsynced.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        self.recover();
    }

    /// What an opener does: whole records stay, a cut one was never committed.
    pub fn recover(&mut self) {
        self.synced.extend(split(&self.unsynced).0);
        self.unsynced.clear();
    }

    /// Every frame with its position.
    pub fn frames(&self) -> Result<Vec<(u64, Vec<u8>)>, String> {
        let records = self.synced.iter().zip(self.first..);
        let frames = records.map(|(record, position)| {
            let (head, frame) = record.split_at(HEAD);
            let whole = head[..8] == (frame.len() as u64).to_le_bytes();
            if whole && head[8..] == checksum(frame).to_le_bytes() {
                Ok((position, frame.to_vec()))
            } else {
                Err(format!("the frame at {position} is damaged"))
            }
        });
        frames.collect()
    }

    pub fn damage(&mut self, position: u64, bit: usize) {
        let index = usize::try_from(position.saturating_sub(self.first)).unwrap_or(usize::MAX);
        if let Some(record) = self.synced.get_mut(index) {
            let byte = (bit / 8) % record.len();
            record[byte] ^= 1 << (bit % 8);
        }
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }
}

/// The whole records at the front, and what is left.
fn split(bytes: &[u8]) -> (Vec<Vec<u8>>, &[u8]) {
    let (mut records, mut rest) = (Vec::new(), bytes);
    while let Some(head) = rest.first_chunk::<8>() {
        let end = HEAD.saturating_add(usize::try_from(u64::from_le_bytes(*head)).unwrap_or(usize::MAX));
        let Some((record, after)) = rest.split_at_checked(end) else { break };
        records.push(record.to_vec());
        rest = after;
    }
    (records, rest)
}

/// FNV-1a, 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
