use std::rc::Rc;

use http::header::{HOST, SERVER};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Response, StatusCode};
use tollgate_core::forward::{Outbound, UpstreamError};
use tollgate_edge::ports::{Upstream, UpstreamCall};
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

use crate::content::{WorkerContent, to_number};
use crate::task::settled;
use crate::{fields, platform};

/// `fetch`, or that of the binding of a certificate of the gateway (`mtls_certificates`). The platform manages the connections, so there is no connect timeout; it always verifies TLS.
///
/// The total timeout covers the time until the response's head. To abort content later, each response would have to be
/// piped through the Worker (50 % more work), and the client would get a response from workerd that looks complete.
#[derive(Clone, Debug)]
pub struct FetchUpstream(pub(crate) Rc<Env>);

impl Upstream for FetchUpstream {
    type Content = WorkerContent;

    async fn send(
        &self,
        request: &Outbound<'_>,
        content: WorkerContent,
        call: &UpstreamCall<'_>,
    ) -> Result<Response<WorkerContent>, UpstreamError> {
        let timeout_ms = call.timeout_ms.map(to_number);
        let certificate = call.certificate.map(|own| own.name.as_str());
        let mut head = head_start(request);
        let (received, (body, _)) = match content.request() {
            Some((received, hidden)) => {
                head.push_str(hidden);
                // `fetch` makes `Host` from the URL, whatever the fields say.
                fields::write_edits(&mut head, request.edits(), |name| name != HOST);
                (Some(received), content.into_edited())
            }
            None => {
                head.push_str(&fields::to_json(&request.sent().to_map()));
                (None, content.into_made())
            }
        };
        let answer = settled(platform::send(received, &head, body, timeout_ms, &self.0, certificate))
            .await
            .map_err(|error| kind_of(&platform::name_of(&error), &platform::message_of(&error)))?;
        response_of(answer)
    }
}

/// The lines of the method and the URL.
fn head_start(request: &Outbound<'_>) -> String {
    let target = request.target();
    let mut head = String::with_capacity(HEAD_BYTES_USUAL);
    let authority = target.authority().map_or("", Authority::as_str);
    let path = target.path_and_query().map_or("/", PathAndQuery::as_str);
    for part in [request.method().as_str(), "\n", target.scheme_str().unwrap_or("http"), "://", authority, path, "\n"] {
        head.push_str(part);
    }
    head
}

/// Capacity of a typical request's lines.
const HEAD_BYTES_USUAL: usize = 512;

fn response_of(answer: JsValue) -> Result<Response<WorkerContent>, UpstreamError> {
    let raw: web_sys::Response = answer.unchecked_into();
    let (status, fields, hidden) = head_of(&platform::response_head(&raw))?;
    let mut response = Response::new(WorkerContent::of_response(raw, status, hidden));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

/// Status and fields of an answer, unless it is an error page of the platform; and the edits that remove from a copy
/// what is not among the fields.
pub(super) fn head_of(head: &str) -> Result<(StatusCode, HeaderMap, String), UpstreamError> {
    let (status, lines) = head.split_once('\n').ok_or(UpstreamError::HttpProtocolError)?;
    // The platform passes on any number, and an informational response as if it were the final one.
    let status = StatusCode::from_bytes(status.as_bytes()).map_err(|_| UpstreamError::HttpResponseStatus)?;
    let (fields, hidden) = fields::parse(lines, |_, _| false);
    match error_in_place_of_response(status, &fields) {
        Some(error) => Err(error),
        None => Ok((status, fields, hidden)),
    }
}

/// Detects the error page of Cloudflare's edge for an upstream that it could not reach: in this case `fetch` does not
/// fail.
///
/// The statuses are Cloudflare's own (its documentation calls them 5xx errors of Cloudflare); a response of an upstream
/// with such a status has another `Server` field.
fn error_in_place_of_response(status: StatusCode, fields: &HeaderMap) -> Option<UpstreamError> {
    if fields.get(SERVER).is_none_or(|server| server != "cloudflare") {
        return None;
    }
    match status.as_u16() {
        520 => Some(UpstreamError::HttpProtocolError),
        521 => Some(UpstreamError::ConnectionRefused),
        522 => Some(UpstreamError::ConnectionTimeout),
        523 => Some(UpstreamError::DestinationUnavailable),
        524 => Some(UpstreamError::HttpResponseTimeout),
        525 => Some(UpstreamError::TlsProtocolError),
        526 => Some(UpstreamError::TlsCertificateError),
        530 => Some(UpstreamError::DnsError),
        _ => None,
    }
}

/// Distinguishes the failures of `fetch` as far as their names and messages allow.
///
/// A refused connection, a connection that is closed early and an unreachable address have the same message; an
/// unresolvable name, an untrusted certificate and an answer that is not HTTP are an `internal error` with a number.
pub(super) fn kind_of(name: &str, message: &str) -> UpstreamError {
    match name {
        "TimeoutError" => UpstreamError::HttpResponseTimeout,
        "QuotaExceededError" => UpstreamError::RequestContentTooLarge,
        "CertificateMissingError" => UpstreamError::OwnCertificateMissing,
        _ if message.contains("Network connection lost") => UpstreamError::ConnectionTerminated,
        _ if message.contains("Too many subrequests") => UpstreamError::ConnectionLimitReached,
        _ => UpstreamError::ProxyInternalError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_workerd_are_distinguished() {
        for (name, message, kind) in [
            ("TimeoutError", "The operation was aborted due to timeout", UpstreamError::HttpResponseTimeout),
            ("QuotaExceededError", "the content exceeded its limit", UpstreamError::RequestContentTooLarge),
            ("CertificateMissingError", "PETS is not bound", UpstreamError::OwnCertificateMissing),
            ("Error", "Network connection lost.", UpstreamError::ConnectionTerminated),
            ("Error", "Too many subrequests.", UpstreamError::ConnectionLimitReached),
            ("Error", "internal error; reference = 2a0p6e6knivffgqo3tv8ff3j", UpstreamError::ProxyInternalError),
            ("TypeError", "Fetch API cannot load: ftp://x/", UpstreamError::ProxyInternalError),
        ] {
            assert_eq!(kind_of(name, message), kind, "{name}: {message}");
        }
    }

    #[test]
    fn error_pages_of_cloudflare_are_errors_and_those_of_an_upstream_are_not() {
        let page = |status, server: &str| {
            let (fields, _) = fields::parse(&format!("server\n{server}\n"), |_, _| false);
            error_in_place_of_response(StatusCode::from_u16(status).unwrap(), &fields)
        };
        assert_eq!(page(526, "cloudflare"), Some(UpstreamError::TlsCertificateError));
        assert_eq!(page(530, "cloudflare"), Some(UpstreamError::DnsError));
        assert_eq!(page(502, "cloudflare"), None);
        assert_eq!(page(526, "nginx"), None);
        assert_eq!(error_in_place_of_response(StatusCode::from_u16(526).unwrap(), &HeaderMap::new()), None);
    }
}
