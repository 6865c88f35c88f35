//! The proxies that are measured, each as a process of its own.

use crate::LIMIT;
use shakedown_chaos::proxy::server::Server;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The argument that makes this program a proxy server.
pub const SERVE: &str = "--serve-proxy-to";

/// Where a client connects.
pub trait Route {
    fn address(&self) -> SocketAddr;
}

impl Route for SocketAddr {
    fn address(&self) -> SocketAddr {
        *self
    }
}

/// Our proxy server, in this program started anew.
pub struct OurProxy {
    process: Child,
    api: SocketAddr,
    listen: SocketAddr,
}

/// What that process does: serves as `shakedown proxy` does, on the runtime that it has.
pub fn serve(upstream: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), 1).await.unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let proxies = format!(r#"[{{"name":"p","listen":"{listen}","upstream":"{upstream}"}}]"#);
        server.populate(proxies.as_bytes()).await.unwrap();
        println!("{} {listen}", server.address());
        server.serve(std::future::pending()).await.unwrap();
    });
}

impl OurProxy {
    pub fn to(upstream: SocketAddr) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([SERVE, &upstream.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (api, listen) = line.trim().split_once(' ').unwrap();
        Self { api: api.parse().unwrap(), listen: listen.parse().unwrap(), process }
    }

    /// Asks its API.
    pub fn api(&self, method: &str, path: &str, body: &str) {
        let mut stream = TcpStream::connect(self.api).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: p\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
    }
}

impl Route for OurProxy {
    fn address(&self) -> SocketAddr {
        self.listen
    }
}

impl Drop for OurProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// HAProxy in TCP mode.
pub struct HaProxy {
    process: Child,
    listen: SocketAddr,
    _folder: tempfile::TempDir,
}

impl HaProxy {
    /// Starts it, where it is installed.
    pub fn to(upstream: SocketAddr, splices: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let splice = if splices { "option splice-auto" } else { "" };
        let config = format!(
            "global\n maxconn 1000\ndefaults\n mode tcp\n {splice}\n timeout connect 5s\n timeout client 60s\n \
             timeout server 60s\nlisten p\n bind {listen}\n server s {upstream}\n"
        );
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-q").arg("-f").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().ok()?;
        let began = Instant::now();
        while TcpStream::connect(listen).is_err() {
            assert!(began.elapsed() < LIMIT, "haproxy does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { process, listen, _folder: folder })
    }
}

impl Route for HaProxy {
    fn address(&self) -> SocketAddr {
        self.listen
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
