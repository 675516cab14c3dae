//! Bounds that hold whatever a client does: exchanges, connections, time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::running::{Running, TIMEOUT, connect_from, head, plain_upstream, rest, send, until, upstream};

/// The calls that an upstream is answering, now and at most at once.
#[derive(Clone, Default)]
struct Calls {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    total: Arc<AtomicUsize>,
}

impl Calls {
    fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    async fn until(&self, count: usize) {
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
async fn holding(beginning: &'static [u8]) -> (String, Calls) {
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

fn one_isolate(settings: &mut tollgate_native::Settings) {
    settings.isolates = NonZeroUsize::new(1);
}

const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";

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
async fn a_client_that_never_opens_its_window_holds_no_upstream_past_the_timeout() {
    let server = Running::with(one_isolate).await;
    let (url, calls) = holding(&[ENDLESS, &[b'x'; 1000]].concat().leak()[..]).await;
    server.publish(&url, json!({"timeout_ms": 1_000}));
    let (mut sender, mut bodies) = (without_window(&server).await, Vec::new());
    for _ in 0..5 {
        let request = Request::get("http://h/api/held").body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        bodies.push(response.await.unwrap().into_body());
    }
    let begun = Instant::now();
    assert_eq!(calls.now(), 5);
    calls.until(0).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // The streams are reset, and each exchange is recorded.
    for body in &mut bodies {
        assert!(tokio::time::timeout(TIMEOUT, body.data()).await.unwrap().unwrap().is_err());
    }
    let lines = server.log.wait_for(5).await;
    assert!(lines.iter().all(|line| line.contains("\"aborted_by\":\"client\"")), "{lines:?}");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_upstream_past_the_timeout() {
    let server = Running::with(one_isolate).await;
    let flood = [ENDLESS, &vec![b'x'; 30_000_000]].concat().leak();
    let (url, calls) = holding(flood).await;
    server.publish(&url, json!({"timeout_ms": 1_000}));
    let mut stream = server.connect().await;
    stream.write_all(b"GET /api/held HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    calls.until(1).await;
    let begun = Instant::now();
    calls.until(0).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    server.log.wait_for(1).await;
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

#[tokio::test]
async fn what_an_http2_client_has_not_taken_is_not_recorded_as_delivered() {
    let server = Running::with(one_isolate).await;
    server.publish(&plain_upstream().await, json!({}));
    let cases =
        [("/api/x", 0, true), ("/none", 0, true), ("/api/x", 1, true), ("/api/x", 0, false), ("/api/x", 1, false)];
    for (number, (path, window, resets)) in cases.into_iter().enumerate() {
        let mut sender = with_window(&server, window).await;
        let request = Request::get(format!("http://h{path}")).body(()).unwrap();
        let (response, mut stream) = sender.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        if window > 0 {
            assert_eq!(body.data().await.unwrap().unwrap(), "o");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(server.log.all().len(), number, "{path} {window}");
        if resets {
            stream.send_reset(h2::Reason::CANCEL);
        }
        // Without a reset, the connection is closed.
        drop((sender, body, stream));
        let lines = server.log.wait_for(number + 1).await;
        let record: serde_json::Value = serde_json::from_str(&lines[number]).unwrap();
        assert_eq!((&record["aborted_by"], &record["content_bytes"]), (&json!("client"), &json!(window)), "{record}");
    }
    let mut sender = with_window(&server, 1).await;
    let (response, _) = sender.send_request(Request::get("http://h/api/x").body(()).unwrap(), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
    let lines = server.log.wait_for(cases.len() + 1).await;
    let record: serde_json::Value = serde_json::from_str(&lines[cases.len()]).unwrap();
    assert_eq!((record.get("aborted_by"), &record["content_bytes"]), (None, &json!(2)), "{record}");
}

/// An HTTP/2 connection of a client that takes no content.
async fn without_window(server: &Running) -> h2::client::SendRequest<bytes::Bytes> {
    with_window(server, 0).await
}

async fn with_window(server: &Running, bytes: u32) -> h2::client::SendRequest<bytes::Bytes> {
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
async fn a_new_connection_closes_the_one_that_is_idle_longest_in_any_isolate() {
    let server = Running::with(|settings| {
        settings.isolates = NonZeroUsize::new(8);
        settings.connections_per_client_max = 6;
    })
    .await;
    server.publish(&plain_upstream().await, json!({}));
    let mut open = Vec::new();
    for _ in 0..6 {
        let mut stream = server.connect().await;
        ask(&mut stream).await;
        open.push(stream);
    }
    for stream in &mut open {
        ask(stream).await;
    }
    let mut newer = Vec::new();
    for at in 0..3 {
        let mut stream = server.connect().await;
        ask(&mut stream).await;
        newer.push(stream);
        assert!(is_closed(&mut open[at]).await, "{at}");
        ask(&mut open[5]).await;
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
async fn a_client_that_reads_slowly_is_served_and_one_that_reads_nothing_is_not() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.unread_timeout = Duration::from_millis(400);
    })
    .await;
    let flood = [ENDLESS, &vec![b'x'; 30_000_000]].concat().leak();
    let (url, calls) = holding(flood).await;
    server.publish(&url, json!({"timeout_ms": null}));
    let mut slow = asking_with_little_room(&server, "/api/held").await;
    calls.until(1).await;
    let mut block = [0; 1024];
    for _ in 0..40 {
        slow.read_exact(&mut block).await.expect("it is served");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(calls.now(), 1);
    let begun = Instant::now();
    calls.until(0).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let lines = server.log.wait_for(1).await;
    assert!(lines[0].contains("\"aborted_by\":\"client\""), "{lines:?}");
}

#[tokio::test]
async fn an_http2_client_that_reads_slowly_is_served_and_one_that_reads_nothing_is_not() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.unread_timeout = Duration::from_millis(400);
    })
    .await;
    // One piece of content, which takes much longer than the timeout.
    let flood = [ENDLESS, &vec![b'x'; 100_000]].concat().leak();
    let (url, calls) = holding(flood).await;
    server.publish(&url, json!({"timeout_ms": null}));
    let builder = &mut h2::client::Builder::new();
    let handshake = builder.initial_window_size(500).handshake::<_, bytes::Bytes>(server.connect().await);
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let (response, _) = sender.send_request(Request::get("http://h/api/held").body(()).unwrap(), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let data = body.data().await.unwrap().expect("it is served");
        body.flow_control().release_capacity(data.len()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(calls.now(), 1);
    let begun = Instant::now();
    calls.until(0).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let lines = server.log.wait_for(1).await;
    assert!(lines[0].contains("\"aborted_by\":\"client\""), "{lines:?}");
}

/// A request from a client whose system takes few bytes that it does not read.
async fn asking_with_little_room(server: &Running, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// An upstream that sends so many bytes to everyone.
async fn sending(bytes: usize) -> String {
    let response =
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").as_bytes(), &vec![b'x'; bytes]].concat();
    upstream(move |mut stream| {
        let response = response.clone();
        async move {
            while head(&mut stream).await.is_some() {
                let _ = stream.write_all(&response).await;
            }
        }
    })
    .await
}

/// The parts of a record that say how the delivery ended.
fn delivered(line: &str) -> (serde_json::Value, u64) {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    (record["aborted_by"].clone(), record["content_bytes"].as_u64().unwrap())
}

#[tokio::test]
async fn the_last_piece_of_a_response_is_delivered_when_the_client_takes_it() {
    const LENGTH: u64 = 5_000_000;
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.unread_timeout = Duration::from_millis(600);
    })
    .await;
    // All of it has left the upstream, and the sockets do not hold it.
    server.publish(&sending(LENGTH as usize).await, json!({"timeout_ms": null}));
    let mut slow = asking_with_little_room(&server, "/api/x").await;
    until(&mut slow, "\r\n\r\n").await;
    let mut block = vec![0; 1000];
    for _ in 0..20 {
        slow.read_exact(&mut block).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(server.log.all().is_empty(), "it is still being delivered");
    }
    let mut rest = vec![0; LENGTH as usize - 20 * 1000];
    slow.read_exact(&mut rest).await.unwrap();
    assert_eq!(delivered(&server.log.wait_for(1).await[0]), (json!(null), LENGTH));
    // It takes no more than its system has room for.
    let _silent = asking_with_little_room(&server, "/api/x").await;
    let (by, bytes) = delivered(&server.log.wait_for(2).await[1]);
    assert!(by == "client" && bytes < LENGTH, "{by} {bytes}");
    // It is known as soon as the connection ends, too.
    drop(asking_with_little_room(&server, "/api/x").await);
    let (by, bytes) = delivered(&server.log.wait_for(3).await[2]);
    assert!(by == "client" && bytes < LENGTH, "{by} {bytes}");
}

#[tokio::test]
async fn a_client_that_still_reads_a_response_is_not_idle() {
    // All of the content, the socket's buffer, an HTTP/2 client's window.
    for (length, window) in [(5_000_000, None), (30_000, None), (30_000, Some(1_000))] {
        let server = Running::with(|settings| {
            one_isolate(settings);
            settings.connections_max = 2;
            settings.idle_timeout = Duration::from_millis(300);
        })
        .await;
        server.publish(&sending(length).await, json!({"timeout_ms": null}));
        let mut slow = asking_with_little_room(&server, "/api/x").await;
        let mut sender = None;
        if let Some(window) = window {
            drop(slow);
            let mut stream = with_window(&server, window).await;
            let request = Request::get("http://h/api/x").body(()).unwrap();
            let mut body = stream.send_request(request, true).unwrap().0.await.unwrap().into_body();
            assert_eq!(body.data().await.unwrap().unwrap().len(), 1_000);
            sender = Some((stream, body));
            slow = server.connect().await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut others = Vec::new();
        for _ in 0..3 {
            let mut other = server.connect().await;
            other.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
            let mut content = vec![0; length];
            until(&mut other, "\r\n\r\n").await;
            other.read_exact(&mut content).await.unwrap();
            others.push(other);
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        let (mut read, mut block) = (0, vec![0; 64 * 1024]);
        match sender {
            None => {
                until(&mut slow, "\r\n\r\n").await;
                while read < length {
                    read += slow.read(&mut block).await.unwrap();
                }
            }
            Some((_stream, mut body)) => {
                read = 1_000;
                body.flow_control().release_capacity(read).unwrap();
                while let Some(data) = body.data().await {
                    let data = data.unwrap().len();
                    read += data;
                    body.flow_control().release_capacity(data).unwrap();
                }
            }
        }
        assert_eq!(read, length, "{window:?}");
    }
}

#[tokio::test]
async fn an_http2_client_that_takes_nothing_of_a_last_piece_is_recorded_and_asked_to_leave() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.unread_timeout = Duration::from_millis(400);
    })
    .await;
    server.publish(&sending(2_000).await, json!({"timeout_ms": null}));
    let builder = &mut h2::client::Builder::new();
    let handshake = builder.initial_window_size(1_000).handshake::<_, bytes::Bytes>(server.connect().await);
    let (sender, connection) = handshake.await.unwrap();
    let ended = tokio::spawn(connection);
    let request = Request::get("http://h/api/x").body(()).unwrap();
    let (response, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
    let _response = response.await.unwrap();
    assert_eq!(delivered(&server.log.wait_for(1).await[0]), (json!("client"), 1_000));
    tokio::time::timeout(TIMEOUT, ended).await.expect("the connection is closed").unwrap().unwrap();
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

async fn is_closed(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(300), stream.read(&mut [0])).await.is_ok()
}

async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert!(until(stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn idle_connections_are_closed_for_new_ones() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.connections_max = 3;
    })
    .await;
    server.publish(&plain_upstream().await, json!({}));
    let mut beginning = server.connect().await;
    beginning.write_all(b"GET /api/x HTTP/1.1\r\nhost:").await.unwrap();
    let (mut idle, mut kept) = (server.connect().await, server.connect().await);
    ask(&mut idle).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    ask(&mut kept).await;
    // Until the system says that the client has taken its response.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut new = server.connect().await;
    ask(&mut new).await;
    assert!(is_closed(&mut idle).await, "it was idle longest");
    ask(&mut kept).await;
    beginning.write_all(b" h\r\n\r\n").await.unwrap();
    assert!(until(&mut beginning, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn one_client_cannot_take_the_connections_of_others() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.connections_max = 100;
        settings.connections_per_client_max = 5;
    })
    .await;
    let (url, calls) = holding(b"").await;
    server.publish(&url, json!({}));
    let mut other = connect_from(&server, 2).await;
    ask(&mut other).await;
    // Heads that never end: the oldest make room for the newest.
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\nx-slow: ").await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
        slow.push(stream);
    }
    assert!(is_closed(&mut slow[0]).await && !is_closed(&mut slow[7]).await);
    // Requests in progress are never closed for others: the next connection is refused.
    let mut busy = Vec::new();
    for count in 1..=5 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /api/held HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        calls.until(count).await;
        busy.push(stream);
    }
    assert!(is_closed(&mut server.connect().await).await);
    assert!(!is_closed(&mut busy[0]).await);
    ask(&mut other).await;
    ask(&mut connect_from(&server, 3).await).await;
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

#[tokio::test]
async fn the_beginning_of_a_head_that_came_with_other_bytes_has_the_heads_time() {
    let server = Running::with(|settings| {
        one_isolate(settings);
        settings.head_timeout = Duration::from_millis(1_500);
    })
    .await;
    server.publish(&sending(2).await, json!({}));
    let get = "GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n";
    let post = "POST /api/x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc";
    let chunked = "POST /api/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    // Some clients send an empty line after content, which begins nothing.
    let mut ended = server.connect().await;
    ended.write_all(format!("{post}\r\n").as_bytes()).await.unwrap();
    until(&mut ended, "\r\n\r\nxx").await;
    for (request, is_complete) in [(get, false), (post, false), (chunked, false), (get, true)] {
        let mut stream = server.connect().await;
        let begun = Instant::now();
        stream.write_all(format!("{request}GET /api/x HTTP/1.1\r\nhost:").as_bytes()).await.unwrap();
        until(&mut stream, "\r\n\r\nxx").await;
        if is_complete {
            tokio::time::sleep(Duration::from_millis(1_300)).await;
            stream.write_all(b" h\r\n\r\n").await.unwrap();
            until(&mut stream, "\r\n\r\nxx").await;
        } else {
            assert_eq!(rest(&mut stream).await, "");
            assert!(begun.elapsed() < Duration::from_secs(3), "{request}: {:?}", begun.elapsed());
        }
    }
    ended.write_all(get.as_bytes()).await.unwrap();
    until(&mut ended, "\r\n\r\nxx").await;
}

#[tokio::test]
async fn an_idle_connection_is_served_whatever_comes_next() {
    let server = Running::with(one_isolate).await;
    server.publish(&plain_upstream().await, json!({}));
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut stream = server.connect().await;
        ask(&mut stream).await;
        open.push(stream);
    }
    let [whole, parts, repeated, ended, stopped] = &mut open[..] else { unreachable!("there are five") };
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(1_700)).await;
        ask(whole).await;
        for part in ["GET /api/x", " HTTP/1.1\r\nhost: h", "\r\n\r\n"] {
            parts.write_all(part.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(until(parts, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
        repeated.write_all("GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n".repeat(3).as_bytes()).await.unwrap();
        for _ in 0..3 {
            assert!(until(repeated, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
        }
    }
    ended.shutdown().await.unwrap();
    assert_eq!(rest(ended).await, "");
    let (stop, _) = server.stop();
    assert_eq!(rest(stopped).await, "");
    tokio::time::timeout(TIMEOUT, stop).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_with_a_slow_head_is_closed_in_time_though_others_come() {
    let server = Running::with(|settings| settings.head_timeout = Duration::from_millis(300)).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let begun = Instant::now();
    assert!(rest(&mut slow).await.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(3));
}
