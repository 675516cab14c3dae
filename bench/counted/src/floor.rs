//! The same request served by hand: what the types of the messages, one log line and the arithmetic take, without a
//! configuration, a pipeline, ports or failures.
//!
//! It does what a gateway cannot leave out: the fields are checked, the path is read and its route found, the key is
//! hashed and looked up, the limit is charged, the fields of both messages are edited, ids are made, one log line is
//! written, and a counter is increased.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use tollgate_core::authn::ApiKey;
use tollgate_edge::memory::Content;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is kept between requests.
pub(crate) struct Floor {
    routes: HashMap<String, usize>,
    hasher: RandomState,
    consumers: HashMap<u64, &'static str>,
    /// When the quota of a consumer is full again, in microseconds.
    charged: HashMap<&'static str, u64>,
    counted: HashMap<(usize, u16), u64>,
    random: u64,
    line: String,
}

impl Floor {
    pub(crate) fn new(routes: usize, key: &ApiKey) -> Self {
        let hasher = RandomState::new();
        Self {
            routes: (0..routes.max(1)).map(|n| (format!("r{n}"), n)).collect(),
            consumers: HashMap::from([(hasher.hash_one(key.expose().as_bytes()), "acme")]),
            hasher,
            charged: HashMap::new(),
            counted: HashMap::new(),
            random: 1,
            line: String::with_capacity(1024),
        }
    }

    /// Serves a request, whose upstream answers with `response`; `None` if it would be refused.
    pub(crate) fn serve(
        &mut self,
        request: Request<Content>,
        response: impl FnOnce() -> Response<Content>,
    ) -> Option<Response<Content>> {
        let (head, content) = request.into_parts();
        let fields = &head.headers;
        let is_valid = fields.iter().all(|(name, value)| {
            let bytes = value.as_bytes();
            let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
            *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING && !blank(bytes.first()) && !blank(bytes.last())
        });
        let size: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let path = head.uri.path();
        let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte));
        if !is_valid || size > 32 * 1024 || !is_plain {
            return None;
        }
        let host = fields.get(HOST)?.to_str().ok()?;
        let route = *self.routes.get(path.strip_prefix('/')?.split('/').next()?)?;
        let consumer = *self.consumers.get(&self.hasher.hash_one(fields.get(API_KEY)?.as_bytes()))?;
        let left = self.charge(consumer)?;
        let id = hex(self.next(), self.next());
        let sent = self.sent(fields, host, &id)?;
        let target = Uri::try_from(format!("http://orders.internal{path}")).ok()?;
        let mut to_upstream = Request::new(content);
        *to_upstream.headers_mut() = sent;
        *to_upstream.uri_mut() = target;
        black_box(&to_upstream);
        let mut answer = response();
        let limit = HeaderValue::from_maybe_shared(Bytes::from(format!("\"often\";r={left};t=4"))).ok()?;
        let edited = answer.headers_mut();
        edited.insert(VIA, HeaderValue::from_static("1.1 tollgate"));
        edited.insert(REQUEST_ID, HeaderValue::from_str(&id).ok()?);
        edited.insert(HeaderName::from_static("ratelimit"), limit);
        edited.insert(HeaderName::from_static("ratelimit-policy"), HeaderValue::from_static("\"often\";q=4000000;w=4"));
        self.record(route, consumer, answer.status().as_u16(), &id)?;
        Some(answer)
    }

    /// Charges one request to the quota of a consumer, by GCRA; answers what is left.
    fn charge(&mut self, consumer: &'static str) -> Option<u64> {
        let now = NOW_US + self.random % 1_000;
        let full = self.charged.entry(consumer).or_insert(now);
        let next = (*full).max(now) + 1;
        let left = (now + 4_000_000).checked_sub(next)?;
        *full = next;
        Some(left)
    }

    /// The fields for the upstream.
    fn sent(&mut self, fields: &HeaderMap, host: &str, id: &str) -> Option<HeaderMap> {
        let mut sent = HeaderMap::with_capacity(fields.len() + 7);
        for (name, value) in fields {
            if *name != HOST && *name != API_KEY && *name != TRACEPARENT {
                sent.append(name.clone(), value.clone());
            }
        }
        let trace = fields.get(TRACEPARENT)?.to_str().ok()?.get(3..35)?;
        let parent = format!("00-{trace}-{:016x}-01", self.next());
        sent.append(TRACEPARENT, HeaderValue::from_maybe_shared(Bytes::from(parent)).ok()?);
        sent.append(HOST, HeaderValue::from_static("orders.internal"));
        sent.append(VIA, HeaderValue::from_static("1.1 tollgate"));
        sent.append(REQUEST_ID, HeaderValue::from_str(id).ok()?);
        sent.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static("127.0.0.1"));
        sent.append(HeaderName::from_static("x-forwarded-host"), HeaderValue::from_str(host).ok()?);
        sent.append(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"));
        Some(sent)
    }

    /// Writes the log line, and counts the exchange.
    fn record(&mut self, route: usize, consumer: &str, status: u16, id: &str) -> Option<()> {
        let (trace, span) = (hex(self.next(), self.next()), self.next());
        self.line.clear();
        write!(
            self.line,
            "{{\"time\":\"2027-01-15T08:00:00.000Z\",\"level\":\"info\",\"event\":\"exchange\",\"gateway\":\"bench\",\
             \"request_id\":\"{id}\",\"trace_id\":\"{trace}\",\"span_id\":\"{span:016x}\",\"method\":\"GET\",\
             \"route\":\"orders.{route}\",\"status\":{status},\"duration_ms\":0.1,\"consumer\":\"{consumer}\"}}"
        )
        .ok()?;
        black_box(&self.line);
        *self.counted.entry((route, status)).or_default() += 1;
        Some(())
    }

    /// Numbers that are as cheap as random ones from a generator in memory.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn hex(high: u64, low: u64) -> String {
    format!("{high:016x}{low:016x}")
}

const NOW_US: u64 = 1_800_000_000_000_000;
