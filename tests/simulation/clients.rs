//! The requests of clients, valid and invalid, and the answers of upstreams.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use tollgate_core::authn::ApiKey;
use tollgate_core::forward::UpstreamError;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Content as _;

use crate::dice::Dice;

/// The consumers that have a key.
pub(crate) const CONSUMERS: [&str; 3] = ["acme", "umbrella", "initech"];
/// The rate limit of `/limited` for each consumer, per day.
pub(crate) const PER_DAY: u64 = 6;

/// The project that is simulated.
pub(crate) fn project(version: u64) -> String {
    let every = version * 5;
    let charge = if version == 0 { "before" } else { "beside" };
    format!(
        "format: 1\n\
         gateway: {{name: sim, hosts: [a.test, \"*.b.test\"], timeout: 2s, trusted-proxies: 1}}\n\
         telemetry: {{otlp: {{endpoint: \"http://collector.test\", interval: 5s}}, usage: {{every: {every}s}}}}\n\
         upstreams: {{up: {{url: \"http://up.test\", headers: {{X-Token: \"${{secret.TOKEN}}\"}}}}}}\n\
         policies:\n  \
           keys: {{kind: api-key, header: X-API-Key, query: key}}\n  \
           day: {{kind: rate-limit, rate: {PER_DAY}/d, burst: {PER_DAY}, charge: {charge}, on-unavailable: closed}}\n  \
           wide: {{kind: rate-limit, rate: 1000/s, by: address}}\n\
         apis:\n  sim:\n    upstream: up\n    routes:\n      \
           - {{path: \"/open/{{*rest}}\", limit: wide}}\n      \
           - {{path: \"/cached/{{id}}\", methods: [GET, POST], cache: {{}}}}\n      \
           - {{path: /keyed, authn: keys, body-limit: 1KiB}}\n      \
           - {{path: /limited, authn: keys, limit: day}}\n      \
           - {{path: /both, authn: keys, limit: [wide, day], cache: {{ttl: 1m, with-credentials: shared}}}}\n      \
           - {{path: /v{version}}}\n"
    )
}

/// The key of a consumer.
pub(crate) fn key(consumer: &str) -> String {
    let mut seed = [7; 32];
    for (byte, letter) in seed.iter_mut().zip(consumer.bytes()) {
        *byte = letter;
    }
    ApiKey::generate("dev", &seed).map_or_else(String::new, |key| key.expose().to_owned())
}

/// A random request, which may be invalid.
pub(crate) fn request(dice: &Dice) -> Request<Content> {
    let path = dice.one_of(&[
        "/open/x",
        "/open/x?q=1",
        "/cached/1",
        "/cached/2",
        "/keyed",
        "/limited",
        "/limited",
        "/limited",
        "/both",
        "/both",
        "/unknown",
        "/v0",
        "/v1",
        "/open/../limited",
        "/open/%2e%2e/limited",
        "/open//x",
        "/open/%00",
        "/%6cimited",
        "/open/caf%C3%A9",
    ]);
    let method = dice.one_of(&["GET", "GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "DELETE", "TRACE"]);
    let host = dice.one_of(&["a.test", "a.test", "a.test", "a.test", "x.b.test", "b.test", "a.test:80", "no where"]);
    let mut request = Request::builder().method(method).uri(with_key_in_query(path, dice)).header("host", host);
    match dice.below(6) {
        0 => {}
        1 => request = request.header("x-api-key", "tg_dev_nonsense"),
        2 => request = request.header("x-api-key", key("nobody")),
        _ => request = request.header("x-api-key", key(dice.one_of(&CONSUMERS))),
    }
    if dice.percent(10) {
        let field = dice.one_of(&[
            ("if-none-match", "\"v1\""),
            ("cache-control", "no-cache"),
            ("cache-control", "only-if-cached"),
            ("range", "bytes=0-1"),
            ("cookie", "a=b"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("content-length", "many"),
            ("connection", "close, x-api-key"),
            ("x-forwarded-for", "203.0.113.7, 198.51.100.9"),
            ("x-forwarded-for", "unknown, ,"),
            ("x-forwarded-host", "a b"),
        ]);
        request = request.header(field.0, field.1);
    }
    if dice.percent(10) {
        // A key in a place that no policy reads, or in another spelling of one.
        let field = dice.one_of(&["authorization", "x_api_key", "x-api-key"]);
        request = request.header(field, format!("{}{}", dice.one_of(&["", "Bearer "]), key(dice.one_of(&CONSUMERS))));
    }
    let content = match (method, dice.below(4)) {
        ("POST", 0) => Content::from_bytes(Bytes::from(vec![b'x'; 2_000])),
        ("POST", 1) => Content::breaking_after("half"),
        ("POST", _) => Content::from("content"),
        _ => Content::empty(),
    };
    request.body(content).unwrap_or_else(|_| Request::new(Content::empty()))
}

fn with_key_in_query(path: &str, dice: &Dice) -> String {
    if path.contains('?') || !dice.percent(5) {
        return path.to_owned();
    }
    let parameter = dice.one_of(&["key=", "k%65y=", "a=1;key=", "other="]);
    format!("{path}?{parameter}{}", key(dice.one_of(&CONSUMERS)))
}

/// What the upstream keeps: the version of each resource, which a successful POST increments.
pub(crate) type Versions = Rc<RefCell<BTreeMap<String, u64>>>;

/// A resource: the client's host without its port, and the path.
pub(crate) fn resource(host: &str, path: &str) -> String {
    format!("{}{path}", host.split(':').next().unwrap_or_default())
}

/// The version that content has.
pub(crate) fn version_of(content: &str) -> Option<u64> {
    content.rsplit_once(" v")?.1.parse().ok()
}

/// The upstream's answer to a request, and its delay. Correct content begins with the requested path.
pub(crate) fn answer(
    request: &Request<Content>,
    dice: &Dice,
    trouble: bool,
    versions: &Versions,
) -> (u64, Result<Response<Content>, UpstreamError>) {
    let delay_ms = if trouble && dice.percent(5) { 5_000 } else { dice.below(60) };
    if trouble && dice.percent(8) {
        let error = dice.one_of(&[
            UpstreamError::ConnectionRefused,
            UpstreamError::ConnectionTerminated,
            UpstreamError::HttpProtocolError,
            UpstreamError::TlsCertificateError,
            UpstreamError::DnsTimeout,
        ]);
        return (delay_ms, Err(error));
    }
    let path = request.uri().path();
    let host = request.headers().get("x-forwarded-host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let status = dice.one_of(&[200, 200, 200, 200, 404, 500]);
    let mut versions = versions.borrow_mut();
    let version = versions.entry(resource(host, path)).or_insert(1);
    *version += u64::from(request.method() == "POST" && status == 200);
    let tag = format!("\"v{version}\"");
    let matched =
        request.method() != "POST" && request.headers().get("if-none-match").is_some_and(|held| *held == *tag);
    let status = if matched { 304 } else { status };
    let text = format!("{path} answered {status} v{version}");
    let bodiless = matched || request.method() == "HEAD";
    let content = match () {
        () if bodiless => Content::empty(),
        () if trouble && dice.percent(5) => Content::breaking_after(text),
        () => Content::from_bytes(text.into()),
    };
    let control = dice.one_of(&["max-age=2", "max-age=60", "no-store", "private", "no-cache"]);
    let response = Response::builder()
        .status(status)
        .header("cache-control", control)
        .header("etag", tag)
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .body(content)
        .map_err(|_| UpstreamError::ProxyInternalError);
    (delay_ms, response)
}
