//! Conversion of messages between the host's types and those of the `http` crate.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::stream::StreamExt;
use http::header::{CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields, Scheme};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use tollgate_core::forward::{
    Fields as Composed, Framing, Outbound, Reply, TrailerRules, UpstreamError, filter_trailers,
};
use tollgate_edge::Client;
use tollgate_edge::ports::Content;

use crate::clock::NANOS_PER_MS;
use crate::content::{Deadline, Interrupted, Raw, Source, SpinContent, Step, Steps, Watch};

type Trailers = Result<Option<types::Trailers>, ErrorCode>;

/// A request that cannot be converted, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// Converts the host's request, without the fields that Spin added, and returns Spin's information about the client.
///
/// Its version is not known, and is left at HTTP/1.1.
///
/// # Errors
/// If its method or target is invalid, which Spin's own server does not accept.
pub(crate) async fn from_host(request: types::Request) -> Result<(Request<SpinContent>, Client), Unreadable> {
    let mut fields = fields_of(&request.get_headers());
    let address = take_client_address(&mut fields);
    let method = method_of(&request.get_method())?;
    let uri = uri_of(&request)?;
    let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let declared = declared_content(&fields);
    let left = match declared {
        // Content without a length is rare in these; if it has not begun when it ends, there is none.
        None if method.is_safe() => Some(0),
        _ => length_without_trailers(&fields),
    };
    let came = || SpinContent::of_request(raw(left, |taken| types::Request::consume_body(request, taken)));
    let content = match declared {
        Some(false) => SpinContent::empty(),
        Some(true) => came(),
        None => came().begun(monotonic_clock::wait_for(BEGIN_MAX_MS * NANOS_PER_MS)).await,
    };
    let mut taken = Request::new(content);
    *taken.method_mut() = method;
    *taken.uri_mut() = uri;
    *taken.headers_mut() = fields;
    Ok((taken, Client { address, https, inside: false }))
}

/// How long the beginning of content is awaited that a request does not declare: much longer than a client takes that
/// sends it together with the head.
const BEGIN_MAX_MS: u64 = 1_000;

/// Converts the response. Its fields are written in one call: editing those that the host has takes a call for each edit.
pub fn to_host(mut reply: Reply<SpinContent>) -> types::Response {
    let length = length_to_declare(reply.fields(), reply.content());
    if let Some(length) = length {
        reply.edits_mut().set(CONTENT_LENGTH, length);
    }
    let status = reply.status();
    let announces_trailers = reply.fields().contains(TRAILER);
    let fields = host_fields(&host_lines(reply.fields()));
    let mut content = reply.into_content();
    if announces_trailers && matches!(content.source, Source::Raw(_)) {
        // The host passes its own stream on with all trailers, whatever the component says.
        content.source = Source::Steps(content.source.into_steps());
    }
    let (contents, trailers) = to_host_content(content, None, None);
    let (response, _sent) = types::Response::new(fields, contents, trailers);
    // The pipeline answers only with statuses that are valid for the host: 200 to 599.
    let _ = response.set_status_code(status.as_u16());
    response
}

/// The sending of a request's content to an upstream.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// Why it ended early.
    pub(crate) interrupted: Cell<Option<UpstreamError>>,
    /// Whether it waits for the client.
    pub(crate) awaits_client: Cell<bool>,
}

/// The end of a request without content, which it has when this is dropped.
type Ending = FutureWriter<Trailers>;

/// Converts the request to an upstream.
///
/// Its fields are written in one call, as those of a response.
pub(crate) fn to_host_request(
    request: &Outbound<'_>,
    content: SpinContent,
    options: types::RequestOptions,
    sending: &Rc<Sending>,
) -> Result<(types::Request, Option<Ending>), ErrorCode> {
    let mut lines = host_lines(request.sent());
    // The authority replaces `Host`, and the host refuses the field. `TE` must be named by `Connection` (RFC 9110, section
    // 10.1.4), which a component cannot set.
    lines.retain(|(name, _)| name != HOST.as_str() && name != TE.as_str());
    let length = if matches!(content.source, Source::Nothing) && may_be_chunked(request) {
        Some(HeaderValue::from_static("0"))
    } else {
        length_to_declare(request.sent(), &content)
    };
    lines.extend(length.map(|length| (CONTENT_LENGTH.as_str().to_owned(), length.as_bytes().to_vec())));
    if needs_coding(request, &content) {
        lines.push((TRANSFER_ENCODING.as_str().to_owned(), b"chunked".to_vec()));
    }
    let (method, uri) = (request.method(), request.target());
    let (contents, trailers, ending) = match content.source {
        Source::Nothing => {
            let (ending, trailers) = wit_future::new(|| Ok(None));
            (None, trailers, Some(ending))
        }
        _ => {
            let (contents, trailers) = to_host_content(content, request.trailer_rules(), Some(Rc::clone(sending)));
            (contents, trailers, None)
        }
    };
    let (request, _sent) = types::Request::new(host_fields(&lines), contents, trailers, Some(options));
    let invalid = |()| ErrorCode::HttpRequestUriInvalid;
    request.set_method(&host_method(method)).map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
    let scheme = uri.scheme().map(|scheme| match scheme.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    });
    request.set_scheme(scheme.as_ref()).map_err(invalid)?;
    let authority = uri.authority().map(http::uri::Authority::as_str);
    request.set_authority(authority).map_err(invalid)?;
    let target = uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    request.set_path_with_query(target).map_err(invalid)?;
    Ok((request, ending))
}

/// Converts an upstream's response, with streaming content.
///
/// # Errors
/// If its status is invalid.
pub fn from_host_response(response: types::Response) -> Result<Response<SpinContent>, ErrorCode> {
    let status = StatusCode::from_u16(response.get_status_code()).map_err(|_| ErrorCode::HttpProtocolError)?;
    let fields = fields_of(&response.get_headers());
    let left = length_without_trailers(&fields);
    let content = SpinContent::of(Source::Raw(raw(left, |taken| types::Response::consume_body(response, taken))));
    let mut taken = Response::new(content);
    *taken.status_mut() = status;
    *taken.headers_mut() = fields;
    Ok(taken)
}

/// The client's address is in the last field of this name; earlier ones were sent by the client.
const CLIENT_ADDRESS: &str = "spin-client-addr";
const SPIN_PREFIX: &str = "spin-";

fn take_client_address(fields: &mut HeaderMap) -> Option<IpAddr> {
    let last = fields.get_all(CLIENT_ADDRESS).iter().next_back();
    let address = last.and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<SocketAddr>().ok());
    let added: Vec<HeaderName> = fields.keys().filter(|name| name.as_str().starts_with(SPIN_PREFIX)).cloned().collect();
    for name in added {
        fields.remove(name);
    }
    address.map(|address| address.ip())
}

/// Whether a request declares content. An HTTP/1.1 request with content always does, an HTTP/2 request may not
/// (RFC 9113, section 8.1.1), and Spin does not provide the version.
fn declared_content(fields: &HeaderMap) -> Option<bool> {
    match Framing::of(fields) {
        Ok(Framing::Chunked) => Some(true),
        Ok(Framing::Length(bytes)) => Some(bytes > 0),
        Ok(Framing::Unstated) => None,
        // It will be refused.
        Err(_) => Some(false),
    }
}

/// The length that a message declares, if it announces no trailers.
fn length_without_trailers(fields: &HeaderMap) -> Option<u64> {
    match Framing::of(fields) {
        Ok(Framing::Length(bytes)) if !fields.contains_key(TRAILER) => Some(bytes),
        Ok(Framing::Length(_) | Framing::Chunked | Framing::Unstated) | Err(_) => None,
    }
}

/// Content in memory has a known length, which the host cannot see.
fn length_to_declare(fields: Composed<'_>, content: &SpinContent) -> Option<HeaderValue> {
    match &content.source {
        Source::Bytes(bytes) if !fields.contains(CONTENT_LENGTH) => Some(HeaderValue::from(bytes.len())),
        Source::Nothing | Source::Bytes(_) | Source::Raw(_) | Source::Steps(_) => None,
    }
}

/// The host would send such a request with empty chunked content instead of none.
fn may_be_chunked(request: &Outbound<'_>) -> bool {
    let has_no_length = !request.sent().contains(CONTENT_LENGTH);
    !matches!(*request.method(), Method::GET | Method::HEAD | Method::CONNECT) && has_no_length
}

/// Whether the host would drop the content because it does not expect any with this method.
fn needs_coding(request: &Outbound<'_>, content: &SpinContent) -> bool {
    let is_streamed = matches!(content.source, Source::Raw(_) | Source::Steps(_));
    is_streamed && matches!(*request.method(), Method::GET | Method::HEAD) && !request.sent().contains(CONTENT_LENGTH)
}

fn uri_of(request: &types::Request) -> Result<Uri, Unreadable> {
    let mut uri = Uri::builder();
    if let Some(scheme) = request.get_scheme() {
        uri = uri.scheme(match &scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Other(other) => other.as_str(),
        });
    }
    if let Some(authority) = request.get_authority() {
        uri = uri.authority(authority);
    }
    if let Some(target) = request.get_path_with_query() {
        uri = uri.path_and_query(target);
    }
    uri.build().map_err(|_| Unreadable("The request's target is not a URI."))
}

fn method_of(method: &types::Method) -> Result<Method, Unreadable> {
    Ok(match method {
        types::Method::Get => Method::GET,
        types::Method::Head => Method::HEAD,
        types::Method::Post => Method::POST,
        types::Method::Put => Method::PUT,
        types::Method::Delete => Method::DELETE,
        types::Method::Connect => Method::CONNECT,
        types::Method::Options => Method::OPTIONS,
        types::Method::Trace => Method::TRACE,
        types::Method::Patch => Method::PATCH,
        types::Method::Other(other) => {
            Method::from_bytes(other.as_bytes()).map_err(|_| Unreadable("The request's method is not a token."))?
        }
    })
}

fn host_method(method: &Method) -> types::Method {
    match method.as_str() {
        "GET" => types::Method::Get,
        "HEAD" => types::Method::Head,
        "POST" => types::Method::Post,
        "PUT" => types::Method::Put,
        "DELETE" => types::Method::Delete,
        "CONNECT" => types::Method::Connect,
        "OPTIONS" => types::Method::Options,
        "TRACE" => types::Method::Trace,
        "PATCH" => types::Method::Patch,
        other => types::Method::Other(other.to_owned()),
    }
}

pub(crate) fn fields_of(fields: &Fields) -> HeaderMap {
    let valid = |(name, value): (String, Vec<u8>)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).ok()?))
    };
    let mut map = HeaderMap::new();
    for (name, value) in fields.copy_all().into_iter().filter_map(valid) {
        map.append(name, value);
    }
    map
}

/// The trailers that may be forwarded; to an upstream, by the rules of the configuration.
pub(crate) fn forwarded_trailers(trailers: &Fields, rules: Option<&TrailerRules>) -> Fields {
    let mut fields = fields_of(trailers);
    filter_trailers(&mut fields, rules);
    host_fields(&host_lines((&fields).into()))
}

/// Field lines as the host takes them.
pub(crate) type Lines = Vec<(String, Vec<u8>)>;

pub(crate) fn host_lines(fields: Composed<'_>) -> Lines {
    fields.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// Converts the fields; a field that the host refuses is omitted, instead of the whole message.
pub(crate) fn host_fields(list: &Lines) -> Fields {
    Fields::from_list(list).unwrap_or_else(|_| {
        let fields = Fields::new();
        for (name, value) in list {
            let _ = fields.append(name, value);
        }
        fields
    })
}

fn raw(
    left: Option<u64>,
    consume: impl FnOnce(FutureReader<Result<(), ErrorCode>>) -> (StreamReader<u8>, FutureReader<Trailers>),
) -> Raw {
    let (taken, is_taken) = wit_future::new(|| Ok(()));
    let (stream, trailers) = consume(is_taken);
    Raw { stream, trailers, left, _taken: taken }
}

/// Converts content: the host's own stream is returned unchanged, other content is written as it is read. The rules are
/// those for the trailers that go to an upstream.
fn to_host_content(
    content: SpinContent,
    rules: Option<Arc<TrailerRules>>,
    sending: Option<Rc<Sending>>,
) -> (Option<StreamReader<u8>>, FutureReader<Trailers>) {
    let (ends, watch) = (content.ends, content.watch);
    let steps = match content.source {
        Source::Nothing => return (None, wit_future::new(|| Ok(None)).1),
        Source::Raw(raw) => return (Some(raw.stream), raw.trailers),
        Source::Bytes(bytes) => {
            let (writer, reader) = wit_stream::new();
            let (end, trailers) = wit_future::new(|| Ok(None));
            spawn(write_whole(bytes.into(), writer, end, watch));
            return (Some(reader), trailers);
        }
        Source::Steps(steps) => steps,
    };
    let (writer, reader) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Err(ErrorCode::InternalError(None)));
    let end = async move |ending: Trailers| {
        let forwarded = |trailers: Fields| forwarded_trailers(&trailers, rules.as_deref());
        let _ = end.write(ending.map(|trailers| trailers.map(forwarded))).await;
    };
    spawn(write(steps, Deadline::at(ends), writer, end, sending.unwrap_or_default()));
    (Some(reader), trailers)
}

/// The end is written after the content, when the host reads it, so that nobody has to wait for it to do so.
async fn write_whole(bytes: Vec<u8>, mut writer: StreamWriter<u8>, end: FutureWriter<Trailers>, watch: Option<Watch>) {
    let length = bytes.len();
    let rest = writer.write_all(bytes).await;
    drop((writer, end));
    if let Some(mut watch) = watch {
        watch.note_written(length, rest.len());
    }
}

/// The deadline also applies to a reader that takes nothing.
async fn write(
    mut steps: Steps,
    mut deadline: Deadline,
    mut writer: StreamWriter<u8>,
    end: impl AsyncFnOnce(Trailers),
    sending: Rc<Sending>,
) {
    let mut trailers = None;
    let interrupted = loop {
        sending.awaits_client.set(true);
        let step = deadline.before(steps.next()).await;
        sending.awaits_client.set(false);
        match step {
            Some(None) => break None,
            Some(Some(Ok(Step::Data(data)))) => match deadline.before(writer.write_all(data.into())).await {
                Some(rest) if rest.is_empty() => {}
                // There is no reader any more.
                Some(_) => return,
                None => break Some(Interrupted::AtDeadline),
            },
            Some(Some(Ok(Step::Trailers(fields)))) => trailers = Some(fields),
            Some(Some(Err(interrupted))) => break Some(interrupted),
            None => break Some(Interrupted::AtDeadline),
        }
    };
    // The source is not needed any more, however long the reader takes to notice the end.
    drop((steps, deadline, writer));
    let ending = match interrupted {
        None => Ok(trailers),
        Some(interrupted) => {
            sending.interrupted.set(Some(interrupted.as_upstream_error()));
            Err(interrupted.into_code())
        }
    };
    end(ending).await;
}

impl Interrupted {
    /// The error of a request whose content ended early.
    const fn as_upstream_error(&self) -> UpstreamError {
        match self {
            Self::AtLimit => UpstreamError::RequestContentTooLarge,
            Self::BySender(_) => UpstreamError::RequestContentBroken,
            Self::AtDeadline => UpstreamError::HttpResponseTimeout,
        }
    }

    pub(crate) fn into_code(self) -> ErrorCode {
        match self {
            Self::BySender(code) => code,
            Self::AtLimit => ErrorCode::HttpRequestBodySize(None),
            Self::AtDeadline => ErrorCode::HttpResponseTimeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn the_clients_address_is_the_last_and_no_spin_field_is_kept() {
        let mut sent = fields(&[
            ("spin-client-addr", "10.0.0.1:80"),
            ("accept", "*/*"),
            ("spin-full-url", "http://a/"),
            ("spin-client-addr", "[::1]:9"),
        ]);
        let client = take_client_address(&mut sent);
        assert_eq!(client, Some("::1".parse().unwrap()));
        assert_eq!(sent, fields(&[("accept", "*/*")]));
        assert_eq!(take_client_address(&mut sent), None);
    }

    #[test]
    fn a_request_has_the_content_it_declares_whatever_its_version() {
        let declared = |list| declared_content(&fields(list));
        assert_eq!(declared(&[("content-length", "0")]), Some(false));
        assert_eq!(declared(&[("content-length", "1")]), Some(true));
        assert_eq!(declared(&[("transfer-encoding", "chunked")]), Some(true));
        assert_eq!(declared(&[("content-length", "0"), ("transfer-encoding", "chunked")]), Some(true));
        assert_eq!(declared(&[("host", "a")]), None);
        assert_eq!(declared(&[]), None);
    }
}
