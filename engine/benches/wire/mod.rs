//! A kept HTTP/1.1 connection that can have several requests on their way, for benches.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop where it is")]
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Connects, trying again until somebody listens.
    pub fn to(address: SocketAddr) -> Self {
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.set_nodelay(true).unwrap();
        Self(BufReader::with_capacity(1 << 16, stream))
    }

    /// One request and its answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> String {
        self.send(&request(method, path, body));
        self.answer()
    }

    /// Sends a request, or several.
    pub fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next answer.
    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        let mut length = 0;
        self.0.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 ") || line.contains(" 204 "), "{line}");
        while line.trim() != "" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}

/// A request as it goes over the wire.
pub fn request(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
