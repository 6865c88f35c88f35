//! The run directory: one folder that holds everything about one run.

use super::inputs;
use super::prepare::Order;
use crate::journal;
use crate::plan::Plan;
use anyhow::Context;
use shakedown_reports::plan::{Line, TaskRules};
use shakedown_reports::rundir::CONTROL;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A run directory that was made for this run.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// Its name, which is the name of the run.
    pub name: String,
}

impl Directory {
    /// Makes `OUT/STAMP-SCENARIO-SEED`. A run never writes into the directory of another one.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(out: &Path, stamp: &str, scenario: &str, seed: u64) -> anyhow::Result<Self> {
        let made = Self::create_suite(out, stamp, scenario, seed)?;
        let logs = fs::create_dir(made.logs());
        logs.with_context(|| format!("cannot write into {}", made.path.display()))?;
        Ok(made)
    }

    /// Makes the directory of a suite, which holds those of its scenarios: `OUT/STAMP-SUITE-SEED`.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create_suite(out: &Path, stamp: &str, scenario: &str, seed: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(out).with_context(|| {
            format!(
                "cannot make the folder {} for run directories; choose another one with --out",
                out.display()
            )
        })?;
        for attempt in 1..100 {
            let suffix = if attempt == 1 { String::new() } else { format!(".{attempt}") };
            let name = format!("{stamp}-{scenario}-{seed}{suffix}");
            let path = out.join(&name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, name }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "cannot make the run directory {}; choose another folder with --out",
                            path.display()
                        )
                    });
                }
            }
        }
        anyhow::bail!("a hundred runs began in this second in {}; wait a second", out.display())
    }

    /// Makes the directory of its control run, inside of it.
    ///
    /// # Errors
    /// It can't be made.
    pub fn control(&self) -> anyhow::Result<Self> {
        let path = self.file(CONTROL);
        let made = Self { name: format!("{}-{CONTROL}", self.name), path };
        for folder in [&made.path, &made.logs()] {
            fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(made)
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Its folder of logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Writes what the run was going to do: the scenario as resolved with the files that it names, the plan, the gates.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_inputs(&self, order: &Order, plan: &Plan, rules: &[TaskRules]) -> anyhow::Result<()> {
        let scenario = toml::to_string(&order.scenario).context("cannot write the scenario as TOML")?;
        self.write("scenario.toml", scenario.as_bytes())?;
        let folder = self.file(inputs::FOLDER);
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, text) in order.inputs.files() {
            self.write(name, text.as_bytes())?;
        }
        self.write("gates.json", &serde_json::to_vec_pretty(&order.scenario.gate)?)?;
        let path = self.file("plan.jsonl");
        let write = || {
            let mut file = BufWriter::new(File::create(&path)?);
            let rules = rules.iter().cloned().map(Line::TaskRules);
            plan.lines().chain(rules).try_for_each(|line| journal::write_line(&mut file, &line))?;
            file.flush()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.file(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }
}
