//! One direction of a connection: reads, lets the chain decide, writes. Without toxics bytes are copied, and spliced
//! when there are many.

use super::alarm::Alarm;
use super::chain::Chain;
use super::counts::{self, add};
use super::postgres::{Mark, Replies, Requests};
use super::setting::{Setting, Settings};
use super::splice::Pipe;
use super::toxic::{End, Item, Piece};
use crate::clock::now_ns;
use hyper::body::Bytes;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A read that fills this is a stream: it is spliced from then on.
const BUFFER: usize = 64 << 10;

/// Reads along, where the proxy knows the protocol.
#[derive(Debug)]
pub enum Observer {
    /// It does not.
    None,
    /// What the client asks.
    Requests(Requests),
    /// What the server answers.
    Replies(Replies),
}

/// One direction.
#[derive(Debug)]
pub struct Link<'a> {
    /// Where bytes come from.
    pub from: &'a TcpStream,
    /// Where they go.
    pub to: &'a TcpStream,
    /// What is done to them.
    pub chain: Chain,
    /// The toxics in force.
    pub following: Following<'a>,
    /// What passed.
    pub bytes: &'a counts::Bytes,
    /// Who reads along.
    pub observer: Observer,
}

/// A link as a follower of settings: whoever set something can see when all follow.
#[derive(Debug)]
pub struct Following<'a> {
    settings: watch::Receiver<Settings>,
    now: Settings,
    links: &'a AtomicU64,
}

impl<'a> Following<'a> {
    /// A link that follows from now on, counted among `links`.
    pub fn new(mut settings: watch::Receiver<Settings>, links: &'a AtomicU64) -> Self {
        add(links, 1);
        let now = settings.borrow_and_update().clone();
        add(&now.followed_by, 1);
        Self { settings, now, links }
    }

    /// Takes on what is in force now.
    fn update(&mut self) -> &[Arc<Setting>] {
        let new = self.settings.borrow_and_update().clone();
        add(&new.followed_by, 1);
        let old = std::mem::replace(&mut self.now, new);
        old.followed_by.fetch_sub(1, Ordering::Relaxed);
        &self.now.toxics
    }

    fn is_behind(&self) -> bool {
        self.settings.has_changed().unwrap_or(false)
    }

    /// Returns when something else is in force.
    async fn changed(&mut self) -> io::Result<()> {
        let changed = self.settings.changed().await;
        // Whoever sets toxics is gone only when the proxy is.
        changed.map_err(|_| io::Error::new(ErrorKind::ConnectionAborted, "the proxy is gone"))
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.links.fetch_sub(1, Ordering::Relaxed);
        self.now.followed_by.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a step came to.
enum Step {
    /// Something moved: go on.
    Moved,
    /// Nothing to do but wait, for room to write if `blocked`, and until the instant.
    Wait { blocked: bool, wake: Option<u64> },
    /// The direction is done.
    Done(End),
}

impl Link<'_> {
    /// Moves bytes until the direction ends; says how.
    ///
    /// # Errors
    /// One of the two sockets broke.
    pub async fn run(mut self) -> io::Result<End> {
        let mut ended = false;
        let mut alarm = None;
        let mut buffer = vec![0; BUFFER];
        self.follow();
        loop {
            if self.chain.is_empty() && !ended && matches!(self.observer, Observer::None) {
                ended = self.copy(&mut buffer).await?;
                if ended {
                    self.chain.push(Item::End(End::Fin), now_ns());
                }
                self.follow();
            }
            tokio::task::consume_budget().await;
            match self.step(&mut ended, &mut buffer)? {
                Step::Done(end) => return Ok(end),
                Step::Moved => {}
                Step::Wait { blocked, wake } => {
                    let reads = !ended && self.chain.has_room();
                    let (from, to) = (self.from, self.to);
                    tokio::select! {
                        ready = to.writable(), if blocked => ready?,
                        ready = from.readable(), if reads => ready?,
                        rung = ring(&mut alarm, wake), if wake.is_some() => rung?,
                        changed = self.following.changed() => changed?,
                    }
                    self.follow();
                }
            }
        }
    }

    /// Takes on the toxics that are in force now.
    fn follow(&mut self) {
        self.chain.follow(self.following.update(), now_ns());
    }

    /// Once through: time, write, read.
    fn step(&mut self, ended: &mut bool, buffer: &mut [u8]) -> io::Result<Step> {
        if let Some(end) = self.chain.cut() {
            return Ok(Step::Done(end));
        }
        if self.following.is_behind() {
            self.follow();
        }
        let wake = self.chain.pump(now_ns());
        let mut moved = false;
        let blocked = loop {
            match self.chain.first() {
                None => break false,
                Some(Item::End(end)) => return self.finish(*end),
                Some(Item::Data(piece)) => match self.to.try_write(&piece.bytes) {
                    Ok(count) => {
                        add(&self.bytes.sent, count as u64);
                        self.chain.written(count);
                        moved = true;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                    Err(error) => return Err(error),
                },
            }
        };
        if !*ended && self.chain.has_room() {
            match self.from.try_read(buffer) {
                Ok(0) => {
                    *ended = true;
                    self.chain.push(Item::End(End::Fin), now_ns());
                    moved = true;
                }
                Ok(count) => {
                    self.take_in(Bytes::copy_from_slice(&buffer[..count]));
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if moved { Step::Moved } else { Step::Wait { blocked, wake } })
    }

    /// Gives what was read to the chain.
    fn take_in(&mut self, bytes: Bytes) {
        add(&self.bytes.received, bytes.len() as u64);
        let at_ns = now_ns();
        let parts = match &mut self.observer {
            Observer::None => vec![(bytes, Mark::Plain)],
            Observer::Requests(requests) => {
                requests.look(&bytes);
                vec![(bytes, Mark::Plain)]
            }
            Observer::Replies(replies) => replies.look(bytes),
        };
        for (bytes, mark) in parts {
            self.chain.push(Item::Data(Piece { bytes, at_ns, mark, came_ns: at_ns }), at_ns);
        }
    }

    /// Everything is written: a close of the sender's half is passed on as one.
    fn finish(&self, end: End) -> io::Result<Step> {
        if end == End::Fin {
            match SockRef::from(self.to).shutdown(Shutdown::Write) {
                // It closed in the meantime.
                Err(error) if error.kind() == ErrorKind::NotConnected => {}
                result => result?,
            }
        }
        Ok(Step::Done(end))
    }

    /// Copies until there is something else to do; true at the end of the stream.
    async fn copy(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            tokio::task::consume_budget().await;
            let count = match self.from.try_read(buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let from = self.from;
                    tokio::select! {
                        ready = from.readable() => ready?,
                        changed = self.following.changed() => return changed.map(|()| false),
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !self.write(&buffer[..count]).await? {
                return Ok(false);
            }
            if self.following.is_behind() {
                return Ok(false);
            }
            if count == buffer.len() {
                return self.stream().await;
            }
        }
    }

    /// Writes all of it; false when the settings changed before, and the rest went to the chain.
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        add(&self.bytes.received, bytes.len() as u64);
        loop {
            match self.to.try_write(bytes) {
                Ok(count) => {
                    add(&self.bytes.sent, count as u64);
                    bytes = &bytes[count..];
                    if bytes.is_empty() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let to = self.to;
                    tokio::select! {
                        ready = to.writable() => ready?,
                        changed = self.following.changed() => {
                            changed?;
                            self.left_over(Bytes::copy_from_slice(bytes));
                            return Ok(false);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What was read and not yet written when the settings changed. It was counted when it was read.
    fn left_over(&mut self, bytes: Bytes) {
        let at_ns = now_ns();
        if !bytes.is_empty() {
            self.chain.push(Item::Data(Piece { bytes, at_ns, mark: Mark::Plain, came_ns: at_ns }), at_ns);
        }
    }

    /// Splices until there is something else to do; true at the end of the stream.
    async fn stream(&mut self) -> io::Result<bool> {
        let mut pipe = Pipe::new()?;
        let (from, to) = (self.from, self.to);
        loop {
            tokio::task::consume_budget().await;
            while pipe.held() > 0 {
                match to.try_io(Interest::WRITABLE, || pipe.drain(to.as_fd())) {
                    Ok(count) => add(&self.bytes.sent, count as u64),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        tokio::select! {
                            ready = to.writable() => ready?,
                            changed = self.following.changed() => {
                                changed?;
                                self.left_over(pipe.take()?.into());
                                return Ok(false);
                            }
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            if self.following.is_behind() {
                return Ok(false);
            }
            match from.try_io(Interest::READABLE, || pipe.fill(from.as_fd())) {
                Ok(0) => return Ok(true),
                Ok(count) => add(&self.bytes.received, count as u64),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::select! {
                        ready = from.readable() => ready?,
                        changed = self.following.changed() => return changed.map(|()| false),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits with a timer that is made when one is first needed.
async fn ring(alarm: &mut Option<Alarm>, wake: Option<u64>) -> io::Result<()> {
    let Some(at_ns) = wake else { return std::future::pending().await };
    let alarm = match alarm {
        Some(alarm) => alarm,
        None => alarm.insert(Alarm::new()?),
    };
    alarm.wait_until(at_ns).await
}
