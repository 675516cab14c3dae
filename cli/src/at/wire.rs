//! One request and its answer, over HTTP/1.1, with TLS where the URL says so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Call, Gateway};
use crate::failure::Failure;

/// Sends a call and reads the whole answer.
pub(super) fn send(
    gateway: &Gateway<'_>,
    method: &Method,
    path: &str,
    call: &Call<'_>,
) -> Result<(StatusCode, Bytes), Failure> {
    let request = request(gateway, method, path, call)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::problem(format!("the system gives no event queue: {error}")))?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, connect(gateway, request)).await });
    let name = gateway.name();
    answer.map_err(|_| Failure::problem(format!("{name} did not answer within {} s", PATIENCE.as_secs())))?
}

fn request(
    gateway: &Gateway<'_>,
    method: &Method,
    path: &str,
    call: &Call<'_>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let authority = gateway.at.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority)
        .header(ACCEPT, call.accept)
        .header(USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    if call.content.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(token) = &gateway.token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(Failure::usage)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Full::from(call.content.clone().unwrap_or_default())).map_err(Failure::usage)
}

async fn connect(gateway: &Gateway<'_>, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
    let unreachable = |error: &dyn std::fmt::Display| unreachable(gateway, error);
    let is_https = gateway.at.scheme_str() == Some("https");
    let host = gateway.at.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = gateway.at.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| unreachable(&error))?;
    if !is_https {
        return exchange(gateway, stream, request).await;
    }
    let config =
        tollgate_native::client_config(gateway.ca.map(std::path::PathBuf::as_path)).map_err(Failure::problem)?;
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host).map_err(|error| unreachable(&error))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    exchange(gateway, connected.map_err(|error| unreachable(&error))?, request).await
}

async fn exchange<S>(
    gateway: &Gateway<'_>,
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let unreachable = |error: &dyn std::fmt::Display| unreachable(gateway, error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let content = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok((status, content.map_err(|error| unreachable(&error))?.to_bytes()))
}

fn unreachable(gateway: &Gateway<'_>, error: &dyn std::fmt::Display) -> Failure {
    let hint = if gateway.is_named { "" } else { "; name another one with --at" };
    Failure::problem(format!("no gateway answers at {} ({error}){hint}", gateway.name()))
}

/// A purge is written twice, and again where a store takes one write a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Metrics of as many series as a gateway keeps take a few megabytes.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
