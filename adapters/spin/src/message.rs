//! Messages between the host's form and the `http` crate's.

use std::net::{IpAddr, SocketAddr};

use futures_util::stream::StreamExt;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields, Scheme};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

use tollgate_edge::Client;

use crate::content::{Broken, Raw, Source, SpinContent, Step, Steps};

type Trailers = Result<Option<types::Trailers>, ErrorCode>;

/// A request that cannot be handed on, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// Takes the host's request, without what Spin added to it, and what Spin tells of the client.
///
/// # Errors
/// When its method or target is none, which Spin's own server does not let pass.
pub(crate) fn from_host(request: types::Request) -> Result<(Request<SpinContent>, Client), Unreadable> {
    let mut fields = fields_of(&request.get_headers());
    let address = take_client_address(&mut fields);
    let method = method_of(&request.get_method())?;
    let uri = uri_of(&request)?;
    let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let version = version_of(&fields);
    let content = if has_content(&fields) {
        raw(|taken| types::Request::consume_body(request, taken))
    } else {
        SpinContent(Source::Nothing)
    };
    let mut taken = Request::new(content);
    *taken.method_mut() = method;
    *taken.uri_mut() = uri;
    *taken.version_mut() = version;
    *taken.headers_mut() = fields;
    Ok((taken, Client { address, https, inside: false }))
}

/// The answer in the host's form.
pub(crate) fn to_host(response: Response<SpinContent>) -> types::Response {
    let (mut head, content) = response.into_parts();
    declare_length(&mut head.headers, &content);
    let (contents, trailers) = to_host_content(content, |_| {});
    let (response, _sent) = types::Response::new(host_fields(&head.headers), contents, trailers);
    // A status of the `http` crate is always one of the host's.
    let _ = response.set_status_code(head.status.as_u16());
    response
}

/// The request to an upstream in the host's form; `broke` hears when its content ends early.
pub(crate) fn to_host_request(
    request: Request<SpinContent>,
    options: types::RequestOptions,
    broke: impl FnOnce(&Broken) + 'static,
) -> Result<types::Request, ErrorCode> {
    let (mut head, content) = request.into_parts();
    // The authority stands for it; the host refuses the field.
    head.headers.remove(HOST);
    if matches!(content.0, Source::Nothing) && may_be_chunked(&head.method, &head.headers) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    declare_length(&mut head.headers, &content);
    let (contents, trailers) = to_host_content(content, broke);
    let fields = host_fields(&head.headers);
    let (request, _sent) = types::Request::new(fields, contents, trailers, Some(options));
    let invalid = |()| ErrorCode::HttpRequestUriInvalid;
    request.set_method(&host_method(&head.method)).map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
    let scheme = head.uri.scheme().map(|scheme| match scheme.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    });
    request.set_scheme(scheme.as_ref()).map_err(invalid)?;
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    request.set_authority(authority).map_err(invalid)?;
    let target = head.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    request.set_path_with_query(target).map_err(invalid)?;
    Ok(request)
}

/// An upstream's answer, its content streaming.
pub(crate) fn from_host_response(response: types::Response) -> Result<Response<SpinContent>, ErrorCode> {
    let status = StatusCode::from_u16(response.get_status_code()).map_err(|_| ErrorCode::HttpProtocolError)?;
    let fields = fields_of(&response.get_headers());
    let content = raw(|taken| types::Response::consume_body(response, taken));
    let mut taken = Response::new(content);
    *taken.status_mut() = status;
    *taken.headers_mut() = fields;
    Ok(taken)
}

/// The client's address is in the last field of this name; the ones before it the client sent itself.
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

/// Spin does not tell the version, but only a request of HTTP/1.1 comes with a `Host` field.
fn version_of(fields: &HeaderMap) -> Version {
    if fields.contains_key(HOST) { Version::HTTP_11 } else { Version::HTTP_2 }
}

/// A request of HTTP/1.1 declares its content; one of HTTP/2 may have some unsaid.
fn has_content(fields: &HeaderMap) -> bool {
    match fields.get(CONTENT_LENGTH) {
        Some(length) => length != "0",
        None => fields.contains_key(TRANSFER_ENCODING) || version_of(fields) == Version::HTTP_2,
    }
}

/// Content that is all here has a length, which the host cannot see.
fn declare_length(fields: &mut HeaderMap, content: &SpinContent) {
    if let Source::Bytes(bytes) = &content.0 {
        fields.entry(CONTENT_LENGTH).or_insert(HeaderValue::from(bytes.len()));
    }
}

/// The host would send such a request with an empty chunked content rather than none.
fn may_be_chunked(method: &Method, fields: &HeaderMap) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::CONNECT) && !fields.contains_key(CONTENT_LENGTH)
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

/// The fields in the host's form; one that the host refuses is left out rather than the whole message.
pub(crate) fn host_fields(map: &HeaderMap) -> Fields {
    let list: Vec<(String, Vec<u8>)> =
        map.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    Fields::from_list(&list).unwrap_or_else(|_| {
        let fields = Fields::new();
        for (name, value) in &list {
            let _ = fields.append(name, value);
        }
        fields
    })
}

fn raw(
    consume: impl FnOnce(FutureReader<Result<(), ErrorCode>>) -> (StreamReader<u8>, FutureReader<Trailers>),
) -> SpinContent {
    let (taken, is_taken) = wit_future::new(|| Ok(()));
    let (stream, trailers) = consume(is_taken);
    SpinContent(Source::Raw(Raw { stream, trailers, _taken: taken }))
}

/// Content in the host's form: handed back untouched where it is the host's own, else written as it comes.
fn to_host_content(
    content: SpinContent,
    broke: impl FnOnce(&Broken) + 'static,
) -> (Option<StreamReader<u8>>, FutureReader<Trailers>) {
    let steps = match content.0 {
        Source::Nothing => return (None, wit_future::new(|| Ok(None)).1),
        Source::Raw(raw) => return (Some(raw.stream), raw.trailers),
        source => source.into_steps(),
    };
    let (writer, reader) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Err(ErrorCode::InternalError(None)));
    spawn(write(steps, writer, end, broke));
    (Some(reader), trailers)
}

async fn write(
    mut steps: Steps,
    mut writer: StreamWriter<u8>,
    end: FutureWriter<Trailers>,
    broke: impl FnOnce(&Broken),
) {
    let mut trailers = None;
    while let Some(step) = steps.next().await {
        match step {
            Ok(Step::Data(data)) => {
                if !writer.write_all(data.into()).await.is_empty() {
                    // Nobody reads any more.
                    return;
                }
            }
            Ok(Step::Trailers(fields)) => trailers = Some(fields),
            Err(broken) => {
                broke(&broken);
                drop(writer);
                let _ = end.write(Err(broken.into_code())).await;
                return;
            }
        }
    }
    drop(writer);
    let _ = end.write(Ok(trailers)).await;
}

impl Broken {
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
    fn the_clients_address_is_the_last_and_no_spin_field_stays() {
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
    fn a_request_has_the_content_it_declares() {
        assert!(!has_content(&fields(&[("host", "a")])));
        assert!(!has_content(&fields(&[("host", "a"), ("content-length", "0")])));
        assert!(has_content(&fields(&[("host", "a"), ("content-length", "1")])));
        assert!(has_content(&fields(&[("host", "a"), ("transfer-encoding", "chunked")])));
        assert!(has_content(&fields(&[])));
    }
}
