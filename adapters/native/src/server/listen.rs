//! Listening sockets: one for each isolate at each address, so that the kernel distributes connections over the
//! isolates.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Why the server cannot listen at an address.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another program already listens there.
    #[error("port {} on {} is in use by another program; choose another with --port", .0.port(), .0.ip())]
    Taken(SocketAddr),
    /// The system does not allow this program to listen there.
    #[error("port {} on {} cannot be used by this program: ports below 1024 often need additional permissions; choose another with --port", .0.port(), .0.ip())]
    NotAllowed(SocketAddr),
    /// The machine has no such address.
    #[error("this machine does not have the address {}; choose another one", .0.ip())]
    NoSuchAddress(SocketAddr),
    /// Another reason.
    #[error("cannot listen on {address}: {source}")]
    Failed {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

/// `count` listeners at one address; all have the port that the first one got.
pub(super) fn listen(address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, ListenError> {
    let explain = |source| explain(address, source);
    if address.port() != 0 {
        // A socket with a shared port would join another Tollgate server there instead of failing; this one does not
        // share its port.
        socket(address, false).map_err(explain)?;
    }
    let first = socket(address, true).map_err(explain)?;
    let bound = first.local_addr().map_err(explain)?;
    let rest = (1..count).map(|_| socket(bound, true).map_err(explain));
    std::iter::once(Ok(first)).chain(rest).collect()
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Accepted connections inherit it on Linux; on other systems it is set again for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn explain(address: SocketAddr, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(address),
        io::ErrorKind::PermissionDenied => ListenError::NotAllowed(address),
        io::ErrorKind::AddrNotAvailable => ListenError::NoSuchAddress(address),
        _ => ListenError::Failed { address, source },
    }
}

/// Connections that may wait to be accepted; the kernel reduces it to its own limit.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn all_listeners_share_the_port_the_first_one_got() {
        let listeners = listen(loopback(0), 3).unwrap();
        let ports: std::collections::HashSet<u16> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        assert_eq!((listeners.len(), ports.len()), (3, 1));
    }

    #[test]
    fn a_used_port_is_reported_even_if_its_owner_shares_it() {
        for shared in [true, false] {
            let holder = socket(loopback(0), shared).unwrap();
            let address = holder.local_addr().unwrap();
            let error = listen(address, 2).unwrap_err().to_string();
            let port = address.port();
            assert_eq!(
                error,
                format!("port {port} on 127.0.0.1 is in use by another program; choose another with --port")
            );
        }
    }

    #[test]
    fn a_port_is_free_again_as_soon_as_its_listeners_are_dropped() {
        let listeners = listen(loopback(0), 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        drop(listeners);
        listen(address, 2).unwrap();
    }
}
