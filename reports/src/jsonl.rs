//! Files of one JSON value a line, read so that every error names its file and line.

use serde::de::DeserializeOwned;

/// Why a history or a plan can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A line that isn't what the format says.
    #[error("{file}:{line}: {problem}; the file is damaged or was edited, so restore it or run again")]
    Line {
        /// Name of the file.
        file: String,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Written by a newer version.
    #[error(
        "{file}:{line}: written in format {found}, and this version reads up to {known}: judge it with the newer shakedown that wrote it"
    )]
    Newer {
        /// Name of the file.
        file: String,
        /// Line in it, from 1.
        line: usize,
        /// Version of the format in the file.
        found: u32,
        /// Newest version that can be read.
        known: u32,
    },
    /// Written by a version whose format is no longer read.
    #[error(
        "{file}:{line}: written in format {found}, and this version reads from {known} on: judge it with the older shakedown that wrote it, or run again"
    )]
    Older {
        /// Name of the file.
        file: String,
        /// Line in it, from 1.
        line: usize,
        /// Version of the format in the file.
        found: u32,
        /// Oldest version that can be read.
        known: u32,
    },
    /// A line that contradicts the rest of the file.
    #[error("{file}: {problem}; the file is damaged or was edited, so restore it or run again")]
    Whole {
        /// Name of the file.
        file: String,
        /// What is wrong.
        problem: String,
    },
}

/// The non-empty lines of a text with their numbers, from 1.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim().is_empty())
}

pub(crate) fn parse<T: DeserializeOwned>(file: &str, line: usize, text: &str) -> Result<T, ReadError> {
    serde_json::from_str(text).map_err(|e| bad(file, line, format!("not a line of this format: {e}")))
}

pub(crate) fn bad(file: &str, line: usize, problem: impl Into<String>) -> ReadError {
    ReadError::Line { file: file.to_owned(), line, problem: problem.into() }
}
