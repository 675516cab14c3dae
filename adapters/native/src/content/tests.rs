use super::*;
use http_body_util::BodyExt;

fn bytes(text: &'static str) -> NativeContent {
    NativeContent::from_bytes(Bytes::from_static(text.as_bytes()))
}

async fn read(content: NativeContent) -> Result<Bytes, ContentError> {
    content.collect().await.map(|all| all.to_bytes())
}

#[tokio::test]
async fn content_within_its_limit_passes_and_one_more_byte_aborts_it() {
    assert_eq!(read(bytes("abc").limited(3)).await.unwrap(), "abc");
    let content = bytes("abcd").limited(3);
    let request = content.request().unwrap().clone();
    assert_eq!(request.fault(), None);
    assert!(matches!(read(content).await, Err(ContentError::LimitExceeded)));
    assert_eq!(request.fault(), Some(RequestFault::LimitExceeded));
}

#[tokio::test]
async fn the_copy_is_the_delivered_content_or_absent() {
    let (client, copy) = bytes("abc").tee(3);
    assert_eq!(read(client).await.unwrap(), "abc");
    assert_eq!(copy.complete().await.unwrap(), "abc");

    let (client, copy) = bytes("abcd").tee(3);
    assert_eq!(read(client).await.unwrap(), "abcd");
    assert_eq!(copy.complete().await, None);

    let (client, copy) = bytes("abc").limited(2).tee(10);
    assert!(read(client).await.is_err());
    assert_eq!(copy.complete().await, None);

    let (client, copy) = NativeContent::empty().tee(10);
    drop(client);
    assert_eq!(copy.complete().await.unwrap(), "");
}

#[tokio::test]
async fn delivery_is_reported_when_it_has_ended() {
    let (client, delivery) = bytes("abc").watched(false);
    assert_eq!(read(client).await.unwrap(), "abc");
    assert_eq!(delivery.await, Delivery::Complete { bytes: 3 });

    let (client, delivery) = bytes("abc").watched(false);
    drop(client);
    let aborted = |bytes| Delivery::Aborted { bytes, by: AbortedBy::Client };
    assert_eq!(delivery.await, aborted(0));

    let (client, delivery) = NativeContent::empty().watched(false);
    drop(client);
    assert_eq!(delivery.await, Delivery::Complete { bytes: 0 });
}

#[tokio::test]
async fn a_reader_that_stops_at_the_declared_length_is_complete() {
    let (mut client, delivery) = bytes("abc").watched(false);
    let frame = client.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "abc");
    assert!(client.is_end_stream());
    drop(client);
    assert_eq!(delivery.await, Delivery::Complete { bytes: 3 });
}

#[tokio::test]
async fn all_declared_bytes_are_complete_before_the_end_of_the_stream() {
    let whole = GatheredContent { bytes: Bytes::from_static(b"abc"), trailers: Some(HeaderMap::new()) };
    let (client, copy) = NativeContent::replay(&whole).tee(10);
    let (mut client, delivery) = client.watched(false);
    client.frame().await.unwrap().unwrap();
    assert!(!client.is_end_stream());
    drop(client);
    assert_eq!(delivery.await, Delivery::Complete { bytes: 3 });
    assert_eq!(copy.complete().await.unwrap(), "abc");
}

#[tokio::test]
async fn observers_of_one_kind_can_be_nested() {
    let (client, narrow) = bytes("abcd").tee(3);
    let (client, wide) = client.tee(10);
    let (client, first) = client.watched(false);
    let (client, second) = client.watched(false);
    assert_eq!(client.size_hint().exact(), Some(4));
    assert_eq!(read(client.limited(9).limited(8)).await.unwrap(), "abcd");
    assert_eq!((narrow.complete().await, wide.complete().await.unwrap()), (None, Bytes::from("abcd")));
    assert_eq!(first.await, Delivery::Complete { bytes: 4 });
    assert_eq!(second.await, Delivery::Complete { bytes: 4 });
}

#[tokio::test]
async fn gathered_content_is_complete_and_longer_content_still_streams_from_its_beginning() {
    let Ok(Gathered::Complete(whole)) = bytes("abc").gather(3).await else { panic!("three bytes fit in three") };
    assert_eq!((&whole.bytes[..], &whole.trailers), (&b"abc"[..], &None));
    for _ in 0..2 {
        assert_eq!(read(NativeContent::replay(&whole)).await.unwrap(), "abc");
    }
    let (client, copy) = bytes("abcd").tee(10);
    let resumed = client.resumed(Bytes::from_static(b"xy"));
    assert_eq!(resumed.size_hint().exact(), Some(6));
    let Ok(Gathered::TooLarge(same)) = resumed.gather(5).await else { panic!("six bytes fit in five") };
    assert_eq!(read(same).await.unwrap(), "xyabcd");
    assert_eq!(copy.complete().await.unwrap(), "abcd");
    let limited = bytes("abcd").limited(2).gather(10).await;
    assert!(matches!(limited, Err(ContentFault::LimitExceeded)));
}

#[tokio::test]
async fn trailers_are_gathered_and_replayed() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let whole = GatheredContent { bytes: Bytes::from_static(b"abc"), trailers: Some(trailers) };
    let Ok(Gathered::Complete(again)) = NativeContent::replay(&whole).gather(3).await else { panic!("it fits") };
    assert_eq!(again, whole);
}

#[tokio::test]
async fn copies_share_a_budget_until_nothing_refers_to_them() {
    let budget = std::sync::Arc::new(CopyBudget::new(10));
    let copy_of = |length: usize| {
        let (mut sink, copy) = CopySink::new(100, Some(std::sync::Arc::clone(&budget)));
        let fits = sink.push(&Bytes::from(vec![0; length])).is_ok();
        (fits, sink, copy)
    };
    let (fits, sink, copy) = copy_of(6);
    assert!(fits && !copy_of(5).0 && copy_of(4).0);
    sink.finish();
    let stored = copy.complete().await.unwrap();
    let delivered = stored.slice(1..2);
    drop(stored);
    assert_eq!((budget.used(), copy_of(5).0), (6, false), "a part is still being delivered");
    drop(delivered);
    assert_eq!((budget.used(), copy_of(10).0), (0, true));
}

#[tokio::test]
async fn long_content_in_memory_is_delivered_in_pieces_that_do_not_keep_all_of_it() {
    let length = 1_000_000;
    let mut content = NativeContent::from_bytes(Bytes::from(vec![7; length]));
    assert_eq!(content.size_hint().exact(), Some(length as u64));
    let mut pieces = Vec::new();
    while let Some(frame) = content.next_frame().await {
        pieces.push(frame.unwrap().into_data().unwrap());
    }
    assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), length);
    assert!(pieces.len() > 5 && pieces.pop().unwrap().is_unique());
}
