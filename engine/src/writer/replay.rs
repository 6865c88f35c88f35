//! The way to a state, at a start, after a batch that was rolled back, and while another node leads: the archive, then
//! the journal's frames.

use super::WriterError;
use crate::archive::{self, Archive, ArchiveError};
use crate::machine::id::WorkflowId;
use crate::machine::{Event, State};
use crate::store::{self, Store, StoreError};
use std::collections::BTreeMap;

/// What a replay gives.
pub(crate) struct Replayed {
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
pub(crate) fn replay(store: &mut dyn Store, archive: &dyn Archive) -> Result<Replayed, WriterError> {
    let mut replay = Replay::begin(archive)?;
    let (mut first, mut unread) = (None, None);
    let read = store.replay(&mut |position, frame| {
        first.get_or_insert(position);
        let events = store::decode(frame)?;
        // Frames before the low water mark are in the archive as they are.
        if position < replay.low_water() {
            return Ok(());
        }
        replay.frame(archive, position, &events).map_err(|error| {
            let why = error.to_string();
            unread = Some(error);
            why
        })
    });
    let position = match unread {
        // The archive's trouble and not the journal's, which may pass.
        Some(error) => return Err(error.into()),
        None => read?,
    };
    replay.check(first.unwrap_or(0), position)?;
    Ok(replay.finish(position))
}

/// A state that grows with the frames.
pub(crate) struct Replay {
    state: State,
    /// What frames before this brought about is archived, or was forgotten or removed since.
    low_water: u64,
    /// Workflows that ended and are archived, with the position from which on frames are news to them.
    skipped: BTreeMap<WorkflowId, u64>,
    changed: BTreeMap<WorkflowId, u64>,
    /// Workflows that were removed, by the frame that did it.
    removed: BTreeMap<WorkflowId, u64>,
}

impl From<(State, u64)> for Replay {
    /// What was recovered, and the first frame that is needed.
    fn from((state, low_water): (State, u64)) -> Self {
        let (skipped, changed, removed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { state, low_water, skipped, changed, removed }
    }
}

impl Replay {
    /// The state that the archive alone gives.
    ///
    /// # Errors
    /// [`ArchiveError`] when it can't be read.
    pub fn begin(archive: &dyn Archive) -> Result<Self, ArchiveError> {
        archive::recover(archive).map(Self::from)
    }

    /// The first frame that is needed.
    pub fn low_water(&self) -> u64 {
        self.low_water
    }

    /// Checks that the journal's frames, from `first` to before `position`, go on from the archive.
    ///
    /// # Errors
    /// [`StoreError::Archive`] when they do not fit.
    pub fn check(&self, first: u64, position: u64) -> Result<(), StoreError> {
        let low_water = self.low_water;
        if first <= low_water && low_water <= position.max(first) {
            return Ok(());
        }
        let path = "beside the journal".to_owned();
        let why = format!(
            "it holds everything before frame {low_water}, the journal has frames {first} to {position}"
        );
        Err(StoreError::Archive(ArchiveError::Mismatch { path, why }))
    }

    /// The state as it is, to be changed from here on by somebody else.
    pub fn finish(self, position: u64) -> Replayed {
        let Self { mut state, mut changed, low_water, .. } = self;
        // What the archive has asked frames for from there on is not asked for again from before.
        changed.values_mut().for_each(|since| *since = (*since).max(low_water));
        state.begin_frame(position);
        state.take_touched();
        Replayed { state, position, changed }
    }

    /// The next frame.
    ///
    /// # Errors
    /// [`ArchiveError`] when a workflow of it can't be read back.
    pub fn frame(
        &mut self,
        archive: &dyn Archive,
        position: u64,
        events: &[Event],
    ) -> Result<(), ArchiveError> {
        self.state.begin_frame(position);
        let definitions_are_news = self.state.catalogue().as_of <= position;
        let mut news = BTreeMap::new();
        for event in events {
            let is_news = match event.workflow() {
                None => definitions_are_news,
                Some(id) => match news.get(&id) {
                    Some(known) => *known,
                    None => *news.entry(id).or_insert(self.is_news(archive, id, position)?),
                },
            };
            if is_news {
                self.state.evolve(event);
                self.note(event, position);
            }
        }
        Ok(())
    }

    fn note(&mut self, event: &Event, position: u64) {
        let Some(id) = event.workflow() else { return };
        self.changed.entry(id).or_insert(position);
        if self.state.workflow(id).is_none() {
            self.removed.insert(id, position);
        }
    }

    /// The archive has everything before `low_water` by now: what ended and is saved leaves memory, as it does where
    /// it was saved.
    pub fn tidy(&mut self, position: u64, low_water: u64) {
        self.low_water = self.low_water.max(low_water);
        let low_water = self.low_water;
        let saved = self.state.workflows().filter(|one| one.status.is_terminal() && one.as_of <= low_water);
        let saved: Vec<_> = saved.map(|workflow| workflow.id).collect();
        for id in saved {
            self.state.evict(id);
            self.changed.remove(&id);
        }
        let gone = self.removed.iter().filter(|(_, at)| **at < low_water).map(|(id, _)| *id);
        let gone: Vec<_> = gone.collect();
        self.state.forget_removed(&gone);
        for id in gone {
            self.removed.remove(&id);
            self.changed.remove(&id);
        }
        let state = &self.state;
        self.changed.retain(|id, _| state.workflow(*id).is_none_or(|workflow| workflow.as_of > low_water));
        self.skipped.retain(|_, as_of| *as_of > position);
        // Nobody is served from here; who waits for what is asked when somebody is.
        self.state.take_touched();
    }

    /// True when the frame at `position` is not in the workflow as it was saved.
    fn is_news(
        &mut self,
        archive: &dyn Archive,
        id: WorkflowId,
        position: u64,
    ) -> Result<bool, ArchiveError> {
        if let Some(workflow) = self.state.workflow(id) {
            return Ok(workflow.as_of <= position);
        }
        if self.skipped.get(&id).is_some_and(|as_of| *as_of > position) {
            return Ok(false);
        }
        match archive.load(id)? {
            Some(saved) if saved.as_of > position => {
                // Another node may have saved it as it runs after this frame: then it is taken as it is there.
                if saved.status.is_terminal() {
                    self.skipped.insert(id, saved.as_of);
                } else {
                    self.state.restore(saved);
                }
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
