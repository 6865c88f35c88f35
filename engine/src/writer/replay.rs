//! The way to a state, at a start and after a batch that was rolled back: the archive, then the journal's frames.

use super::WriterError;
use crate::archive::{self, Archive, ArchiveError};
use crate::machine::id::WorkflowId;
use crate::machine::{Event, State};
use crate::store::{self, Store, StoreError};
use std::collections::BTreeMap;

/// What a replay gives.
pub(super) struct Replayed {
    pub state: State,
    /// Position of the next frame.
    pub position: u64,
    /// Workflows that the archive does not have as they are, with the first frame that it lacks.
    pub changed: BTreeMap<WorkflowId, u64>,
}

/// Reads what the disk holds.
///
/// # Errors
/// [`WriterError`] when it can't be read, or archive and journal do not fit.
pub(super) fn replay(store: &mut dyn Store, archive: &dyn Archive) -> Result<Replayed, WriterError> {
    let (state, low_water) = archive::recover(archive)?;
    let mut replay = Replay { state, archive, low_water, skipped: BTreeMap::new(), changed: BTreeMap::new() };
    let mut first = None;
    let position = store.replay(&mut |position, frame| {
        first.get_or_insert(position);
        replay.frame(position, &store::decode(frame)?).map_err(|error| error.to_string())
    })?;
    let reaches = position.max(first.unwrap_or(0));
    if first.unwrap_or(0) > low_water || low_water > reaches {
        let (first, path) = (first.unwrap_or(0), "beside the journal".to_owned());
        let why = format!(
            "it holds everything before frame {low_water}, the journal has frames {first} to {position}"
        );
        return Err(StoreError::Archive(ArchiveError::Mismatch { path, why }).into());
    }
    let Replay { mut state, changed, .. } = replay;
    state.begin_frame(position);
    state.take_touched();
    Ok(Replayed { state, position, changed })
}

struct Replay<'a> {
    state: State,
    archive: &'a dyn Archive,
    /// What frames before this brought about is archived, or was forgotten or removed since.
    low_water: u64,
    /// Workflows that ended and are archived, with the position from which on frames are news to them.
    skipped: BTreeMap<WorkflowId, u64>,
    changed: BTreeMap<WorkflowId, u64>,
}

impl Replay<'_> {
    fn frame(&mut self, position: u64, events: &[Event]) -> Result<(), ArchiveError> {
        self.state.begin_frame(position);
        let definitions_are_news = self.state.catalogue().as_of <= position;
        let mut news = BTreeMap::new();
        for event in events {
            let is_news = match event.workflow() {
                None => definitions_are_news,
                Some(id) => match news.get(&id) {
                    Some(known) => *known,
                    None => *news.entry(id).or_insert(self.is_news(id, position)?),
                },
            };
            if is_news {
                self.state.evolve(event);
                self.changed.extend(
                    event.workflow().filter(|id| !self.changed.contains_key(id)).map(|id| (id, position)),
                );
            }
        }
        Ok(())
    }

    /// True when the frame at `position` is not in the workflow as it was saved.
    fn is_news(&mut self, id: WorkflowId, position: u64) -> Result<bool, ArchiveError> {
        if let Some(workflow) = self.state.workflow(id) {
            return Ok(workflow.as_of <= position);
        }
        if self.skipped.get(&id).is_some_and(|as_of| *as_of > position) {
            return Ok(false);
        }
        match self.archive.load(id)? {
            Some(saved) if saved.as_of > position => {
                self.skipped.insert(id, saved.as_of);
                Ok(false)
            }
            // It ended, and was taken up again.
            Some(saved) => {
                self.state.restore(saved);
                Ok(true)
            }
            // The journal may lose such frames at any moment: what was forgotten is not built of them again.
            None => Ok(position >= self.low_water),
        }
    }
}
