use futures_executor::block_on;
use futures_util::stream::StreamExt;

use tollgate_core::telemetry::AbortedBy;

use super::*;

fn of(chunks: &[&'static str]) -> SpinContent {
    let steps: Vec<_> = chunks.iter().map(|chunk| Ok(Step::Data(Bytes::from_static(chunk.as_bytes())))).collect();
    SpinContent::of(Source::Steps(stream::iter(steps).boxed_local()))
}

fn broken_after(chunk: &'static str) -> SpinContent {
    let steps = of(&[chunk]).source.into_steps();
    let end = stream::iter([Err(Interrupted::BySender(ErrorCode::ConnectionTerminated))]);
    SpinContent::of(Source::Steps(steps.chain(end).boxed_local()))
}

/// Reads to the end: the text, and whether it ended without an error.
fn read(content: SpinContent) -> (String, bool) {
    let mut text = String::new();
    let mut steps = content.source.into_steps();
    while let Some(step) = block_on(steps.next()) {
        match step {
            Ok(Step::Data(data)) => text.push_str(&String::from_utf8_lossy(&data)),
            Ok(Step::Trailers(_)) => {}
            Err(_) => return (text, false),
        }
    }
    (text, true)
}

#[test]
fn a_limit_passes_its_last_byte_and_nothing_after() {
    assert_eq!(read(of(&["ab", "cd"]).limited(4)), ("abcd".into(), true));
    assert_eq!(read(of(&["ab", "cd"]).limited(3)), ("ab".into(), false));
    assert_eq!(read(SpinContent::empty().limited(0)), (String::new(), true));
}

#[test]
fn a_copy_is_complete_or_absent() {
    let (content, copy) = of(&["ab", "cd"]).tee(4);
    assert_eq!(read(content), ("abcd".into(), true));
    assert_eq!(block_on(copy.whole()).unwrap(), "abcd");

    let (content, copy) = of(&["ab", "cd"]).tee(3);
    assert_eq!(read(content), ("abcd".into(), true));
    assert_eq!(block_on(copy.whole()), None);

    let (content, copy) = broken_after("ab").tee(9);
    assert_eq!(read(content), ("ab".into(), false));
    assert_eq!(block_on(copy.whole()), None);

    let (content, copy) = of(&["ab"]).tee(9);
    drop(content);
    assert_eq!(block_on(copy.whole()), None);

    let (content, copy) = SpinContent::empty().tee(9);
    drop(content);
    assert_eq!(block_on(copy.whole()).unwrap(), "");
}

#[test]
fn a_watch_reports_how_the_delivery_ended() {
    let (content, delivery) = of(&["ab", "cd"]).watched(false);
    read(content);
    assert_eq!(block_on(delivery), Delivery::Complete { bytes: 4 });

    let (content, delivery) = broken_after("ab").watched(false);
    read(content);
    let by_upstream = Delivery::Aborted { bytes: 2, by: AbortedBy::Upstream };
    assert_eq!(block_on(delivery), by_upstream);

    let (content, delivery) = of(&["ab"]).watched(false);
    drop(content);
    let by_client = Delivery::Aborted { bytes: 0, by: AbortedBy::Client };
    assert_eq!(block_on(delivery), by_client);
}

#[test]
fn gathered_content_is_complete_and_longer_content_can_be_read_from_its_beginning() {
    let Ok(Gathered::Complete(whole)) = block_on(of(&["ab", "c"]).gather(3)) else {
        panic!("three bytes fit in three")
    };
    assert_eq!((&whole.bytes[..], whole.trailers.is_none()), (&b"abc"[..], true));
    assert_eq!(read(SpinContent::replay(&whole)), ("abc".into(), true));
    let Ok(Gathered::TooLarge(same)) = block_on(of(&["ab", "c", "d"]).gather(2)) else { panic!("four fit in two") };
    assert_eq!(read(same), ("abcd".into(), true));
    let limited = block_on(of(&["ab", "c"]).limited(2).gather(9));
    assert!(matches!(limited, Err(ContentFault::LimitExceeded)));
}

#[test]
fn content_that_has_begun_is_known_to_be_empty_or_not() {
    let never = std::future::pending;
    assert!(block_on(of(&[]).begun(never())).is_empty());
    let begun = block_on(of(&["ab", "c"]).begun(never()));
    assert!(!begun.is_empty());
    assert_eq!(read(begun), ("abc".into(), true));

    let (mut sender, late) = futures_channel::mpsc::unbounded();
    let late = late.map(|text: &'static str| Ok(Step::Data(text.into()))).boxed_local();
    let late = block_on(SpinContent::of(Source::Steps(late)).begun(async {}));
    assert!(!late.is_empty());
    block_on(futures_util::SinkExt::send(&mut sender, "late")).unwrap();
    drop(sender);
    assert_eq!(read(late), ("late".into(), true));
}

#[test]
fn a_deadline_applies_to_what_has_to_be_waited_for() {
    let mut end = Deadline(Some(Box::pin(async {})));
    assert_eq!(block_on(end.before(async { 1 })), Some(1));
    assert_eq!(block_on(end.before(std::future::pending::<()>())), None);
    assert_eq!(block_on(Deadline::at(None).before(async { 1 })), Some(1));
}

#[test]
fn content_in_memory_needs_no_deadline_and_is_copied_at_once() {
    let content = SpinContent::from_bytes("ab".into()).until(0);
    assert_eq!(content.ends, None);
    assert_eq!(of(&["ab"]).until(7).ends, Some(7));
    let (content, copy) = content.tee(2);
    drop(content);
    assert_eq!(block_on(copy.whole()).unwrap(), "ab");
    let (content, copy) = SpinContent::from_bytes("abc".into()).tee(2);
    assert_eq!(read(content), ("abc".into(), true));
    assert_eq!(block_on(copy.whole()), None);
    assert_eq!(read(SpinContent::from_bytes("abc".into()).limited(2)), (String::new(), false));
    assert_eq!(read(SpinContent::from_bytes("ab".into()).limited(2)), ("ab".into(), true));
}

#[test]
fn a_watch_of_content_in_memory_reports_what_was_taken() {
    let delivered = |rest| {
        let (content, delivery) = SpinContent::from_bytes("abc".into()).watched(false);
        let mut watch = content.watch.unwrap();
        watch.note_written(3, rest);
        drop(watch);
        block_on(delivery)
    };
    assert_eq!(delivered(0), Delivery::Complete { bytes: 3 });
    assert_eq!(delivered(2), Delivery::Aborted { bytes: 1, by: AbortedBy::Client });
    let (content, delivery) = SpinContent::empty().watched(false);
    drop(content);
    assert_eq!(block_on(delivery), Delivery::Complete { bytes: 0 });
}
