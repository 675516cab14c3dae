//! The stop of a server: open exchanges finish, counters are kept.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::running::{Running, TIMEOUT, head, plain_upstream, rest, until, upstream};

#[tokio::test]
async fn open_exchanges_finish_and_no_new_connection_is_accepted() {
    let server = Running::start().await;
    let slow = upstream(async |mut stream| {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let _ = stream.write_all(b"done").await;
    })
    .await;
    server.publish(&slow, json!({}));
    let address = server.address;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until(&mut stream, "half").await;
    let idle = server.connect().await;
    let (ended, log) = server.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(address).await.is_err(), "a new connection is accepted");
    assert_eq!(rest(&mut stream).await, "done");
    tokio::time::timeout(TIMEOUT, ended).await.unwrap().unwrap().unwrap();
    assert_eq!(log.all().len(), 1, "the exchange's record is written");
    drop(idle);
}

#[tokio::test]
async fn the_grace_period_limits_the_stop() {
    let server = Running::with(|settings| settings.grace = Duration::from_millis(300)).await;
    let endless = upstream(async |mut stream| {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegun").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    server.publish(&endless, json!({}));
    let mut stream = server.connect().await;
    stream.write_all(b"GET /api/x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until(&mut stream, "begun").await;
    let begun = Instant::now();
    let (ended, _) = server.stop();
    tokio::time::timeout(TIMEOUT, ended).await.unwrap().unwrap().unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn counters_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("counters.db");
    let mut granted = 0;
    for _ in 0..2 {
        let server = Running::with(|settings| settings.counters_file = Some(file.clone())).await;
        server.publish(&plain_upstream().await, json!({"limit": [0]}));
        for _ in 0..4 {
            granted += usize::from(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
        }
        server.stop().0.await.unwrap().unwrap();
    }
    assert_eq!(granted, 5);
}

#[tokio::test]
async fn pending_exports_are_sent_at_the_stop() {
    let server = Running::start().await;
    let (posted, mut seen) = tokio::sync::mpsc::channel(10);
    let collector = upstream(move |mut stream| {
        let posted = posted.clone();
        async move {
            if let Some(head) = head(&mut stream).await {
                let _ = posted.send(head).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            }
        }
    })
    .await;
    let hour = json!({"log": true, "otlp": {"endpoint": collector, "interval_ms": 3_600_000}});
    server.publish_telling(&plain_upstream().await, json!({}), &hour);
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
    let (ended, _) = server.stop();
    tokio::time::timeout(TIMEOUT, ended).await.unwrap().unwrap().unwrap();
    let first = seen.try_recv().unwrap();
    assert!(first.starts_with("POST /v1/traces "), "{first}");
}
