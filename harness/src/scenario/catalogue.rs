//! Where scenarios and the files that they name come from: the disk, or what was compiled in.

use super::suite;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Every file below `scenarios/`, by its path there.
pub const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Where a file was found; files that it names are relative to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On disk.
    Disk(PathBuf),
    /// Compiled in, by its path below `scenarios/`.
    Embedded(String),
    /// Named on the command line: relative to where the person stands.
    Arguments,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(path) => write!(f, "{}", path.display()),
            Self::Embedded(name) => write!(f, "{name} (compiled in)"),
            Self::Arguments => write!(f, "the command line"),
        }
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// It is neither on disk nor compiled in.
    #[error("there is no {what} {name:?}: not a file here{hint}")]
    Missing {
        /// `scenario`, `file`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is instead.
        hint: String,
    },
    /// It is on disk and can't be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Folder of the scenarios that only `shakedown calibrate` can run: they need its stand-in.
const CALIBRATION: &str = "calibration/";

/// Names of the scenarios that are compiled in, as `run` takes them: `load/main`.
pub fn scenario_names() -> impl Iterator<Item = &'static str> {
    EMBEDDED
        .iter()
        .filter(|(path, text)| {
            let is_part = path.ends_with(".part.toml") || path.starts_with(CALIBRATION);
            path.ends_with(".toml") && !is_part && !suite::is_suite(text)
        })
        .filter_map(|(path, _)| path.strip_suffix(".toml"))
}

/// A scenario of the calibration.
///
/// # Errors
/// There is none of that name.
pub fn calibration(name: &str) -> Result<(Origin, String), CatalogueError> {
    let path = format!("{CALIBRATION}{name}.toml");
    let missing = || CatalogueError::Missing {
        what: "scenario of the calibration",
        name: name.to_owned(),
        hint: ", nor compiled in".to_owned(),
    };
    let text = embedded(&path).ok_or_else(missing)?;
    Ok((Origin::Embedded(path), text.to_owned()))
}

/// Names of the suites that are compiled in, as `run` takes them: `load`.
pub fn suite_names() -> impl Iterator<Item = &'static str> {
    let suites = EMBEDDED.iter().filter(|(path, text)| path.ends_with(".toml") && suite::is_suite(text));
    suites.filter_map(|(path, _)| path.strip_suffix(".toml"))
}

/// Reads a suite by path or by name; `None` when the name isn't one of a suite, and so may be one of a scenario.
///
/// # Errors
/// It is a file that can't be read.
pub fn suite(name: &str) -> Result<Option<(Origin, String)>, CatalogueError> {
    if let Some(text) = from_disk(Path::new(name))? {
        return Ok(suite::is_suite(&text).then(|| (Origin::Disk(PathBuf::from(name)), text)));
    }
    let known = suite_names().find(|known| *known == name.trim_start_matches("scenarios/"));
    let found = known.map(|known| format!("{known}.toml"));
    Ok(found.and_then(|path| {
        let text = embedded(&path)?;
        Some((Origin::Embedded(path), text.to_owned()))
    }))
}

/// How a scenario that a suite names is asked for: a file beside the suite's, or a name as anywhere else.
pub fn member(suite: &Origin, name: &str) -> String {
    match suite {
        Origin::Disk(path) => {
            let beside = path.parent().unwrap_or(Path::new("")).join(name);
            if beside.is_file() { beside.display().to_string() } else { name.to_owned() }
        }
        _ => name.to_owned(),
    }
}

/// Reads a scenario by path or by name; a path on disk wins. `main` is short for `load/main`.
///
/// # Errors
/// There is no such scenario, or it can't be read.
pub fn scenario(name: &str) -> Result<(Origin, String), CatalogueError> {
    if let Some(text) = from_disk(Path::new(name))? {
        return Ok((Origin::Disk(PathBuf::from(name)), text));
    }
    if name.ends_with(".toml") {
        let hint = "; a name that ends in .toml is a file".to_owned();
        return Err(CatalogueError::Missing { what: "scenario", name: name.to_owned(), hint });
    }
    let wanted = name.trim_start_matches("scenarios/");
    let found = scenario_names().find(|known| *known == wanted || known.rsplit('/').next() == Some(wanted));
    let missing = || {
        let known: Vec<&str> = scenario_names().chain(suite_names()).collect();
        let hint = match super::read::nearest(wanted, known.iter().copied()) {
            Some(near) => format!("; did you mean {near:?}? `shakedown list` shows all"),
            None => format!("; compiled in are {}", known.join(", ")),
        };
        CatalogueError::Missing { what: "scenario", name: name.to_owned(), hint }
    };
    let path = format!("{}.toml", found.ok_or_else(missing)?);
    let text = embedded(&path).ok_or_else(missing)?;
    Ok((Origin::Embedded(path), text.to_owned()))
}

/// Reads a file that the one at `origin` names.
///
/// # Errors
/// There is no such file, or it can't be read.
pub fn named_by(origin: &Origin, name: &str) -> Result<String, CatalogueError> {
    let folder = match origin {
        Origin::Disk(path) => {
            let beside = path.parent().unwrap_or(Path::new("")).join(name);
            if let Some(text) = from_disk(&beside)? {
                return Ok(text);
            }
            Path::new("load").to_owned()
        }
        Origin::Arguments => return given(name),
        Origin::Embedded(path) => Path::new(path).parent().unwrap_or(Path::new("")).to_owned(),
    };
    let text = embedded(&plain(&folder.join(name))).or_else(|| embedded(name));
    text.map(str::to_owned).ok_or_else(|| CatalogueError::Missing {
        what: "file",
        name: name.to_owned(),
        hint: format!(" (relative to {origin}), nor compiled in"),
    })
}

/// Reads a file that a person named on the command line.
///
/// # Errors
/// There is no such file, or it can't be read.
pub fn given(name: &str) -> Result<String, CatalogueError> {
    match from_disk(Path::new(name))? {
        Some(text) => Ok(text),
        None => embedded(name).map(str::to_owned).ok_or_else(|| CatalogueError::Missing {
            what: "file",
            name: name.to_owned(),
            hint: ", nor compiled in".to_owned(),
        }),
    }
}

fn embedded(path: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}

fn from_disk(path: &Path) -> Result<Option<String>, CatalogueError> {
    if !path.is_file() {
        return Ok(None);
    }
    fs::read_to_string(path)
        .map(Some)
        .map_err(|source| CatalogueError::Unreadable { path: path.to_owned(), source })
}

/// `load/../workflows/x` as `workflows/x`.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_files_are_found_by_their_relative_names() {
        let (origin, text) = scenario("main").unwrap();
        assert_eq!(origin, Origin::Embedded("load/main.toml".to_owned()));
        assert!(text.contains("[[level]]"));
        assert!(named_by(&origin, "../workflows/full-22.csv").unwrap().contains("t08"));
        let missing = scenario("load/main.toml").unwrap_err().to_string();
        assert!(
            missing.contains("ends in .toml is a file"),
            "a slip in a path is not another scenario: {missing}"
        );
    }

    #[test]
    fn a_missing_scenario_is_answered_with_the_nearest() {
        let error = scenario("load/mian").unwrap_err().to_string();
        assert!(error.contains("did you mean \"load/main\"?"), "{error}");
    }
}
