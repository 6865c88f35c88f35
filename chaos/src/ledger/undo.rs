//! What undoes a fault, as data that a fresh process can execute, any number of times.

use crate::clock;
use crate::process::Identity;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How long a process may take to do what a signal asks for.
const SIGNAL_WITHIN: Duration = Duration::from_secs(2);

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
    /// Puts bytes back where they still are as they were changed.
    Bytes {
        /// The file.
        file: PathBuf,
        /// The changes.
        patches: Vec<Patch>,
    },
    /// Runs a command of the user's.
    Run {
        /// Program and arguments.
        command: Vec<String>,
        /// Seconds that it has.
        within_s: u64,
        /// Variables that it gets.
        env: Vec<(String, String)>,
    },
}

/// A byte that was changed, with those around it by which a file that was written since is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Where the surroundings begin.
    pub offset: u64,
    /// Which of them was changed.
    pub index: usize,
    /// The surroundings before.
    pub before: Vec<u8>,
    /// The surroundings after.
    pub after: Vec<u8>,
}

impl Undo {
    /// Undoes it and looks whether it is undone. What is gone already (its process, its file) needs no undoing.
    ///
    /// # Errors
    /// It isn't undone, and why.
    pub fn carry_out(&self) -> Result<String, String> {
        match self {
            Self::Continue { processes } => go_on(processes),
            _ => Err("not yet".to_owned()),
        }
    }
}

fn go_on(processes: &[Identity]) -> Result<String, String> {
    // Children first: a parent that goes on must find them going.
    for process in processes.iter().rev() {
        process.signal(libc::SIGCONT).map_err(|error| format!("{process} got no SIGCONT: {error}"))?;
    }
    let deadline = clock::after(SIGNAL_WITHIN);
    let stopped = || processes.iter().find(|process| process.state() == Some('T'));
    while let Some(process) = stopped() {
        if clock::until(deadline).is_zero() {
            return Err(format!("{process} is still stopped after SIGCONT"));
        }
        std::thread::yield_now();
    }
    let alive = processes.iter().filter(|process| process.is_alive()).count();
    Ok(match alive {
        0 => format!("{} gone already", list(processes)),
        _ => format!("{} runs again", list(processes)),
    })
}

fn list(processes: &[Identity]) -> String {
    let pids: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
    format!("process {}", pids.join(", "))
}
