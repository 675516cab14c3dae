//! The corpus in core and edge alone, on the ports in memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use tollgate_core::forward::UpstreamError;
use tollgate_core::hex;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemoryHost, MemorySignatures, VirtualClock};
use tollgate_edge::ports::Content as _;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve};

use crate::corpus::{Asked, Corpus, DOMAIN, GATEWAY};

/// What was found of each request: its hash, and its events in words.
pub(crate) type Found = BTreeMap<String, (String, String)>;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) async fn run(corpus: &Corpus) -> Result<Found, Box<dyn Error>> {
    let mut host = MemoryHost::new(VirtualClock::at(NOW), 1, answer);
    host.signatures = MemorySignatures::new(tollgate_signatures::verifies)
        .signing(tollgate_signatures::sign)
        .sealing(tollgate_signatures::seal, tollgate_signatures::open)
        .hashing(host.clock.clone(), tollgate_signatures::is_password);
    for (key, value) in corpus.records("http://127.0.0.1:1")? {
        host.records.put(key, value);
    }
    let isolate =
        Rc::new(Isolate::new(IsolateSettings { gateway: GATEWAY.to_owned(), freshness: Freshness::EachRequest }));
    let mut found = Found::new();
    for asked in &corpus.requests {
        let client = Client { address: Some("192.0.2.1".parse()?), https: false, inside: false };
        let served = serve(&isolate, &host, request(asked)?, client).await;
        let record = served.after.await;
        let hash = hex::encode(&record.events.hash().to_be_bytes());
        found.insert(asked.name.clone(), (hash, record.events.to_string()));
    }
    Ok(found)
}

fn request(asked: &Asked) -> Result<Request<Content>, http::Error> {
    let mut builder = Request::builder().method(asked.method.as_str()).uri(&asked.target);
    if !asked.fields.contains_key("Host") {
        builder = builder.header(HOST, DOMAIN);
    }
    if !asked.content.is_empty() {
        builder = builder.header("content-length", asked.content.len());
    }
    let builder = asked.fields.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(Content::from_bytes(Bytes::from(asked.content.clone())))
}

/// Does as the query says, as the upstream of the suites does: a status, and fields.
fn answer(request: &Request<Content>) -> (u64, Result<Response<Content>, UpstreamError>) {
    let mut builder = Response::builder();
    for (name, value) in request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
        match (name, value.split_once(':')) {
            ("status", _) => builder = builder.status(value),
            ("field", Some((name, value))) => builder = builder.header(name, value),
            _ => {}
        }
    }
    (0, builder.body(Content::from("hello")).map_err(|_| UpstreamError::HttpProtocolError))
}
