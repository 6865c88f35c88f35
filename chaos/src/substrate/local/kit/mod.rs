//! What a node needs from before it starts, so that the faults that are planned for it can be done to it.

pub mod clock;
pub mod disk;
pub mod group;

use super::NodeSpec;
use crate::fault::Fault;
use crate::ledger::{Ledger, LedgerError, Stage, Undo};
use crate::substrate::{Cage, NotRun};
use clock::SkewedClock;
use disk::Disk;
use group::Group;
use std::path::{Path, PathBuf};

/// What was made ready for a node. What could not be made ready says why, when its fault is due.
#[derive(Debug)]
pub struct Kit {
    memory: Result<Group, NotRun>,
    cpu: Result<Group, NotRun>,
    disk: Result<Disk, NotRun>,
    clock: Result<SkewedClock, NotRun>,
    /// Numbers of what was made ready, in the ledger.
    deeds: Vec<(u64, Undo)>,
}

fn unplanned<T>() -> Result<T, NotRun> {
    Err(NotRun::new("it was not made ready before the node started", "plan the fault before nodes are added"))
}

impl Default for Kit {
    fn default() -> Self {
        Self {
            memory: unplanned(),
            cpu: unplanned(),
            disk: unplanned(),
            clock: unplanned(),
            deeds: Vec::new(),
        }
    }
}

/// Makes things ready for one node, each written into the ledger before.
struct Maker<'a> {
    ledger: &'a Ledger,
    node: &'a str,
    deeds: Vec<(u64, Undo)>,
}

impl Maker<'_> {
    /// Writes what is about to be made ready, and what undoes it.
    fn announce(&mut self, name: &str, undo: Undo) -> Result<(), NotRun> {
        let id = self.ledger.intend(name, 0, self.node, None, None).map_err(no_ledger)?;
        self.ledger.undo(id, &undo).map_err(no_ledger)?;
        self.deeds.push((id, undo));
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn no_ledger(error: LedgerError) -> NotRun {
    NotRun::new(error.to_string(), "make room for the run directory")
}

impl Kit {
    /// Makes ready what `faults` need of the node. Nothing else is changed for a node.
    #[must_use]
    pub fn make(node: &NodeSpec, faults: &[&Fault], run_dir: &Path, ledger: &Ledger) -> Self {
        let mut maker = Maker { ledger, node: &node.spec.name, deeds: Vec::new() };
        let mut kit = Self::default();
        if faults.iter().any(|fault| matches!(fault, Fault::Memory { .. })) {
            kit.memory = maker.group("memory");
        }
        if faults.iter().any(|fault| matches!(fault, Fault::Cpu { .. })) {
            kit.cpu = maker.group("cpu");
        }
        let disks = faults.iter().filter_map(|fault| match fault {
            Fault::DiskFull { disk_mib } => Some(*disk_mib),
            _ => None,
        });
        if let Some(mib) = disks.max() {
            kit.disk = maker.disk(node, mib);
        }
        if faults.iter().any(|fault| matches!(fault, Fault::ClockSkew { .. })) {
            kit.clock = SkewedClock::make(&run_dir.join(format!("clock-{}", node.spec.name)));
        }
        kit.deeds = maker.deeds;
        kit
    }

    /// What the node is started in.
    #[must_use]
    pub fn cage(&self, node: &NodeSpec) -> Cage {
        let groups = [&self.memory, &self.cpu].into_iter().flatten();
        let mut cgroups: Vec<PathBuf> = groups.map(|group| group.folder.clone()).collect();
        // With version 2 one group has both controllers.
        cgroups.dedup();
        let env = self.clock.as_ref().map(SkewedClock::env).unwrap_or_default();
        Cage { cgroups, env, own_processes: node.own_processes, user: node.user, address_space: None }
    }

    /// The node's group with a memory controller.
    ///
    /// # Errors
    /// There is none.
    pub fn memory(&self) -> Result<&Group, NotRun> {
        self.memory.as_ref().map_err(Clone::clone)
    }

    /// The node's group with a CPU controller.
    ///
    /// # Errors
    /// There is none.
    pub fn cpu(&self) -> Result<&Group, NotRun> {
        self.cpu.as_ref().map_err(Clone::clone)
    }

    /// The node's small disk.
    ///
    /// # Errors
    /// There is none.
    pub fn disk(&self) -> Result<&Disk, NotRun> {
        self.disk.as_ref().map_err(Clone::clone)
    }

    /// The node's clock.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn clock(&self) -> Result<&SkewedClock, NotRun> {
        self.clock.as_ref().map_err(Clone::clone)
    }

    /// Takes everything away again when the node is gone; what is on its disk is kept in its folder. Returns what
    /// could not be taken away. Blocks.
    pub fn clear(&self, ledger: &Ledger) -> Vec<String> {
        let kept = self.disk.as_ref().map_or(Ok(()), Disk::bring_home);
        let mut left: Vec<String> = kept.err().into_iter().collect();
        for (id, undo) in self.deeds.iter().rev() {
            let undone = undo.carry_out();
            let stage = if undone.is_ok() { Stage::Healed } else { Stage::NotHealed };
            left.extend(undone.as_ref().err().cloned());
            let evidence = undone.unwrap_or_else(|doubt| doubt);
            if let Err(error) = ledger.came(*id, stage, crate::clock::now_ns(), &evidence) {
                tracing::warn!("{error}");
            }
        }
        left
    }
}

impl Maker<'_> {
    fn group(&mut self, controller: &'static str) -> Result<Group, NotRun> {
        let group = group::find(controller)?.for_node(self.node);
        if group.folder.exists() {
            // Version 2: the other controller's group is this one too.
            return Ok(group);
        }
        self.announce("control group", Undo::RemoveGroup { folder: group.folder.clone() })?;
        group.make()?;
        Ok(group)
    }

    fn disk(&mut self, node: &NodeSpec, mib: u64) -> Result<Disk, NotRun> {
        let Some(folder) = &node.data else {
            let reason = format!("{} keeps no data in a folder of its own", self.node);
            return Err(NotRun::new(reason, "give the node a folder for its data"));
        };
        let disk = Disk::plan(folder, mib)?;
        self.announce("small disk", Undo::Unmount { folder: folder.clone() })?;
        disk.make(node.user)?;
        Ok(disk)
    }
}
