//! Responses that are ready before the request has been received: they must reach a client that is still sending.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::running::{Running, TIMEOUT, plain_upstream, rest, until, upstream};

/// More than the buffers of two sockets hold.
const LONG: usize = 12_000_000;

/// Sends everything before it reads anything, as simple clients do.
async fn send_then_read(mut stream: TcpStream, head: &str, content: &[u8]) -> String {
    let exchange = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(content).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap().expect("everything is sent and read")
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_everything_first() {
    let server = Running::start().await;
    // It answers without reading the content, and closes.
    let hasty = upstream(async |mut stream| {
        crate::running::head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    })
    .await;
    server.publish(&hasty, json!({"content_bytes_max": 100_000_000}));
    let whole = vec![b'x'; LONG];
    let chunked = [format!("{LONG:x}\r\n").as_bytes(), &whole, b"\r\n0\r\n\r\n"].concat();
    let with_length = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {LONG}\r\n\r\n");
    let in_chunks = "POST /none HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    for (head, content, status) in [
        (with_length("/none"), &whole, "404"),
        (in_chunks.to_owned(), &chunked, "404"),
        (with_length("/api/x"), &whole, "409"),
        ("nonsense\r\n\r\n".to_owned(), &whole, "400"),
    ] {
        let answer = send_then_read(server.connect().await, &head, content).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head:?}: {answer}");
    }
    let admin = TcpStream::connect(server.admin).await.unwrap();
    let head = format!("POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: {LONG}\r\n\r\n");
    let answer = send_then_read(admin, &head, &whole).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[tokio::test]
async fn a_refused_client_is_listened_to_for_a_bounded_time_and_length() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let head = "POST /none HTTP/1.1\r\nhost: h\r\ncontent-length: 900000000000\r\n\r\n";
    // One that sends without end.
    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let block = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    let sending = async {
        while stream.write_all(&block).await.is_ok() {
            sent += block.len();
        }
    };
    tokio::time::timeout(TIMEOUT, sending).await.expect("the connection is closed");
    assert!(sent > 12_000_000 && sent < 64_000_000, "{sent}");
    // One that is silent: its half of the connection is open, and the server has closed.
    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let closed = async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, closed).await.expect("the connection is closed");
    assert!(begun.elapsed() < Duration::from_secs(9));
}

/// What a client of an upstream gets that answers so when it has a request's head, and closes: that is a reset, because it has
/// not read the content.
async fn of_unread(server: &Running, chunked: bool) -> String {
    let framing = if chunked { "transfer-encoding: chunked" } else { "content-length: 3000000" };
    let mut stream = server.connect().await;
    let head = format!("POST /api/x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let block = [b'x'; 20_000];
    for _ in 0..150 {
        let (size, end) = if chunked { ("4e20\r\n", "\r\n") } else { ("", "") };
        // The gateway may close the connection after the response.
        let _ = stream.write_all(&[size.as_bytes(), &block, end.as_bytes()].concat()).await;
    }
    let _ = stream.write_all(if chunked { b"0\r\n\r\n" } else { b"" }).await;
    rest(&mut stream).await
}

#[tokio::test]
async fn an_upstreams_answer_before_its_reset_is_the_answer() {
    for (answered, status, ends) in
        [("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig", "413", "big"), ("", "502", "}")]
    {
        let server = Running::start().await;
        let unread = upstream(async move |mut stream| {
            crate::running::head(&mut stream).await;
            let _ = stream.write_all(answered.as_bytes()).await;
        });
        server.publish(&unread.await, json!({"content_bytes_max": 100_000_000}));
        for number in 0..20 {
            let answer = of_unread(&server, number % 2 == 0).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(ends), "{number}: {answer}");
        }
    }
}

/// Sends a head and the beginning of content, and does something when it has the head of the response.
async fn after_early_head(server: &Running, framing: &str, then: impl AsyncFnOnce(&mut TcpStream)) -> Duration {
    let begun = Instant::now();
    let mut stream = server.connect().await;
    let request = format!("POST /api/x HTTP/1.1\r\nhost: h\r\n{framing}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    then(&mut stream).await;
    begun.elapsed()
}

#[tokio::test]
async fn a_client_whose_content_ends_an_early_response_is_named_and_the_upstream_is_not() {
    let server = Running::start().await;
    // It answers at once, and ends its response when it has the content.
    let early = upstream(async |mut stream| {
        crate::running::head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    server.publish(&early, json!({"content_bytes_max": 1_000, "timeout_ms": 1_000}));
    // It leaves.
    after_early_head(&server, "content-length: 100", async |stream| stream.shutdown().await.unwrap()).await;
    server.log.wait_for(1).await;
    // It sends more than is allowed.
    after_early_head(&server, "transfer-encoding: chunked", async |stream| {
        stream.write_all(format!("7d0\r\n{}\r\n", "x".repeat(2_000)).as_bytes()).await.unwrap();
        rest(stream).await;
    })
    .await;
    server.log.wait_for(2).await;
    // It sends what is no content.
    after_early_head(&server, "transfer-encoding: chunked", async |stream| {
        stream.write_all(b"ZZ\r\n").await.unwrap();
        rest(stream).await;
    })
    .await;
    server.log.wait_for(3).await;
    // It stops sending.
    let waited = after_early_head(&server, "content-length: 100", async |stream| {
        rest(stream).await;
    })
    .await;
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
    let lines = server.log.wait_for(4).await;
    assert!(lines.iter().all(|line| line.contains("\"aborted_by\":\"client\"")), "{lines:#?}");
}

#[tokio::test]
async fn an_http2_refusal_is_followed_by_a_reset_without_error() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    for round in 0..5 {
        let request = Request::post("http://h/none").body(()).unwrap();
        let (response, mut content) = sender.send_request(request, false).unwrap();
        content.send_data(Bytes::from(vec![b'x'; 50_000]), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 404, "{round}");
        let mut body = response.into_body();
        let mut problem = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            let _ = body.flow_control().release_capacity(data.len());
            problem.extend_from_slice(&data);
        }
        assert!(String::from_utf8(problem).unwrap().contains("route-not-found"));
        let reset = std::future::poll_fn(|cx| content.poll_reset(cx));
        let reset = tokio::time::timeout(TIMEOUT, reset).await.expect("the stream is reset");
        assert_eq!(reset.unwrap(), h2::Reason::NO_ERROR);
    }
    let request = Request::get("http://h/api/x").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200, "the connection remains usable");
}

#[tokio::test]
async fn content_whose_stream_is_reset_without_an_error_does_not_reach_the_upstream_as_complete() {
    let server = Running::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    server.publish(&format!("http://{}", listener.local_addr().unwrap()), json!({}));
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = Request::post("http://h/api/x").body(()).unwrap();
    let (_response, mut content) = sender.send_request(request, false).unwrap();
    content.send_data(Bytes::from_static(b"abc"), false).unwrap();
    let (mut upstream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"abc\r\n") {
        assert_ne!(upstream.read_buf(&mut received).await.unwrap(), 0);
    }
    content.send_reset(h2::Reason::NO_ERROR);
    // Closed, or reset: either tells the upstream.
    let _ = tokio::time::timeout(TIMEOUT, upstream.read_to_end(&mut received)).await.expect("the call ends");
    assert!(!received.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&received));
}

/// A client that reads while it writes, as most do, and that reports a write error before it reads what has arrived.
const NODE_CLIENT: &str = r#"
const http = require("http");
const lost = { count: 0 };
function send(left) {
  if (left === 0) { console.log(lost.count); return; }
  const request = http.request({ port: +process.argv[1], method: "POST", path: "/none", agent: false });
  let answered = false;
  request.on("response", (response) => { answered = response.statusCode === 404; response.resume(); });
  request.on("error", () => {});
  request.on("close", () => { if (!answered) lost.count += 1; send(left - 1); });
  const block = Buffer.alloc(64 * 1024);
  let blocks = 128;
  const write = () => { while (blocks-- > 0) { if (!request.write(block)) { request.once("drain", write); return; } } request.end(); };
  write();
}
send(15);
"#;

#[tokio::test]
async fn a_refusal_reaches_nodes_client_where_node_is_installed() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let port = server.address.port().to_string();
    let running = move || std::process::Command::new("node").args(["-e", NODE_CLIENT, &port]).output();
    let Ok(output) = tokio::task::spawn_blocking(running).await.unwrap() else { return };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "answers that were lost, of 15");
}
