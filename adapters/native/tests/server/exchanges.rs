//! How requests are handled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollgate_native::faults::FaultyStore;
use tollgate_native::{Listen, SecretSource};

use crate::running::{Running, head, plain_upstream, rest, send, until, upstream};

#[tokio::test]
async fn without_a_bundle_there_is_a_503_and_publishing_mends_it() {
    let server = Running::start().await;
    let answer = server.get("/api/x").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("application/problem+json"), "{answer}");
    server.publish(&plain_upstream().await, json!({}));
    for _ in 0..8 {
        let answer = server.get("/api/x").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok"), "{answer}");
    }
}

#[tokio::test]
async fn internal_hosts_are_available_at_internal_addresses_only() {
    let server = Running::with(|settings| {
        let address = settings.listen[0].address;
        settings.listen.push(Listen { address, tls: None, inside: true });
    })
    .await;
    server.publish(&plain_upstream().await, json!({}));
    let status = async |inside: bool, host: &str| {
        let address = server.addresses[usize::from(inside)];
        let request = format!("GET /api/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        send(address, request).await.split(' ').nth(1).map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(status(true, "ops.internal").await, "200");
    assert_eq!(status(false, "ops.internal").await, "404");
    assert_eq!(status(false, "OPS.internal.:80").await, "404");
    assert_eq!((status(true, "h").await, status(false, "h").await), ("200".to_owned(), "200".to_owned()));
}

#[tokio::test]
async fn content_streams_both_ways() {
    let server = Running::start().await;
    // Sends each received byte back immediately, as a chunk.
    let echo = upstream(async |mut stream| {
        let Some(head) = head(&mut stream).await else { return };
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let mut chunk = [0; 6];
        while stream.read_exact(&mut chunk).await.is_ok() && &chunk != b"0\r\n\r\n\0" {
            stream.write_all(&chunk).await.unwrap();
        }
    })
    .await;
    server.publish(&echo, json!({}));
    let mut stream = server.connect().await;
    stream.write_all(b"POST /api/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    stream.write_all(b"1\r\na\r\n").await.unwrap();
    let answer = until(&mut stream, "1\r\na\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    stream.write_all(b"1\r\nb\r\n").await.unwrap();
    assert_eq!(until(&mut stream, "1\r\nb\r\n").await, "1\r\nb\r\n");
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_the_upstream() {
    let server = Running::start().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let flood = upstream(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let block = vec![b'x'; 64 * 1024];
            while stream.write_all(&block).await.is_ok() {
                count.fetch_add(block.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    server.publish(&flood, json!({}));
    let mut stream = server.connect().await;
    stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after_a_second = sent.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Socket buffers hold some megabytes; then the transfer stops.
    assert_eq!(sent.load(Ordering::Relaxed), after_a_second);
    assert!(after_a_second < 32 * 1024 * 1024, "{after_a_second}");
}

#[tokio::test]
async fn a_disconnected_client_is_recorded_once_and_frees_the_upstream() {
    let server = Running::start().await;
    let (closed, mut seen) = tokio::sync::mpsc::channel(1);
    let endless = upstream(move |mut stream| {
        let closed = closed.clone();
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(b"more").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let _ = closed.send(()).await;
        }
    })
    .await;
    server.publish(&endless, json!({}));
    let mut stream = server.connect().await;
    stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until(&mut stream, "more").await;
    drop(stream);
    let closed = tokio::time::timeout(Duration::from_secs(5), seen.recv()).await;
    assert!(closed.is_ok(), "the upstream's connection is closed");
    let lines = server.log.wait_for(1).await;
    assert!(lines[0].contains("api.all"), "{lines:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.log.all().len(), 1);
}

#[tokio::test]
async fn a_client_that_disconnects_before_the_response_is_recorded_too() {
    let server = Running::start().await;
    let slow = upstream(async |mut stream| {
        head(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    server.publish(&slow, json!({}));
    for (number, closes_half) in [false, true].into_iter().enumerate() {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        if closes_half {
            stream.shutdown().await.unwrap();
            assert_eq!(rest(&mut stream).await, "");
        }
        drop(stream);
        let lines = server.log.wait_for(number + 1).await;
        assert!(lines[number].contains("client-gone"), "{lines:?}");
    }
}

#[tokio::test]
async fn isolates_share_counters() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({"limit": [0]}));
    let mut granted = 0;
    for _ in 0..16 {
        granted += usize::from(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(granted, 5);
}

#[tokio::test]
async fn an_unavailable_store_has_an_effect_until_it_is_available_again() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({"limit": [0]}));
    server.faults.set(FaultyStore::Counters, true);
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 503"));
    server.faults.set(FaultyStore::Counters, false);
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn invalid_chunked_coding_is_the_clients_error() {
    let server = Running::start().await;
    let patient = upstream(async |mut stream| {
        head(&mut stream).await;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    server.publish(&patient, json!({}));
    let mut stream = server.connect().await;
    stream.write_all(b"POST /api/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream.write_all(b"not a length\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn content_that_is_invalid_from_its_beginning_is_a_502() {
    let server = Running::start().await;
    let invalid = upstream(async |mut stream| {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n").await;
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    server.publish(&invalid, json!({}));
    let answer = server.get("/api/x").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("error=http_protocol_error"), "{answer}");
}

#[tokio::test]
async fn a_response_with_trailers_is_delivered_completely() {
    let server = Running::start().await;
    let trailing = upstream(async |mut stream| {
        while head(&mut stream).await.is_some() {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
            let _ = stream.write_all(format!("{head}2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n").as_bytes()).await;
        }
    })
    .await;
    server.publish(&trailing, json!({}));
    for (takes, end) in [("te: trailers, deflate\r\n", "0\r\nx-sum: 1\r\n\r\n"), ("", "0\r\n\r\n")] {
        let request = format!("GET /api/x HTTP/1.1\r\nhost: h\r\n{takes}connection: close\r\n\r\n");
        let answer = server.send(request).await;
        assert!(answer.ends_with(end), "{answer}");
    }
    let lines = server.log.wait_for(2).await;
    assert!(lines.iter().all(|line| !line.contains("aborted_by") && line.contains("\"content_bytes\":2")), "{lines:?}");
}

#[tokio::test]
async fn announced_trailers_of_content_with_a_length_reach_an_http1_upstream() {
    let server = Running::start().await;
    let (told, mut received) = tokio::sync::mpsc::channel(1);
    let recording = upstream(move |mut stream| {
        let told = told.clone();
        async move {
            let mut all = Vec::new();
            while !all.ends_with(b"x-sum: 1\r\n\r\n") && stream.read_buf(&mut all).await.is_ok_and(|read| read > 0) {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            let _ = told.send(String::from_utf8(all).unwrap()).await;
        }
    })
    .await;
    server.publish(&recording, json!({}));
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = http::Request::post("http://h/api/x").header("content-length", "3").header("trailer", "x-sum");
    let (response, mut content) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    content.send_data(bytes::Bytes::from_static(b"abc"), false).unwrap();
    content.send_trailers(http::HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())])).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    let received = received.recv().await.unwrap();
    assert!(received.ends_with("\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"), "{received}");
    assert!(!received.contains("content-length"), "{received}");
}

#[tokio::test]
async fn content_past_its_limit_is_413_while_it_streams() {
    let server = Running::start().await;
    let patient = upstream(async |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    server.publish(&patient, json!({"content_bytes_max": 10}));
    let mut stream = server.connect().await;
    stream.write_all(b"POST /api/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    stream.write_all(b"b\r\nelevenbytes\r\n").await.unwrap();
    let answer = until(&mut stream, "\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

/// The status of the response to this head, and whether it is a problem document.
async fn refused(server: &Running, head: &str) -> (String, bool) {
    let answer = server.send(format!("{head}\r\n\r\n")).await;
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    let has_content = !answer.ends_with("\r\n\r\n");
    assert_eq!(has_content, answer.contains("application/problem+json"), "{answer}");
    (status, has_content)
}

#[tokio::test]
async fn what_the_parser_refuses_has_no_problem_document_and_what_the_pipeline_refuses_has_one() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let long = format!("POST /api/x HTTP/1.1\r\nhost: h\r\nx: {}", "x".repeat(70_000));
    let many = format!("POST /api/x HTTP/1.1\r\nhost: h{}", "\r\nx: y".repeat(129));
    let of =
        |version: &str, field: &str| format!("POST /api/x HTTP/{version}\r\nhost: h\r\n{field}\r\nconnection: close");
    for (head, status) in [
        (of("1.1", "content-length: 1\r\ncontent-length: 2"), "400"),
        (of("1.1", "content-length: 1, 2"), "400"),
        (of("1.1", "content-length: +1"), "400"),
        (of("1.1", "transfer-encoding: gzip"), "400"),
        (of("1.0", "transfer-encoding: chunked"), "400"),
        (of("1.1", "a name: x"), "400"),
        (of("1.1", "x: \u{1}"), "400"),
        (of("1.1", "x: y\r\n folded"), "400"),
        (of("9.9", "x: y"), "400"),
        ("G@T / HTTP/1.1\r\nhost: h".to_owned(), "400"),
        ("SSH-2.0".to_owned(), "400"),
        ("GET /a<b HTTP/1.1\r\nhost: h".to_owned(), "400"),
        ("GET /a>b HTTP/1.1\r\nhost: h".to_owned(), "400"),
        ("GET /a`b HTTP/1.1\r\nhost: h".to_owned(), "400"),
        (long, "431"),
        (many, "431"),
    ] {
        assert_eq!(refused(&server, &head).await, (status.to_owned(), false), "{head:.80}");
    }
    for (field, status) in
        [("transfer-encoding: gzip, chunked", "501"), ("host: h", "400"), ("content-length: 2000000", "413")]
    {
        assert_eq!(refused(&server, &of("1.1", field)).await, (status.to_owned(), true), "{field}");
    }
}

/// What a client receives that sends these bytes behind chunked content, and the heads that the upstream got.
async fn behind_chunks(server: &Running, seen: &Heads, target: &str, chunks: &str) -> (Vec<String>, Vec<String>) {
    let hidden = "GET /api/hidden HTTP/1.1\r\nhost: h\r\n\r\n";
    let length = hidden.len();
    let answers = server
        .send(format!(
            "POST {target} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n{chunks}\
             POST /api/two HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{hidden}"
        ))
        .await;
    let heads = answers.split("HTTP/1.1 ").skip(1).map(str::to_owned).collect();
    (heads, std::mem::take(&mut *seen.lock().unwrap()))
}

type Heads = Arc<std::sync::Mutex<Vec<String>>>;

#[tokio::test]
async fn nothing_behind_trailers_is_a_request() {
    let seen = Heads::default();
    let heads = Arc::clone(&seen);
    let reading = upstream(move |mut stream| {
        let heads = Arc::clone(&heads);
        async move {
            while let Some(head) = head(&mut stream).await {
                heads.lock().unwrap().push(head.split(' ').nth(1).unwrap_or_default().to_owned());
                let end = if head.contains("chunked") { "0\r\n\r\n" } else { "" };
                if !end.is_empty() {
                    until(&mut stream, end).await;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let server = Running::start().await;
    server.publish(&reading, json!({}));
    for trailers in ["x: 1\n\r\n", "x: 1\r\n\r\n", "\n", "x: 1\n\n"] {
        // Content that is read, and a request that is refused before.
        for target in ["/api/one", "/none"] {
            for chunks in ["0\r\n", "2\r\nok\r\n0\r\n"] {
                let (answers, forwarded) = behind_chunks(&server, &seen, target, &format!("{chunks}{trailers}")).await;
                let context = format!("{target} {chunks:?} {trailers:?}: {answers:?} {forwarded:?}");
                assert!(!forwarded.iter().any(|target| target.contains("hidden")), "{context}");
                assert!(answers.len() < 2, "{context}");
                let says_so = |answer: &String| answer.to_lowercase().contains("\r\nconnection: close\r\n");
                assert!(answers.iter().all(says_so), "{context}");
            }
        }
    }
}

#[tokio::test]
async fn chunked_content_without_trailers_keeps_the_connection() {
    let seen = Heads::default();
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let (answers, _) = behind_chunks(&server, &seen, "/api/one", "2\r\nok\r\n0\r\n\r\n").await;
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(!answers[0].contains("connection: close"), "{answers:?}");
}

#[tokio::test]
async fn nothing_behind_trailers_is_a_request_after_an_early_answer() {
    let server = Running::start().await;
    let heads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heads);
    let early = upstream(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            while head(&mut stream).await.is_some() {
                count.fetch_add(1, Ordering::Relaxed);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                until(&mut stream, "0\r\n\r\n").await;
            }
        }
    })
    .await;
    server.publish(&early, json!({}));
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /api/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
        .await
        .unwrap();
    until(&mut stream, "\r\n\r\nok").await;
    stream
        .write_all(b"0\r\nx: 1\n\r\nGET /x HTTP/1.1\r\n\r\nGET /api/hidden HTTP/1.1\r\nhost: h\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(heads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_certificate_of_the_gateway_that_cannot_be_used_is_told_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    std::fs::write(folder.path().join("OURS"), pair.cert.pem()).unwrap();
    let secrets = SecretSource::Folder(folder.path().to_owned());
    let server = Running::with(|settings| settings.secrets = secrets).await;
    let upstream = json!({"name": "up", "url": "https://localhost:9", "connect_timeout_ms": 1_000, "certificate": {"name": "OURS"}});
    server.publish_to(&upstream, json!({}), json!({}));
    let answer = server.get("/api/x").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("error=proxy_configuration_error"), "{answer}");
    let told = async || {
        let all = server.log.wait_for(2).await;
        all.into_iter().find(|line| line.contains("upstream-certificate-unusable"))
    };
    let line = told().await.expect("it is told");
    assert!(
        line.contains("the secret `OURS` has no private key in PEM") && line.contains("\"level\":\"error\""),
        "{line}"
    );
    let both = format!("{}{}", pair.cert.pem(), pair.signing_key.serialize_pem());
    std::fs::write(folder.path().join("OURS"), both).unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    // Nothing listens there: the certificate can be presented, but no connection is accepted.
    while !server.get("/api/x").await.contains("error=connection_refused") {
        assert!(std::time::Instant::now() < end, "the certificate is not read again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
