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
async fn what_the_grace_period_cuts_off_is_recorded() {
    let server = Running::with(|settings| settings.grace = Duration::from_millis(300)).await;
    // It sends a head to one client and nothing to the other.
    let endless = upstream(async |mut stream| {
        if head(&mut stream).await.is_some_and(|head| head.contains("/begun")) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegun").await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    server.publish(&endless, json!({}));
    let (mut begun, mut waiting) = (server.connect().await, server.connect().await);
    begun.write_all(b"GET /api/begun HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    until(&mut begun, "begun").await;
    waiting.write_all(b"POST /api/x HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://h/api/x").body(()).unwrap();
    let _response = sender.ready().await.unwrap().send_request(request, true).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (ended, log) = server.stop();
    tokio::time::timeout(TIMEOUT, ended).await.unwrap().unwrap().unwrap();
    let lines = log.all();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let with = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    // The gateway ended them, and not their clients.
    assert_eq!((with("\"problem\":\"stopped\""), with("\"status\":503")), (2, 2), "{lines:?}");
    assert_eq!((with("\"aborted_by\":\"gateway\""), with("\"client"), with("client-gone")), (3, 0, 0), "{lines:?}");
}

#[tokio::test]
async fn a_log_that_nobody_reads_does_not_prevent_the_stop() {
    struct Unread(std::sync::mpsc::Receiver<()>);
    impl std::io::Write for Unread {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (_release, held) = std::sync::mpsc::channel();
    let mut settings = tollgate_native::Settings::new("test", ([127, 0, 0, 1], 0).into());
    settings.grace = Duration::from_millis(300);
    let records = tollgate_native::RecordStore::in_memory().unwrap();
    let server = tollgate_native::Server::builder(settings, records).log_to(Box::new(Unread(held))).bind().unwrap();
    let address = server.addresses()[0];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    assert!(
        crate::running::send(address, "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.contains("503")
    );
    drop(stop);
    tokio::time::timeout(TIMEOUT, ended).await.expect("the server stops").unwrap().unwrap();
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
    server.publish_with(&plain_upstream().await, json!({}), json!({"telemetry": hour}));
    assert!(server.get("/api/x").await.starts_with("HTTP/1.1 200"));
    let (ended, _) = server.stop();
    tokio::time::timeout(TIMEOUT, ended).await.unwrap().unwrap().unwrap();
    let first = seen.try_recv().unwrap();
    assert!(first.starts_with("POST /v1/traces "), "{first}");
}
