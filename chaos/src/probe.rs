//! A look through a link from the client's side: what becomes of somebody who connects and asks.

use crate::clock;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What is asked through a link, such that the server behind it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The bytes of the question.
    pub question: Vec<u8>,
}

impl Probe {
    /// A GET of a path of an HTTP server.
    #[must_use]
    pub fn http(path: &str) -> Self {
        let question = format!("GET {path} HTTP/1.1\r\nHost: probe\r\nUser-Agent: shakedown\r\n\r\n");
        Self { question: question.into_bytes() }
    }
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The connect was refused.
    Refused,
    /// The connect was not answered.
    Hung,
    /// It was connected, and no byte came.
    Silent,
    /// Bytes came, the first after this time, and the connection stayed.
    Answered(Duration, usize),
    /// It was reset, after so many bytes.
    Reset(usize),
    /// It was closed, after so many bytes.
    Closed(usize),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => write!(f, "the connect is refused"),
            Self::Hung => write!(f, "the connect is not answered"),
            Self::Silent => write!(f, "connected, and nothing is answered"),
            Self::Answered(after, bytes) => {
                write!(f, "{bytes} bytes are answered, after {:.1} ms", after.as_secs_f64() * 1e3)
            }
            Self::Reset(bytes) => write!(f, "the connection is reset after {bytes} bytes"),
            Self::Closed(bytes) => write!(f, "the connection is closed after {bytes} bytes"),
        }
    }
}

/// Connects; `Err` holds what was seen instead.
pub(crate) fn connect(address: SocketAddr, patience: Duration) -> Result<TcpStream, Seen> {
    match TcpStream::connect_timeout(&address, patience) {
        Ok(stream) => Ok(stream),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Seen::Refused),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Seen::Reset(0)),
        Err(_) => Err(Seen::Hung),
    }
}

/// Asks on an open connection and waits for an answer.
pub(crate) fn ask(stream: &mut TcpStream, probe: &Probe, patience: Duration) -> Seen {
    let asked_ns = clock::now_ns();
    if stream.write_all(&probe.question).is_err() {
        return Seen::Reset(0);
    }
    // What follows the first bytes at once still belongs to what is seen; a server that keeps the connection then
    // says nothing more.
    let calm = Duration::from_millis(50).min(patience);
    let (mut first, mut bytes, mut buffer) = (None, 0, [0; 16 << 10]);
    let deadline = asked_ns + clock::nanos(patience);
    loop {
        let left = first.map_or(clock::until(deadline), |_| calm).max(Duration::from_millis(1));
        // Zero would be for ever, and is not asked for.
        let _ = stream.set_read_timeout(Some(left));
        match stream.read(&mut buffer) {
            Ok(0) => return first.map_or(Seen::Closed(0), |_| Seen::Closed(bytes)),
            Ok(count) => {
                first.get_or_insert_with(|| Duration::from_nanos(clock::now_ns().saturating_sub(asked_ns)));
                bytes += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_patience(&error) => {
                return first.map_or(Seen::Silent, |after| Seen::Answered(after, bytes));
            }
            Err(_) => return Seen::Reset(bytes),
        }
    }
}

/// Connects and asks.
pub(crate) fn look(address: SocketAddr, probe: &Probe, patience: Duration) -> Seen {
    match connect(address, patience) {
        Ok(mut stream) => ask(&mut stream, probe, patience),
        Err(seen) => seen,
    }
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
