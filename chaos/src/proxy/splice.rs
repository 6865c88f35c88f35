//! Bytes from one socket to another without a copy, through a pipe (splice(2)): for streams that fill the buffer.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// What a pipe holds at most; the system may grant less.
const SIZE: libc::c_int = 1 << 20;

/// A pipe that holds what was read and not yet written.
#[derive(Debug)]
pub struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
    held: usize,
}

impl Pipe {
    /// An empty pipe.
    ///
    /// # Errors
    /// The process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let mut fds: [RawFd; 2] = [-1, -1];
        // SAFETY: pipe2 fills the two descriptors; they are owned only when it succeeded.
        let (output, input) = unsafe {
            if libc::pipe2(fds.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) < 0 {
                return Err(io::Error::last_os_error());
            }
            (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
        };
        // SAFETY: a plain fcntl on our own pipe. A refusal leaves the usual 64 KiB, which works as well.
        unsafe { libc::fcntl(input.as_raw_fd(), libc::F_SETPIPE_SZ, SIZE) };
        Ok(Self { output, input, held: 0 })
    }

    /// Bytes in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes what the socket has; 0 is its end.
    ///
    /// # Errors
    /// The socket has nothing now, or broke.
    pub fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = splice(socket.as_raw_fd(), self.input.as_raw_fd(), SIZE as usize)?;
        self.held += count;
        Ok(count)
    }

    /// Gives what it holds to the socket.
    ///
    /// # Errors
    /// The socket takes nothing now, or broke.
    pub fn drain(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = splice(self.output.as_raw_fd(), socket.as_raw_fd(), self.held)?;
        self.held -= count;
        Ok(count)
    }

    /// Takes out what it holds, for a toxic to work on.
    ///
    /// # Errors
    /// The pipe can't be read, which cannot be while it holds something.
    pub fn take(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.held];
        let mut at = 0;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            // SAFETY: read(2) into a buffer of the length that it is told.
            let count = unsafe { libc::read(self.output.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len()) };
            match usize::try_from(count) {
                Ok(0) | Err(_) => return Err(io::Error::last_os_error()),
                Ok(count) => at += count,
            }
        }
        self.held = 0;
        Ok(bytes)
    }
}

fn splice(from: RawFd, to: RawFd, most: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: two descriptors that their owners keep open during the call, and no offsets.
    let count = unsafe { libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), most, flags) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
