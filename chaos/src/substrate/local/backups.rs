//! Backups of a node's data by programs of its own: taken while it runs, and put back where the data was destroyed.

use super::{Supervised, ready_within};
use crate::clock;
use crate::inject::Keeper;
use crate::role::Role;
use crate::substrate::errand;
use crate::substrate::files;
use crate::substrate::{Cage, Doubt, Known, NodeError, NotRun, Spec};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long one of the programs may take.
const WITHIN: Duration = Duration::from_secs(120);

/// How a node's data is backed up. Both programs get the backup's folder as their last argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where each backup gets a folder of its own; not in the node's data, which is what is lost.
    pub folder: PathBuf,
    /// Program and arguments that take one, while the node runs, into a folder that is not there yet.
    pub take: Vec<OsString>,
    /// Program and arguments that make the data anew from one, where there is none.
    pub put_back: Vec<OsString>,
}

/// The backups of a node that were taken so far.
#[derive(Debug, Default)]
pub struct Backups {
    taken: Mutex<Vec<PathBuf>>,
}

impl Backups {
    fn latest(&self) -> Option<PathBuf> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    fn add(&self, folder: PathBuf) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
    }
}

/// Looks after the data of one node.
pub(super) struct NodeKeeper {
    node: Arc<Supervised>,
    data: PathBuf,
    backup: Backup,
}

impl NodeKeeper {
    /// # Errors
    /// The node has no data of its own, or nobody knows how they are backed up.
    pub(super) fn of(node: Arc<Supervised>) -> Result<Self, NotRun> {
        let name = &node.spec().spec.name;
        let (data, backup) = (node.spec().data.clone(), node.spec().backup.clone());
        let (Some(data), Some(backup)) = (data, backup) else {
            let reason = format!("nobody knows how the data of {name} is backed up");
            return Err(NotRun::new(
                reason,
                "name a role whose data is: the engine on SQLite, or db.primary",
            ));
        };
        Ok(Self { node, data, backup })
    }

    fn name(&self) -> &str {
        &self.node.spec().spec.name
    }

    /// Runs one of the programs on a folder; returns the last line that it said.
    fn run(&self, what: &str, command: &[OsString], folder: &Path) -> Result<String, Doubt> {
        let node = self.node.spec();
        let [program, args @ ..] = command else {
            return Err(Doubt::new(format!("no program is given for the {what} of {}", self.name())));
        };
        let spec = Spec {
            name: format!("{what} of {}", self.name()),
            program: program.into(),
            args: args.iter().cloned().chain([folder.into()]).collect(),
            env: node.spec.env.clone(),
            log: node.spec.log.with_file_name(format!("{}-{what}.log", self.name())),
            ready: None,
        };
        let cage = Cage { user: node.user, ..Cage::default() };
        let said = errand::run(&spec, &cage, WITHIN);
        let said =
            said.map_err(|error| Doubt::new(format!("the {what} of {} failed: {error}", self.name())))?;
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    fn empty(&self) -> Result<files::Contents, Doubt> {
        let failed = |error| {
            format!("the data of {} in {} can't be removed: {error}", self.name(), self.data.display())
        };
        files::empty(&self.data).map_err(|error| Doubt::new(failed(error)))
    }

    fn latest(&self) -> Result<PathBuf, Doubt> {
        let none = || format!("there is no backup of {} yet; nothing was destroyed", self.name());
        self.node.backups().latest().ok_or_else(|| Doubt::new(none()))
    }
}

impl Keeper for NodeKeeper {
    fn has(&self, role: &Role) -> bool {
        super::has_role(self.node.spec(), role)
    }

    fn back_up(&self) -> Result<String, Doubt> {
        let Backup { folder, take, .. } = &self.backup;
        let failed = |error| Doubt::new(format!("cannot make {}: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(failed)?;
        let to = (1..=u32::MAX).map(|n| folder.join(format!("{}-{n}", self.name()))).find(|to| !to.exists());
        let to = to.ok_or_else(|| Doubt::new(format!("every name in {} is taken", folder.display())))?;
        let began_ns = clock::now_ns();
        let said = self.run("backup", take, &to)?;
        let took = Duration::from_nanos(clock::now_ns().saturating_sub(began_ns));
        let made = files::measure(&to).unwrap_or_default();
        if made.files == 0 {
            return Err(Doubt::new(format!(
                "the backup of {} made nothing in {}: {said}",
                self.name(),
                to.display()
            )));
        }
        self.node.backups().add(to.clone());
        let (name, took) = (self.name(), took.as_secs_f64());
        Ok(format!("{name}: {made} in {took:.2} s, in {}; {said}", to.display()))
    }

    fn can_restore(&self) -> Result<(), Doubt> {
        self.latest().map(|_| ())
    }

    fn destroy(&self) -> Result<Known, Doubt> {
        let how = match self.node.fell() {
            Ok(brought) => format!("process {} is gone ({})", brought.ended.pid, brought.ended.how()),
            Err(NodeError::NotRunning { .. }) => "it did not run".to_owned(),
            Err(error) => return Err(error.into()),
        };
        let contents = self.empty()?;
        let evidence =
            format!("{}: {how}, and its data is removed: {contents} of {}", self.name(), self.data.display());
        Ok(Known { at_ns: clock::now_ns(), evidence })
    }

    /// A node whose data can't be put back stays away: on nothing it would start, and serve as if there never had been
    /// anything.
    fn put_back(&self) -> Result<Known, Doubt> {
        let from = self.latest()?;
        // Destroying it may have been cut short.
        self.empty()?;
        let began_ns = clock::now_ns();
        let said = self.run("restore", &self.backup.put_back, &from)?;
        let took = Duration::from_nanos(clock::now_ns().saturating_sub(began_ns)).as_secs_f64();
        let life = self.node.let_back();
        let ready = self.node.await_ready(life, ready_within(&self.node))?;
        let evidence = format!(
            "{} was restored from {} in {took:.2} s ({said}), and is ready again as process {}",
            self.name(),
            from.display(),
            ready.pid
        );
        Ok(Known { at_ns: ready.at_ns, evidence })
    }
}
