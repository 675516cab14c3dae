//! Upstreams over Spin's outbound HTTP.

use std::rc::Rc;

use futures_util::future::{Either, select};
use http::Response;
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use tollgate_core::forward::{Outbound, UpstreamError};
use tollgate_edge::ports::{Content, Upstream, UpstreamCall};

use crate::content::SpinContent;
use crate::message::{Sending, from_host_response, to_host_request};

/// Outbound HTTP, restricted by `allowed_outbound_hosts` in spin.toml.
///
/// The field `Host` is always the authority of the URI: the interface supports no other.
pub struct SpinUpstream;

impl Upstream for SpinUpstream {
    type Content = SpinContent;

    async fn send(
        &self,
        request: &Outbound<'_>,
        content: SpinContent,
        call: &UpstreamCall,
    ) -> Result<Response<SpinContent>, UpstreamError> {
        // Boxed, because it is large.
        let sending = Rc::default();
        let exchange = Box::pin(exchange(request, content, call, &sending));
        let Some(ms) = call.timeout_ms else { return exchange.await };
        let ends = monotonic_clock::now().saturating_add(ms.saturating_mul(NANOS_PER_MS));
        let end = Box::pin(monotonic_clock::wait_until(ends));
        match select(exchange, end).await {
            Either::Left((response, end)) => {
                let until = |content: SpinContent| SpinContent { ends: Some(ends), ..content.until(end) };
                response.map(|response| response.map(until))
            }
            Either::Right(((), _)) if sending.awaits_client.get() => Err(UpstreamError::RequestContentTimeout),
            Either::Right(((), _)) => Err(UpstreamError::HttpResponseTimeout),
        }
    }
}

/// Sends the request, and once more if its connection was lost and that is safe: Spin reuses connections that the
/// upstream may have closed meanwhile.
async fn exchange(
    request: &Outbound<'_>,
    content: SpinContent,
    call: &UpstreamCall,
    sending: &Rc<Sending>,
) -> Result<Response<SpinContent>, UpstreamError> {
    let repeatable = request.is_repeatable() && content.is_empty();
    let response = match attempt(request, content, call, sending).await {
        Err(Failure::Call(code)) if repeatable && may_be_closed(&code) => {
            attempt(request, SpinContent::empty(), call, sending).await
        }
        response => response,
    };
    response.map_err(|failure| match failure {
        Failure::Final(reason) => reason,
        Failure::Call(code) => error(&code),
    })
}

/// Why there is no response.
enum Failure {
    /// The connection is not the reason.
    Final(UpstreamError),
    Call(ErrorCode),
}

async fn attempt(
    request: &Outbound<'_>,
    content: SpinContent,
    call: &UpstreamCall,
    sending: &Rc<Sending>,
) -> Result<Response<SpinContent>, Failure> {
    let sent = to_host_request(request, content, options(call), sending).map_err(Failure::Call)?;
    match client::send(sent).await {
        Ok(response) => from_host_response(response).map_err(|code| Failure::Final(error(&code))),
        Err(code) => Err(sending.interrupted.get().map_or(Failure::Call(code), Failure::Final)),
    }
}

/// Whether the host may have used a connection that was closed. Spin reports it, as most errors after connecting, as a
/// protocol error.
const fn may_be_closed(code: &ErrorCode) -> bool {
    matches!(code, ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete | ErrorCode::HttpProtocolError)
}

pub(crate) const NANOS_PER_MS: u64 = 1_000_000;

fn options(call: &UpstreamCall) -> RequestOptions {
    let options = RequestOptions::new();
    let connect = call.connect_timeout_ms.saturating_mul(NANOS_PER_MS);
    // If a host has no connect timeout, only the timeout of the whole exchange applies, which the component enforces.
    let _ = options.set_connect_timeout(Some(connect));
    options
}

/// The RFC 9209 error type of the host's error.
///
/// Spin 4 itself distinguishes only a few errors: name, refused connection, TLS, two timeouts; all others are a
/// protocol error.
fn error(code: &ErrorCode) -> UpstreamError {
    match code {
        ErrorCode::DnsTimeout => UpstreamError::DnsTimeout,
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => UpstreamError::DnsError,
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => UpstreamError::DestinationUnavailable,
        ErrorCode::DestinationIpProhibited | ErrorCode::HttpRequestDenied => UpstreamError::DestinationIpProhibited,
        ErrorCode::ConnectionRefused => UpstreamError::ConnectionRefused,
        ErrorCode::ConnectionTerminated => UpstreamError::ConnectionTerminated,
        ErrorCode::ConnectionTimeout => UpstreamError::ConnectionTimeout,
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout | ErrorCode::HttpResponseTimeout => {
            UpstreamError::HttpResponseTimeout
        }
        ErrorCode::ConnectionLimitReached => UpstreamError::ConnectionLimitReached,
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => UpstreamError::TlsProtocolError,
        ErrorCode::TlsCertificateError => UpstreamError::TlsCertificateError,
        ErrorCode::HttpResponseIncomplete => UpstreamError::HttpResponseIncomplete,
        ErrorCode::HttpResponseHeaderSectionSize(_) | ErrorCode::HttpResponseHeaderSize(_) => {
            UpstreamError::HttpResponseHeaderSectionSize
        }
        ErrorCode::HttpResponseTransferCoding(_) => UpstreamError::HttpResponseTransferCoding,
        ErrorCode::HttpProtocolError
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseTrailerSectionSize(_)
        | ErrorCode::HttpResponseTrailerSize(_)
        | ErrorCode::HttpResponseContentCoding(_) => UpstreamError::HttpProtocolError,
        _ => UpstreamError::ProxyInternalError,
    }
}
