//! `shakedown proxy` as a process: ready when it says so, with the proxies of its file, ended in order by a signal, and
//! clear about what it can't use.

use crate::program;
use crate::program::{Running, shakedown};
use crate::wire::Wire;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

fn proxy(folder: &Path, more: &[&str]) -> (Running, SocketAddr) {
    let mut running = Running::start(folder, &[&["proxy", "--listen", "127.0.0.1:0"], more].concat());
    let line = running.first_line();
    let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("not ready: {line:?}"));
    (running, address.parse().unwrap())
}

#[test]
fn the_proxies_of_a_file_work_with_their_toxics_until_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = program::server("hello");
    let proxies = json!([{
        "name": "p",
        "listen": "127.0.0.1:0",
        "upstream": upstream.to_string(),
        "toxics": [{"type": "limit_data", "attributes": {"bytes": 4}}],
    }]);
    std::fs::write(folder.path().join("proxies.json"), proxies.to_string()).unwrap();
    let (running, address) = proxy(folder.path(), &["--config", "proxies.json", "--seed", "7"]);
    let mut wire = Wire::to(address);
    let (status, body) = wire.ask("GET", "/x", &Value::Null).unwrap();
    assert_eq!((status, body.contains(r#""seed":7"#)), (200, true), "{body}");
    let (_, body) = wire.ask("GET", "/proxies/p", &Value::Null).unwrap();
    let listen = serde_json::from_str::<Value>(&body).unwrap()["listen"].as_str().unwrap().to_owned();
    let mut client = TcpStream::connect(&listen).unwrap();
    client.write_all(b"ask").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hell");
    let mut open = TcpStream::connect(&listen).unwrap();
    running.signal(libc::SIGTERM);
    running.end().expect(0, &["stopping"]);
    assert_eq!(open.read(&mut [0]).unwrap_or(0), 0, "its connections end with it");
    assert!(TcpStream::connect(&listen).is_err());
}

#[test]
fn what_it_cannot_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    shakedown(folder.path(), &["proxy", "--listen", &address])
        .expect(5, &[&address, "choose another --listen"]);
    let with = |text: &str| {
        std::fs::write(folder.path().join("p.json"), text).unwrap();
        shakedown(folder.path(), &["proxy", "--listen", "127.0.0.1:0", "--config", "p.json"])
    };
    let missing = shakedown(folder.path(), &["proxy", "--listen", "127.0.0.1:0", "--config", "nothing.json"]);
    missing.expect(4, &["--config nothing.json"]);
    with("[{").expect(4, &["--config p.json", "bad request body"]);
    with(r#"[{"name":"a","upstream":"x:1"},{"name":"b"}]"#).expect(4, &["upstream at proxy 2"]);
    let toxic = r#"[{"name":"a","upstream":"x:1","toxics":[{"type":"bandwidth","attributes":{"rate":-1}}]}]"#;
    with(toxic).expect(4, &["attribute rate is negative"]);
    with(&format!(r#"[{{"name":"a","upstream":"x:1","listen":"{address}"}}]"#))
        .expect(4, &["address already in use"]);
}
