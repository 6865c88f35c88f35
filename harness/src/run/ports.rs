//! Ports for nodes that come and go: kept for them while they are away, so that nobody else's connection gets one.

use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// A port of 127.0.0.1 that is a node's for as long as this lives. While the node is away, connects are refused.
#[derive(Debug)]
pub struct Reserved {
    /// Bound and never listening: a node that allows its address to be reused, as servers do, can listen there beside it,
    /// and the kernel gives the port to no outgoing connection.
    _socket: Socket,
    /// Where the node listens.
    pub address: SocketAddr,
}

impl Reserved {
    /// A port that is free now.
    ///
    /// # Errors
    /// There is none.
    pub fn new() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { _socket: socket, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_port_is_refused_while_its_node_is_away_and_the_nodes_when_it_comes() {
        let port = Reserved::new().unwrap();
        for _ in 0..3 {
            let refused = TcpStream::connect(port.address).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let listener = TcpListener::bind(port.address).unwrap();
            TcpStream::connect(port.address).unwrap();
            drop(listener);
        }
        assert_ne!(Reserved::new().unwrap().address, port.address);
    }
}
