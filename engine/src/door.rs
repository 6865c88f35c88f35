//! The listening socket of an engine, which is closed without a connection lost: the system completes connections before
//! anybody accepts them, and resets those that wait when the socket goes.

use axum::serve::Listener;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Accepts until it is told to close, and then what waits already. Whether those are answered is up to the server: to how
/// long it goes on reading after that.
pub(crate) struct Door {
    address: SocketAddr,
    /// Until it is closed.
    listener: Option<TcpListener>,
    /// What had waited when it was closed.
    late: VecDeque<TcpStream>,
    close: watch::Receiver<bool>,
    closed: watch::Sender<bool>,
}

/// Closes a door.
pub(crate) struct Key {
    close: watch::Sender<bool>,
    closed: watch::Receiver<bool>,
}

impl Key {
    /// Returns when nobody gets in any more, and all who got in are with the server. Nor does it wait for a server that is
    /// gone.
    pub async fn close(&mut self) {
        let _ = self.close.send(true);
        let _ = self.closed.wait_for(|closed| *closed).await;
    }
}

impl Door {
    pub fn new(listener: TcpListener, address: SocketAddr) -> (Self, Key) {
        let (close, told) = watch::channel(false);
        let (closed, is_closed) = watch::channel(false);
        let door = Self { address, listener: Some(listener), late: VecDeque::new(), close: told, closed };
        (door, Key { close, closed: is_closed })
    }

    /// Takes what waits and closes the socket, with nothing in between that could wait. The runtime's own `accept` won't
    /// do: it asks the system only after it was told of something to accept.
    fn shut(&mut self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.late.push_back(TcpStream::from_std(stream)?);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    // One that waited is gone; the next one may be there.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        if let Some(listener) = &mut self.listener {
            tokio::select! {
                came = Listener::accept(listener) => return came,
                // A key that is gone closes too: nobody could any more.
                _ = self.close.wait_for(|close| *close) => {}
            }
        }
        if let Some(listener) = self.listener.take()
            && let Err(error) = self.shut(listener)
        {
            tracing::warn!(%error, "connections that waited could not be taken, and are reset");
        }
        if let Some(stream) = self.late.pop_front() {
            return (stream, self.address);
        }
        // Asked for the next, so the last one is with the server.
        let _ = self.closed.send(true);
        std::future::pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use std::io::{Read, Write};
    use std::time::Duration;

    /// Connections that the system completes while nobody accepts; its queue holds many more.
    const WAITING: usize = 64;

    #[tokio::test]
    async fn whoever_waits_when_it_closes_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
                stream
            })
            .collect();
        let (door, mut key) = Door::new(listener, address);
        // Told before the server runs: what it does about it, it does with all of them waiting.
        key.close.send(true).unwrap();
        let router = Router::new().route("/", get(|| async { "in" }));
        let server = tokio::spawn(axum::serve(door, router).into_future());
        tokio::time::timeout(Duration::from_secs(10), key.close()).await.unwrap();
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody gets in any more");
        let answers = tokio::task::spawn_blocking(move || {
            let answer = |stream: &mut std::net::TcpStream| {
                let mut text = String::new();
                stream.read_to_string(&mut text).map(|_| text)
            };
            waiting.iter_mut().map(answer).collect::<Vec<_>>()
        });
        for (number, answer) in answers.await.unwrap().into_iter().enumerate() {
            assert!(answer.as_ref().is_ok_and(|text| text.ends_with("in")), "{number}: {answer:?}");
        }
        server.abort();
    }
}
