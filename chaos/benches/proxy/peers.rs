//! Clients and servers at both ends of a route.

use crate::LIMIT;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// Sends back what comes.
pub struct Echo {
    pub address: SocketAddr,
}

impl Echo {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..count]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address }
    }
}

/// Reads everything away and tells how much each connection brought.
pub struct Sink {
    pub address: SocketAddr,
    ended: Receiver<usize>,
}

impl Sink {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, ended) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 256 << 10];
                    let mut bytes = 0;
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        bytes += count;
                    }
                    // Who only looked whether somebody listens brought nothing.
                    if bytes > 0 {
                        let _ = tell.send(bytes);
                    }
                });
            }
        });
        Self { address, ended }
    }

    /// Sends so many bytes by `route`; returns when the last one has arrived.
    pub fn swallow(&self, route: SocketAddr, bytes: usize, write: usize) {
        let mut stream = TcpStream::connect(route).unwrap();
        let data = vec![7; write];
        let mut left = bytes;
        while left > 0 {
            let count = left.min(write);
            stream.write_all(&data[..count]).unwrap();
            left -= count;
        }
        drop(stream);
        assert_eq!(self.ended.recv_timeout(LIMIT).unwrap(), bytes);
    }
}

/// Microseconds of each of `count` requests, one after another on one connection, after some to warm up.
pub fn round_trips(address: SocketAddr, count: usize) -> Vec<f64> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut buffer = [7; 64];
    let mut once = || {
        let began = Instant::now();
        stream.write_all(&buffer).unwrap();
        stream.read_exact(&mut buffer).unwrap();
        began.elapsed().as_secs_f64() * 1e6
    };
    (0..count / 20 + 1).for_each(|_| _ = once());
    (0..count).map(|_| once()).collect()
}
