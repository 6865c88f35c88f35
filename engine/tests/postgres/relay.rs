//! A stand-in for servers that are not to be had: a relay before a real one that puts other bytes in the place of some of
//! its answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A port that leads to the server at `port`, whose answers have `instead` wherever they had `found`; both of one length.
pub fn answering(port: u16, found: Vec<u8>, instead: Vec<u8>) -> u16 {
    assert_eq!(found.len(), instead.len(), "messages of the protocol carry their length");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (up, down) = ((client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client));
            std::thread::spawn(move || relay(up, |_| ()));
            let (found, instead) = (found.clone(), instead.clone());
            std::thread::spawn(move || relay(down, |bytes| replace(bytes, &found, &instead)));
        }
    });
    ours
}

fn relay((mut from, mut to): (TcpStream, TcpStream), change: impl Fn(&mut [u8])) {
    let mut buffer = [0; 64 * 1024];
    // Either end may close at any time; the other is then told.
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        change(&mut buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn replace(bytes: &mut [u8], found: &[u8], instead: &[u8]) {
    let places = bytes.len().saturating_sub(found.len() - 1);
    for at in 0..places {
        if bytes[at..].starts_with(found) {
            bytes[at..at + found.len()].copy_from_slice(instead);
        }
    }
}
