//! Connections: versions of HTTP, TLS, malformed and slow clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tollgate_native::{Server, TlsFiles};

use crate::running::{Running, TIMEOUT, connect_from, head, plain_upstream, rest, until, upstream};

#[tokio::test]
async fn a_kept_alive_connection_serves_request_after_request() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        assert!(until(&mut stream, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_target_of_another_scheme_is_refused() {
    let server = Running::start().await;
    let proxies = json!({"trusted": {"networks": ["127.0.0.2/32"]}, "field": "x-forwarded-for"});
    server.publish_with(&plain_upstream().await, json!({}), json!({"proxies": proxies}));
    let status = async |target: &str, last: u8| {
        let mut stream = connect_from(&server, last).await;
        let fields = "host: h\r\nx-forwarded-proto: https\r\nx-forwarded-for: 192.0.2.1\r\nconnection: close";
        stream.write_all(format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes()).await.unwrap();
        rest(&mut stream).await.split(' ').nth(1).map(str::to_owned).unwrap_or_default()
    };
    for (target, last, expected) in [
        ("/api/x", 1, "200"),
        ("http://h/api/x", 1, "200"),
        ("HTTP://h/api/x", 1, "200"),
        ("ftp://h/api/x", 1, "400"),
        ("https://h/api/x", 1, "421"),
        ("https://h/api/x", 2, "200"),
    ] {
        assert_eq!(status(target, last).await, expected, "{target} from 127.0.0.{last}");
    }
}

#[tokio::test]
async fn a_response_of_http_1_0_that_breaks_off_does_not_look_complete() {
    let server = Running::start().await;
    let breaking = upstream(async |mut stream| {
        let broken = head(&mut stream).await.is_some_and(|head| head.contains("/broken"));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _ = stream.write_all(if broken { b"ZZ" } else { b"0\r\n\r\n" }).await;
    })
    .await;
    server.publish(&breaking, json!({}));
    for (path, is_broken) in [("/api/broken", true), ("/api/whole", false)] {
        let mut stream = server.connect().await;
        let request = format!("GET {path} HTTP/1.0\r\nhost: h\r\nconnection: keep-alive\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let ended = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut received)).await.unwrap();
        let received = String::from_utf8(received).unwrap().to_ascii_lowercase();
        assert!(received.ends_with("\r\n\r\nhalf"), "{received}");
        assert!(!received.contains("keep-alive"), "the end of the connection is the end of the content: {received}");
        assert_eq!(ended.is_err(), is_broken, "{path}: {ended:?}");
    }
}

#[tokio::test]
async fn ambiguous_heads_are_refused() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let cases = [
        ("GET /api/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
        ("GET /api/x HTTP/1.1\r\n\r\n", "400"),
        ("POST /api/x HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "400"),
        ("POST /api/x HTTP/1.1\r\nhost: h\r\ncontent-length: +1\r\n\r\na", "400"),
        ("POST /api/x HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ("POST /api/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip\r\n\r\n", "400"),
        ("GET /api/x HTTP/1.1\r\nhost: h\r\nbad name: x\r\n\r\n", "400"),
        ("GET /api/x HTTP/1.1\r\nhost: h\r\n x: folded\r\n\r\n", "400"),
        ("nonsense\r\n\r\n", "400"),
    ];
    for (request, status) in cases {
        let closing = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        let answer = server.send(closing).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn heads_beyond_their_bounds_are_refused() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let large = format!("GET /api/x HTTP/1.1\r\nhost: h\r\nx: {}\r\nconnection: close\r\n\r\n", "y".repeat(100_000));
    let lines = |n| format!("GET /api/x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{}\r\n", "x: y\r\n".repeat(n));
    let (many, more) = (lines(110), lines(500));
    let long = format!("GET /api/{} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", "y".repeat(20_000));
    for (request, status) in [(large, "431"), (many.clone(), "431"), (more, "431"), (long, "414")] {
        let answer = server.send(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert!(server.send(&many).await.contains("urn:tollgate:problem:fields-too-large"));
}

#[tokio::test]
async fn a_head_that_does_not_end_closes_the_connection() {
    let server = Running::with(|settings| settings.head_timeout = Duration::from_millis(300)).await;
    for beginning in ["", "PRI", "GET /api/x HTTP/1.1\r\nhost: h\r\nx-slow: "] {
        let begun = Instant::now();
        let mut stream = server.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{beginning:?}");
    }
}

#[tokio::test]
async fn connections_past_the_bound_wait_while_all_are_in_use() {
    let server = Running::with(|settings| {
        settings.isolates = std::num::NonZeroUsize::new(1);
        settings.connections_max = 2;
    })
    .await;
    let slow = upstream(async |mut stream| {
        while head(&mut stream).await.is_some_and(|head| !head.contains("/held")) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegun").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    server.publish(&slow, json!({}));
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET /api/held HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        until(stream, "begun").await;
    }
    let mut third = server.connect().await;
    third.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), third.readable()).await;
    assert!(early.is_err(), "the third is served while two are in use");
    drop(first);
    assert!(until(&mut third, "ok").await.starts_with("HTTP/1.1 200"));
}

async fn http2_get<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, url: &str) -> (StatusCode, Bytes) {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(url).version(Version::HTTP_2).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    (response.status(), response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_begin_with_it() {
    let server = Running::start().await;
    server.publish(&plain_upstream().await, json!({}));
    let answer = http2_get(server.connect().await, "http://h/api/x").await;
    assert_eq!(answer, (StatusCode::OK, Bytes::from("ok")));
}

#[tokio::test]
async fn an_invalid_field_of_http2_ends_the_connection_and_a_misplaced_one_its_stream() {
    let server = Running::start().await;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    for (field, ends_by) in [("\0\x01x\x01\x01", GOAWAY), ("\0\x01X\x01y", GOAWAY), ("\0\x07upgrade\x01y", RST_STREAM)]
    {
        let mut stream = server.connect().await;
        // GET, http, the path /, the host h, and the field, without Huffman coding.
        let block = [b"\x82\x86\x84\x01\x01h", field.as_bytes()].concat();
        let head = [&[0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1], &block[..]].concat();
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &head].concat()).await.unwrap();
        let code = loop {
            let mut frame = [0; 9];
            stream.read_exact(&mut frame).await.expect("the end is told");
            let mut payload = vec![0; u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if [RST_STREAM, GOAWAY].contains(&frame[3]) {
                assert_eq!(frame[3], ends_by, "{field:?}");
                break payload[payload.len().min(8) - 1];
            }
        };
        assert_eq!(code, 1, "{field:?}: PROTOCOL_ERROR");
    }
}

#[tokio::test]
async fn tls_offers_http2_and_serves_both() {
    let signed = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files =
        TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem"), clients: None };
    std::fs::write(&files.certificate, signed.cert.pem()).unwrap();
    std::fs::write(&files.key, signed.signing_key.serialize_pem()).unwrap();
    let server = Running::with(|settings| settings.listen[0].tls = Some(files)).await;
    server.publish(&plain_upstream().await, json!({}));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (offer, expected) in [(&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])), (&[b"http/1.1"], Some(b"http/1.1"))] {
        config.alpn_protocols = offer.iter().map(|p| p.to_vec()).collect();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
        let name = "gateway.test".try_into().unwrap();
        let mut stream = connector.connect(name, server.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), expected);
        if expected == Some(b"h2") {
            let answer = http2_get(stream, "https://gateway.test/api/x").await;
            assert_eq!(answer, (StatusCode::OK, Bytes::from("ok")));
        } else {
            stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
            let mut first = Vec::new();
            while !first.ends_with(b"\r\n\r\nok") {
                assert_ne!(stream.read_buf(&mut first).await.unwrap(), 0);
            }
            // The connection has been idle for a while.
            tokio::time::sleep(Duration::from_millis(1_700)).await;
            stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut all = String::new();
            let _ = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut all).await;
            assert!(all.starts_with("HTTP/1.1 200"), "{all}");
        }
    }
}

#[tokio::test]
async fn invalid_tls_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let files =
        TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem"), clients: None };
    let records = tollgate_native::RecordStore::in_memory().unwrap();
    let mut settings = tollgate_native::Settings::new("test", ([127, 0, 0, 1], 0).into());
    settings.listen[0].tls = Some(files.clone());
    let refused = || Server::builder(settings.clone(), records.clone()).bind().err().unwrap().to_string();
    assert!(refused().contains("cert.pem cannot be read"), "{}", refused());
    std::fs::write(&files.certificate, "no certificate").unwrap();
    assert!(refused().contains("must be a PEM file with certificates"), "{}", refused());
}
