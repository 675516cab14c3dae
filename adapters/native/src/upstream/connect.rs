//! Opening a connection: name, TCP, TLS, HTTP.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tollgate_core::fetch::AddressRule;
use tollgate_core::forward::UpstreamError;

use super::certificates::Tls;
use super::error;
use super::pool::{Exclusive, Lease, OpenConnection, Origin, Pool, Sender};
use super::stream::UpstreamStream;
use crate::content::Outgoing;
use crate::local::LocalExecutor;

/// A new connection for one request.
pub(super) async fn connect(
    pool: &Rc<Pool>,
    tls: &Tls,
    origin: &Origin,
    timeout: Duration,
) -> Result<(Sender, Lease), UpstreamError> {
    let stage = Cell::new(Stage::Name);
    let open = pool.open_one()?;
    let connecting = async {
        let addresses = resolve(origin, pool.addresses).await?;
        stage.set(Stage::Connection);
        let stream = connect_any(&addresses, timeout).await?;
        if origin.https {
            let name =
                ServerName::try_from(origin.host().to_owned()).map_err(|_| UpstreamError::TlsCertificateError)?;
            let stream = TlsConnector::from(Arc::clone(&tls.config))
                .connect(name, stream)
                .await
                .map_err(|e| error::of_tls(&e))?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            handshake(pool, origin, stream, is_http2, open).await
        } else {
            handshake(pool, origin, stream, false, open).await
        }
    };
    match tokio::time::timeout(timeout, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(match stage.get() {
            Stage::Name => UpstreamError::DnsTimeout,
            Stage::Connection => UpstreamError::ConnectionTimeout,
        }),
    }
}

#[derive(Clone, Copy)]
enum Stage {
    Name,
    Connection,
}

/// The addresses to connect to. The rule is checked here and not earlier, because a name may resolve to other addresses
/// each time.
async fn resolve(origin: &Origin, rule: AddressRule) -> Result<Vec<SocketAddr>, UpstreamError> {
    let (host, port) = (origin.host(), origin.port());
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((host, port)).await.map_err(|_| UpstreamError::DnsError)?.collect(),
    };
    if found.is_empty() {
        return Err(UpstreamError::DnsError);
    }
    let allowed: Vec<SocketAddr> =
        found.into_iter().filter(|address| rule.allows(address.ip())).take(ADDRESSES_MAX).collect();
    if allowed.is_empty() { Err(UpstreamError::DestinationIpProhibited) } else { Ok(allowed) }
}

/// Tries the addresses in turn, each with its share of the timeout.
async fn connect_any(addresses: &[SocketAddr], timeout: Duration) -> Result<TcpStream, UpstreamError> {
    let share = timeout / u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut last = UpstreamError::DestinationUnavailable;
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // If it cannot be set, small requests may wait for an acknowledgement, which is only slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(reason)) => last = error::of_connect(&reason),
            Err(_) => last = UpstreamError::ConnectionTimeout,
        }
    }
    Err(last)
}

async fn handshake<S>(
    pool: &Rc<Pool>,
    origin: &Origin,
    stream: S,
    is_http2: bool,
    open: OpenConnection,
) -> Result<(Sender, Lease), UpstreamError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    if is_http2 {
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .max_header_list_size(RESPONSE_HEAD_BYTES_MAX as u32)
            .timer(TokioTimer::new())
            .keep_alive_interval(pool.pings.interval)
            .keep_alive_timeout(pool.pings.timeout)
            .handshake::<_, Outgoing>(TokioIo::new(stream))
            .await
            .map_err(|e| error::of_request(&e))?;
        drive(connection, open);
        return Ok(pool.share(origin, sender));
    }
    let (stream, cut) = UpstreamStream::new(stream);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(RESPONSE_HEAD_BYTES_MAX)
        .handshake::<_, Outgoing>(TokioIo::new(stream))
        .await
        .map_err(|e| error::of_request(&e))?;
    drive(connection, open);
    sender.ready().await.map_err(|e| error::of_request(&e))?;
    Ok((Sender::Http1(Exclusive { sender, cut }), pool.exclusive_lease(origin)))
}

/// Runs the connection in its own task until it closes; the affected exchange gets its errors.
fn drive(connection: impl Future<Output = hyper::Result<()>> + 'static, open: OpenConnection) {
    tokio::task::spawn_local(async move {
        let _ = connection.await;
        drop(open);
    });
}

/// Maximum number of addresses tried for one name; with more, the share of the timeout would be too short.
const ADDRESSES_MAX: usize = 4;

/// The size of a response's head, and of the read-ahead for a slow client: hyper's default is 400 KiB. Twice what the
/// pipeline accepts, so that it is the pipeline that says why a larger one is refused.
const RESPONSE_HEAD_BYTES_MAX: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_with_an_internal_address_is_refused_if_only_public_ones_are_allowed() {
        for url in ["http://localhost:9/", "http://127.0.0.1:9/", "http://[::1]:9/"] {
            let origin = Origin::of(&url.parse().unwrap(), 0).unwrap();
            let refused = resolve(&origin, AddressRule::Public).await;
            assert_eq!(refused, Err(UpstreamError::DestinationIpProhibited), "{url}");
            assert!(resolve(&origin, AddressRule::Any).await.is_ok(), "{url}");
        }
    }
}
