//! Serves requests on in-memory ports.

use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tollgate_core::authn::{ApiKey, Credential};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemoryHost, VirtualClock};
use tollgate_edge::ports::Content as _;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve};
use tollgate_kv_schemas::{encode, keys};

use crate::floor::Floor;
use crate::{number, read};

/// Each record is a line of its key, a line of its length, and its bytes.
pub(crate) fn pack(file: &str, routes: usize) -> Result<(), String> {
    let compiled = tollgate_analysis::compile_files(&project(routes)).map_err(|found| found.to_string())?;
    let mut bytes = Vec::new();
    for (key, value) in compiled.records() {
        let _ = write!(bytes, "{key}\n{}\n", value.len());
        bytes.extend_from_slice(value);
    }
    crate::write(file, &bytes)
}

fn project(routes: usize) -> BTreeMap<String, String> {
    let gateway = "format: 1\n\
                   gateway: {name: bench, hosts: [api.example.com]}\n\
                   upstreams: {orders: {url: \"http://orders.internal\"}}\n\
                   policies:\n  keys: {kind: api-key, header: X-API-Key}\n  \
                   often: {kind: rate-limit, rate: 1000000/s, burst: 4000000}\n";
    let api = |first: usize| {
        let head = "format: 1\nupstream: orders\nauthn: keys\nlimit: often\nroutes:\n".to_owned();
        let route = |n| format!("  - {{path: \"/r{n}/{{id}}\", methods: [GET, POST]}}\n");
        let routes = (first..routes.min(first + ROUTES_IN_FILE)).map(route);
        (format!("apis/orders{}/api.yaml", first / ROUTES_IN_FILE), std::iter::once(head).chain(routes).collect())
    };
    let open = "format: 1\nupstream: orders\nauthn: none\nroutes:\n  - {path: /public, methods: [GET]}\n  \
                - {path: /key, methods: [GET], authn: keys}\n  \
                - {path: /cached, methods: [GET], cache: {ttl: 1h, replace: true}}\n";
    let named = [("tollgate.yaml", gateway), ("apis/open/api.yaml", open)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    named.into_iter().chain((0..routes).step_by(ROUTES_IN_FILE).map(api)).collect()
}

/// A file has a maximum of 4 MiB.
const ROUTES_IN_FILE: usize = 1_000;

/// What is requested.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    /// A route with a key and a limit, in the middle of all.
    Keyed,
    /// The same, a millisecond after each other, with counters that are far: permits are taken ahead.
    Leased,
    /// A route with a key alone.
    Key,
    Public,
    /// A route whose response is stored by the first request.
    Cached,
}

pub(crate) fn serve_all(file: &str, asked: Asked, count: usize) -> Result<(), String> {
    let host = MemoryHost::new(VirtualClock::at(NOW), 1, |_| (0, Ok(response())));
    let routes = load(file, &host)?;
    let key = key();
    let credential = Credential::of(key.public_id(), "acme");
    host.records.put(keys::credential("bench", &key.digest()), encode(&credential));
    let isolate = Rc::new(Isolate::new(IsolateSettings { gateway: "bench".into(), freshness: Freshness::Cached }));
    let (target, key) = match asked {
        Asked::Keyed | Asked::Leased => (format!("/r{}/7", routes / 2), Some(key)),
        Asked::Key => ("/key".to_owned(), Some(key)),
        Asked::Public => ("/public".to_owned(), None),
        Asked::Cached => ("/cached".to_owned(), None),
    };
    let is_leased = matches!(asked, Asked::Leased);
    host.counters.far.set(is_leased);
    for _ in 0..count {
        if is_leased {
            host.clock.advance(1);
        }
        let exchange = async {
            let served = serve(&isolate, &host, request(&target, key.as_ref()), CLIENT).await;
            let response = served.reply.into_response();
            served.after.await;
            response.status().as_u16()
        };
        let status = host.clock.drive(exchange).ok_or("an exchange waits for something")?;
        if status != 200 {
            return Err(format!("the answer is {status}"));
        }
        host.upstream.take_received();
    }
    Ok(())
}

/// Puts the records of a file into the store; answers how many routes they have, by the size of the file's project.
fn load(file: &str, host: &MemoryHost) -> Result<usize, String> {
    let bytes = read(file)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (key, length) = (line(&mut rest)?, line(&mut rest)?);
        let (value, after) = rest.split_at_checked(number(length)?).ok_or("the file is cut short")?;
        host.records.put(key.to_owned(), value.to_vec());
        rest = after;
    }
    routes_of(file)
}

fn routes_of(file: &str) -> Result<usize, String> {
    let name = std::path::Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    number(name)
}

fn line<'b>(rest: &mut &'b [u8]) -> Result<&'b str, String> {
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or("the file is cut short")?;
    let (line, after) = rest.split_at(end);
    *rest = &after[1..];
    std::str::from_utf8(line).map_err(|error| error.to_string())
}

pub(crate) fn by_hand(file: &str, count: usize) -> Result<(), String> {
    let (routes, key) = (routes_of(file)?, key());
    let mut floor = Floor::new(routes, &key);
    let target = format!("/r{}/7", routes / 2);
    for _ in 0..count {
        let served = floor.serve(request(&target, Some(&key)), response);
        std::hint::black_box(served.ok_or("the floor refused a request")?);
    }
    Ok(())
}

pub(crate) fn bare(count: usize) {
    let key = key();
    for _ in 0..count {
        std::hint::black_box((request("/r0/7", Some(&key)), response()));
    }
}

/// A request as a browser's script sends it, with a key, or with as many fields that have no meaning.
fn request(target: &str, key: Option<&ApiKey>) -> Request<Content> {
    let (first, control) = match key {
        Some(key) => (("x-api-key", key.expose()), ("cache-control", "no-cache")),
        None => (("x-app", "tg_bench_000000000000000000000000000000000000000"), ("sec-fetch-site", "same-site")),
    };
    let mut request = Request::new(Content::empty());
    *request.uri_mut() = target.parse().unwrap_or_default();
    *request.headers_mut() = fields(&[
        first,
        ("host", "api.example.com"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate, br"),
        ("accept-language", "en-GB,en;q=0.9"),
        control,
        ("referer", "https://www.example.com/"),
        ("sec-fetch-mode", "cors"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
    ]);
    request
}

fn response() -> Response<Content> {
    let mut response = Response::new(Content::from("{\"id\":7,...}"));
    *response.headers_mut() = fields(&[
        ("content-type", "application/json"),
        ("content-length", "11"),
        ("date", "Fri, 27 Nov 2026 10:00:00 GMT"),
        ("etag", "\"1\""),
        ("server", "orders"),
        ("vary", "accept"),
    ]);
    response
}

/// Fields as a server's parser makes them: their values are parts of one buffer.
fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut buffer = BytesMut::with_capacity(1024);
    lines.iter().for_each(|(_, value)| buffer.extend_from_slice(value.as_bytes()));
    let mut rest = buffer.freeze();
    let mut fields = HeaderMap::with_capacity(lines.len());
    for (name, value) in lines {
        let value = HeaderValue::from_maybe_shared(rest.split_to(value.len()));
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            fields.append(name, value);
        }
    }
    fields
}

fn key() -> ApiKey {
    ApiKey::generate("bench", &[7; 32]).expect("`bench` is a valid prefix of keys")
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CLIENT: Client =
    Client { address: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), https: true, inside: false };
