//! Ports of databases: each is claimed among all pairs of the machine, also while nobody listens on it.

use super::DatabaseError;
use crate::clock;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Ports that are looked at: below those that the kernel gives to clients, which could take it while we are down.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A port that nobody listens on, begun to be looked for where others hardly do; and our claim to it.
///
/// # Errors
/// There is none.
pub fn free() -> Result<(u16, UnixListener), DatabaseError> {
    let count = u64::from(PORTS.end - PORTS.start);
    let first = (clock::now_ns() / 1_000) % count;
    let ports =
        (0..count).filter_map(|step| u16::try_from(u64::from(PORTS.start) + (first + step) % count).ok());
    let claimed = ports.filter_map(|port| Some((port, claim(port)?)));
    let mut free = claimed.filter(|(port, _)| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().ok_or_else(|| DatabaseError::State(format!("every port of loopback in {PORTS:?} is taken")))
}

/// Claims a port among all pairs of the machine, though nobody listens on it while its database is made, or away. The
/// claim is a name of the kernel's (an abstract socket), which is free when we are gone; `None`: another pair has it.
fn claim(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("shakedown-database-{port}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_claimed_once() {
        let (port, claimed) = free().unwrap();
        assert!(claim(port).is_none(), "another pair has it");
        drop(claimed);
        assert!(claim(port).is_some());
    }
}
