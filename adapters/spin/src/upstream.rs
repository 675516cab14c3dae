//! Upstreams over Spin's outbound HTTP.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use futures_util::FutureExt;
use http::{Method, Response};
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, RequestOptions};
use tollgate_core::forward::{Outbound, UpstreamError};
use tollgate_edge::ports::{Content, Upstream, UpstreamCall};

use crate::clock::{NANOS_PER_MS, nanos};
use crate::content::{Deadline, Source, SpinContent};
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
        call: &UpstreamCall<'_>,
    ) -> Result<Response<SpinContent>, UpstreamError> {
        let (sending, is_empty) = (Rc::default(), content.is_empty());
        let timeout = call.timeout_ms.map(|ms| ms.saturating_mul(NANOS_PER_MS));
        let bounds = Bounds {
            connect: call.connect_timeout_ms.saturating_mul(NANOS_PER_MS),
            // Only the component knows for whom a request's content waits, so its own timer has to be the first.
            head: timeout.map(|timeout| if is_empty { timeout } else { timeout.saturating_add(HOST_LATER) }),
            ends: timeout.map(|timeout| nanos().saturating_add(timeout)),
        };
        // Boxed, because it is large.
        let exchange = Box::pin(exchange(request, content, bounds, &sending));
        let Some(ends) = bounds.ends else { return exchange.await };
        // A timer of the component is a call, an event and a cancellation; without content, the host's own is enough.
        let mut deadline = Deadline::at((!is_empty).then_some(ends));
        let response = match deadline.before(exchange).await {
            Some(response) => response?,
            None if sending.awaits_client.get() => return Err(UpstreamError::RequestContentTimeout),
            None => return Err(UpstreamError::HttpResponseTimeout),
        };
        Ok(response.map(|content| content.if_arrived().until(ends)))
    }
}

/// The bounds of a call, in nanoseconds.
#[derive(Clone, Copy)]
struct Bounds {
    connect: u64,
    /// From the beginning to the head of the response.
    head: Option<u64>,
    /// The instant of the monotonic clock at which everything ends.
    ends: Option<u64>,
}

impl Bounds {
    /// The bounds of a second attempt.
    fn again(self) -> Self {
        Self { head: self.ends.map(|ends| ends.saturating_sub(nanos()).max(1)), ..self }
    }
}

/// Sends the request, and once more if its connection was lost and that is safe: Spin reuses connections that the
/// upstream may have closed meanwhile.
async fn exchange(
    request: &Outbound<'_>,
    content: SpinContent,
    bounds: Bounds,
    sending: &Rc<Sending>,
) -> Result<Response<SpinContent>, UpstreamError> {
    let repeatable = request.is_repeatable() && content.is_empty();
    let response = match attempt(request, content, bounds, sending).await {
        Err(Failure::Call(code)) if repeatable && may_be_closed(&code) => {
            attempt(request, SpinContent::empty(), bounds.again(), sending).await
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
    bounds: Bounds,
    sending: &Rc<Sending>,
) -> Result<Response<SpinContent>, Failure> {
    let (sent, ending) = to_host_request(request, content, options(bounds), sending).map_err(Failure::Call)?;
    let mut call = pin!(client::send(sent));
    let answer = call.as_mut().now_or_never();
    // The host reads the end of the content by now, so that nobody has to wait for it to do so.
    drop(ending);
    let answer = match answer {
        Some(answer) => answer,
        None => call.await,
    };
    match answer {
        Ok(response) => {
            let mut response = from_host_response(response).map_err(|code| Failure::Final(error(&code)))?;
            if request.method() == Method::HEAD {
                response.body_mut().source = Source::Nothing;
            }
            Ok(response)
        }
        Err(code) => Err(sending.interrupted.get().map_or(Failure::Call(code), Failure::Final)),
    }
}

/// Whether the host may have used a connection that was closed. Spin reports it, as most errors after connecting, as a
/// protocol error.
const fn may_be_closed(code: &ErrorCode) -> bool {
    matches!(code, ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete | ErrorCode::HttpProtocolError)
}

const HOST_LATER: u64 = 1_000 * NANOS_PER_MS;

thread_local! {
    /// The options of the bounds that were used; few settings differ in them, and a copy is one call instead of three.
    static OPTIONS: RefCell<Vec<(Timeouts, RequestOptions)>> = const { RefCell::new(Vec::new()) };
}

/// Until there is a connection, and until there is the head of the response.
type Timeouts = (u64, Option<u64>);

/// More are not remembered.
const OPTIONS_MAX: usize = 16;

fn options(bounds: Bounds) -> RequestOptions {
    OPTIONS.with_borrow_mut(|known| {
        let timeouts = (bounds.connect, bounds.head);
        if let Some((_, options)) = known.iter().find(|(of, _)| *of == timeouts) {
            return options.clone();
        }
        let options = new_options(bounds);
        if known.len() < OPTIONS_MAX {
            known.push((timeouts, options.clone()));
        }
        options
    })
}

fn new_options(bounds: Bounds) -> RequestOptions {
    let options = RequestOptions::new();
    // If a host has no connect timeout, only the timeout of the whole exchange applies.
    let _ = options.set_connect_timeout(Some(bounds.connect));
    // On Spin it begins before the connection is made.
    let _ = options.set_first_byte_timeout(bounds.head);
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
        ErrorCode::TlsProtocolError => UpstreamError::TlsProtocolError,
        ErrorCode::TlsAlertReceived(_) => UpstreamError::TlsAlertReceived,
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
