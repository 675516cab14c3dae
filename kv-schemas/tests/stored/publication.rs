//! The steps of publishing: generations, and concurrent publications.

use std::collections::BTreeMap;

use tollgate_core::route::HostPattern;
use tollgate_kv_schemas::{Bundle, GENERATION_MAX, Pointer, Publication, PublishError, decode};

use crate::sample;

fn bundle(path: &str) -> Bundle {
    Bundle::new(&sample::gateway(), &BTreeMap::from([(HostPattern::Any, sample::small_site(path))]))
}

/// The pointer after a publication, without a concurrent one.
fn publish(bundle: &Bundle, stored: Option<&[u8]>) -> Vec<u8> {
    let publication = Publication::begin(bundle, stored).unwrap();
    let pointer = publication.pointer(stored).unwrap();
    assert_eq!(publication.finish(Some(&pointer)), Ok(()));
    pointer
}

fn read(pointer: &[u8]) -> Pointer {
    decode(pointer).unwrap()
}

#[test]
fn each_generation_names_the_previous_one() {
    let (one, two) = (bundle("/one"), bundle("/two"));
    let first = publish(&one, None);
    assert_eq!(first, one.records.last().unwrap().1, "the pointer of an empty store");
    let second = publish(&two, Some(&first));
    assert_eq!((read(&second).newest.generation, read(&second).newest.bundle), (2, two.id));
    assert_eq!(read(&second).previous, Some(read(&first).newest));
    let back = publish(&one, Some(&second));
    assert_eq!(
        (read(&back).newest.generation, read(&back).newest.bundle),
        (3, one.id),
        "a rollback is a new generation"
    );
}

#[test]
fn the_same_bundle_again_keeps_the_previous_one() {
    let (one, two) = (bundle("/one"), bundle("/two"));
    let second = publish(&two, Some(&publish(&one, None)));
    let third = publish(&two, Some(&second));
    assert_eq!(read(&third).newest.generation, 3);
    assert_eq!(read(&third).previous, read(&second).previous);
}

#[test]
fn needs_are_those_of_all_parts_each_kind_once() {
    let needs: Vec<String> = sample::bundle().needs.iter().map(ToString::to_string).collect();
    let all = ["api-key@1", "gateway@1", "pages@1", "rate-limit@1", "routes@1", "upstreams@1"];
    assert!(all.iter().all(|need| needs.iter().any(|found| found == need)), "{needs:?}");
    assert!(needs.is_sorted(), "{needs:?}");
    let small: Vec<String> = bundle("/a").needs.iter().map(ToString::to_string).collect();
    assert_eq!(small, ["gateway@1", "pages@1", "routes@1", "upstreams@1"]);
}

#[test]
fn an_overtaken_publication_changes_nothing() {
    let (one, two) = (bundle("/one"), bundle("/two"));
    let first = publish(&one, None);
    let late = Publication::begin(&two, None).unwrap();
    let refused = late.pointer(Some(&first)).unwrap_err();
    assert_eq!(refused, PublishError::Moved { began: None, found: Some(1) });
    assert!(refused.to_string().contains("from generation none to 1"), "{refused}");
}

#[test]
fn an_overwritten_publication_is_detected() {
    let (one, two) = (bundle("/one"), bundle("/two"));
    let (ours, theirs) = (Publication::begin(&one, None).unwrap(), Publication::begin(&two, None).unwrap());
    ours.pointer(None).unwrap();
    let theirs = theirs.pointer(None).unwrap();
    assert_eq!(ours.finish(Some(&theirs)), Err(PublishError::Replaced { written: 1, found: Some(1) }));
    assert_eq!(ours.finish(None), Err(PublishError::Replaced { written: 1, found: None }));
}

#[test]
fn an_unreadable_pointer_is_replaced_only_on_request() {
    let one = bundle("/one");
    let damaged = Some(&b"{\"kind\":"[..]);
    assert!(matches!(Publication::begin(&one, damaged), Err(PublishError::Unreadable(_))));
    let publication = Publication::replacing(&one, 8).unwrap();
    assert_eq!(read(&publication.pointer(damaged).unwrap()).newest.generation, 9);
    let theirs = publish(&bundle("/two"), None);
    let overtaken = PublishError::Moved { began: None, found: Some(1) };
    assert_eq!(publication.pointer(Some(&theirs)), Err(overtaken), "another publication has replaced it");
}

#[test]
fn a_rollback_publishes_the_previous_bundle_as_a_new_generation() {
    let (one, two) = (bundle("/one"), bundle("/two"));
    let first = publish(&one, None);
    for stored in [None, Some(&first[..])] {
        assert_eq!(Publication::rollback(stored).unwrap_err(), PublishError::NoPrevious);
    }
    let second = publish(&two, Some(&first));
    let back = Publication::rollback(Some(&second)).unwrap();
    assert!(back.content().is_empty(), "the store has it");
    let third = read(&back.pointer(Some(&second)).unwrap());
    assert_eq!((third.newest.generation, third.newest.bundle), (3, one.id));
    assert_eq!(third.newest.needs, read(&first).newest.needs);
    assert_eq!(third.previous, Some(read(&second).newest));
}

#[test]
fn generations_end_where_numbers_in_json_are_exact_no_more() {
    let one = bundle("/one");
    let last = GENERATION_MAX - 1;
    let pointer = Publication::begin(&one, None).unwrap().after(last).unwrap().pointer(None).unwrap();
    assert_eq!(read(&pointer).newest.generation, GENERATION_MAX);
    assert_eq!(Publication::begin(&one, Some(&pointer)).unwrap_err(), PublishError::TooLarge(GENERATION_MAX));
    for too_large in [GENERATION_MAX, u64::MAX] {
        let refused = PublishError::TooLarge(too_large);
        assert_eq!(Publication::begin(&one, None).unwrap().after(too_large).unwrap_err(), refused);
        assert_eq!(Publication::replacing(&one, too_large).unwrap_err(), refused);
    }
    let larger = String::from_utf8(pointer).unwrap().replace("9007199254740991", "9007199254740992");
    assert!(matches!(Publication::begin(&one, Some(larger.as_bytes())), Err(PublishError::Unreadable(_))));
}
