use std::time::Duration;

use super::Upstream;
use crate::client::{Client, Request};

/// Runs a test on one thread, like the hosts' isolates.
fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[test]
fn it_reports_what_it_received() {
    on_one_thread(async {
        let upstream = Upstream::start().await.expect("a port");
        let client = Client::new(&upstream.url());
        let request = Request::post("/a?b=c", "hello").field("X-Test", "1");
        let answer = client.send(request).await.expect("an answer");
        let report = answer.json();
        assert_eq!(report["call"], 1);
        assert_eq!(report["received"]["target"], "/a?b=c");
        let received = upstream.report().last().expect("one request");
        assert_eq!(received.field("x-test"), Some("1"));
        assert_eq!(received.content_length, 5);
        assert!(received.content_sha256.starts_with("2cf24dba5fb0a30e"));
        assert!(received.content_complete && received.answered);
    });
}

#[test]
fn status_and_fields_are_as_asked() {
    on_one_thread(async {
        let upstream = Upstream::start().await.expect("a port");
        let client = Client::new(&upstream.url());
        let target = "/?status=418&field=Cache-Control:max-age%3D5&field=A:b&size=100000&etag=v1";
        let answer = client.get(target).await.expect("an answer");
        assert_eq!(answer.status, 418);
        assert_eq!(answer.field("cache-control"), Some("max-age=5"));
        assert_eq!(answer.content.len(), 100_000);
        let again = Request::get(target).field("If-None-Match", "\"v1\"");
        let answer = client.send(again).await.expect("an answer");
        assert_eq!((answer.status, answer.content.len()), (304, 0));
    });
}

#[test]
fn content_is_echoed_while_it_arrives() {
    on_one_thread(async {
        let upstream = Upstream::start().await.expect("a port");
        let client = Client::new(&upstream.url());
        let (request, mut content) = Request::post("/?echo", "").streaming();
        let mut answer = client.open(request).await.expect("a head");
        for piece in ["one", "two"] {
            content.send(piece.into()).await.expect("it still reads");
            assert_eq!(answer.piece().await.expect("a piece"), piece.as_bytes());
        }
        drop(content);
        assert!(answer.piece().await.is_none());
    });
}

#[test]
fn it_breaks_off_where_it_is_told_to() {
    on_one_thread(async {
        let upstream = Upstream::start().await.expect("a port");
        let client = Client::new(&upstream.url());
        assert!(client.get("/?break=head").await.is_err());
        assert!(client.get("/?break=garbage").await.is_err());
        let answer = client.get("/?break=body&size=1000").await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.broken));
        let last = upstream.report().last().expect("a request");
        assert!(!last.answered);
    });
}

#[test]
fn a_client_that_leaves_is_noticed() {
    on_one_thread(async {
        let upstream = Upstream::start().await.expect("a port");
        let client = Client::new(&upstream.url());
        let mut answer = client.open(Request::get("/?chunks=100&every_ms=20")).await.expect("a head");
        assert!(answer.piece().await.is_some());
        drop(answer);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!upstream.report().last().expect("a request").answered);
    });
}
