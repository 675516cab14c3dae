//! Upstreams over Spin's outbound HTTP.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use http::Response;
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use tollgate_core::forward::{Outbound, UpstreamError};
use tollgate_edge::ports::{Upstream, UpstreamCall};

use crate::content::{Interrupted, SpinContent};
use crate::message::{from_host_response, to_host_request};

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
        let exceeded_limit = Rc::new(Cell::new(false));
        let exceeded = Rc::clone(&exceeded_limit);
        let on_interrupted = move |reason: &Interrupted| exceeded.set(matches!(reason, Interrupted::AtLimit));
        let request = to_host_request(request, content, options(call), on_interrupted).map_err(|code| error(&code))?;
        let answer = |answer: Result<_, ErrorCode>| {
            answer.and_then(from_host_response).map_err(|code| {
                if exceeded_limit.get() {
                    return UpstreamError::RequestContentTooLarge;
                }
                error(&code)
            })
        };
        let sending = Box::pin(client::send(request));
        let Some(ms) = call.timeout_ms else {
            return answer(sending.await);
        };
        let end = Box::pin(monotonic_clock::wait_for(ms.saturating_mul(NANOS_PER_MS)));
        match select(sending, end).await {
            Either::Left((response, end)) => {
                answer(response).map(|response| response.map(|content| content.until(end)))
            }
            Either::Right(((), _)) => Err(UpstreamError::HttpResponseTimeout),
        }
    }
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
