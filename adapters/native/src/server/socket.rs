//! What the system says about a client's socket.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A client's stream over TCP, with TLS or without.
pub(crate) trait OverTcp {
    /// The connection.
    fn tcp(&self) -> &TcpStream;
}

impl OverTcp for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl OverTcp for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// How many bytes the peer has not acknowledged yet, where the system tells it.
#[cfg(target_os = "linux")]
pub(super) fn unacknowledged(socket: &TcpStream) -> Option<i32> {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    #[expect(unsafe_code, reason = "no safe interface of this request exists")]
    // SAFETY: the descriptor is open while the stream is borrowed, and the request writes one `int` (tcp(7), `SIOCOUTQ`).
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    (result == 0).then_some(bytes)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn unacknowledged(_: &TcpStream) -> Option<i32> {
    None
}

/// Makes the drop of the stream a reset, so that the peer does not take what it has received for complete.
pub(super) fn reset_on_drop(socket: &TcpStream) {
    // If it fails, the connection is closed in order, and the peer is told less.
    let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_peer_does_not_take_is_unacknowledged() {
        let (mut client, server) = pair().await;
        assert_eq!(unacknowledged(&server), Some(0));
        while server.try_write(&[0; 64 * 1024]).is_ok() {}
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let before = unacknowledged(&server).unwrap();
        assert!(before > 0);
        let mut taken = vec![0; before as usize / 2];
        client.read_exact(&mut taken).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(unacknowledged(&server).unwrap() < before);
    }

    #[tokio::test]
    async fn a_reset_reaches_the_peer_after_the_bytes() {
        let (mut client, mut server) = pair().await;
        server.write_all(b"half").await.unwrap();
        client.readable().await.unwrap();
        reset_on_drop(&server);
        drop(server);
        let mut received = Vec::new();
        let ended = client.read_to_end(&mut received).await;
        assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
}
