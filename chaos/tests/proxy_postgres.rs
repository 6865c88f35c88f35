//! A connection cut exactly at the answer to a commit: the server has committed, and the client never hears of it.

use crate::peers::{Api, is_reset};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
}

fn read_message(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

/// As much of a PostgreSQL server as simple queries need; counts the commits that it has made.
fn server() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let commits = Arc::new(AtomicU64::new(0));
    let made = Arc::clone(&commits);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let made = Arc::clone(&made);
            std::thread::spawn(move || drop(converse(stream, &made)));
        }
    });
    (address, commits)
}

fn converse(mut stream: TcpStream, commits: &AtomicU64) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 8])?;
    stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat())?;
    let mut status = b"I";
    loop {
        let (_, sql) = read_message(&mut stream)?;
        let rows = match &sql[..sql.len() - 1] {
            b"begin" => {
                status = b"T";
                Vec::new()
            }
            b"commit" => {
                status = b"I";
                commits.fetch_add(1, Ordering::SeqCst);
                Vec::new()
            }
            _ => message(b'D', &[b'Z'; 3000]),
        };
        stream.write_all(&[rows, message(b'C', b"DONE\0"), message(b'Z', status)].concat())?;
    }
}

struct Client(TcpStream);

impl Client {
    fn connect(listen: &str) -> Self {
        let mut stream = TcpStream::connect(listen).unwrap();
        stream.write_all(&[8_u32.to_be_bytes(), (3_u32 << 16).to_be_bytes()].concat()).unwrap();
        let mut client = Self(stream);
        client.answer().unwrap();
        client
    }

    /// Messages up to ReadyForQuery.
    fn answer(&mut self) -> std::io::Result<usize> {
        let mut count = 1;
        while read_message(&mut self.0)?.0 != b'Z' {
            count += 1;
        }
        Ok(count)
    }

    fn ask(&mut self, sql: &str) -> std::io::Result<usize> {
        self.0.write_all(&message(b'Q', format!("{sql}\0").as_bytes()))?;
        self.answer()
    }

    fn write_once(&mut self) -> std::io::Result<()> {
        for sql in ["begin", "select 1", "insert into t values (1)", "commit"] {
            self.ask(sql)?;
        }
        Ok(())
    }
}

fn proxy(api: &Api, upstream: SocketAddr, toxics: &str) -> String {
    let body = format!(
        r#"{{"name":"db","listen":"127.0.0.1:0","upstream":"{upstream}","protocol":"postgres","toxics":[{toxics}]}}"#
    );
    api.ok("POST", "/x/proxies", &body)["listen"].as_str().unwrap().to_owned()
}

#[test]
fn the_commit_has_happened_and_its_answer_never_comes() {
    let (upstream, commits) = server();
    let api = Api::start();
    let listen = proxy(&api, upstream, "");
    let (mut one, mut other) = (Client::connect(&listen), Client::connect(&listen));
    one.write_once().unwrap();
    // Set on connections that are open; the second commit from now on, whichever connection makes it.
    let cut = r#"{"type":"cut_at_answer","name":"cut","attributes":{"nth":2}}"#;
    api.ok("POST", "/x/proxies/db/toxics", cut);
    other.write_once().unwrap();
    let error = one.write_once().unwrap_err();
    assert!(is_reset(&error), "{error}");
    assert_eq!(commits.load(Ordering::SeqCst), 3, "all three were made");
    other.write_once().unwrap();
    Client::connect(&listen).write_once().unwrap();
    let seen = api.ok("GET", "/x/proxies/db", "");
    assert_eq!(seen["answers"]["commits"], 5, "{seen}");
    assert_eq!(seen["toxics"][0]["since_set"]["ended_connections"], 1, "{seen}");
}

#[test]
fn each_connection_can_have_its_own_end_and_hear_of_it() {
    let (upstream, commits) = server();
    let api = Api::start();
    let toxic =
        r#"{"type":"cut_at_answer","attributes":{"each_connection":true,"deliver":true,"reset":false}}"#;
    let listen = proxy(&api, upstream, toxic);
    for _ in 0..3 {
        let mut client = Client::connect(&listen);
        client.write_once().unwrap();
        assert!(client.ask("select 1").is_err(), "closed after the answer");
    }
    assert_eq!(commits.load(Ordering::SeqCst), 3);
}

#[test]
fn what_only_reads_is_never_cut() {
    let (upstream, _) = server();
    let api = Api::start();
    let listen = proxy(&api, upstream, r#"{"type":"cut_at_answer","attributes":{"commits_only":false}}"#);
    let mut client = Client::connect(&listen);
    for _ in 0..100 {
        assert_eq!(client.ask("select 'insert'").unwrap(), 3);
    }
    assert!(client.ask("  update t set a = 1").is_err());
}
