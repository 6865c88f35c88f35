//! A node as a child process of this one: spawned until ready, ended gently or at once, never left behind.

use super::cage::Cage;
use super::{log_tail, spawner};
use crate::process;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name for messages: `engine`, `load`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to the environment.
    pub env: Vec<(OsString, OsString)>,
    /// Takes its standard error, and its standard output too. Appended to, so that a restarted node keeps its past.
    pub log: PathBuf,
    /// How it says that it is ready; `None`: it is ready as soon as it runs.
    pub ready: Option<Ready>,
}

/// A line on standard output that says "ready".
#[derive(Debug, Clone)]
pub struct Ready {
    /// How the line begins; the rest of it is [`Node::ready_text`].
    pub prefix: String,
    /// How long it may take.
    pub within: Duration,
}

/// Why a node could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The program could not be executed.
    #[error("cannot start {name}: {program}: {source}; is the program there and executable?")]
    Start {
        /// The node.
        name: String,
        /// What was executed.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The log file could not be opened.
    #[error("cannot write the log of {name}, {log}: {source}; is its folder there and writable?")]
    Log {
        /// The node.
        name: String,
        /// The file.
        log: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended before it was ready ({status}); the end of {log}:\n{tail}")]
    EndedEarly {
        /// The node.
        name: String,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It runs, and did not say that it is ready.
    #[error("{name} was not ready within {within:?} and was killed; the end of {log}:\n{tail}")]
    NotReady {
        /// The node.
        name: String,
        /// How long it had.
        within: Duration,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It does not run.
    #[error("{name} does not run")]
    NotRunning {
        /// The node.
        name: String,
    },
    /// It stands by, and does not run until it takes over.
    #[error("{name} stands by: others took over from it")]
    StandsBy {
        /// The node.
        name: String,
    },
    /// It was sent SIGKILL and is still there.
    #[error("{name} was sent SIGKILL and is still there after {within:?}; the machine may be stuck on I/O")]
    StillThere {
        /// The node.
        name: String,
        /// How long it had.
        within: Duration,
    },
    /// There is no node of that name.
    #[error("there is no node {name:?}")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// There is one of that name already.
    #[error("there is a node {name:?} already; give each one a name of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// Signalling or waiting failed.
    #[error("cannot end or await {name} (process {pid}): {source}")]
    Control {
        /// The node.
        name: String,
        /// Its process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
}

/// A running (or ended) child process. Dropping it kills it.
#[derive(Debug)]
pub struct Node {
    name: String,
    child: Child,
    log: PathBuf,
    ready: Option<Ready>,
    ready_lines: Receiver<String>,
    /// Nothing is sent: it is closed when all of its output is in the log.
    output: Receiver<()>,
    ready_text: String,
}

impl Node {
    /// Starts a node and returns when it is ready. Blocks: call it from a thread that may wait.
    ///
    /// # Errors
    /// The program is missing, ended early or was not ready in time; nothing is left running then.
    pub fn spawn(spec: &Spec) -> Result<Node, NodeError> {
        let mut node = Self::launch(spec, &Cage::default())?;
        node.await_ready()?;
        Ok(node)
    }

    /// Starts a node in its cage and returns as soon as it runs.
    ///
    /// # Errors
    /// The program is missing, or its log or cage can't be had; nothing is left running then.
    pub fn launch(spec: &Spec, cage: &Cage) -> Result<Node, NodeError> {
        let log_error = |source| NodeError::Log { name: spec.name.clone(), log: spec.log.clone(), source };
        let log = OpenOptions::new().create(true).append(true).open(&spec.log).map_err(log_error)?;
        let stdout_log = log.try_clone().map_err(log_error)?;
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).envs(spec.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(log));
        let start_error = |source| NodeError::Start {
            name: spec.name.clone(),
            program: spec.program.display().to_string(),
            source,
        };
        let mut child = spawner::spawn(command, cage).map_err(start_error)?;
        let prefix = spec.ready.as_ref().map(|ready| ready.prefix.clone());
        let drained = drain(child.stdout.take(), stdout_log, prefix);
        let mut node = Node {
            name: spec.name.clone(),
            child,
            log: spec.log.clone(),
            ready: spec.ready.clone(),
            ready_lines: channel().1,
            output: channel().1,
            ready_text: String::new(),
        };
        (node.ready_lines, node.output) = drained.map_err(start_error)?;
        Ok(node)
    }

    /// Returns when the node says that it is ready, at once when nobody expects it to. Blocks.
    ///
    /// # Errors
    /// It ended early or was not ready in time; it is gone then.
    pub fn await_ready(&mut self) -> Result<&str, NodeError> {
        if let Some(ready) = self.ready.take() {
            self.ready_text = self.hear_ready(ready.within)?;
        }
        Ok(&self.ready_text)
    }

    fn hear_ready(&mut self, within: Duration) -> Result<String, NodeError> {
        let outcome = self.ready_lines.recv_timeout(within);
        if let Ok(text) = outcome {
            return Ok(text);
        }
        // Its output closed: it is about to end, or it closed the pipe and will never be ready.
        let ended = match outcome {
            Err(RecvTimeoutError::Disconnected) => self.wait(within)?,
            _ => None,
        };
        self.kill()?;
        let (name, log, tail) = (self.name.clone(), self.log.clone(), log_tail::of(&self.log));
        Err(match ended {
            Some(status) => NodeError::EndedEarly { name, status: status.to_string(), log, tail },
            None => NodeError::NotReady { name, within, log, tail },
        })
    }

    /// What followed the ready prefix on its line.
    #[must_use]
    pub fn ready_text(&self) -> &str {
        &self.ready_text
    }

    /// Waits until all that it wrote to standard output is in its log, `limit` at most: what it started may go on writing.
    /// Blocks.
    pub fn await_output(&self, limit: Duration) {
        let _ = self.output.recv_timeout(limit);
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail::of(&self.log)
    }

    /// True while the process runs.
    ///
    /// # Errors
    /// The system refused to tell.
    pub fn is_running(&mut self) -> Result<bool, NodeError> {
        Ok(self.exit_status()?.is_none())
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// The system refused to tell.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>, NodeError> {
        self.child.try_wait().map_err(|source| self.control(source))
    }

    /// Waits for the process to end by itself, `limit` at most; `None` when it still runs. Blocks.
    ///
    /// # Errors
    /// The system refused to tell.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>, NodeError> {
        if let Some(status) = self.exit_status()? {
            return Ok(Some(status));
        }
        let awaited = process::descriptor(self.pid()).and_then(|us| process::await_end(&us, Some(limit)));
        awaited.map_err(|source| self.control(source))?;
        self.exit_status()
    }

    /// Waits for the process to end by itself, however long. Blocks.
    ///
    /// # Errors
    /// The system refused to tell.
    pub fn wait_for_ever(&mut self) -> Result<ExitStatus, NodeError> {
        self.child.wait().map_err(|source| self.control(source))
    }

    /// SIGKILL, and the process is gone when this returns.
    ///
    /// # Errors
    /// The system refused.
    pub fn kill(&mut self) -> Result<ExitStatus, NodeError> {
        // `Child::kill` sends nothing to a process that was reaped already, so a reused id is never hit.
        self.child.kill().map_err(|source| self.control(source))?;
        self.child.wait().map_err(|source| self.control(source))
    }

    /// SIGTERM, then SIGKILL after `grace`. The process is gone when this returns. Blocks.
    ///
    /// # Errors
    /// The system refused.
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus, NodeError> {
        if let Some(status) = self.exit_status()? {
            return Ok(status);
        }
        // SAFETY: plain kill(2). The child is not reaped yet (checked above, and only `&mut self` reaps), so the id
        // is still its own.
        unsafe { libc::kill(self.pid().cast_signed(), libc::SIGTERM) };
        match self.wait(grace)? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    fn control(&self, source: io::Error) -> NodeError {
        NodeError::Control { name: self.name.clone(), pid: self.child.id(), source }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.kill();
        }
    }
}

/// Copies standard output into the log for as long as the node lives (a full pipe would stop it), and sends what
/// follows `prefix` on the first line that begins with it; the other receiver is closed at the end of the output.
fn drain(
    stdout: Option<ChildStdout>,
    mut log: File,
    prefix: Option<String>,
) -> io::Result<(Receiver<String>, Receiver<()>)> {
    let ((sender, receiver), (open, closed)) = (channel(), channel::<()>());
    let Some(stdout) = stdout else { return Ok((receiver, closed)) };
    std::thread::Builder::new().name("node-stdout".to_owned()).spawn(move || {
        let _open = open;
        let mut waiting = prefix.map(|prefix| (prefix, sender));
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
            // A log that cannot be written must not stop the node: its output goes on being read.
            let _ = log.write_all(&line);
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some(rest) = waiting.as_ref().and_then(|(prefix, _)| text.strip_prefix(prefix.as_str()))
                && let Some((_, sender)) = waiting.take()
            {
                let _ = sender.send(rest.to_owned());
            }
            line.clear();
        }
    })?;
    Ok((receiver, closed))
}
