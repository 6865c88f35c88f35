//! The server's side: cuts what it sends at the ends of answers, and marks what answers a write.

use super::requests::number;
use super::{Conversation, Counts, Deed, Due, Mark};
use hyper::body::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const LONGEST: u32 = 1 << 30;

/// Reads the server's messages as they pass.
#[derive(Debug)]
pub struct Replies {
    shared: Arc<Conversation>,
    counts: Arc<Counts>,
    /// Type, length and, of ReadyForQuery, the status.
    head: Vec<u8>,
    left: usize,
    /// This answer holds an error.
    failed: bool,
    /// The transaction that is open has written.
    has_written: bool,
    /// The transaction that is open has failed.
    is_broken: bool,
}

impl Replies {
    pub(super) fn new(shared: Arc<Conversation>, counts: Arc<Counts>) -> Self {
        Self {
            shared,
            counts,
            head: Vec::with_capacity(6),
            left: 0,
            failed: false,
            has_written: false,
            is_broken: false,
        }
    }

    /// Looks at bytes that pass; gives them back in parts, each with its mark.
    pub fn look(&mut self, mut bytes: Bytes) -> Vec<(Bytes, Mark)> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            if self.shared.is_unreadable() {
                parts.push((bytes, Mark::Plain));
                break;
            }
            let (count, mark) = self.next(&bytes);
            parts.push((bytes.split_to(count), mark));
        }
        parts
    }

    /// How many bytes belong together, and what they are: up to the end of an answer, or all.
    fn next(&mut self, bytes: &[u8]) -> (usize, Mark) {
        let mark = self.mark();
        let mut at = 0;
        while at < bytes.len() && !self.shared.is_unreadable() {
            if self.head.is_empty() && self.shared.due().front() == Some(&Due::Encryption) {
                self.encryption(bytes[at]);
                at += 1;
                continue;
            }
            if self.head.len() < 5 {
                self.head.push(bytes[at]);
                at += 1;
                if self.head.len() == 5 && !self.open() {
                    self.shared.give_up(&self.counts);
                }
            } else {
                let is_ready = self.head[0] == b'Z';
                let take = self.left.min(bytes.len() - at);
                if is_ready {
                    self.head.extend_from_slice(&bytes[at..at + take.min(1)]);
                }
                at += take;
                self.left -= take;
            }
            if self.head.len() >= 5 && self.left == 0 {
                let end = self.close(mark);
                self.head.clear();
                if let Some(end) = end {
                    return (at, end);
                }
            }
        }
        (at, mark)
    }

    /// What bytes that come now are.
    fn mark(&self) -> Mark {
        match self.shared.due().front() {
            Some(Due::Answer { deed: Deed::Write | Deed::Commit, .. }) => Mark::Part,
            _ => Mark::Plain,
        }
    }

    fn encryption(&mut self, answer: u8) {
        self.shared.due().pop_front();
        if answer != b'N' {
            self.shared.give_up(&self.counts);
        }
    }

    fn open(&mut self) -> bool {
        let length = number(&self.head[1..]);
        if !(4..=LONGEST).contains(&length) {
            return false;
        }
        self.left = length as usize - 4;
        true
    }

    /// A message has ended; says what its last byte is when an answer ended with it.
    fn close(&mut self, mark: Mark) -> Option<Mark> {
        match self.head[0] {
            b'E' => self.failed = true,
            // The server ignores the Sync that was sent along with what began a COPY: it answers the one after it.
            b'G' => {
                let mut due = self.shared.due();
                if matches!(due.front(), Some(Due::Answer { by_sync: true, .. })) {
                    due.pop_front();
                }
            }
            b'Z' => return Some(self.ready(mark)),
            _ => {}
        }
        None
    }

    fn ready(&mut self, mark: Mark) -> Mark {
        let status = self.head.get(5).copied().unwrap_or(b'I');
        let deed = match self.shared.due().pop_front() {
            Some(Due::Answer { deed, .. }) => deed,
            _ => Deed::Other,
        };
        let failed = std::mem::take(&mut self.failed);
        let wrote = matches!(deed, Deed::Write | Deed::Commit) && !failed;
        let closes = status == b'I' && !failed && !self.is_broken && deed != Deed::Rollback;
        let committed = closes && (wrote || self.has_written);
        self.has_written = status == b'T' && (self.has_written || deed == Deed::Write);
        self.is_broken = status == b'E';
        if wrote {
            self.counts.writes.fetch_add(1, Ordering::Relaxed);
        }
        if committed {
            self.counts.commits.fetch_add(1, Ordering::Relaxed);
        }
        if mark == Mark::Part { Mark::Last { committed } } else { Mark::Plain }
    }
}

#[cfg(test)]
mod tests {
    use super::super::observe;
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn startup(code: u32) -> Vec<u8> {
        [&8_u32.to_be_bytes()[..], &code.to_be_bytes()].concat()
    }

    fn ready(status: u8) -> Vec<u8> {
        message(b'Z', &[status])
    }

    /// Feeds requests and answers, the latter in parts of `cut` bytes, and joins equal marks that follow each other.
    fn marks(requests: &[Vec<u8>], answers: &[Vec<u8>], cut: usize) -> (Vec<(usize, Mark)>, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        let (mut asked, mut answered) = observe(&counts);
        asked.look(&startup(3 << 16));
        let hello = [message(b'R', &[0; 4]), ready(b'I')].concat();
        answered.look(hello.into());
        for byte in requests.concat() {
            asked.look(&[byte]);
        }
        let mut seen: Vec<(usize, Mark)> = Vec::new();
        for part in answers.concat().chunks(cut) {
            for (bytes, mark) in answered.look(Bytes::copy_from_slice(part)) {
                match seen.last_mut() {
                    Some((count, last)) if *last == Mark::Part || (*last == mark && mark == Mark::Plain) => {
                        *count += bytes.len();
                        *last = mark;
                    }
                    _ => seen.push((bytes.len(), mark)),
                }
            }
        }
        (seen, counts)
    }

    fn load(counter: &std::sync::atomic::AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    #[test]
    fn answers_to_writes_are_found_however_the_bytes_are_cut() {
        let requests = [
            message(b'Q', b"select 1\0"),
            message(b'Q', b"insert into t values (1)\0"),
            message(b'Q', b"select 2\0"),
        ];
        let row = message(b'D', b"ZZZZZ");
        let answers =
            [row.clone(), ready(b'I'), message(b'C', b"INSERT 0 1\0"), ready(b'I'), row, ready(b'I')];
        for cut in 1..40 {
            let (seen, counts) = marks(&requests, &answers, cut);
            assert_eq!(
                seen,
                [(16, Mark::Plain), (22, Mark::Last { committed: true }), (16, Mark::Plain)],
                "cut into {cut}"
            );
            assert_eq!((load(&counts.writes), load(&counts.commits)), (1, 1));
        }
    }

    #[test]
    fn a_prepared_write_counts_each_time_it_is_executed() {
        let prepare = [message(b'P', b"s1\0update t set a = 1\0\0\0"), message(b'S', b"")];
        let run = [message(b'B', b"\0s1\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")];
        let requests = [&prepare[..], &run, &run].concat();
        let (seen, counts) = marks(&requests, &[ready(b'I'), ready(b'I'), ready(b'I')], 100);
        let last = Mark::Last { committed: true };
        assert_eq!(seen, [(6, Mark::Plain), (6, last), (6, last)]);
        assert_eq!(load(&counts.commits), 2);
    }

    #[test]
    fn a_commit_is_what_leaves_nothing_open() {
        let ask = |sql: &str| message(b'Q', format!("{sql}\0").as_bytes());
        let requests =
            [ask("begin"), ask("insert"), ask("commit"), ask("begin"), ask("insert"), ask("rollback")];
        let answers = [b'T', b'T', b'I', b'T', b'T', b'I'].map(ready);
        let (seen, counts) = marks(&requests, &answers, 100);
        assert!(
            seen.contains(&(6, Mark::Last { committed: false }))
                && seen.contains(&(6, Mark::Last { committed: true }))
        );
        assert_eq!((load(&counts.writes), load(&counts.commits)), (3, 1), "{seen:?}");
        let failed = [message(b'E', b"no\0"), ready(b'I')];
        let (_, counts) = marks(&[ask("insert")], &failed, 100);
        assert_eq!((load(&counts.writes), load(&counts.commits)), (0, 0));
    }

    #[test]
    fn refused_encryption_is_read_and_granted_is_not() {
        for (answer, unreadable) in [(b'N', 0), (b'S', 1)] {
            let counts = Arc::new(Counts::default());
            let (mut asked, mut answered) = observe(&counts);
            asked.look(&startup(80_877_103));
            answered.look(Bytes::copy_from_slice(&[answer]));
            asked.look(&startup(3 << 16));
            asked.look(&message(b'Q', b"commit\0"));
            let all = [ready(b'I'), ready(b'I')].concat();
            let seen = answered.look(all.into());
            assert_eq!(load(&counts.unreadable), unreadable);
            assert_eq!(seen.len(), if unreadable == 0 { 2 } else { 1 });
        }
    }

    #[test]
    fn what_is_no_postgresql_is_left_alone() {
        let counts = Arc::new(Counts::default());
        let (mut asked, mut answered) = observe(&counts);
        asked.look(b"GET / HTTP/1.1\r\n\r\n");
        let text = Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(answered.look(text.clone()), [(text, Mark::Plain)]);
        assert_eq!(load(&counts.unreadable), 1);
    }
}
