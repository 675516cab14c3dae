//! The stored bytes of every record version, pinned: an edge in the field reads what an old one wrote.
//!
//! A change of these bytes is a change of the stored form. It takes a new version, whose golden bytes come beside the
//! old ones, and code that reads both. A binary record has a JSON file of the same name beside it that says what it
//! holds. After an intended change, `TOLLGATE_GOLDEN=write cargo test -p tollgate-kv-schemas` writes the newest anew.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use tollgate_core::authn::Credential;
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, SiteSettings};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{
    Bundle, Id, Manifest, Pointer, Record, RecordError, decode, decode_part, decode_part_unnamed, encode, encode_part,
};

use crate::sample;

const PART_V2: &[u8] = include_bytes!("../golden/part.v2.bin");
const MANIFEST_V2: &[u8] = include_bytes!("../golden/manifest.v2.bin");
const POINTER_V2: &str = include_str!("../golden/pointer.v2.json");
const CREDENTIAL_V1: &str = include_str!("../golden/credential.v1.json");
const PURGES_V1: &str = include_str!("../golden/purges.v1.json");

#[track_caller]
fn check<T: Record + PartialEq + std::fmt::Debug>(golden: &str) -> T {
    let golden = golden.trim_end();
    let data: T = decode(golden.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(encode(&data)).unwrap(), golden);
    data
}

/// Compares with a golden file, or writes it where that was asked for.
#[track_caller]
pub(crate) fn check_golden(name: &str, is: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("TOLLGATE_GOLDEN").is_some() {
        std::fs::write(&path, is).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == is, "{name} differs");
}

fn parts() -> BTreeMap<HostPattern, Id> {
    let hosts = ["*", "api.example.com", "*.example.com"];
    hosts.into_iter().map(|host| (host.parse().unwrap(), Id::of(host.as_bytes()))).collect()
}

fn readable(data: &impl serde::Serialize) -> Vec<u8> {
    format!("{:#}\n", serde_json::to_value(data).unwrap()).into_bytes()
}

#[test]
fn the_newest_version_of_a_bundle_has_these_bytes() {
    check_golden("part.v2.bin", &encode_part(&sample::site()));
    check_golden("part.v2.json", &readable(&sample::site()));
    let (bundle, manifest) = Manifest::encode(&sample::gateway(), &parts());
    check_golden("manifest.v2.bin", &manifest);
    let hosts: BTreeMap<String, Id> = parts().into_iter().map(|(host, id)| (host.to_string(), id)).collect();
    check_golden("manifest.v2.json", &readable(&json!({"gateway": sample::gateway(), "hosts": hosts, "id": bundle})));
    check_golden("pointer.v2.json", &[encode(&Pointer { bundle }), vec![b'\n']].concat());
}

#[test]
fn the_newest_version_of_a_bundle_is_read() {
    assert_eq!(decode_part(PART_V2, &Id::of(PART_V2)), Ok(sample::site()));
    let pointer: Pointer = check(POINTER_V2);
    let manifest = Manifest::decode(MANIFEST_V2.to_vec(), &pointer.bundle).unwrap();
    assert_eq!(manifest.gateway, sample::gateway());
    let found: Vec<(HostPattern, Id)> =
        manifest.parts().unwrap().into_iter().map(|(host, id)| (host.parse().unwrap(), id)).collect();
    assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), parts());
}

#[test]
fn credentials_and_purges_are_what_they_were() {
    let credential: Credential = check(CREDENTIAL_V1);
    assert_eq!(credential.consumer, "acme");
    let purges: Purges = check(PURGES_V1);
    assert!(purges.covers(&CacheKey::parse(&"ab".repeat(32)).unwrap(), Timestamp::from_millis(5)));
    let mut everything = Purges::default();
    everything.add(Purge { resource: None, at: Timestamp::from_millis(7) });
    let text = r#"{"kind":"purges","v":1,"data":[{"at":"1970-01-01T00:00:00.007Z"}]}"#;
    assert_eq!(String::from_utf8(encode(&everything)).unwrap(), text);
}

#[test]
fn a_newer_version_is_refused_by_number_before_its_data_is_read() {
    let newer = POINTER_V2.replace("\"v\":2", "\"v\":3").replace("bundle", "something_new");
    let version = |kind, found| RecordError::Version { kind, found, known: 2 };
    assert_eq!(decode::<Pointer>(newer.as_bytes()), Err(version("pointer", 3)));
    assert_eq!(decode_part_unnamed(b"TGp\x03anything"), Err(version("part", 3)));
    assert_eq!(Manifest::decode_unnamed(b"TGm\xff".to_vec()).unwrap_err(), version("manifest", 255));
}

#[test]
fn damage_is_told_without_quoting_the_record() {
    let cut = &CREDENTIAL_V1.as_bytes()[..CREDENTIAL_V1.len() / 2];
    let text = decode::<Credential>(cut).unwrap_err().to_string();
    assert!(text.contains("cut off") && !text.contains("acme"), "{text}");
    assert!(matches!(decode::<Credential>(POINTER_V2.as_bytes()), Err(RecordError::Kind { .. })));
    assert!(matches!(decode::<Credential>(b"\xff\x00"), Err(RecordError::Damaged { .. })));
    let unknown_member = CREDENTIAL_V1.replace("\"id\"", "\"surprise\":1,\"id\"");
    assert!(matches!(decode::<Credential>(unknown_member.as_bytes()), Err(RecordError::Damaged { .. })));
    let text = decode_part_unnamed(&PART_V2[..200]).unwrap_err().to_string();
    assert!(text.contains("cut off at byte") && !text.contains("pets"), "{text}");
}

#[test]
fn a_record_under_another_digest_is_refused() {
    assert_eq!(decode_part(PART_V2, &Id::of(b"x")), Err(RecordError::Digest { kind: "part" }));
    let manifest = Manifest::decode(MANIFEST_V2.to_vec(), &Id::of(b"x"));
    assert_eq!(manifest.unwrap_err(), RecordError::Digest { kind: "manifest" });
}

#[test]
fn a_bundle_is_named_by_its_content_and_written_pointer_last() {
    let sites: BTreeMap<HostPattern, SiteSettings> =
        ["*", "api.example.com"].into_iter().map(|host| (host.parse().unwrap(), sample::site())).collect();
    let bundle = Bundle::new(&sample::gateway(), &sites);
    assert_eq!(bundle, Bundle::new(&sample::gateway(), &sites));
    assert_eq!(bundle.records.len(), 3, "equal parts are stored once");
    assert!(bundle.records.last().unwrap().0.ends_with(":config:active"));
    let other = GatewaySettings { trust_forwarded: true, ..sample::gateway() };
    assert_ne!(Bundle::new(&other, &sites).id, bundle.id);
}
