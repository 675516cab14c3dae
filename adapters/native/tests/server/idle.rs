//! Connections without a request, and those whose request does not become complete.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::readers::sending;
use crate::resources::{ask, holding, one_isolate};
use crate::running::{Running, TIMEOUT, connect_from, plain_upstream, rest, until};

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
    // An isolate notices four times a second which clients have taken their response: only then they are idle, and those that
    // are idle for longer go first.
    for stream in &mut open {
        ask(stream).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
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

async fn is_closed(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(300), stream.read(&mut [0])).await.is_ok()
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
