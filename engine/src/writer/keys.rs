//! The idempotency keys of a batch, looked up many at a time: in a database each question is a round trip, and a batch may
//! bring a thousand of them.

use super::handle::{Request, Watch};
use crate::archive::{Archive, ArchiveError};
use crate::machine::State;
use crate::machine::command::Command;
use crate::machine::id::WorkflowId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Keys in one question. Between two the writer looks whether its batch has time for another.
const AT_ONCE: usize = 128;

/// Which keys of ended workflows the archive knows. It is true for one batch: what ends in it leaves memory after it.
pub(super) struct Keys<'a> {
    archive: &'a dyn Archive,
    /// Those of the requests that come next, in their order.
    ahead: VecDeque<Pair>,
    known: BTreeMap<Pair, Found>,
}

/// Name of the workflow and key.
type Pair = (String, String);

type Found = Result<Option<WorkflowId>, ArchiveError>;

impl<'a> Keys<'a> {
    pub fn new(archive: &'a dyn Archive) -> Self {
        Self { archive, ahead: VecDeque::new(), known: BTreeMap::new() }
    }

    /// Notes what memory does not know of the keys of these requests, which are about to be taken.
    pub fn expect<'r>(&mut self, state: &State, requests: impl Iterator<Item = &'r Request>) {
        let keyed = requests.filter_map(|request| match request {
            Request::Decide(command, _) | Request::Watch(Watch { command, .. }) => unknown(state, command),
            _ => None,
        });
        self.ahead.extend(keyed.map(pair));
    }

    /// The newest workflow of that name and key that the archive knows.
    pub fn of(&mut self, name: &str, key: &str) -> Found {
        let asked = pair((name, key));
        if let Some(found) = self.known.get(&asked) {
            return found.clone();
        }
        self.look_up(asked.clone());
        // What it said of all of them was no answer about this one.
        self.known.get(&asked).cloned().unwrap_or_else(|| self.ask_for(&asked))
    }

    /// True when the archive was asked, and knows nothing that would have to be read back.
    pub fn is_settled(&self, name: &str, key: &str) -> bool {
        matches!(self.known.get(&pair((name, key))), Some(Ok(None) | Err(_)))
    }

    /// Asks for one, and for those that come next with it.
    fn look_up(&mut self, first: Pair) {
        let mut asked = BTreeSet::from([first]);
        while asked.len() < AT_ONCE
            && let Some(next) = self.ahead.pop_front()
        {
            if !self.known.contains_key(&next) {
                asked.insert(next);
            }
        }
        let pairs: Vec<(&str, &str)> =
            asked.iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
        match self.archive.keyed(&pairs) {
            Ok(ids) => self.known.extend(asked.into_iter().zip(ids.into_iter().map(Ok))),
            Err(away @ ArchiveError::Away { .. }) => {
                self.known.extend(asked.into_iter().map(|one| (one, Err(away.clone()))));
            }
            // One that can't be read is nobody else's trouble: each is asked for by itself.
            Err(_) => {}
        }
    }

    fn ask_for(&mut self, asked: &Pair) -> Found {
        let found = self.archive.keyed(&[(&asked.0, &asked.1)]);
        let found = found.map(|ids| ids.first().copied().flatten());
        self.known.insert(asked.clone(), found.clone());
        found
    }
}

fn pair((name, key): (&str, &str)) -> Pair {
    (name.to_owned(), key.to_owned())
}

/// Name and key of a start that memory can't decide about alone.
pub(super) fn unknown<'c>(state: &State, command: &'c Command) -> Option<(&'c str, &'c str)> {
    command.key().filter(|(name, key)| state.keyed(name, key).is_none())
}
