use http::{Request, Response, StatusCode};
use tollgate_core::forward::UpstreamError;
use tollgate_edge::ports::{Upstream, UpstreamCall};
use wasm_bindgen::{JsCast, JsValue};

use crate::content::{WorkerContent, to_number};
use crate::{fields, platform};

/// `fetch`. The platform makes and keeps the connections, so there is no connect timeout; it verifies TLS always.
///
/// The total timeout holds until the response's head: once the reply is given, its content streams past the Worker, and
/// what would break it off (a timer, kept alive by `wait_until`) would hold memory for each response that streams.
#[derive(Clone, Copy, Debug)]
pub struct FetchUpstream;

impl Upstream for FetchUpstream {
    type Content = WorkerContent;

    async fn send(
        &self,
        request: Request<WorkerContent>,
        call: &UpstreamCall,
    ) -> Result<Response<WorkerContent>, UpstreamError> {
        let (head, content) = request.into_parts();
        let (body, carrier) = content.into_request_parts();
        let url = head.uri.to_string();
        let fields = fields::write(&head.headers);
        let timeout_ms = call.timeout_ms.map(to_number);
        let answer = platform::send(head.method.as_str(), &url, &fields, body, carrier, timeout_ms)
            .await
            .map_err(|error| kind_of(&platform::name_of(&error), &platform::message_of(&error)))?;
        response_of(&answer)
    }
}

fn response_of(answer: &JsValue) -> Result<Response<WorkerContent>, UpstreamError> {
    let raw: &web_sys::Response = answer.unchecked_ref();
    let mut response = Response::new(WorkerContent::of_response(raw));
    *response.status_mut() = StatusCode::from_u16(raw.status()).map_err(|_| UpstreamError::HttpProtocolError)?;
    *response.headers_mut() = fields::parse(&platform::response_fields(raw));
    Ok(response)
}

/// Tells the failures of `fetch` apart as far as their names and messages do.
///
/// A refused connection, one that closes early and an unreachable address are all the same sentence; a name that does
/// not resolve, a certificate that is not trusted and an answer that is not HTTP are an `internal error` with a number.
fn kind_of(name: &str, message: &str) -> UpstreamError {
    match name {
        "TimeoutError" => UpstreamError::HttpResponseTimeout,
        "QuotaExceededError" => UpstreamError::HttpRequestError,
        _ if message.contains("Network connection lost") => UpstreamError::ConnectionTerminated,
        _ if message.contains("Too many subrequests") => UpstreamError::ConnectionLimitReached,
        _ => UpstreamError::ProxyInternalError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_workerd_says_are_told_apart() {
        for (name, message, kind) in [
            ("TimeoutError", "The operation was aborted due to timeout", UpstreamError::HttpResponseTimeout),
            ("QuotaExceededError", "the content passed its limit", UpstreamError::HttpRequestError),
            ("Error", "Network connection lost.", UpstreamError::ConnectionTerminated),
            ("Error", "Too many subrequests.", UpstreamError::ConnectionLimitReached),
            ("Error", "internal error; reference = 2a0p6e6knivffgqo3tv8ff3j", UpstreamError::ProxyInternalError),
            ("TypeError", "Fetch API cannot load: ftp://x/", UpstreamError::ProxyInternalError),
        ] {
            assert_eq!(kind_of(name, message), kind, "{name}: {message}");
        }
    }
}
