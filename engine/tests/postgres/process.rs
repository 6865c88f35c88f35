//! Engines as processes of their own, to be killed and stopped, and a client with deadlines.

use crate::cluster::free_port;
use serde_json::{Value, json};
use shakedown_engine::postgres::Address;
use shakedown_engine::{NodeOptions, Options, StoreUrl, serve};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Tells a process of this test program that it is a node, and which.
const NODE: &str = "SHAKEDOWN_TEST_NODE";
/// Patience with everything that must happen.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A node in a process.
pub struct Node {
    pub port: u16,
    pub child: Child,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// The test program itself is the node's program; without the variable this is no test.
#[test]
fn a_node_in_a_process_of_its_own() {
    let Ok(spec) = std::env::var(NODE) else { return };
    let spec: Value = serde_json::from_str(&spec).unwrap();
    let port = spec["port"].as_u64().unwrap();
    let (name, store) = (spec["node"].as_str().unwrap(), spec["store"].as_str().unwrap());
    let node = NodeOptions { name: name.to_owned(), ..NodeOptions::default() };
    let listen = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
    let options = Options { listen, store: store.parse().unwrap(), retention: None, node };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let served = runtime.block_on(async {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        serve(options, async move {
            let _ = term.recv().await;
        })
        .await
    });
    if let Err(error) = served {
        eprintln!("the node ended: {error}");
        std::process::exit(1);
    }
}

impl Node {
    pub fn start(address: &Address, name: &str) -> Self {
        Self::start_at(address, name, free_port())
    }

    pub fn start_at(address: &Address, name: &str, port: u16) -> Self {
        // The URL shows no password, so it travels beside it.
        let store = StoreUrl::Postgres(Box::new(address.clone()))
            .to_string()
            .replace("postgres@", "postgres:s3cret@");
        let spec = json!({"port": port, "node": name, "store": store}).to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["process::a_node_in_a_process_of_its_own", "--exact", "--nocapture"]);
        command.env(NODE, spec).stdout(Stdio::null());
        Self { port, child: command.spawn().unwrap() }
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a process that this test started and has not waited for.
        assert_eq!(unsafe { libc::kill(i32::try_from(self.child.id()).unwrap(), signal) }, 0);
    }

    /// Stops it, and waits until no thread of it runs any more: the signal takes effect only when one is scheduled.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let threads = format!("/proc/{}/task", self.child.id());
        until("every thread is stopped", || {
            let mut states = std::fs::read_dir(&threads).unwrap().flatten().map(|thread| {
                let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
            });
            states.all(|stopped| stopped)
        });
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        ask(self.port, method, path, body, LIMIT)
    }

    /// An answer that must come, and be 200.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub fn health(&self) -> Value {
        let answer = self.ask("GET", "/health", "").ok();
        answer.and_then(|answer| serde_json::from_str(&answer.body).ok()).unwrap_or_default()
    }

    /// Waits until it says that it is healthy in a role.
    pub fn until(&self, role: &str) {
        until(&format!("the node at {} is a {role}", self.port), || {
            let health = self.health();
            health["healthy"] == true && health["role"] == role
        });
    }

    /// A figure of `/metrics`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.ask("GET", "/metrics", "").unwrap().body;
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub fn define(&self) {
        let def = json!({"name": "w", "tasks": [{"name": "a", "taskReferenceName": "t1"}]}).to_string();
        let answer = self.ask("POST", "/api/metadata/workflow", &def).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    pub fn start_workflow(&self, correlation: &str) -> std::io::Result<Answer> {
        let body = json!({"name": "w", "correlationId": correlation}).to_string();
        self.ask("POST", "/api/workflow", &body)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::yield_now();
    }
}

/// One request over a connection of its own.
pub fn ask(port: u16, method: &str, path: &str, body: &str, limit: Duration) -> std::io::Result<Answer> {
    receive(send(port, method, path, "", body, limit)?)
}

/// Sends a request, and leaves the answer for later; the connection is closed after it unless `headers` say otherwise.
pub fn send(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
    limit: Duration,
) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(limit))?;
    let close = if headers.contains("Connection:") { "" } else { "Connection: close\r\n" };
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: t\r\n{close}{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes())?;
    Ok(stream)
}

pub fn receive(mut stream: TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let cut = || std::io::Error::other(format!("the answer was cut off: {text}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { joined(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_ascii_lowercase(), body })
}

/// A body that came in chunks.
fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 {
            break;
        }
        whole.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    whole
}
