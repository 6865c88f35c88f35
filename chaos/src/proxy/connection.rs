//! One connection through a proxy: dials the upstream, runs both directions, and ends as it was ended.

use super::chain::Chain;
use super::counts::{Counts, add};
use super::dice::Dice;
use super::link::{Following, Link, Observer};
use super::postgres;
use super::setting::{Settings, Stream};
use super::toxic::End;
use socket2::SockRef;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long the upstream may take to accept a connection.
const DIAL_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that are read away before a close, so that the system doesn't make a reset of it.
const READ_AWAY: usize = 4 << 20;
/// How long what was written may take to arrive before a reset throws it away.
const ARRIVES_WITHIN: Duration = Duration::from_secs(1);

/// What all connections of a proxy share.
#[derive(Debug)]
pub struct Shared {
    /// Where they go: host and port.
    pub upstream: String,
    /// The proxy's own luck.
    pub dice: Dice,
    /// The toxics in force.
    pub settings: watch::Receiver<Settings>,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// Whether the PostgreSQL protocol is read along, and what was seen.
    pub postgres: Option<Arc<postgres::Counts>>,
}

/// Serves one client until its connection ends, or `cut` says how to end it.
pub async fn serve(
    client: TcpStream,
    number: u64,
    delay: Duration,
    shared: Arc<Shared>,
    cut: &mut watch::Receiver<Option<End>>,
) {
    let dial = async {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        dial(&shared.upstream).await
    };
    let dialled = tokio::select! {
        dialled = dial => dialled,
        end = told(cut) => return close(&[&client], end, &shared.counts).await,
    };
    let server = match dialled {
        Ok(server) => server,
        Err(error) => {
            tracing::info!(upstream = shared.upstream, %error, "the upstream did not take a connection");
            add(&shared.counts.dial_failed, 1);
            return close(&[&client], End::Close, &shared.counts).await;
        }
    };
    // A delay of Nagle's would be taken for the network's.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let end = tokio::select! {
        end = both(&client, &server, number, &shared) => end,
        end = told(cut) => end,
    };
    close(&[&client, &server], end, &shared.counts).await;
}

async fn dial(upstream: &str) -> io::Result<TcpStream> {
    match tokio::time::timeout(DIAL_WITHIN, TcpStream::connect(upstream)).await {
        Ok(result) => result,
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {DIAL_WITHIN:?}")))
        }
    }
}

/// How to end, once it is told.
async fn told(cut: &mut watch::Receiver<Option<End>>) -> End {
    // Whoever could tell is gone: the proxy was removed.
    cut.wait_for(Option::is_some).await.map_or(End::Close, |end| end.unwrap_or(End::Close))
}

/// Runs both directions until both are done, or one of them ends the connection.
async fn both(client: &TcpStream, server: &TcpStream, number: u64, shared: &Shared) -> End {
    let dice = |stream: Stream| shared.dice.of(&[&number.to_le_bytes(), stream.name().as_bytes()]);
    let (requests, replies) = match &shared.postgres {
        None => (Observer::None, Observer::None),
        Some(counts) => {
            let (requests, replies) = postgres::observe(counts);
            (Observer::Requests(requests), Observer::Replies(replies))
        }
    };
    let up = Link {
        from: client,
        to: server,
        chain: Chain::new(Stream::Upstream, dice(Stream::Upstream)),
        following: Following::new(shared.settings.clone(), &shared.counts.links),
        bytes: &shared.counts.upstream,
        observer: requests,
    };
    let down = Link {
        from: server,
        to: client,
        chain: Chain::new(Stream::Downstream, dice(Stream::Downstream)),
        following: Following::new(shared.settings.clone(), &shared.counts.links),
        bytes: &shared.counts.downstream,
        observer: replies,
    };
    let (up, down) = (up.run(), down.run());
    tokio::pin!(up, down);
    let (mut up_done, mut down_done) = (false, false);
    while !(up_done && down_done) {
        let end = tokio::select! {
            end = &mut up, if !up_done => { up_done = true; end }
            end = &mut down, if !down_done => { down_done = true; end }
        };
        match end {
            Ok(End::Fin) => {}
            Ok(End::Reset) => {
                arrived(&[client, server]).await;
                return End::Reset;
            }
            Ok(end) => return end,
            // One side is gone without a word; the other one is told the same way.
            Err(_) => return End::Reset,
        }
    }
    End::Fin
}

/// A reset throws away what is still on its way, and what a toxic let through before it is meant to arrive.
async fn arrived(streams: &[&TcpStream]) {
    let all = async {
        while streams.iter().any(|stream| unsent(stream) > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(ARRIVES_WITHIN, all).await;
}

/// Bytes that were written and that the peer has not yet acknowledged.
fn unsent(stream: &TcpStream) -> libc::c_int {
    use std::os::fd::AsRawFd;
    let mut bytes = 0;
    // SAFETY: SIOCOUTQ (TIOCOUTQ) writes one int, on a socket that is open.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 { 0 } else { bytes }
}

/// Ends the sockets: with a reset, or with a close that stays one.
async fn close(streams: &[&TcpStream], end: End, counts: &Counts) {
    if end == End::Reset {
        add(&counts.reset, 1);
    }
    for stream in streams {
        let socket = SockRef::from(*stream);
        if end == End::Reset {
            let _ = socket.set_linger(Some(Duration::ZERO));
        } else {
            let _ = socket.shutdown(Shutdown::Write);
            read_away(stream);
        }
    }
}

/// The system answers a close with a reset when something was not read.
fn read_away(stream: &TcpStream) {
    let mut buffer = [0; 16 << 10];
    let mut read = 0;
    while let Ok(count @ 1..) = stream.try_read(&mut buffer) {
        read += count;
        if read > READ_AWAY {
            return;
        }
    }
}
