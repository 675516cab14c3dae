//! Stored responses that the upstream confirms, and conditions of clients.

use super::{CC, bench, status};
use crate::bench::{Bench, answer, ok, request};

#[test]
fn a_stale_response_is_validated_and_kept_if_confirmed() {
    let bench = bench(|request| {
        let held = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"v1\"");
        let fields = [(CC, "max-age=1"), ("etag", "\"v1\"")];
        (0, Ok(if held { answer(304, &fields, "") } else { answer(200, &fields, "hello") }))
    });
    bench.get("/c", &[]);
    bench.host.clock.advance(2_000);
    let confirmed = bench.get("/c", &[]);
    assert_eq!((confirmed.status, status(&confirmed).as_str()), (200, "tollgate; fwd=stale; fwd-status=304; stored"));
    assert_eq!(&confirmed.content[..], b"hello");
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=1");
    let conditional = bench.get("/c", &[("if-none-match", "\"v1\"")]);
    assert_eq!((conditional.status, conditional.content.len()), (304, 0));
}

/// An upstream whose response is stale after a second, and which then confirms it with these fields.
fn confirming(update: &'static [(&'static str, &'static str)]) -> Bench {
    let bench = bench(move |request| {
        let held = request.headers().contains_key("if-none-match");
        let fields = [(CC, "max-age=1"), ("etag", "\"v1\""), ("x-n", "old")];
        (0, Ok(if held { answer(304, update, "") } else { answer(200, &fields, "hello") }))
    });
    bench.get("/c", &[]);
    bench.host.clock.advance(2_000);
    bench
}

#[test]
fn a_confirmation_that_may_not_be_stored_still_reaches_the_client() {
    for (name, value) in [(CC, "no-store"), ("set-cookie", "session=2")] {
        let update: &'static [_] = Box::leak(Box::new([(name, value), ("x-n", "new")]));
        let bench = confirming(update);
        for _ in 0..2 {
            let confirmed = bench.get("/c", &[]);
            assert_eq!((confirmed.status, &confirmed.content[..]), (200, &b"hello"[..]));
            assert_eq!((confirmed.field(name), confirmed.field("x-n")), (value, "new"));
            assert_eq!(status(&confirmed), "tollgate; fwd=stale; fwd-status=304");
        }
    }
}

#[test]
fn a_confirmation_is_as_old_as_it_says() {
    let bench = confirming(&[(CC, "max-age=60"), ("age", "30")]);
    assert_eq!(bench.get("/c", &[]).field("age"), "30");
    let hit = bench.get("/c", &[]);
    assert_eq!((status(&hit).as_str(), hit.field("age")), ("tollgate; hit; ttl=30", "30"));
}

#[test]
fn a_confirmation_of_another_version_changes_nothing() {
    let bench = confirming(&[(CC, "max-age=60"), ("etag", "\"v2\""), ("x-n", "new")]);
    for _ in 0..2 {
        let answered = bench.get("/c", &[]);
        assert_eq!((answered.field("etag"), answered.field("x-n"), answered.field("age")), ("\"v1\"", "old", "2"));
        assert_eq!(status(&answered), "tollgate; fwd=stale; fwd-status=304");
    }
}

#[test]
fn a_confirmed_response_is_renewed_for_conditional_requests() {
    let bench = bench(|request| {
        let held = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"v1\"");
        let fields = [(CC, "max-age=1"), ("etag", "\"v1\""), ("vary", "accept")];
        (0, Ok(if held { answer(304, &fields, "") } else { answer(200, &fields, "hello") }))
    });
    bench.get("/c", &[]);
    bench.host.clock.advance(2_000);
    let has_it = bench.get("/c", &[("if-none-match", "\"v1\"")]);
    assert_eq!((has_it.status, status(&has_it).as_str()), (304, "tollgate; fwd=stale; fwd-status=304; stored"));
    let hit = bench.get("/c", &[]);
    assert_eq!((status(&hit).as_str(), &hit.content[..]), ("tollgate; hit; ttl=1", &b"hello"[..]));
}

#[test]
fn a_confirmation_to_head_is_kept_too() {
    let bench = confirming(&[(CC, "max-age=60"), ("etag", "\"v1\"")]);
    let head = bench.send(request("HEAD", "/c", &[], ""));
    assert_eq!(status(&head), "tollgate; fwd=stale; fwd-status=304; stored");
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=60");
}

#[test]
fn a_confirmation_that_changes_what_the_response_varies_on_is_not_told_as_stored() {
    let bench = confirming(&[(CC, "max-age=60"), ("vary", "accept")]);
    for _ in 0..2 {
        assert_eq!(status(&bench.get("/c", &[])), "tollgate; fwd=stale; fwd-status=304");
    }
}

#[test]
fn conditions_of_clients_are_evaluated_on_stored_responses() {
    let date = "Fri, 15 Jan 2027 08:00:00 GMT";
    let bench = bench(ok(&[(CC, "max-age=60")], "hello"));
    bench.get("/c", &[]);
    for (name, value, want) in [
        ("if-none-match", "*", 304),
        ("if-none-match", "\"a\", *", 200),
        ("if-modified-since", date, 304),
        ("if-modified-since", "Friday, 15-Jan-27 08:00:00 GMT", 304),
        ("if-modified-since", "Fri, 15 Jan 2027 07:59:59 GMT", 200),
    ] {
        let answered = bench.get("/c", &[(name, value)]);
        assert_eq!((answered.status, status(&answered).as_str()), (want, "tollgate; hit; ttl=60"), "{name}: {value}");
        assert_eq!(answered.field("date"), date);
    }
}
