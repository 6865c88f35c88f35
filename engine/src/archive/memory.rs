//! An archive in memory: for tests, and for an engine without a disk.

use super::{Archive, ArchiveError, Page, Query, Recovered, Slice};
use crate::archive::query::COUNTED;
use crate::machine::id::WorkflowId;
use crate::machine::workflow::Workflow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Content {
    workflows: BTreeMap<WorkflowId, Workflow>,
    rest: Recovered,
}

/// Keeps aggregates until the process ends.
#[derive(Default)]
pub struct MemoryArchive {
    content: Mutex<Content>,
}

impl MemoryArchive {
    fn content(&self) -> MutexGuard<'_, Content> {
        // A panic of another thread leaves whole slices: saving does nothing that can panic half-way.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archive for MemoryArchive {
    fn save(&self, slice: &Slice) -> Result<(), ArchiveError> {
        let content = &mut *self.content();
        for workflow in &slice.workflows {
            content.workflows.insert(workflow.id, workflow.clone());
        }
        for id in &slice.removed {
            content.workflows.remove(id);
        }
        content.rest.snapshots.extend(slice.snapshots.iter().cloned());
        if let Some(catalogue) = &slice.catalogue {
            content.rest.catalogue = catalogue.clone();
        }
        content.rest.low_water = slice.low_water;
        content.rest.last_at = slice.last_at;
        Ok(())
    }

    fn sync(&self) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn prune(&self, ended_before: u64, at_most: usize) -> Result<usize, ArchiveError> {
        let content = &mut *self.content();
        let old = |workflow: &&Workflow| workflow.status.is_terminal() && workflow.ended_at < ended_before;
        let ids: Vec<_> = content.workflows.values().filter(old).map(|old| old.id).take(at_most).collect();
        ids.iter().for_each(|id| drop(content.workflows.remove(id)));
        Ok(ids.len())
    }

    fn load(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        Ok(self.content().workflows.get(&id).cloned())
    }

    fn keyed(&self, asked: &[(&str, &str)]) -> Result<Vec<Option<WorkflowId>>, ArchiveError> {
        let content = self.content();
        let newest = |(name, key): &(&str, &str)| {
            let has = |workflow: &&Workflow| {
                workflow.start.idempotency_key.as_deref() == Some(*key) && workflow.snapshot.def.name == *name
            };
            content.workflows.values().rev().find(has).map(|workflow| workflow.id)
        };
        Ok(asked.iter().map(newest).collect())
    }

    fn recover(&self, running: &mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError> {
        let content = self.content();
        let open = content.workflows.values().filter(|workflow| !workflow.status.is_terminal());
        open.cloned().for_each(running);
        let Recovered { catalogue, snapshots, low_water, last_at } = &content.rest;
        let (catalogue, snapshots) = (catalogue.clone(), snapshots.clone());
        Ok(Recovered { catalogue, snapshots, low_water: *low_water, last_at: *last_at })
    }

    fn search(&self, query: &Query) -> Result<Page, ArchiveError> {
        let content = self.content();
        let mut hits: Vec<&Workflow> = content.workflows.values().filter(|one| query.matches(one)).collect();
        hits.sort_by(|one, other| query.order(one, other));
        let (all, exact) = (hits.len() as u64, query.exact || hits.len() as u64 <= COUNTED);
        let page = hits.into_iter().skip(query.start).take(query.size);
        Ok(Page { total: if exact { all } else { COUNTED }, exact, workflows: page.cloned().collect() })
    }
}
