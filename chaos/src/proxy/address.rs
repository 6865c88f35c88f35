//! Addresses as Go writes them, and the system's errors in its words: clients show them, and some compare them.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Why an address can't be listened on, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

/// Resolves what a proxy is to listen on; an empty host is every interface, an empty address any port there.
///
/// # Errors
/// No port, no number, or a host that isn't known.
pub async fn resolve(listen: &str) -> Result<SocketAddr, Refused> {
    let listen = if listen.is_empty() { ":0" } else { listen };
    let Some((host, port)) = listen.rsplit_once(':') else {
        return Err(Refused(format!("address {listen}: missing port in address")));
    };
    let port: u16 = match port {
        "" => 0,
        port => port.parse().map_err(|_| Refused(format!("address {port}: invalid port")))?,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found = tokio::net::lookup_host((host, port)).await;
    let mut found: Vec<_> = found.map_err(|_| Refused(format!("lookup {host}: no such host")))?.collect();
    // Go listens on the IPv4 address of a name that has both.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| Refused(format!("lookup {host}: no such host")))
}

/// True when both mean the same place to listen: all wildcards are one.
#[must_use]
pub fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || (one.ip().is_unspecified() && other.ip().is_unspecified());
    same_ip && one.port() == other.port() && one.port() != 0
}

/// What the system said, as Go says it: `address already in use`.
#[must_use]
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_read_as_go_does() {
        assert_eq!(resolve("127.0.0.1:80").await.unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(resolve("").await.unwrap().to_string(), "[::]:0");
        assert_eq!(resolve(":5").await.unwrap().to_string(), "[::]:5");
        assert_eq!(resolve("[::1]:5").await.unwrap().to_string(), "[::1]:5");
        assert_eq!(resolve("localhost:7").await.unwrap().to_string(), "127.0.0.1:7");
        assert_eq!(resolve("bogus").await.unwrap_err().0, "address bogus: missing port in address");
        assert!(resolve("127.0.0.1:http").await.is_err());
    }

    #[test]
    fn the_system_speaks_like_go() {
        let error = io::Error::from_raw_os_error(libc::EADDRINUSE);
        assert_eq!(system_text(&error), "address already in use");
    }

    #[test]
    fn wildcards_are_one_place() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(is_same(at("[::]:5"), at("0.0.0.0:5")));
        assert!(!is_same(at("[::]:5"), at("127.0.0.1:5")) && !is_same(at("[::]:0"), at("[::]:0")));
    }
}
