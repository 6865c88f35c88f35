//! What undoes a fault, as data that a fresh process can execute, any number of times.

mod bytes;
mod link;
mod mount;

use crate::clock;
use crate::command;
use crate::process::Identity;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use bytes::Patch;

/// How long a process may take to do what a signal asks for, a folder to be left, a group to be empty.
const WITHIN: Duration = Duration::from_secs(2);

/// What undoes a part of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Undo {
    /// SIGCONT.
    Continue {
        /// The processes that were stopped.
        processes: Vec<Identity>,
    },
    /// Removes a file.
    Remove {
        /// The file.
        file: PathBuf,
    },
    /// Writes a text into a file that is there.
    Write {
        /// The file.
        file: PathBuf,
        /// The text.
        text: String,
    },
    /// Puts another file in the place of one that is read all the time: readers see the one or the other.
    Replace {
        /// The file.
        file: PathBuf,
        /// The text of the other one.
        text: String,
    },
    /// Unmounts what is mounted on a folder.
    Unmount {
        /// The folder.
        folder: PathBuf,
    },
    /// Removes a control group, when nobody is in it any more.
    RemoveGroup {
        /// Its folder.
        folder: PathBuf,
    },
    /// Gives a process back the address space that it had.
    AddressSpace {
        /// The process.
        process: Identity,
        /// Bytes; `None`: no limit.
        bytes: Option<u64>,
    },
    /// Puts bytes back where they still are as they were changed. Nobody may have the file open.
    Bytes {
        /// The file.
        file: PathBuf,
        /// The changes.
        patches: Vec<Patch>,
    },
    /// Takes our toxics from a proxy and lets connections through it again.
    Link {
        /// The API of its server.
        control: String,
        /// Its name there.
        proxy: String,
        /// Names of our toxics.
        toxics: Vec<String>,
        /// Connects hang, and are to be accepted.
        connect: bool,
        /// It is disabled, and to be enabled.
        enable: bool,
        /// The server ended with the run: one that can't be reached has nothing to undo.
        ends_with_owner: bool,
    },
    /// Runs a command of the user's.
    Run {
        /// Program and arguments.
        command: Vec<String>,
        /// Program and arguments of one that says whether the fault is in force; empty: there is none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        verify: Vec<String>,
        /// Seconds that each has.
        within_s: u64,
        /// Variables that it gets.
        env: Vec<(String, String)>,
    },
}

impl Undo {
    /// Undoes it and looks whether it is undone. What is gone already (its process, its file) needs no undoing.
    ///
    /// # Errors
    /// It isn't undone, and why.
    pub fn carry_out(&self) -> Result<String, String> {
        match self {
            Self::Continue { processes } => go_on(processes),
            Self::Remove { file } => remove(file),
            Self::Write { file, text } => write(file, text),
            Self::Replace { file, text } => replace(file, text),
            Self::Unmount { folder } => mount::unmount(folder, WITHIN),
            Self::RemoveGroup { folder } => remove_group(folder),
            Self::AddressSpace { process, bytes } => address_space(process, *bytes),
            Self::Bytes { file, patches } => bytes::put_back(file, patches),
            Self::Link { control, proxy, toxics, connect, enable, ends_with_owner } => {
                let (connect, enable, ends_with_owner) = (*connect, *enable, *ends_with_owner);
                link::undo(&link::Done { control, proxy, toxics, connect, enable, ends_with_owner })
            }
            Self::Run { command, verify, within_s, env } => run(command, verify, env, *within_s),
        }
    }

    /// True when it makes sense while the nodes that it concerns run on.
    #[must_use]
    pub fn suits_running_nodes(&self) -> bool {
        !matches!(self, Self::Bytes { .. } | Self::Unmount { .. } | Self::RemoveGroup { .. })
    }

    /// True when a restart of the machine has undone it: processes and what the kernel held are gone.
    #[must_use]
    pub fn ends_with_the_boot(&self) -> bool {
        matches!(
            self,
            Self::Continue { .. }
                | Self::Unmount { .. }
                | Self::RemoveGroup { .. }
                | Self::AddressSpace { .. }
        )
    }
}

fn go_on(processes: &[Identity]) -> Result<String, String> {
    // Children first: a parent that goes on must find them going.
    for process in processes.iter().rev() {
        process.signal(libc::SIGCONT).map_err(|error| format!("{process} got no SIGCONT: {error}"))?;
    }
    let stopped = || processes.iter().find(|process| process.state() == Some('T'));
    if let Some(process) = until_none(stopped) {
        return Err(format!("{process} is still stopped after SIGCONT"));
    }
    let pids: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
    let gone = processes.iter().all(|process| !process.is_alive());
    Ok(format!("process {} {}", pids.join(", "), if gone { "is gone already" } else { "runs again" }))
}

fn remove(file: &Path) -> Result<String, String> {
    match fs::remove_file(file) {
        Ok(()) => Ok(format!("{} is removed", file.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(format!("{} is gone already", file.display()))
        }
        Err(error) => Err(format!("cannot remove {}: {error}", file.display())),
    }
}

fn write(file: &Path, text: &str) -> Result<String, String> {
    if !file.exists() {
        return Ok(format!("{} is gone already", file.display()));
    }
    let failed = |error| format!("cannot write {text:?} to {}: {error}", file.display());
    fs::write(file, text).map_err(failed)?;
    let now = fs::read_to_string(file).map_err(failed)?;
    if now.trim() == text.trim() {
        return Ok(format!("{} holds {:?} again", file.display(), text.trim()));
    }
    Err(format!("{} holds {:?} after {:?} was written", file.display(), now.trim(), text.trim()))
}

fn replace(file: &Path, text: &str) -> Result<String, String> {
    let new = file.with_extension("new");
    let replaced = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    replaced.map_err(|error| format!("cannot replace {}: {error}", file.display()))?;
    Ok(format!("{} holds {text:?}", file.display()))
}

fn remove_group(folder: &Path) -> Result<String, String> {
    let attempt = || match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Some(error),
        _ => None,
    };
    match until_none(attempt) {
        None => Ok(format!("the control group {} is removed", folder.display())),
        Some(error) => Err(format!("cannot remove the control group {}: {error}", folder.display())),
    }
}

fn address_space(process: &Identity, bytes: Option<u64>) -> Result<String, String> {
    if !process.is_alive() {
        return Ok(format!("{process} is gone already"));
    }
    let limit =
        libc::rlimit { rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY), rlim_max: libc::RLIM_INFINITY };
    let pid = process.pid.cast_signed();
    // SAFETY: a valid rlimit that outlives the call; nothing is read back.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut()) };
    if set == 0 {
        return Ok(format!("{process} has its address space again"));
    }
    Err(format!("cannot give {process} its address space back: {}", io::Error::last_os_error()))
}

fn run(
    command: &[String],
    verify: &[String],
    env: &[(String, String)],
    within_s: u64,
) -> Result<String, String> {
    let within = Duration::from_secs(within_s);
    let outcome = command::run(command, env, within).map_err(|error| error.to_string())?;
    let told = format!("{}: {outcome}", command.join(" "));
    match outcome.code() {
        Some(0) if verify.is_empty() => Ok(told),
        Some(0) => match command::verify(verify, env, within, command::NOT_IN_FORCE) {
            Ok(seen) => Ok(format!("{told}; {}: {seen}", verify.join(" "))),
            Err(why) => Err(format!("{told}; {why}")),
        },
        _ => Err(told),
    }
}

/// Tries again until there is nothing left, or [`WITHIN`] is over; returns what is left then.
fn until_none<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = clock::after(WITHIN);
    loop {
        match attempt() {
            Some(left) if clock::until(deadline).is_zero() => return Some(left),
            Some(_) => std::thread::sleep(Duration::from_millis(1)),
            None => return None,
        }
    }
}
