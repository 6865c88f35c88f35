//! The client's side: which requests write, and which of them are answered with a ReadyForQuery.

use super::{Conversation, Counts, Deed, Due, deed_of};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a message that are looked at: names and the beginning of a statement.
const LOOKED_AT: usize = 4096;
/// Messages are at most 1 GiB; a length past that is no message.
const LONGEST: u32 = 1 << 30;
/// Prepared statements and portals that are remembered; what is past that is no write.
const REMEMBERED: usize = 10_000;

const PROTOCOL_3: u32 = 3;
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// Reads the client's messages as they pass.
#[derive(Debug)]
pub struct Requests {
    shared: Arc<Conversation>,
    counts: Arc<Counts>,
    /// The message that is being read; a startup message has no type.
    started: bool,
    head: Vec<u8>,
    /// Bytes of the message that are still to come.
    left: usize,
    statements: HashMap<Vec<u8>, Deed>,
    portals: HashMap<Vec<u8>, Deed>,
    since_sync: Deed,
}

impl Requests {
    pub(super) fn new(shared: Arc<Conversation>, counts: Arc<Counts>) -> Self {
        Self {
            shared,
            counts,
            started: false,
            head: Vec::new(),
            left: 0,
            statements: HashMap::new(),
            portals: HashMap::new(),
            since_sync: Deed::Other,
        }
    }

    /// Looks at bytes that pass.
    pub fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.shared.is_unreadable() {
            let opening = if self.started { 5 } else { 8 };
            if self.head.len() < opening {
                let take = bytes.len().min(opening - self.head.len());
                self.head.extend_from_slice(&bytes[..take]);
                bytes = &bytes[take..];
                if self.head.len() < opening {
                    return;
                }
                if !self.open() {
                    return self.shared.give_up(&self.counts);
                }
            }
            let take = bytes.len().min(self.left);
            let kept = take.min((opening + LOOKED_AT).saturating_sub(self.head.len()));
            self.head.extend_from_slice(&bytes[..kept]);
            bytes = &bytes[take..];
            self.left -= take;
            if self.left == 0 {
                self.close();
                self.head.clear();
            }
        }
    }

    /// The length of the message that begins; false when it is none.
    fn open(&mut self) -> bool {
        let from = usize::from(self.started);
        let length = number(&self.head[from..]);
        let opening = if self.started { 4 } else { 8 };
        if !(opening..=LONGEST).contains(&length) {
            return false;
        }
        self.left = (length - opening) as usize;
        true
    }

    fn close(&mut self) {
        if self.started { self.typed() } else { self.startup() }
    }

    fn startup(&mut self) {
        let due = match number(&self.head[4..]) {
            TLS | GSS => Due::Encryption,
            CANCEL => return,
            code if code >> 16 == PROTOCOL_3 => {
                self.started = true;
                Due::Answer { deed: Deed::Other, by_sync: false }
            }
            _ => return self.shared.give_up(&self.counts),
        };
        self.shared.due().push_back(due);
    }

    fn typed(&mut self) {
        let mut body = &self.head[5..];
        let mut word = || {
            let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
            let (word, rest) = body.split_at(end);
            body = rest.get(1..).unwrap_or_default();
            word.to_vec()
        };
        match self.head[0] {
            b'Q' => {
                let deed = deed_of(&word());
                self.expect(deed, false);
            }
            b'P' => {
                let (name, deed) = (word(), deed_of(&word()));
                remember(&mut self.statements, name, deed);
            }
            b'B' => {
                let (portal, statement) = (word(), word());
                let deed = self.statements.get(&statement).copied().unwrap_or(Deed::Other);
                remember(&mut self.portals, portal, deed);
            }
            b'E' => {
                let deed = self.portals.get(&word()).copied().unwrap_or(Deed::Other);
                self.since_sync = self.since_sync.max(deed);
            }
            b'S' => {
                let deed = std::mem::replace(&mut self.since_sync, Deed::Other);
                self.expect(deed, true);
            }
            b'F' => self.expect(Deed::Other, false),
            _ => {}
        }
    }

    fn expect(&self, deed: Deed, by_sync: bool) {
        self.shared.due().push_back(Due::Answer { deed, by_sync });
    }
}

fn remember(known: &mut HashMap<Vec<u8>, Deed>, name: Vec<u8>, deed: Deed) {
    if known.len() < REMEMBERED || known.contains_key(&name) {
        known.insert(name, deed);
    }
}

/// The first four bytes, most significant first.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}
