//! The real binary as tests drive it: run to its end or in the background, always in a folder of its own.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_shakedown");

/// The command `shakedown ARGS`, in `folder`.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(folder).stdin(Stdio::null());
    // What the caller of the tests has set is none of theirs.
    command.env_remove("SHAKEDOWN_GREEN");
    command
}

/// What a command came to.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `shakedown ARGS` in `folder` to its end.
pub fn shakedown(folder: &Path, args: &[&str]) -> Ended {
    ended(command(folder, args).output().unwrap())
}

/// The same with a variable in its environment.
pub fn shakedown_with(variable: (&str, &str), folder: &Path, args: &[&str]) -> Ended {
    ended(command(folder, args).env(variable.0, variable.1).output().unwrap())
}

fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ended {
    /// Asserts the exit code, the parts of the message, and that nothing panicked.
    #[track_caller]
    pub fn expect(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in {self:#?}");
        }
        assert!(!self.err.contains("panicked"), "{self:#?}");
    }
}

/// A command in the background; killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    pub fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = command(folder, args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: plain kill(2) of our own child, which is not reaped before `end`.
        assert_eq!(unsafe { libc::kill(self.pid().cast_signed(), signal) }, 0);
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let read = |pipe: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                pipe.read_to_end(&mut bytes).unwrap();
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let out = read(self.child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read));
        let err = read(self.child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read));
        Ended { code: self.child.wait().unwrap().code(), out, err }
    }

    /// The first line of its standard output.
    pub fn first_line(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        let out = self.child.stdout.as_mut().unwrap();
        while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` gives a value; panics with `what` after half a minute.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1500 {
        if let Some(value) = condition() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited in vain for {what}");
}

/// Processes whose parent is `pid`, by process id.
pub fn children(pid: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| parent(*id) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// True while process `pid` is there and not a zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The only run directory below `folder`/runs.
pub fn run_directory(folder: &Path) -> Option<PathBuf> {
    let mut found = std::fs::read_dir(folder.join("runs")).ok()?.flatten().map(|entry| entry.path());
    let only = found.next();
    assert!(found.next().is_none(), "more than one run directory");
    only
}

/// A server that answers every connection with `answer`, for ever.
pub fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
            // Closed with a part of the request unread, the kernel would reset it, and the answer would be lost.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            while matches!(stream.read(&mut request), Ok(length) if length > 0) {}
        }
    });
    address
}

/// An address on which nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
