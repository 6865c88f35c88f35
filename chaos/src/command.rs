//! Programs that are run to their end, with a deadline, and what they said.

use crate::clock;
use crate::process;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// Most of what a program said that is kept as evidence, bytes from its end.
const KEPT: u64 = 1_000;

/// How a program ended.
#[derive(Debug)]
pub struct Outcome {
    /// `None`: it was killed at its deadline.
    pub status: Option<ExitStatus>,
    /// CLOCK_MONOTONIC: when it ended.
    pub at_ns: u64,
    /// The end of what it wrote to standard output.
    pub stdout: String,
    /// The end of what it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Its exit code; `None` when it was killed.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => write!(f, "killed at its deadline")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.trim().is_empty() {
                write!(f, "; {name}: {}", text.trim())?;
            }
        }
        Ok(())
    }
}

/// Runs a program to its end, or kills it and all of its process group after `within`. Blocks.
///
/// # Errors
/// It can't be started.
pub fn run(command: &[String], env: &[(String, String)], within: Duration) -> io::Result<Outcome> {
    let [program, args @ ..] = command else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no program is given"));
    };
    // Files, not pipes: a grandchild that keeps a pipe open would keep us.
    let (mut stdout, mut stderr) = (scratch()?, scratch()?);
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).process_group(0);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot run {program}: {error}"));
    let mut child = command.spawn().map_err(named)?;
    let ended = process::await_end(&process::descriptor(child.id())?, Some(within))?;
    if !ended {
        // SAFETY: kill(2) of the group that the child leads; the child is not reaped yet, so its id is its own.
        unsafe { libc::kill(-child.id().cast_signed(), libc::SIGKILL) };
    }
    let status = child.wait()?;
    let at_ns = clock::now_ns();
    let status = ended.then_some(status);
    Ok(Outcome { status, at_ns, stdout: end_of(&mut stdout)?, stderr: end_of(&mut stderr)? })
}

/// Exit code of a verifying command: the fault is in force.
pub const IN_FORCE: i32 = 0;
/// Exit code of a verifying command: the fault is not in force.
pub const NOT_IN_FORCE: i32 = 1;
/// How often a verifying command is asked again.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Asks a verifying command until it says `wanted` ([`IN_FORCE`] or [`NOT_IN_FORCE`]): a cloud takes its time. Blocks.
///
/// # Errors
/// It can't be started, says something else than those two, or not what is wanted within `within`; what it said last.
pub fn verify(
    command: &[String],
    env: &[(String, String)],
    within: Duration,
    wanted: i32,
) -> Result<Outcome, String> {
    let deadline = clock::after(within);
    loop {
        let left = clock::until(deadline).max(ASK_EVERY);
        let outcome = run(command, env, left).map_err(|error| error.to_string())?;
        match outcome.code() {
            Some(code) if code == wanted => return Ok(outcome),
            Some(IN_FORCE | NOT_IN_FORCE) if !clock::until(deadline).is_zero() => {
                std::thread::sleep(ASK_EVERY)
            }
            _ => return Err(format!("{}: {outcome}", command.join(" "))),
        }
    }
}

/// A file without a name, in memory.
fn scratch() -> io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: a name that ends with a zero, and a flag.
    let raw = unsafe { libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `raw` was just returned by the kernel and nobody else owns it.
    Ok(unsafe { File::from_raw_fd(raw) })
}

fn end_of(file: &mut File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).into()
    }

    #[test]
    fn what_it_said_and_how_it_ended_is_kept() {
        let env = [("WHO".to_owned(), "engine".to_owned())];
        let outcome =
            run(&shell("echo hurt $WHO; echo why >&2; exit 3"), &env, Duration::from_secs(10)).unwrap();
        assert_eq!(outcome.code(), Some(3));
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("hurt engine\n", "why\n"));
    }

    #[test]
    fn what_takes_too_long_is_killed_with_its_children() {
        let script = "sleep 62 & echo $!; wait";
        let outcome = run(&shell(script), &[], Duration::from_millis(200)).unwrap();
        assert_eq!(outcome.code(), None);
        assert!(outcome.to_string().contains("deadline"));
        let child = process::Identity::of(outcome.stdout.trim().parse().unwrap());
        let deadline = clock::after(Duration::from_secs(5));
        while child.is_some_and(|child| child.is_alive()) && !clock::until(deadline).is_zero() {
            std::thread::yield_now();
        }
        assert!(!child.is_some_and(|child| child.is_alive()), "its child is gone too");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&["/nowhere/kubectl".to_owned()], &[], Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("/nowhere/kubectl"), "{error}");
    }
}
