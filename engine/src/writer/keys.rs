//! The idempotency keys of a batch, looked up in one go: in a database each question is a round trip, and a batch may bring
//! a thousand of them.

use super::handle::{Request, Watch};
use crate::archive::{Archive, ArchiveError};
use crate::machine::State;
use crate::machine::command::Command;
use crate::machine::id::WorkflowId;
use std::collections::BTreeMap;

/// Which keys of ended workflows the archive knows. It is true for one batch: what ends in it leaves memory after it.
pub(super) struct Keys<'a> {
    archive: &'a dyn Archive,
    /// By name of the workflow and key.
    known: BTreeMap<(String, String), Found>,
}

type Found = Result<Option<WorkflowId>, ArchiveError>;

impl<'a> Keys<'a> {
    pub fn new(archive: &'a dyn Archive) -> Self {
        Self { archive, known: BTreeMap::new() }
    }

    /// Looks up what memory does not know of the keys of these requests.
    pub fn look_up<'r>(&mut self, state: &State, requests: impl Iterator<Item = &'r Request>) {
        let mut asked: Vec<(&str, &str)> = requests
            .filter_map(|request| match request {
                Request::Decide(command, _) | Request::Watch(Watch { command, .. }) => {
                    unknown(state, command)
                }
                _ => None,
            })
            .collect();
        asked.sort_unstable();
        asked.dedup();
        if !asked.is_empty() {
            self.ask(&asked);
        }
    }

    /// The newest workflow of that name and key that the archive knows.
    pub fn of(&self, name: &str, key: &str) -> Found {
        match self.known.get(&(name.to_owned(), key.to_owned())) {
            Some(found) => found.clone(),
            None => Ok(self.archive.keyed(&[(name, key)])?.first().copied().flatten()),
        }
    }

    fn ask(&mut self, asked: &[(&str, &str)]) {
        let found = match self.archive.keyed(asked) {
            Ok(ids) => ids.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); asked.len()],
        };
        let pairs = asked.iter().map(|(name, key)| ((*name).to_owned(), (*key).to_owned()));
        self.known.extend(pairs.zip(found));
    }
}

/// Name and key of a start that memory can't decide about alone.
pub(super) fn unknown<'c>(state: &State, command: &'c Command) -> Option<(&'c str, &'c str)> {
    command.key().filter(|(name, key)| state.keyed(name, key).is_none())
}
