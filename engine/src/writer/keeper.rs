//! The keeper: sees to it that what changed is saved in the archive, a slice at a time between two batches, that
//! what ended then leaves memory, and that the journal forgets what nobody needs.
//!
//! A workflow waits for its turn from its first change after it was last saved. What shows in a search (a start, an
//! end, a pause) is saved within a second; a workflow that only makes progress at most every [`PROGRESS_MS`], so
//! short ones are saved once, when they have ended.

use super::archivist::{Archivist, Report};
use crate::archive::{Archive, ArchiveError, Slice};
use crate::machine::State;
use crate::machine::event::SnapshotNumber;
use crate::machine::id::WorkflowId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Workflows in a slice: bounds the pause between two batches, at about a microsecond each.
const SLICE: usize = 64;
/// A change that shows in a search is saved after so long, milliseconds.
const SHOWN_MS: u64 = 1000;
/// Progress is saved after so long, milliseconds: bounds what a start has to replay.
const PROGRESS_MS: u64 = 15_000;
/// What ended stays in memory for so long, milliseconds: somebody is likely to ask how it ended.
const LINGER_MS: u64 = 500;
/// Without room at the archivist's, it is looked for again after so long, milliseconds.
const ROOM_MS: u64 = 10;
/// Time between two looks for what is too old to keep, milliseconds.
const PRUNE_EVERY_MS: u64 = 10_000;

/// What waits to be saved.
struct Unsaved {
    /// Position of the first frame that changed it.
    since: u64,
    /// When it is to be saved.
    due: u64,
    /// When it changed, epoch milliseconds; 0 when that was before a replay.
    at: u64,
}

pub(super) struct Keeper {
    archive: Arc<dyn Archive>,
    archivist: Archivist,
    unsaved: BTreeMap<WorkflowId, Unsaved>,
    /// The same by due time, and by position.
    by_due: BTreeSet<(u64, WorkflowId)>,
    by_since: BTreeSet<(u64, WorkflowId)>,
    removed: Vec<WorkflowId>,
    /// The highest snapshot and the state of the catalogue that were handed over.
    snapshots: SnapshotNumber,
    catalogue: u64,
    /// No frame before this is needed once what was handed over is saved. A replay does not take it back: what it
    /// finds unsaved may be on its way.
    low_water: u64,
    /// Those who wait until everything so far can be found.
    flushes: Vec<oneshot::Sender<()>>,
    /// They wait for what changed in frames before this position.
    flushed_below: u64,
    /// How long what ended is kept, milliseconds.
    retention_ms: Option<u64>,
    pruned_at: u64,
}

impl Keeper {
    pub fn new(archive: Arc<dyn Archive>, archivist: Archivist, retention_ms: Option<u64>) -> Self {
        Self {
            archive,
            archivist,
            unsaved: BTreeMap::new(),
            by_due: BTreeSet::new(),
            by_since: BTreeSet::new(),
            removed: Vec::new(),
            snapshots: 0,
            catalogue: 0,
            low_water: 0,
            flushes: Vec::new(),
            flushed_below: 0,
            retention_ms,
            pruned_at: 0,
        }
    }

    pub fn archive(&self) -> &Arc<dyn Archive> {
        &self.archive
    }

    /// The archivist's next piece of work, when it has no thread; true when it had one.
    pub fn work(&mut self) -> bool {
        self.archivist.work()
    }

    /// Begins anew after a replay: `changed` are the workflows that the archive does not have as they are, with the
    /// first frame that it lacks.
    pub fn begin(&mut self, state: &State, changed: BTreeMap<WorkflowId, u64>, now: u64) {
        self.unsaved.clear();
        self.by_due.clear();
        self.by_since.clear();
        for (id, since) in changed {
            self.changed(state, id, since, now);
        }
        self.unsaved.values_mut().for_each(|unsaved| unsaved.at = 0);
    }

    /// A workflow changed in the frame at `position`, and that frame is durable.
    pub fn changed(&mut self, state: &State, id: WorkflowId, position: u64, now: u64) {
        let Some(workflow) = state.workflow(id) else {
            self.take(id);
            self.removed.push(id);
            return;
        };
        let wait = if workflow.status.is_terminal() {
            LINGER_MS
        } else if workflow.updated_at == workflow.created_at {
            SHOWN_MS
        } else {
            PROGRESS_MS
        };
        let before = self.take(id);
        let since = before.as_ref().map_or(position, |before| before.since);
        let due = before.as_ref().map_or(u64::MAX, |before| before.due).min(now + wait);
        let at = before.map_or(now, |before| before.at);
        self.by_due.insert((due, id));
        self.by_since.insert((since, id));
        self.unsaved.insert(id, Unsaved { since, due, at });
    }

    /// Answers when everything that is durable now can be found by a search.
    pub fn flush(&mut self, to: oneshot::Sender<()>, position: u64) {
        // With a full disk nobody is answered: those who gave up are not kept.
        self.flushes.retain(|to| !to.is_closed());
        self.flushes.push(to);
        self.flushed_below = position;
    }

    /// One turn between two batches: lets go what is saved, hands over what is due. Answers the position before
    /// which the journal is not needed, when that is known anew.
    ///
    /// # Errors
    /// [`ArchiveError`] when the archivist could not save.
    pub fn turn(&mut self, state: &mut State, position: u64, now: u64) -> Result<Option<u64>, ArchiveError> {
        let mut forget = None;
        while let Some(report) = self.archivist.report() {
            match report {
                Report::Saved(ended, removed) => {
                    ended.into_iter().for_each(|(id, as_of)| self.let_go(state, id, as_of));
                    state.forget_removed(&removed);
                }
                Report::Durable(low_water) => forget = Some(low_water),
                Report::Failed(error) => return Err(error),
            }
        }
        if self.archivist.has_room() {
            let slice = self.slice(state, position, now);
            let flushes =
                if self.to_flush().is_none() { std::mem::take(&mut self.flushes) } else { Vec::new() };
            if !slice.is_empty() || !flushes.is_empty() {
                self.archivist.save(slice, flushes);
            }
        }
        let prunes = now >= self.pruned_at + PRUNE_EVERY_MS && self.archivist.has_room();
        if let Some(retention_ms) = self.retention_ms.filter(|_| prunes) {
            self.pruned_at = now;
            // One that ended long ago may have been taken up again, and the archive not know it yet. It had not ended
            // longer ago than it is kept when it was.
            let known = self.unsaved.values().map(|unsaved| unsaved.at).min().unwrap_or(now);
            // Nor what can still be taken up from memory, because the archivist is that far behind.
            let ended = state.workflows().filter(|workflow| workflow.status.is_terminal());
            let in_memory = ended.map(|workflow| workflow.ended_at).min().unwrap_or(u64::MAX);
            self.archivist.prune(known.saturating_sub(retention_ms).min(in_memory));
        }
        Ok(forget)
    }

    /// When something is due here, epoch milliseconds.
    pub fn next_due(&self, now: u64) -> Option<u64> {
        // Without room the archivist's next report is waited for.
        if !self.archivist.has_room() {
            let waits = !self.by_due.is_empty() || !self.flushes.is_empty();
            return waits.then_some(now + ROOM_MS);
        }
        let due = self.by_due.first().map(|(due, _)| *due);
        due.into_iter().chain((!self.flushes.is_empty()).then_some(now)).min()
    }

    /// What ended before this instant, epoch milliseconds, is not kept any more.
    pub fn kept_since(&self, now: u64) -> u64 {
        self.retention_ms.map_or(0, |retention_ms| now.saturating_sub(retention_ms))
    }

    /// A workflow that ended and was read back for a command leaves again, unless the command changed it.
    pub fn let_go_again(&self, state: &mut State, id: WorkflowId) {
        if let Some(as_of) = state.workflow(id).map(|workflow| workflow.as_of) {
            self.let_go(state, id, as_of);
        }
    }

    fn let_go(&self, state: &mut State, id: WorkflowId, as_of: u64) {
        let as_saved = |workflow: &crate::machine::workflow::Workflow| {
            workflow.as_of == as_of && workflow.status.is_terminal()
        };
        if !self.unsaved.contains_key(&id) && state.workflow(id).is_some_and(as_saved) {
            state.evict(id);
        }
    }

    fn take(&mut self, id: WorkflowId) -> Option<Unsaved> {
        let unsaved = self.unsaved.remove(&id)?;
        self.by_due.remove(&(unsaved.due, id));
        self.by_since.remove(&(unsaved.since, id));
        Some(unsaved)
    }

    /// The first that somebody waits for.
    fn to_flush(&self) -> Option<WorkflowId> {
        let (since, id) = self.by_since.first()?;
        (!self.flushes.is_empty() && *since < self.flushed_below).then_some(*id)
    }

    fn due(&self, now: u64) -> Option<WorkflowId> {
        let (due, id) = self.by_due.first()?;
        (*due <= now).then_some(*id)
    }

    fn slice(&mut self, state: &State, position: u64, now: u64) -> Slice {
        let mut slice = Slice { removed: std::mem::take(&mut self.removed), ..Slice::default() };
        while slice.workflows.len() < SLICE
            && let Some(id) = self.to_flush().or_else(|| self.due(now))
        {
            self.take(id);
            slice.workflows.extend(state.workflow(id).cloned());
        }
        let unsaved = state.snapshots().range(self.snapshots + 1..);
        slice.snapshots = unsaved.map(|(number, snapshot)| (*number, Arc::clone(snapshot))).collect();
        self.snapshots = slice.snapshots.last().map_or(self.snapshots, |(number, _)| *number);
        if state.catalogue().as_of > self.catalogue {
            self.catalogue = state.catalogue().as_of;
            slice.catalogue = Some(state.catalogue().clone());
        }
        let unsaved = self.by_since.first().map_or(position, |(since, _)| *since);
        slice.low_water = unsaved.max(self.low_water);
        self.low_water = slice.low_water;
        slice.last_at = state.last_at();
        slice
    }
}
