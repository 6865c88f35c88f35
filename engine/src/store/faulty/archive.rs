//! The archive on a faulty disk: slices that are saved are lost from the end until they are synced.

use super::{Course, Disk, Reached};
use crate::archive::{Archive, ArchiveError, MemoryArchive, Page, Query, Recovered, Slice};
use crate::machine::id::WorkflowId;
use crate::machine::workflow::Workflow;

/// The path that errors name.
const PATH: &str = "on a faulty disk";

/// What changes an archive.
enum Change {
    Save(Box<Slice>),
    Prune { ended_before: u64, at_most: usize },
}

impl Change {
    fn make(&self, archive: &MemoryArchive) -> Result<usize, ArchiveError> {
        match self {
            Self::Save(slice) => archive.save(slice).map(|()| 0),
            Self::Prune { ended_before, at_most } => archive.prune(*ended_before, *at_most),
        }
    }
}

/// An archive with what of it is durable.
#[derive(Default)]
pub(super) struct Saved {
    durable: MemoryArchive,
    /// What readers see.
    shown: MemoryArchive,
    unsynced: Vec<Change>,
}

impl Saved {
    fn change(&mut self, change: Change) -> Result<usize, ArchiveError> {
        let changed = change.make(&self.shown)?;
        self.unsynced.push(change);
        Ok(changed)
    }

    fn sync(&mut self) -> Result<(), ArchiveError> {
        self.unsynced.drain(..).try_for_each(|change| change.make(&self.durable).map(drop))
    }

    /// Of what is not synced only the front is left, `kept` per mille.
    pub fn lose(&mut self, kept: u64) {
        let left = self.unsynced.len() as u64 * kept.min(1000) / 1000;
        self.unsynced.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        // An archive in memory always takes what it is given.
        let _ = self.sync();
        self.shown = read_back(&self.durable).unwrap_or_default();
    }
}

/// What a new opener reads: every workflow through its JSON.
fn read_back(archive: &MemoryArchive) -> Result<MemoryArchive, ArchiveError> {
    let broken =
        |error: serde_json::Error| ArchiveError::Broken { path: PATH.into(), why: error.to_string() };
    let Recovered { catalogue, snapshots, low_water, last_at } = archive.recover(&mut |_| {})?;
    let all = Query { conditions: Vec::new(), sort: Vec::new(), start: 0, size: usize::MAX, exact: true };
    let mut workflows = Vec::new();
    for workflow in archive.search(&all)?.workflows {
        let text = serde_json::to_string(&workflow).map_err(broken)?;
        let mut read: Workflow = serde_json::from_str(&text).map_err(broken)?;
        read.attach(workflow.snapshot);
        workflows.push(read);
    }
    let (snapshots, catalogue) = (snapshots.into_iter().collect(), Some(catalogue));
    let copy = MemoryArchive::default();
    copy.save(&Slice { workflows, removed: Vec::new(), snapshots, catalogue, low_water, last_at })?;
    Ok(copy)
}

pub(super) struct FaultyArchive {
    disk: Disk,
}

impl FaultyArchive {
    pub fn new(disk: Disk) -> Self {
        Self { disk }
    }

    /// A call that writes: `written` is done when it gets so far, `synced` too.
    fn write<T: Default>(
        &self,
        written: impl FnOnce(&mut Saved) -> Result<T, ArchiveError>,
        synced: impl FnOnce(&mut Saved) -> Result<(), ArchiveError>,
    ) -> Result<T, ArchiveError> {
        let path = || PATH.to_owned();
        let content = &mut *self.disk.content();
        let (reached, failed) = match content.course() {
            Course::NoSpace => return Err(ArchiveError::Full { path: path(), why: "planned".to_owned() }),
            Course::Well => (Reached::Synced, None),
            Course::Until(reached, why) => (reached, Some(ArchiveError::Broken { path: path(), why })),
        };
        let mut answer = T::default();
        if reached >= Reached::Written {
            answer = written(&mut content.archive)?;
        }
        if reached >= Reached::Synced {
            synced(&mut content.archive)?;
        }
        failed.map_or(Ok(answer), Err)
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&MemoryArchive) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        let content = self.disk.content();
        if content.dark {
            return Err(ArchiveError::Broken { path: PATH.into(), why: "there is no power".into() });
        }
        look(&content.archive.shown)
    }
}

impl Archive for FaultyArchive {
    fn save(&self, slice: &Slice) -> Result<(), ArchiveError> {
        let change = Change::Save(Box::new(slice.clone()));
        self.write(|saved| saved.change(change).map(drop), |_| Ok(()))
    }

    fn sync(&self) -> Result<(), ArchiveError> {
        self.write(|_| Ok(()), Saved::sync)
    }

    fn prune(&self, ended_before: u64, at_most: usize) -> Result<usize, ArchiveError> {
        self.write(|saved| saved.change(Change::Prune { ended_before, at_most }), |_| Ok(()))
    }

    fn load(&self, id: WorkflowId) -> Result<Option<Workflow>, ArchiveError> {
        self.read(|archive| archive.load(id))
    }

    fn keyed(&self, asked: &[(&str, &str)]) -> Result<Vec<Option<WorkflowId>>, ArchiveError> {
        self.read(|archive| archive.keyed(asked))
    }

    fn recover(&self, running: &mut dyn FnMut(Workflow)) -> Result<Recovered, ArchiveError> {
        self.read(|archive| archive.recover(running))
    }

    fn search(&self, query: &Query) -> Result<Page, ArchiveError> {
        self.read(|archive| archive.search(query))
    }
}
