//! Looks along at the PostgreSQL protocol (version 3) and marks which bytes answer a write, so that a toxic can cut a
//! connection exactly where its client can't know whether its commit happened.
//!
//! Every answer ends with ReadyForQuery, one for each Query, Sync and FunctionCall; so the requests, in their order,
//! say what each answer is of. Nothing is changed on the way.

mod replies;
mod requests;

pub use replies::Replies;
pub use requests::Requests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a piece of the server's bytes belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// Nothing of interest.
    #[default]
    Plain,
    /// A part of an answer to a write, not its end.
    Part,
    /// The end of an answer to a write: its last byte is the last of ReadyForQuery.
    Last {
        /// It left nothing open: the write is committed.
        committed: bool,
    },
}

/// What a request does, as far as its first words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Anything else.
    Other,
    /// INSERT, UPDATE, DELETE, MERGE.
    Write,
    /// ROLLBACK, ABORT.
    Rollback,
    /// COMMIT, END.
    Commit,
}

/// What is to be answered, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// One byte: may encryption begin?
    Encryption,
    /// Messages up to a ReadyForQuery.
    Answer { deed: Deed, by_sync: bool },
}

/// What both directions of one connection share.
#[derive(Debug, Default)]
struct Conversation {
    due: Mutex<VecDeque<Due>>,
    unreadable: AtomicBool,
}

impl Conversation {
    fn due(&self) -> MutexGuard<'_, VecDeque<Due>> {
        // Nothing panics while it holds the lock; were it so, a queue is still a queue.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_unreadable(&self) -> bool {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Nothing more is looked at: TLS began, or it isn't this protocol.
    fn give_up(&self, counts: &Counts) {
        if !self.unreadable.swap(true, Ordering::Relaxed) {
            counts.unreadable.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What was seen on all connections of a proxy.
#[derive(Debug, Default)]
pub struct Counts {
    /// Answers to requests that write.
    pub writes: AtomicU64,
    /// Answers that told of a commit.
    pub commits: AtomicU64,
    /// Connections that could not be read: encrypted, or another protocol.
    pub unreadable: AtomicU64,
}

/// The two observers of a new connection.
#[must_use]
pub fn observe(counts: &Arc<Counts>) -> (Requests, Replies) {
    let shared = Arc::new(Conversation::default());
    (Requests::new(Arc::clone(&shared), Arc::clone(counts)), Replies::new(shared, Arc::clone(counts)))
}

/// First words of statements that write.
const WRITES: &[&[u8]] = &[b"insert", b"update", b"delete", b"merge"];

/// What a text of SQL does: the strongest of its statements, each judged by its first word. Statements are told apart
/// by semicolons, whether in a literal or not.
fn deed_of(sql: &[u8]) -> Deed {
    sql.split(|byte| *byte == b';').map(deed_of_statement).max().unwrap_or(Deed::Other)
}

fn deed_of_statement(mut statement: &[u8]) -> Deed {
    loop {
        statement = statement.trim_ascii_start();
        if let Some(rest) = statement.strip_prefix(b"--") {
            statement = after(rest, b"\n");
        } else if let Some(rest) = statement.strip_prefix(b"/*") {
            statement = after(rest, b"*/");
        } else {
            break;
        }
    }
    let word: Vec<u8> = statement
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .take(9)
        .map(u8::to_ascii_lowercase)
        .collect();
    match word.as_slice() {
        word if WRITES.contains(&word) => Deed::Write,
        // Any part of it may write, and so may the statement at its end.
        b"with" if words(statement).any(|word| WRITES.contains(&word.as_slice())) => Deed::Write,
        b"commit" | b"end" => Deed::Commit,
        b"rollback" | b"abort" => Deed::Rollback,
        _ => Deed::Other,
    }
}

/// The words of a statement in lower case, also those in literals.
fn words(statement: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_of_a_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    statement.split(move |byte| !is_of_a_word(byte)).map(<[u8]>::to_ascii_lowercase)
}

fn after<'a>(text: &'a [u8], end: &[u8]) -> &'a [u8] {
    let at = text.windows(end.len()).position(|window| window == end);
    at.map_or(&[], |at| &text[at + end.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_statement_says_what_it_does() {
        for (sql, deed) in [
            ("INSERT INTO t VALUES (1)", Deed::Write),
            ("  -- why\n /* and */ update t set a=1", Deed::Write),
            ("begin; delete from t; commit", Deed::Commit),
            ("BEGIN; INSERT INTO t VALUES (1)", Deed::Write),
            ("rollback", Deed::Rollback),
            ("END", Deed::Commit),
            ("select 'x'", Deed::Other),
            ("inserted", Deed::Other),
            ("WITH h AS (UPDATE head SET n = 1 RETURNING 1) SELECT 1 FROM h", Deed::Write),
            ("with a as (select 1) insert into t select * from a", Deed::Write),
            ("WITH inserted AS (SELECT updated FROM t) SELECT * FROM inserted", Deed::Other),
            ("/* never closed", Deed::Other),
            ("", Deed::Other),
        ] {
            assert_eq!(deed_of(sql.as_bytes()), deed, "{sql}");
        }
    }
}
