//! A bound on a node's CPU: by its control group, or, where there is none, by stopping it most of the time. Others
//! lose nothing by it.

use super::revive;
use crate::clock;
use crate::ledger::Undo;
use crate::process::Identity;
use crate::substrate::local::Supervised;
use crate::substrate::local::kit::group::{Group, Version};
use crate::substrate::{Doubt, Force, Known, Pen};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The period in which the share is given, microseconds: the kernel's own.
const PERIOD_US: u64 = 100_000;
/// The period of stopping and letting go on.
const TURN: Duration = Duration::from_millis(100);

pub(super) struct Cpu {
    node: Arc<Supervised>,
    cores: f64,
    undo: Vec<Undo>,
    throttled_before: u64,
    /// Where there is no control group: what is stopped now.
    turns: Option<Turns>,
}

#[derive(Default)]
struct Turns {
    stopped: Vec<Identity>,
    number: u64,
}

impl Cpu {
    pub(super) fn new(node: Arc<Supervised>, cores: f64) -> Self {
        Self { node, cores, undo: Vec::new(), throttled_before: 0, turns: None }
    }

    fn quota(&mut self, pen: &Pen<'_>, group: &Group, node: Identity) -> Result<Known, Doubt> {
        let failed = |error: io::Error| Doubt::new(format!("cannot bound the CPU of {node}: {error}"));
        if !group.holds(node.pid) {
            return Err(Doubt::new(format!("{node} is not in {}", group.folder.display())));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: 0.01 to 1024")]
        #[expect(clippy::cast_precision_loss, reason = "100,000 is exact")]
        let quota_us = (self.cores * PERIOD_US as f64) as u64;
        let (file, text) = match group.version {
            Version::Two => ("cpu.max", format!("{quota_us} {PERIOD_US}")),
            Version::One => ("cpu.cfs_quota_us", quota_us.to_string()),
        };
        let undo = Undo::Write { file: group.file(file), text: group.read(file).map_err(failed)? };
        pen.write(&undo)?;
        self.undo.push(undo);
        self.throttled_before = group.figure("cpu.stat", "nr_throttled");
        group.write(file, &text).map_err(failed)?;
        let at_ns = clock::now_ns();
        let now = group.read(file).map_err(failed)?;
        if now != text {
            return Err(Doubt::new(format!("{file} holds {now:?} after {text:?} was written")));
        }
        let evidence = format!("{file} of {} holds {text:?}", group.folder.display());
        Ok(Known { at_ns, evidence })
    }

    /// Stops it for the rest of its turn.
    fn stop(&mut self) -> Result<(), Doubt> {
        let node = super::running(&self.node)?;
        let turns = self.turns.get_or_insert_default();
        turns.stopped = node.tree();
        for process in &turns.stopped {
            process.signal(libc::SIGSTOP).map_err(|error| Doubt::new(error.to_string()))?;
        }
        turns.number += 1;
        Ok(())
    }

    fn let_go_on(&mut self) {
        let stopped = self.turns.as_mut().map(|turns| std::mem::take(&mut turns.stopped)).unwrap_or_default();
        for process in stopped.iter().rev() {
            // One that is gone needs none; another refusal shows when the fault is healed.
            let _ = process.signal(libc::SIGCONT);
        }
    }

    /// The part of a turn in which it runs. Several threads run at once then, on all of the machine's cores.
    fn runs_for(&self) -> Duration {
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        #[expect(clippy::cast_precision_loss, reason = "a machine has fewer cores than that")]
        let share = (self.cores / machine as f64).min(1.0);
        TURN.mul_f64(share)
    }

    fn by_turns(&mut self, pen: &Pen<'_>, node: Identity) -> Result<Known, Doubt> {
        let undo = Undo::Continue { processes: node.tree() };
        pen.write(&undo)?;
        self.undo.push(undo);
        self.stop()?;
        let deadline = clock::after(Duration::from_secs(2));
        while node.state() != Some('T') {
            if clock::until(deadline).is_zero() {
                return Err(Doubt::new(format!("{node} runs on after SIGSTOP")));
            }
            std::thread::yield_now();
        }
        let evidence = format!(
            "{node} is stopped and runs for {:?} of every {TURN:?} (by SIGSTOP and SIGCONT, for want of a control group)",
            self.runs_for()
        );
        Ok(Known { at_ns: clock::now_ns(), evidence })
    }
}

impl Force for Cpu {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let node = Arc::clone(&self.node);
        let process = super::running(&node)?;
        match node.kit().cpu() {
            Ok(group) => self.quota(pen, group, process),
            Err(_) => self.by_turns(pen, process),
        }
    }

    fn hold(&mut self) -> Option<Duration> {
        let runs_for = self.runs_for();
        let stopped = self.turns.as_ref().map(|turns| !turns.stopped.is_empty())?;
        if stopped {
            self.let_go_on();
            return Some(runs_for);
        }
        // A node that is away has no CPU to be bounded; it is looked for again next turn.
        let _ = self.stop();
        Some(TURN.saturating_sub(runs_for).max(Duration::from_millis(1)))
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        self.let_go_on();
        let mut told = Vec::new();
        for undo in self.undo.iter().rev() {
            told.push(undo.carry_out().map_err(Doubt::new)?);
        }
        match (&self.turns, self.node.kit().cpu()) {
            (Some(turns), _) => told.push(format!("it was stopped {} times", turns.number)),
            (None, Ok(group)) => {
                let throttled =
                    group.figure("cpu.stat", "nr_throttled").saturating_sub(self.throttled_before);
                told.push(format!("it was throttled in {throttled} periods of 100 ms"));
            }
            (None, Err(_)) => {}
        }
        revive(&self.node, told)
    }
}
