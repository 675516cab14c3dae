//! Bounds that hold whatever a client does: exchanges, connections, time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::running::{Running, TIMEOUT, connect_from, head, plain_upstream, rest, send, until, upstream};

/// The calls that an upstream is answering, now and at most at once.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
}

impl Calls {
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) async fn until(&self, count: usize) {
        let waiting = async {
            while self.now() != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(TIMEOUT, waiting).await;
        assert!(in_time.is_ok(), "{count} calls were awaited, {} are open", self.now());
    }
}

/// An upstream that sends these bytes to whoever asks for `/held`, and then nothing until its client leaves; other
/// requests it answers with `ok`.
pub(crate) async fn holding(beginning: &'static [u8]) -> (String, Calls) {
    let calls = Calls::default();
    let counted = calls.clone();
    let url = upstream(move |mut stream| {
        let calls = counted.clone();
        async move {
            while let Some(head) = head(&mut stream).await {
                if !head.contains("/held") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    continue;
                }
                calls.total.fetch_add(1, Ordering::SeqCst);
                let now = calls.now.fetch_add(1, Ordering::SeqCst) + 1;
                calls.most.fetch_max(now, Ordering::SeqCst);
                let _ = stream.write_all(beginning).await;
                let mut byte = [0];
                let _ = stream.read(&mut byte).await;
                calls.now.fetch_sub(1, Ordering::SeqCst);
                return;
            }
        }
    })
    .await;
    (url, calls)
}

pub(crate) fn one_isolate(settings: &mut tollgate_native::Settings) {
    settings.isolates = NonZeroUsize::new(1);
}

pub(crate) const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";

#[tokio::test]
async fn streams_that_are_opened_and_reset_leave_no_calls_behind() {
    let server = Running::with(one_isolate).await;
    let (url, calls) = holding(b"").await;
    server.publish(&url, json!({"timeout_ms": 60_000}));
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    for _ in 0..800 {
        // After GOAWAY the connection takes no further streams; a busy machine accepts fewer of them before their resets.
        let Ok(ready) = sender.ready().await else { break };
        sender = ready;
        let request = Request::get("http://h/api/held").body(()).unwrap();
        let Ok((response, mut stream)) = sender.send_request(request, true) else { break };
        tokio::time::sleep(Duration::from_millis(2)).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
    }
    assert!(calls.most.load(Ordering::SeqCst) <= 160, "{}", calls.most.load(Ordering::SeqCst));
    calls.until(0).await;
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
    let lines = server.log.wait_for(10).await;
    assert!(lines.iter().any(|line| line.contains("client-gone")), "{:?}", lines.first());
}

#[tokio::test]
async fn requests_beyond_the_bound_get_a_problem_that_says_when_to_try_again() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.exchanges_max = 1;
    })
    .await;
    let (url, calls) = holding(b"").await;
    server.publish(&url, json!({}));
    let mut first = server.connect().await;
    first.write_all(b"GET /api/held HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    calls.until(1).await;
    let answer = server.get("/api/x").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("urn:tollgate:problem:overloaded"), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    drop(first);
    calls.until(0).await;
    server.log.wait_for(2).await;
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
    assert!(server.log.all().iter().any(|line| line.contains("exchanges-full")), "{:?}", server.log.all());
    let metrics = send(server.admin, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(metrics.contains("\ntollgate_overloaded_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn one_client_cannot_take_the_exchanges_of_others() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.exchanges_per_client_max = 2;
    })
    .await;
    let (url, calls) = holding(b"").await;
    server.publish(&url, json!({}));
    let mut held = Vec::new();
    for count in 1..=2 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /api/held HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        calls.until(count).await;
        held.push(stream);
    }
    let answer = server.get("/api/x").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("urn:tollgate:problem:too-many-at-once"), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    ask(&mut connect_from(&server, 2).await).await;
    drop(held);
    calls.until(0).await;
    let lines = server.log.wait_for(4).await;
    assert!(lines.iter().any(|line| line.contains("\"reason\":\"client-busy\"")), "{lines:?}");
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn refusals_that_a_client_does_not_take_leave_the_places_of_others() {
    for (path, not_overloaded) in [("/api/x", 8), ("/none", 8), ("/api//x", 6)] {
        let server = Running::with(|settings| {
            one_isolate(settings);
            (settings.exchanges_max, settings.exchanges_per_client_max) = (6, 2);
        })
        .await;
        server.publish(&plain_upstream().await, json!({}));
        let (mut sender, mut bodies) = (without_window(&server).await, Vec::new());
        for number in 0..20 {
            let request = Request::get(format!("http://h{path}")).body(()).unwrap();
            let (response, _) = sender.send_request(request, true).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status() == 503, number >= not_overloaded, "{path} {number}");
            bodies.push(response.into_body());
        }
        ask(&mut connect_from(&server, 2).await).await;
        drop((bodies, sender));
        let recorded = async || server.log.all().iter().filter(|line| line.contains("\"event\":\"exchange\"")).count();
        while recorded().await < 21 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ask(&mut server.connect().await).await;
    }
}

#[tokio::test]
async fn a_client_that_takes_no_refusals_of_an_overloaded_server_gets_a_bounded_number() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.exchanges_max = 0;
    })
    .await;
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..9 {
        let mut sender = without_window(&server).await;
        let sent = (0..128).map(|_| sender.send_request(Request::get("http://h/").body(()).unwrap(), true).unwrap().0);
        for response in sent.collect::<Vec<_>>() {
            match response.await {
                Ok(response) => {
                    assert_eq!(response.status(), 503);
                    held.push(response);
                }
                Err(error) => {
                    assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM));
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((held.len(), refused), (1_024, 128));
    assert_eq!(server.get("/").await, "", "over HTTP/1.1 the connection is closed");
    let mut other = connect_from(&server, 2).await;
    other.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut other).await.starts_with("HTTP/1.1 503"));
    drop(held);
    while !server.get("/").await.starts_with("HTTP/1.1 503") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An HTTP/2 connection of a client that takes no content.
pub(crate) async fn without_window(server: &Running) -> h2::client::SendRequest<bytes::Bytes> {
    with_window(server, 0).await
}

pub(crate) async fn with_window(server: &Running, bytes: u32) -> h2::client::SendRequest<bytes::Bytes> {
    let builder = &mut h2::client::Builder::new();
    let handshake = builder.initial_window_size(bytes).handshake::<_, bytes::Bytes>(server.connect().await);
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

#[tokio::test]
async fn the_number_of_isolates_does_not_divide_the_bounds() {
    for (total, per_client, status) in [(4, 100, "503"), (100, 4, "429")] {
        let server = Running::with(|settings| {
            settings.isolates = NonZeroUsize::new(8);
            (settings.exchanges_max, settings.exchanges_per_client_max) = (total, per_client);
        })
        .await;
        let (url, calls) = holding(b"").await;
        server.publish(&url, json!({}));
        // All streams of a connection are one isolate's.
        let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
        tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let held =
            (0..4).map(|_| sender.send_request(Request::get("http://h/api/held").body(()).unwrap(), true).unwrap());
        let held: Vec<_> = held.collect();
        calls.until(4).await;
        for _ in 0..3 {
            let answer = server.get("/api/x").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        }
        drop((held, sender));
        calls.until(0).await;
        assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn the_exchanges_of_clients_of_a_trusted_proxy_are_not_those_of_the_proxy() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.exchanges_per_client_max = 1;
    })
    .await;
    let (url, calls) = holding(b"").await;
    let proxies = json!({"trusted": {"count": 1}, "field": "x-forwarded-for"});
    server.publish_with(&url, json!({}), json!({"proxies": proxies}));
    // The first request reads the configuration.
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
    let request = |path: &str, client: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nx-forwarded-for: {client}\r\nconnection: close\r\n\r\n")
    };
    let mut held = server.connect().await;
    held.write_all(request("/api/held", "192.0.2.1").as_bytes()).await.unwrap();
    calls.until(1).await;
    assert!(server.send(request("/api/x", "192.0.2.1")).await.starts_with("HTTP/1.1 429"));
    assert!(server.send(request("/api/x", "192.0.2.2")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_so_and_its_upstream_is_not_blamed() {
    let server = Running::with(one_isolate).await;
    let patient = upstream(async |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    server.publish(&patient, json!({"timeout_ms": 300}));
    for (framing, sent) in [("content-length: 100", "half"), ("transfer-encoding: chunked", "4\r\nhalf\r\n")] {
        let mut stream = server.connect().await;
        let request = format!("POST /api/held HTTP/1.1\r\nhost: h\r\n{framing}\r\n\r\n{sent}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("content-timeout"), "{answer}");
    }
    let answer =
        server.send("POST /api/held HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 4\r\n\r\nhalf").await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    let lines = server.log.wait_for(3).await;
    let errors = lines.iter().map(|line| line.contains("\"error\":\"http_request_error\"")).collect::<Vec<_>>();
    assert_eq!(errors, [true, true, false], "{lines:?}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_call() {
    let server = Running::start().await;
    let (url, calls) = holding(b"").await;
    server.publish(&url, json!({"timeout_ms": null}));
    let mut stream = server.connect().await;
    stream.write_all(b"POST /api/held HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    calls.until(1).await;
    drop(stream);
    calls.until(0).await;
    let lines = server.log.wait_for(1).await;
    assert!(lines[0].contains("client-gone") && lines[0].contains("499"), "{lines:?}");
}

pub(crate) async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert!(until(stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
}
