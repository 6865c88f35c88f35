//! Calibration: a stand-in really misbehaves in ways that are known, the pipeline measures it as it measures any target,
//! and what it tells is compared with what was planted.

pub mod compare;
pub mod kept;
mod law;
mod outages;
mod pass;
mod percentiles;
pub mod script;
pub mod stand_in;
pub mod table;
pub mod truth;

use crate::clock;
use crate::failure::Result;
use crate::run::directory::Directory;
use crate::run::interrupt::Interrupt;
use anyhow::Context;
use compare::Row;
use pass::{Pass, Passed};
use shakedown_reports::exit_code;
use shakedown_reports::history::Calibration;
use std::path::PathBuf;

/// The seed of what is planted where.
const SEED: u64 = 1;

/// What is asked for.
#[derive(Debug)]
pub struct Wish {
    /// Folder of run directories.
    pub out: PathBuf,
    /// Leave the longest outages out.
    pub quick: bool,
    /// What the stand-in keeps to itself.
    pub lie: Option<Lie>,
}

/// What a stand-in keeps to itself, so that the comparison can't be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lie {
    /// A loss that it does not tell of.
    Loss,
    /// 200 ms of each outage.
    Outage,
}

/// What the calibration came to.
#[derive(Debug)]
pub struct Told {
    /// The comparison.
    pub rows: Vec<Row>,
    /// Its worst figures.
    pub calibration: Calibration,
    /// Why the runs can't be trusted; empty when they can.
    pub invalid: Vec<String>,
    /// Where they are.
    pub directory: PathBuf,
}

impl Told {
    /// 0 when all holds, 1 when something is off, 3 when the machine was too busy to say.
    pub fn exit_code(&self) -> u8 {
        match () {
            () if !self.invalid.is_empty() => exit_code::INVALID,
            () if self.rows.iter().all(|row| row.holds) => exit_code::PASSED,
            () => exit_code::FAILED,
        }
    }

    /// The same in a word.
    pub fn verdict(&self) -> &'static str {
        match self.exit_code() {
            exit_code::PASSED => "CALIBRATED",
            exit_code::FAILED => "OFF",
            _ => "INVALID",
        }
    }
}

/// Runs every pass against a stand-in of its own and compares.
///
/// # Errors
/// The stand-in can't be started, or a run could not be made.
pub async fn run(wish: &Wish, interrupt: &Interrupt) -> Result<Told> {
    let made_ms = clock::wall_ms();
    let directory = Directory::create_suite(&wish.out, &clock::stamp(made_ms), "calibration", SEED)?;
    let mut told = Told {
        rows: Vec::new(),
        calibration: Calibration {
            made_ms,
            outage_error_ms: 0.0,
            probe_interval_ms: 0.0,
            percentile_error: 0.0,
            planted: 0,
            found: 0,
            invented: 0,
        },
        invalid: Vec::new(),
        directory: directory.path.clone(),
    };
    for pass in pass::all(wish)? {
        if interrupt.is_asked() {
            break;
        }
        let passed = pass::run(&pass, &directory.path, interrupt).await?;
        told.take(&pass, &passed);
    }
    let text = serde_json::to_string_pretty(&told.rows).context("the comparison can't be written as JSON")?;
    let path = directory.file("comparison.json");
    std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(told)
}

impl Told {
    /// Adds what a pass showed.
    fn take(&mut self, pass: &Pass, passed: &Passed) {
        let breaches =
            compare::breaches(pass.name, &pass.script.plants, &passed.deeds, &passed.summary.checks);
        self.calibration.planted += breaches.planted;
        self.calibration.found += breaches.found;
        self.calibration.invented += breaches.invented;
        self.rows.extend(breaches.rows);
        let percentiles = percentiles::rows(pass, passed);
        let off = percentiles.iter().filter_map(|row| row.error);
        self.calibration.percentile_error = off.fold(self.calibration.percentile_error, f64::max);
        self.rows.extend(percentiles);
        if pass.has_outages() {
            let (outages, interval_ms) = outages::rows(passed);
            let off = outages.iter().filter_map(|row| row.error);
            self.calibration.outage_error_ms = off.fold(self.calibration.outage_error_ms, f64::max);
            self.calibration.probe_interval_ms = interval_ms;
            self.rows.extend(outages);
        }
        let reasons = passed.summary.validity.reasons();
        self.invalid.extend(reasons.into_iter().map(|reason| format!("{}: {reason}", pass.name)));
    }
}
