//! The calibration that is kept beside the runs of a machine, so that every later run carries it.

use crate::run::machine;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use shakedown_reports::history::Calibration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Its name in the folder of run directories.
const FILE: &str = "calibration.json";

/// A calibration, and what it is true of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// The shakedown that made it.
    version: String,
    /// The machine on which it was made.
    machine: BTreeMap<String, String>,
    /// What it found.
    calibration: Calibration,
}

/// Keeps a calibration in the folder of run directories.
///
/// # Errors
/// It can't be written.
pub fn keep(out: &Path, calibration: &Calibration) -> anyhow::Result<PathBuf> {
    let kept = Kept {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine: machine::describe(),
        calibration: calibration.clone(),
    };
    let path = out.join(FILE);
    let text = serde_json::to_string_pretty(&kept).context("the calibration can't be written as JSON")?;
    std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The calibration of this machine by this version, if there is one in the folder of run directories, or in the one
/// above it, where the folder is that of a suite. What another machine or version found is true of those.
pub fn of_this_machine(out: &Path) -> Option<Calibration> {
    let kept = read(&out.join(FILE)).or_else(|| read(&out.parent()?.join(FILE)))?;
    let is_ours = kept.version == env!("CARGO_PKG_VERSION") && kept.machine == machine::describe();
    is_ours.then_some(kept.calibration)
}

fn read(path: &Path) -> Option<Kept> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Calibration {
        Calibration {
            made_ms: 1,
            outage_error_ms: 31.5,
            probe_interval_ms: 50.0,
            percentile_error: 0.004,
            planted: 40,
            found: 40,
            invented: 0,
        }
    }

    #[test]
    fn what_was_kept_is_carried_also_by_the_runs_of_a_suite() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), &found()).unwrap();
        assert_eq!(of_this_machine(folder.path()), Some(found()));
        assert_eq!(of_this_machine(&folder.path().join("a-suite")), Some(found()));
    }

    #[test]
    fn what_another_machine_or_version_found_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = keep(folder.path(), &found()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for (ours, theirs) in [
            (format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"version\": \"0.0.0\""),
            (format!("\"cores\": \"{}\"", machine::cores()), "\"cores\": \"4096\""),
        ] {
            assert!(text.contains(&ours), "{text}");
            std::fs::write(&path, text.replace(&ours, theirs)).unwrap();
            assert_eq!(of_this_machine(folder.path()), None);
        }
        std::fs::write(&path, "{").unwrap();
        assert_eq!(of_this_machine(folder.path()), None);
    }
}
