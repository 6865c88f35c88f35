//! A proxy server in this process and peers for it: what the tests of the proxy talk through and to.

#![allow(dead_code, reason = "each test program uses a part of it")]

use serde_json::Value;
use shakedown_chaos::proxy::server::Server;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::sync::oneshot;

const LIMIT: Duration = Duration::from_secs(10);

/// A server on a thread of its own; it ends when this is dropped.
pub struct Api {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A proxy of it.
pub struct Proxied {
    pub address: SocketAddr,
}

impl Proxied {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Api {
    pub fn start() -> Self {
        Self::with_seed(1)
    }

    pub fn with_seed(seed: u64) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind("127.0.0.1:0".parse().unwrap(), seed).await.unwrap();
                tell.send(server.address()).unwrap();
                server.serve(async { drop(stopped.await) }).await.unwrap();
            });
        });
        Self { address: told.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    /// A proxy to `upstream` on a free port.
    pub fn proxy(&self, name: &str, upstream: SocketAddr) -> Proxied {
        let body = format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"{upstream}"}}"#);
        let created = self.ok("POST", "/proxies", &body);
        Proxied { address: created["listen"].as_str().unwrap().parse().unwrap() }
    }

    /// Asks, and expects that it worked.
    #[track_caller]
    pub fn ok(&self, method: &str, path: &str, body: &str) -> Value {
        let reply = self.ask(method, path, &[], body);
        assert!((200..300).contains(&reply.status), "{method} {path} {body}: {reply:?}");
        serde_json::from_str(&reply.body).unwrap_or_default()
    }

    /// Asks, on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: proxy\r\nconnection: close\r\n");
        for header in headers {
            head += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Reply { status, headers, body: body.to_owned() }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

/// A server that does one thing with each connection, on threads of its own.
pub struct Upstream {
    pub address: SocketAddr,
    _kept: Vec<TcpStream>,
}

impl Upstream {
    fn each(serve: impl Fn(TcpStream) + Send + Copy + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, _kept: Vec::new() }
    }

    /// Sends back what comes, and closes when the client does.
    pub fn echo() -> Self {
        Self::each(|mut stream| {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Sends for ever.
    pub fn flood() -> Self {
        Self::each(|mut stream| while stream.write_all(&[7; 64 << 10]).is_ok() {})
    }

    /// Sends a byte every 10 ms.
    pub fn ticks() -> Self {
        Self::each(|mut stream| {
            while stream.write_all(b".").is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    }

    /// Sends so many bytes once the client has closed its half.
    pub fn answers_after_the_end(bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read_to_end(&mut Vec::new());
                let _ = stream.write_all(&vec![7; bytes]);
            }
        });
        Self { address, _kept: Vec::new() }
    }

    /// Doesn't answer connects: its queue is full.
    pub fn full() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        socket2::SockRef::from(&listener).listen(0).unwrap();
        let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let kept = std::iter::repeat_with(fill).map_while(Result::ok).collect();
        std::mem::forget(listener);
        Self { address, _kept: kept }
    }

    /// An address on which nobody listens.
    pub fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }
}

pub fn is_reset(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionReset
}

/// Waits until `condition` gives a value; panics with `what` after ten seconds.
#[track_caller]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(value) = condition() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain: {what}");
}
