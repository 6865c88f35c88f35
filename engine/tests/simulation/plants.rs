//! Planted bugs: stores and archives that lie, below an engine that is healthy. The simulation must catch each.

use serde_json::Value;
use shakedown_engine::archive::{Archive, ArchiveError, Page, Query, Recovered, Slice};
use shakedown_engine::machine::Event;
use shakedown_engine::machine::id::WorkflowId;
use shakedown_engine::machine::workflow::Workflow;
use shakedown_engine::store::{AppendError, Apply, Opened, Store, StoreError, decode, encode};
use std::sync::{Arc, Mutex};

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    AnswersBeforeTheAppend,
    ForgetsToSync,
    EvictsBeforeItIsSaved,
    ForgetsFramesBeforeTheArchiveIsSynced,
    ForgetsFramesThatAreNeeded,
    AppliesAFrameTwice,
    SkipsTimersAfterARestart,
    HandsATaskOutTwice,
    LosesAJoin,
    ReadsWhatIsNotDurable,
    SavesASliceOutOfOrder,
    TakesATimeOutForARefusal,
    DropsWhatFollowsARetry,
}

impl Plant {
    pub const ALL: [Self; 13] = [
        Self::AnswersBeforeTheAppend,
        Self::ForgetsToSync,
        Self::EvictsBeforeItIsSaved,
        Self::ForgetsFramesBeforeTheArchiveIsSynced,
        Self::ForgetsFramesThatAreNeeded,
        Self::AppliesAFrameTwice,
        Self::SkipsTimersAfterARestart,
        Self::HandsATaskOutTwice,
        Self::LosesAJoin,
        Self::ReadsWhatIsNotDurable,
        Self::SavesASliceOutOfOrder,
        Self::TakesATimeOutForARefusal,
        Self::DropsWhatFollowsARetry,
    ];

    /// The store and archive with the bug in them.
    pub fn on(self, (store, archive): Opened) -> Opened {
        let held = Mutex::new(None);
        let store = LyingStore { plant: self, inner: store, buffer: Vec::new() };
        (Box::new(store), Arc::new(LyingArchive { plant: self, inner: archive, held }))
    }
}

struct LyingStore {
    plant: Plant,
    inner: Box<dyn Store>,
    /// Frames that were acknowledged and are nowhere yet.
    buffer: Vec<(u64, Vec<u8>)>,
}

impl LyingStore {
    fn flush(&mut self) -> Result<(), AppendError> {
        while let Some((position, frame)) = self.buffer.first() {
            self.inner.append(*position, frame)?;
            self.buffer.remove(0);
        }
        Ok(())
    }
}

impl Store for LyingStore {
    fn append(&mut self, position: u64, frame: &[u8]) -> Result<(), AppendError> {
        match self.plant {
            Plant::AnswersBeforeTheAppend => {
                let done = self.flush();
                self.buffer.push((position, frame.to_vec()));
                done
            }
            Plant::ForgetsToSync => {
                self.buffer.push((position, frame.to_vec()));
                if self.buffer.len() < 8 { Ok(()) } else { self.flush() }
            }
            Plant::TakesATimeOutForARefusal => match self.inner.append(position, frame) {
                Err(AppendError::Broken(why)) if why.contains("TimedOut") => Err(AppendError::Full(why)),
                other => other,
            },
            _ => self.inner.append(position, frame),
        }
    }

    fn replay(&mut self, apply: &mut Apply<'_>) -> Result<u64, StoreError> {
        let plant = self.plant;
        self.inner.replay(&mut |position, frame| apply(position, &replayed(plant, frame)))
    }

    fn forget(&mut self, position: u64) {
        let too_many = if self.plant == Plant::ForgetsFramesThatAreNeeded { 4 } else { 0 };
        self.inner.forget(position + too_many);
    }
}

/// A frame as a replay with the bug sees it.
fn replayed(plant: Plant, frame: &[u8]) -> Vec<u8> {
    let events = decode(frame).unwrap();
    let mut events: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    match plant {
        Plant::AppliesAFrameTwice => events.extend(events.clone()),
        Plant::HandsATaskOutTwice => events.retain(|event| event["Task"]["change"]["Started"].is_null()),
        Plant::LosesAJoin => {
            for event in &mut events {
                let status = event.pointer_mut("/Task/change/Scheduled/status");
                status
                    .into_iter()
                    .filter(|status| *status == "IN_PROGRESS")
                    .for_each(|status| *status = "CANCELED".into());
            }
        }
        Plant::SkipsTimersAfterARestart => {
            for event in &mut events {
                let defs = event.pointer_mut("/DefinitionsKept/task_defs").and_then(Value::as_object_mut);
                for def in defs.into_iter().flat_map(|defs| defs.values_mut()) {
                    def["responseTimeoutSeconds"] = 1_000_000.into();
                }
            }
        }
        _ => return frame.to_vec(),
    }
    encode(&serde_json::from_value::<Vec<Event>>(events.into()).unwrap())
}

struct LyingArchive {
    plant: Plant,
    inner: Arc<dyn Archive>,
    /// A slice that waits for the next one.
    held: Mutex<Option<Slice>>,
}

impl Archive for LyingArchive {
    fn save(&self, slice: &Slice) -> Result<(), ArchiveError> {
        match self.plant {
            Plant::EvictsBeforeItIsSaved => {
                let late = self.held.lock().unwrap().replace(slice.clone());
                late.map_or(Ok(()), |late| self.inner.save(&late))
            }
            Plant::SavesASliceOutOfOrder => {
                self.inner.save(slice)?;
                let older = self.held.lock().unwrap().replace(slice.clone());
                older.map_or(Ok(()), |older| self.inner.save(&older))
            }
            Plant::ForgetsFramesThatAreNeeded => {
                self.inner.save(&Slice { low_water: slice.low_water + 4, ..slice.clone() })
            }
            _ => self.inner.save(slice),
        }
    }

    fn sync(&self) -> Result<(), ArchiveError> {
        if self.plant == Plant::ForgetsFramesBeforeTheArchiveIsSynced { Ok(()) } else { self.inner.sync() }
    }

    fn prune(&self, ended_before: u64, at_most: usize) -> Result<usize, ArchiveError> {
        self.inner.prune(ended_before, at_most)
    }

    fn load(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        let mut loaded = self.inner.load(id)?;
        if self.plant == Plant::DropsWhatFollowsARetry
            && let Some(workflow) = loaded.as_mut().filter(|workflow| workflow.status.is_terminal())
        {
            workflow.as_of = u64::MAX;
        }
        Ok(loaded)
    }

    fn keyed(&self, asked: &[(&str, &str)]) -> Result<Vec<Option<WorkflowId>>, ArchiveError> {
        self.inner.keyed(asked)
    }

    fn recover(&self, running: &mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError> {
        self.inner.recover(running)
    }

    fn search(&self, query: &Query) -> Result<Page, ArchiveError> {
        self.inner.search(query)
    }
}
