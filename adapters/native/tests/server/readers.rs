//! Clients that read slowly, or not at all.

use std::time::{Duration, Instant};

use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::resources::{ENDLESS, holding, one_isolate, with_window, without_window};
use crate::running::{Running, TIMEOUT, head, plain_upstream, until, upstream};

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
pub(crate) async fn sending(bytes: usize) -> String {
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
