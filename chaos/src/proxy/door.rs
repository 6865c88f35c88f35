//! The listening socket of a proxy, and the ways in which it can turn clients away: refuse them, or let their
//! connects hang, without giving the port up.

use serde::{Deserialize, Serialize};
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const BACKLOG: u32 = 1024;
/// Connections of our own that fill a queue of length 0: it takes one more than its length.
const FILLERS: usize = 2;
/// How long a filler may take: past it the queue is full, which is what they are for.
const FILLS_WITHIN: Duration = Duration::from_millis(100);

/// How often, and how long after another, a port of our own is tried that somebody has.
const TRIES: usize = 50;
const TRY_EVERY: Duration = Duration::from_millis(2);

/// What becomes of those who connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Connect {
    /// They are served.
    #[default]
    Accept,
    /// They are refused (ECONNREFUSED).
    Refuse,
    /// They get no answer: connect(2) hangs until it times out or this ends.
    Hang,
    /// They are accepted, and the upstream is dialled after this time.
    Delay {
        /// Milliseconds.
        delay_ms: u64,
    },
}

/// A listening socket in one of its modes.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// Bound and not listening: the kernel refuses, and nobody else can take the port.
    Shut(TcpSocket),
    /// Listening with a full queue: the kernel drops what asks to connect.
    Full(TcpListener, Vec<TcpStream>),
    /// Between two of the above.
    Moving,
}

impl Door {
    /// Listens on an address; a wildcard is one for IPv4 and IPv6, as in Go.
    ///
    /// # Errors
    /// The address can't be bound.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = match bind(both_families(address)) {
            // A machine without IPv6.
            Err(error)
                if address.ip().is_unspecified() && error.raw_os_error() == Some(libc::EAFNOSUPPORT) =>
            {
                bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))?
            }
            bound => bound?,
        }
        .listen(BACKLOG)?;
        Ok(Self { address: listener.local_addr()?, state: State::Open(listener) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next client; never, while nobody is let in.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        match &self.state {
            State::Open(listener) => Ok(listener.accept().await?.0),
            State::Shut(_) | State::Full(..) | State::Moving => std::future::pending().await,
        }
    }

    /// Takes on a mode.
    ///
    /// # Errors
    /// The system refused; the door is as good as it could be made.
    pub async fn set(&mut self, mode: Connect) -> io::Result<()> {
        match (mode, &self.state) {
            (Connect::Accept | Connect::Delay { .. }, State::Open(_))
            | (Connect::Refuse, State::Shut(_))
            | (Connect::Hang, State::Full(..)) => Ok(()),
            (Connect::Accept | Connect::Delay { .. }, _) => self.reopen(),
            (Connect::Refuse, _) => {
                self.state = State::Moving;
                self.state = State::Shut(bind_again(self.address).await?);
                Ok(())
            }
            (Connect::Hang, _) => {
                self.reopen()?;
                self.fill().await
            }
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Moving) {
            State::Open(listener) => State::Open(listener),
            State::Shut(socket) => State::Open(socket.listen(BACKLOG)?),
            State::Moving => State::Open(bind(self.address)?.listen(BACKLOG)?),
            State::Full(listener, fillers) => {
                SockRef::from(&listener).listen(BACKLOG.cast_signed())?;
                // Those that waited in the queue before are our own.
                drop(fillers);
                State::Open(listener)
            }
        };
        Ok(())
    }

    /// Makes the queue as short as it goes and fills it with connections of our own.
    async fn fill(&mut self) -> io::Result<()> {
        let State::Open(listener) = &self.state else { return Ok(()) };
        SockRef::from(listener).listen(0)?;
        let to = reachable(self.address);
        let mut fillers = Vec::new();
        for _ in 0..FILLERS {
            match tokio::time::timeout(FILLS_WITHIN, TcpStream::connect(to)).await {
                Ok(filler) => fillers.push(filler?),
                Err(_) => break,
            }
        }
        if let State::Open(listener) = std::mem::replace(&mut self.state, State::Moving) {
            self.state = State::Full(listener, fillers);
        }
        Ok(())
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Binds the port that was just let go. A process that is being started at that instant has it until it runs a program of
/// its own.
async fn bind_again(address: SocketAddr) -> io::Result<TcpSocket> {
    for _ in 0..TRIES {
        match bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => tokio::time::sleep(TRY_EVERY).await,
            bound => return bound,
        }
    }
    bind(address)
}

fn both_families(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port())
    } else {
        address
    }
}

/// Where a wildcard is reached from here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
