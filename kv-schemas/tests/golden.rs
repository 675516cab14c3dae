//! The stored bytes of every record version, pinned: an edge in the field reads what an old one wrote.
//!
//! A change of these bytes is a change of the stored form. It takes a new version, whose golden bytes come beside the
//! old ones, and code that reads both.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own data has failed")]

use std::collections::BTreeMap;

use tollgate_core::authn::Credential;
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::settings::{GatewaySettings, SiteSettings};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{Bundle, Id, Manifest, Pointer, Record, RecordError, decode, decode_named, encode};

const PART_V2: &str = include_str!("golden/part.v2.json");
const MANIFEST_V1: &str = include_str!("golden/manifest.v1.json");
const CREDENTIAL_V1: &str = include_str!("golden/credential.v1.json");
const PURGES_V1: &str = include_str!("golden/purges.v1.json");
const POINTER_V1: &str = include_str!("golden/pointer.v1.json");

#[track_caller]
fn check<T: Record + PartialEq + std::fmt::Debug>(golden: &str) -> T {
    let golden = golden.trim_end();
    let data: T = decode(golden.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(encode(&data)).unwrap(), golden);
    data
}

#[test]
fn every_version_is_read_and_the_newest_is_written() {
    let part: SiteSettings = check(PART_V2);
    assert!(part.is_coherent());
    check::<Manifest>(MANIFEST_V1);
    check::<Pointer>(POINTER_V1);
    let credential: Credential = check(CREDENTIAL_V1);
    assert_eq!(credential.consumer, "acme");
    let purges: Purges = check(PURGES_V1);
    assert!(purges.covers(&CacheKey::parse(&"ab".repeat(32)).unwrap(), Timestamp::from_millis(5)));
}

#[test]
fn a_newer_version_is_refused_by_number_before_its_data_is_read() {
    let newer = POINTER_V1.replace("\"v\":1", "\"v\":2").replace("bundle", "something_new");
    let error = decode::<Pointer>(newer.as_bytes()).unwrap_err();
    assert_eq!(error, RecordError::Version { kind: "pointer", found: 2, known: 1 });
}

#[test]
fn damage_is_told_without_quoting_the_record() {
    let cut = &CREDENTIAL_V1.as_bytes()[..CREDENTIAL_V1.len() / 2];
    let text = decode::<Credential>(cut).unwrap_err().to_string();
    assert!(text.contains("cut off") && !text.contains("acme"), "{text}");
    assert!(matches!(decode::<Credential>(POINTER_V1.as_bytes()), Err(RecordError::Kind { .. })));
    assert!(matches!(decode::<Credential>(b"\xff\x00"), Err(RecordError::Damaged { .. })));
    let unknown_member = CREDENTIAL_V1.replace("\"id\"", "\"surprise\":1,\"id\"");
    assert!(matches!(decode::<Credential>(unknown_member.as_bytes()), Err(RecordError::Damaged { .. })));
}

#[test]
fn a_record_under_another_digest_is_refused() {
    let bytes = PART_V2.trim_end().as_bytes();
    assert!(decode_named::<SiteSettings>(bytes, &Id::of(bytes)).is_ok());
    assert_eq!(decode_named::<SiteSettings>(bytes, &Id::of(b"x")), Err(RecordError::Digest { kind: "part" }));
}

#[test]
fn a_bundle_is_named_by_its_content_and_written_pointer_last() {
    let manifest: Manifest = check(MANIFEST_V1);
    let site: SiteSettings = check(PART_V2);
    let sites = BTreeMap::from(["*", "api.example.com"].map(|host| (host.parse().unwrap(), site.clone())));
    let bundle = Bundle::new(&manifest.gateway, &sites);
    assert_eq!(bundle, Bundle::new(&manifest.gateway, &sites));
    assert_eq!(bundle.records.len(), 3, "equal parts are stored once");
    assert!(bundle.records.last().unwrap().0.ends_with(":config:active"));
    let other = GatewaySettings { trust_forwarded: true, ..manifest.gateway };
    assert_ne!(Bundle::new(&other, &sites).id, bundle.id);
}

#[test]
fn a_purge_without_a_resource_is_of_everything() {
    let mut purges = Purges::default();
    purges.add(Purge { resource: None, at: Timestamp::from_millis(7) });
    assert_eq!(String::from_utf8(encode(&purges)).unwrap(), r#"{"kind":"purges","v":1,"data":[{"at":7}]}"#);
}
