//! What a gateway cannot leave out, in the least code that does it, each to be added to the bare proxy by name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA};
use hyper::{Request, Response};

use crate::floor::Failure;

/// The steps that are done.
pub(crate) struct Steps {
    /// The Host field for the upstream, which is always set.
    pub(crate) host: HeaderValue,
    /// `timeout`: a timer for each call of the upstream.
    has_timeout: bool,
    /// `fields`: hop-by-hop fields are removed, and three are set, in both directions.
    has_fields: bool,
    /// `ids`: random ids of the request and of the call, for the upstream and the client.
    random: Option<RefCell<(Vec<u8>, usize)>>,
    /// `counters`: a counter and a histogram by route and status, behind a lock.
    counters: Option<Mutex<HashMap<(String, u16), Counts>>>,
    /// `log`: a line of JSON, given in blocks to a thread that writes them to standard output.
    log: Option<(RefCell<String>, SyncSender<String>)>,
}

/// Exchanges, the sum of their microseconds, and a histogram of these.
type Counts = [u64; 12];

/// What is known of an exchange until its end.
pub(crate) struct Begun {
    /// The start, if it is counted or logged.
    started: Option<(Instant, SystemTime)>,
    target: String,
    id: Option<HeaderValue>,
    status: u16,
}

impl Steps {
    pub(crate) fn of(words: &[String], upstream: SocketAddr) -> Result<Self, Failure> {
        let has = |word: &str| words.iter().any(|given| given == word);
        Ok(Self {
            host: HeaderValue::from_str(&upstream.to_string())?,
            has_timeout: has("timeout"),
            has_fields: has("fields"),
            random: has("ids").then(RefCell::default),
            counters: has("counters").then(Mutex::default),
            log: has("log").then(|| (RefCell::default(), log_thread())),
        })
    }

    pub(crate) fn begin(&self, request: &mut Request<Incoming>) -> Result<Begun, Failure> {
        let id = self.random.as_ref().map(|random| ids(random, request)).transpose()?;
        let is_recorded = self.counters.is_some() || self.log.is_some();
        let target = if is_recorded { request.uri().path().to_owned() } else { String::new() };
        if self.has_fields {
            remove_hop_by_hop(request.headers_mut());
            request.headers_mut().insert(VIA, HeaderValue::from_static("1.1 floor"));
            request.headers_mut().insert("forwarded", HeaderValue::from_static("for=127.0.0.1;proto=http"));
            request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("http"));
        }
        Ok(Begun { started: is_recorded.then(|| (Instant::now(), SystemTime::now())), target, id, status: 0 })
    }

    pub(crate) async fn in_time<T>(&self, call: impl Future<Output = T>) -> Result<T, Failure> {
        let call = if self.has_timeout {
            Either::Left(tokio::time::timeout(Duration::from_secs(30), call))
        } else {
            Either::Right(async { Ok(call.await) })
        };
        Ok(call.await?)
    }

    pub(crate) fn answered(&self, response: &mut Response<Incoming>, begun: &mut Begun) {
        begun.status = response.status().as_u16();
        if self.has_fields {
            remove_hop_by_hop(response.headers_mut());
            response.headers_mut().insert(VIA, HeaderValue::from_static("1.1 floor"));
            response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
            response.headers_mut().insert("cache-status", HeaderValue::from_static("floor; fwd=bypass"));
        }
        if let Some(id) = &begun.id {
            response.headers_mut().insert("x-request-id", id.clone());
        }
    }

    pub(crate) fn ended(&self, begun: &Begun) {
        let Some((started, at)) = begun.started else { return };
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Some(counters) = &self.counters {
            let mut counters = counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let counts = counters.entry((begun.target.clone(), begun.status)).or_default();
            counts[0] += 1;
            counts[1] += micros;
            counts[2 + (micros / 1_000).checked_ilog2().map_or(0, |log| log as usize + 1).min(9)] += 1;
        }
        if let Some((block, thread)) = &self.log {
            let mut block = block.borrow_mut();
            line(&mut block, begun, at, micros);
            if block.len() > BLOCK_BYTES {
                let _ = thread.try_send(std::mem::replace(&mut block, String::with_capacity(2 * BLOCK_BYTES)));
            }
        }
    }
}

/// Sets the ids of the call, and returns that of the request.
fn ids(random: &RefCell<(Vec<u8>, usize)>, request: &mut Request<Incoming>) -> Result<HeaderValue, Failure> {
    let (block, used) = &mut *random.borrow_mut();
    if *used + 24 > block.len() {
        block.resize(4096, 0);
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, block)?;
        *used = 0;
    }
    // version, id of the request, id of the call, flags
    let mut parent = *b"00-................................-................-01";
    let places = (3..35).step_by(2).chain((36..52).step_by(2));
    for (byte, at) in block[*used..*used + 24].iter().zip(places) {
        parent[at] = DIGITS[usize::from(byte >> 4)];
        parent[at + 1] = DIGITS[usize::from(byte & 15)];
    }
    *used += 24;
    let id = HeaderValue::from_bytes(&parent[3..35])?;
    request.headers_mut().insert("x-request-id", id.clone());
    request.headers_mut().insert("traceparent", HeaderValue::from_bytes(&parent)?);
    Ok(id)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn remove_hop_by_hop(fields: &mut hyper::HeaderMap) {
    for name in [PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        fields.remove(name);
    }
    fields.remove(HeaderName::from_static("proxy-connection"));
}

/// About half of what a line of Tollgate says.
fn line(block: &mut String, begun: &Begun, at: SystemTime, micros: u64) {
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = begun.id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default();
    let _ = writeln!(
        block,
        r#"{{"time":{}.{:03},"level":"info","event":"exchange","request_id":"{id}","method":"GET","path":"{}","status":{},"duration_us":{micros},"upstream":"one"}}"#,
        at.as_secs(),
        at.subsec_millis(),
        begun.target,
        begun.status,
    );
}

fn log_thread() -> SyncSender<String> {
    let (sender, blocks) = sync_channel::<String>(64);
    std::thread::spawn(move || {
        while let Ok(block) = blocks.recv() {
            let _ = std::io::Write::write_all(&mut std::io::stdout(), block.as_bytes());
        }
    });
    sender
}

const BLOCK_BYTES: usize = 128 * 1024;
