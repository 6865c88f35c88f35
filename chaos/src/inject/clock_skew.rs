//! A wrong wall clock: the file that libfaketime reads in the node says by how much.

use crate::clock;
use crate::command;
use crate::ledger::Undo;
use crate::substrate::local::Supervised;
use crate::substrate::local::kit::clock::SkewedClock;
use crate::substrate::{Doubt, Force, Known, Pen};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// How long the program that reads the clock may take.
const DATE_WITHIN: Duration = Duration::from_secs(5);
/// By how much that program may be off: it has to be started.
const SLACK_S: f64 = 1.0;

pub(super) struct ClockSkew {
    node: Arc<Supervised>,
    offset_s: f64,
}

impl ClockSkew {
    pub(super) fn new(node: Arc<Supervised>, offset_s: f64) -> Self {
        Self { node, offset_s }
    }

    fn clock(&self) -> Result<&SkewedClock, Doubt> {
        self.node.kit().clock().map_err(|not_run| Doubt::new(not_run.to_string()))
    }
}

impl Force for ClockSkew {
    fn apply(&mut self, pen: &Pen<'_>) -> Result<Known, Doubt> {
        let (node, skewed) = (super::running(&self.node)?, self.clock()?);
        if !loads(node.pid, skewed) {
            let name = &self.node.spec().spec.name;
            return Err(Doubt::new(format!(
                "{name} has not loaded libfaketime: is its program static or setuid?"
            )));
        }
        pen.write(&skewed.undo())?;
        let text = format!("{:+}", self.offset_s);
        Undo::Replace { file: skewed.file.clone(), text }.carry_out().map_err(Doubt::new)?;
        let at_ns = clock::now_ns();
        let off_s = read(skewed)?;
        if (off_s - self.offset_s).abs() > SLACK_S {
            return Err(Doubt::new(format!("a clock read as the node reads it is off by {off_s:+.1} s")));
        }
        let evidence =
            format!("{node} has libfaketime loaded; a clock read as it does is off by {off_s:+.1} s");
        Ok(Known { at_ns, evidence })
    }

    fn heal(&mut self) -> Result<Known, Doubt> {
        let skewed = self.clock()?;
        skewed.undo().carry_out().map_err(Doubt::new)?;
        let at_ns = clock::now_ns();
        let off_s = read(skewed)?;
        if off_s.abs() > SLACK_S {
            return Err(Doubt::new(format!(
                "a clock read as the node reads it is still off by {off_s:+.1} s"
            )));
        }
        Ok(Known { at_ns, evidence: format!("a clock read as the node reads it is off by {off_s:+.1} s") })
    }
}

/// True when the process has the library in its memory.
fn loads(pid: u32, skewed: &SkewedClock) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    // The kernel names the file behind links.
    let library = fs::canonicalize(&skewed.library).unwrap_or_else(|_| skewed.library.clone());
    maps.contains(&*library.to_string_lossy())
}

/// By how many seconds a program is wrong that is started as the node is.
fn read(skewed: &SkewedClock) -> Result<f64, Doubt> {
    let words = ["date", "+%s.%N"].map(str::to_owned);
    let plain = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let env: Vec<(String, String)> =
        skewed.env().into_iter().map(|(name, value)| (plain(name), plain(value))).collect();
    let outcome = command::run(&words, &env, DATE_WITHIN);
    let outcome = outcome.map_err(|error| Doubt::new(format!("cannot read the clock: {error}")))?;
    let told: Option<f64> = outcome.stdout.trim().parse().ok();
    let told = told.ok_or_else(|| Doubt::new(format!("cannot read the clock: date: {outcome}")))?;
    Ok(told - clock::wall_s())
}
