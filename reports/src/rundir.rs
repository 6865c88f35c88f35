//! The run directory: the one file of this crate that touches the disk.
//!
//! Each document is written beside its place and then renamed into it, and `summary.json` comes last, after an
//! older one was taken away: a directory that has one has the whole report.

use crate::gate::Gate;
use crate::history::History;
use crate::joined::Joined;
use crate::jsonl::ReadError;
use crate::judge::{Summary, judge};
use crate::plan::Plan;
use crate::recovery;
use crate::render;
use crate::suite::{Outcome, Suite, SuiteSummary};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The plan, written before anything is started.
pub const PLAN: &str = "plan.jsonl";
/// What the harness saw.
pub const HISTORY: &str = "history.jsonl";
/// The scenario's gates: a JSON list of [`Gate`].
pub const GATES: &str = "gates.json";
/// Of a suite: its scenarios and what became of them, a JSON object [`Suite`].
pub const SUITE: &str = "suite.json";
/// The summary, written last.
pub const SUMMARY: &str = "summary.json";
/// The folder of the control run: the same seed and load without the faults.
pub const CONTROL: &str = "control";
/// The folder of what the processes of a run wrote.
const LOGS: &str = "logs";
/// The report for people, in a browser.
pub const REPORT: &str = "report.html";
/// The report for pull requests and job summaries.
pub const MARKDOWN: &str = "report.md";

/// Why a run directory can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// A file that a run always has isn't there.
    #[error("{path} isn't there: name the directory of a run (it holds {PLAN}, {HISTORY} and {GATES})")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file can't be read.
    #[error("{path} can't be read: {source}; check its owner and permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The plan or the history isn't what its format says.
    #[error("in {dir}: {source}")]
    Format {
        /// The directory.
        dir: PathBuf,
        /// File, line and what to do.
        source: ReadError,
    },
    /// The gates aren't what their format says.
    #[error("{path}: {source}; it is a JSON list of gates as `shakedown run` writes it, so restore it")]
    Gates {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        source: serde_json::Error,
    },
    /// What became of the scenarios of a suite isn't what its format says.
    #[error("{path}: {source}; it is written by `shakedown run` for a suite, so restore it or run again")]
    Suite {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        source: serde_json::Error,
    },
    /// A document can't be written.
    #[error(
        "{path} can't be written: {source}; make room or permission and run `shakedown judge` on the directory"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A document can't be made.
    #[error("{file} can't be made: {problem}; this is a fault of shakedown, report it with the directory")]
    Render {
        /// The document.
        file: &'static str,
        /// What the library said.
        problem: String,
    },
}

/// Judges the run in `dir` and writes `report.html`, `report.md`, `junit.xml`, `samples.csv`, the interval logs and, last,
/// `summary.json` into it; of a run that did not pass, also the folder `bundle`. A control run in its folder `control` is
/// judged before, and put beside it.
///
/// # Errors
/// [`RunDirError`]: something is missing, unreadable, malformed, or can't be written.
pub fn judge_dir(dir: &Path) -> Result<Summary, RunDirError> {
    let format = |source| RunDirError::Format { dir: dir.to_owned(), source };
    let plan = Plan::parse(PLAN, &read(dir, PLAN)?).map_err(format)?;
    let history = History::parse(HISTORY, &read(dir, HISTORY)?).map_err(format)?;
    let gates: Vec<Gate> = serde_json::from_str(&read(dir, GATES)?)
        .map_err(|source| RunDirError::Gates { path: dir.join(GATES), source })?;
    let mut summary = judge(&plan, &history, &gates);
    let control = dir.join(CONTROL);
    if control.join(PLAN).is_file() {
        summary.control = Some(recovery::control(&summary, &judge_dir(&control)?));
    }
    let run = Joined::new(&plan, &history);

    remove(dir, SUMMARY)?;
    write(dir, REPORT, render::html::render(&summary, &run).as_bytes())?;
    write(dir, MARKDOWN, render::markdown::render(&summary).as_bytes())?;
    write(dir, "junit.xml", made("junit.xml", render::junit::render(&summary))?.as_bytes())?;
    write(dir, "samples.csv", &made("samples.csv", render::csv::render(&run))?)?;
    for (file, log) in made("*.hlog", render::hlog::render(&run))? {
        write(dir, file, &log)?;
    }
    write_bundle(dir, &render::bundle::render(&summary, &run, &log_tails(&dir.join(LOGS))))?;
    write(dir, SUMMARY, made(SUMMARY, render::json::render(&summary))?.as_bytes())?;
    Ok(summary)
}

/// Writes the failure bundle in the place of an older one; of a run that passed there is none.
fn write_bundle(dir: &Path, documents: &[(String, String)]) -> Result<(), RunDirError> {
    let path = dir.join(render::bundle::FOLDER);
    match fs::remove_dir_all(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(RunDirError::Write { path, source });
        }
        _ => {}
    }
    if documents.is_empty() {
        return Ok(());
    }
    fs::create_dir(&path).map_err(|source| RunDirError::Write { path: path.clone(), source })?;
    documents.iter().try_for_each(|(name, text)| write(&path, name, text.as_bytes()))
}

/// The ends of the logs by name, in the order of their names. What can't be read is left out: it is no reason to have no
/// report.
fn log_tails(dir: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
    let mut tails: Vec<(String, String)> =
        files.filter_map(|file| Some((file.file_name().into_string().ok()?, tail(&file.path())?))).collect();
    tails.sort();
    tails
}

fn tail(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|m| m.is_file()))?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(render::bundle::LOG_TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(render::bundle::LOG_TAIL).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Judges the suite in `dir`: the run of every scenario anew, then all of them together. Writes the documents of each,
/// and `report.html`, `report.md`, `junit.xml` and, last, `summary.json` of the suite.
///
/// # Errors
/// [`RunDirError`]: `suite.json` is missing or malformed, or something can't be written. A run that can't be judged any
/// more is part of the summary, and no error.
pub fn judge_suite_dir(dir: &Path) -> Result<SuiteSummary, RunDirError> {
    let suite = suite(dir)?;
    let mut summaries = BTreeMap::new();
    for entry in &suite.scenarios {
        if let Outcome::Ran { directory, .. } = &entry.outcome
            && let Ok(summary) = judge_dir(&dir.join(directory))
        {
            summaries.insert(directory.clone(), summary);
        }
    }
    write_suite(dir, &suite, &summaries)
}

/// Writes the documents of a suite whose runs were judged already.
///
/// # Errors
/// Something can't be written.
pub fn write_suite(
    dir: &Path,
    suite: &Suite,
    summaries: &BTreeMap<String, Summary>,
) -> Result<SuiteSummary, RunDirError> {
    let summary = suite.judge(summaries);
    remove(dir, SUMMARY)?;
    write_suite_file(dir, suite)?;
    write(dir, REPORT, render::html::suite::render(&summary, summaries).as_bytes())?;
    write(dir, MARKDOWN, render::suite::markdown(&summary).as_bytes())?;
    write(dir, "junit.xml", made("junit.xml", render::suite::junit(&summary))?.as_bytes())?;
    let json = serde_json::to_string_pretty(&summary).map(|json| json + "\n");
    write(dir, SUMMARY, made(SUMMARY, json)?.as_bytes())?;
    Ok(summary)
}

/// Writes `suite.json`: after every scenario, so that a suite that was cut off can be judged too.
///
/// # Errors
/// It can't be written.
pub fn write_suite_file(dir: &Path, suite: &Suite) -> Result<(), RunDirError> {
    write(dir, SUITE, made(SUITE, serde_json::to_string_pretty(suite))?.as_bytes())
}

/// Reads `suite.json`.
///
/// # Errors
/// It is missing or malformed.
fn suite(dir: &Path) -> Result<Suite, RunDirError> {
    let text = read(dir, SUITE)?;
    let problem = |source| RunDirError::Suite { path: dir.join(SUITE), source };
    serde_json::from_str(&text).map_err(problem)
}

fn made<T, E: std::fmt::Display>(file: &'static str, result: Result<T, E>) -> Result<T, RunDirError> {
    result.map_err(|e| RunDirError::Render { file, problem: e.to_string() })
}

fn read(dir: &Path, file: &str) -> Result<String, RunDirError> {
    let path = dir.join(file);
    match fs::read(&path) {
        // A history that was cut off can end inside a character; the reader deals with what is left of the line.
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(RunDirError::Missing { path }),
        Err(source) => Err(RunDirError::Read { path, source }),
    }
}

fn remove(dir: &Path, file: &str) -> Result<(), RunDirError> {
    let path = dir.join(file);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(RunDirError::Write { path, source }),
        _ => Ok(()),
    }
}

fn write(dir: &Path, file: &str, content: &[u8]) -> Result<(), RunDirError> {
    let (path, beside) = (dir.join(file), dir.join(format!(".{file}.new")));
    let whole = || -> io::Result<()> {
        let mut out = File::create(&beside)?;
        out.write_all(content)?;
        out.sync_all()?;
        fs::rename(&beside, &path)
    };
    whole().map_err(|source| {
        // Nothing is left behind of a document that did not come to be; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
        RunDirError::Write { path: path.clone(), source }
    })
}
