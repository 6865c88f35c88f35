//! What the stand-in really did, as it wrote it down itself: one JSON object a line, on the harness's clock.

use super::script::Defect;
use crate::journal;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// One deed. Instants are CLOCK_MONOTONIC nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// A defect came to pass.
    Breach {
        /// Level of the workflow.
        level: String,
        /// Its index in the level.
        index: u64,
        /// What was done to it.
        defect: Defect,
        /// When.
        at_ns: u64,
    },
    /// No start was answered.
    Stall {
        /// The level.
        level: String,
        /// From when.
        began_ns: u64,
        /// Until when.
        ended_ns: u64,
    },
    /// Nothing was answered.
    Outage {
        /// `refuse` or `hang`.
        style: Style,
        /// Since when.
        began_ns: u64,
        /// Until when.
        ended_ns: u64,
    },
}

/// What clients see of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Connections are closed, new ones refused: a process that is gone.
    Refuse,
    /// Connections stay open and nothing is answered until it is over: a process that hangs.
    Hang,
}

impl Style {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Hang => "hang",
        }
    }
}

/// The file of deeds, open for writing.
#[derive(Debug)]
pub struct Truth {
    file: Mutex<File>,
}

impl Truth {
    /// Opens the file anew.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Writes one deed down.
    pub fn tell(&self, deed: &Deed) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A deed that can't be written is missed by the comparison, which then says so.
        if let Err(error) = journal::write_line(&mut *file, deed) {
            tracing::error!(%error, "a deed could not be written down");
        }
    }
}

/// Reads all deeds.
///
/// # Errors
/// The file can't be read, or isn't what [`Truth`] writes.
pub fn read(path: &Path) -> anyhow::Result<Vec<Deed>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let deed = |line: &str| serde_json::from_str(line);
    text.lines()
        .map(deed)
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read {}", path.display()))
}
