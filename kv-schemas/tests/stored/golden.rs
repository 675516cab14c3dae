//! The stored bytes of every record version, pinned: an edge in the field reads what an old one wrote.
//!
//! A change of these bytes is a change of the stored form: it follows the rule in the crate's documentation, and if a
//! version increases, the golden bytes of the previous one are kept. A binary record has a JSON file of the same name
//! with its content. After an intended change, `TOLLGATE_GOLDEN=write cargo test -p tollgate-kv-schemas` writes the
//! newest anew.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::path::Path;

use serde_json::json;
use tollgate_core::authn::{Credential, KeyDigest, KnownToken, Outage, Revocations};
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::client::{LocationFields, ProxyField, ProxySettings, TrustedProxies};
use tollgate_core::entitlement::{Entitlements, Grant, Plan, PlanNumbers, Product, Subscription};
use tollgate_core::operator::{AuditCaller, AuditEvent, AuditOutcome, Role};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, SiteSettings};
use tollgate_core::telemetry::{Tally, UsageBatch, Used};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{
    Bundle, Generation, Id, KeyIndex, KeyUse, Manifest, Part, Pointer, Record, RecordError, SealedSession, SessionsEnd,
    decode, decode_part, decode_part_unnamed, encode, encode_part, usage_record,
};

use crate::sample;

const PART: &[u8] = include_bytes!("../golden/part.v1.bin");
const PAGED_PART: &[u8] = include_bytes!("../golden/part.v2.bin");
const MANIFEST: &[u8] = include_bytes!("../golden/manifest.v1.bin");
const POINTER: &str = include_str!("../golden/pointer.v1.json");
const CREDENTIAL: &str = include_str!("../golden/credential.v1.json");
const RESTRICTED_CREDENTIAL: &str = include_str!("../golden/credential.v2.json");
const LIMITED_CREDENTIAL: &str = include_str!("../golden/credential-limits.v1.json");
const KEY_USE: &str = include_str!("../golden/key-use.v1.json");
const IDP_OUTAGE: &str = include_str!("../golden/idp-outage.v1.json");
const KNOWN_TOKEN: &str = include_str!("../golden/known-token.v1.json");
const SESSION: &str = include_str!("../golden/session.v1.json");
const SESSIONS_END: &str = include_str!("../golden/sessions-end.v1.json");
const USAGE: &str = include_str!("../golden/usage.v1.json");
const PURGES: &str = include_str!("../golden/purges.v1.json");

#[track_caller]
fn check<T: Record + PartialEq + std::fmt::Debug>(golden: &str) -> T {
    let golden = golden.trim_end();
    let data: T = decode(golden.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(encode(&data)).unwrap(), golden);
    data
}

/// Compares with a golden file, or writes it if requested.
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

fn line(record: Vec<u8>) -> Vec<u8> {
    [record, vec![b'\n']].concat()
}

#[test]
fn the_newest_version_of_a_bundle_has_these_bytes() {
    check_golden("part.v1.bin", &encode_part(&sample::site()));
    check_golden("part.v1.json", &readable(&sample::site()));
    check_golden("part.v2.bin", &encode_part(&sample::paged_site()));
    check_golden("part.v2.json", &readable(&decode_part_unnamed(PAGED_PART).unwrap()));
    let (bundle, manifest) = Manifest::encode(&sample::gateway(), &parts());
    check_golden("manifest.v1.bin", &manifest);
    let hosts: BTreeMap<String, Id> = parts().into_iter().map(|(host, id)| (host.to_string(), id)).collect();
    check_golden("manifest.v1.json", &readable(&json!({"gateway": sample::gateway(), "hosts": hosts, "id": bundle})));
    let needs = |needs: &[&str]| needs.iter().map(|need| need.parse().unwrap()).collect();
    let previous = Generation { generation: 6, bundle: Id::of(b"six"), needs: needs(&["gateway@1", "routes@1"]) };
    let newest = Generation { generation: 7, bundle, needs: needs(&["api-key@1", "gateway@1", "pages@1", "routes@1"]) };
    check_golden("pointer.v1.json", &line(encode(&Pointer { newest, previous: Some(previous) })));
}

#[test]
fn later_versions_of_sections_have_these_bytes_and_are_read() {
    let site = sample::later_site();
    let (stored, bundle) =
        (encode_part(&site), Bundle::new(&sample::gateway(), &[(HostPattern::Any, site.clone())].into()));
    check_golden("part-later-sections.v1.bin", &stored);
    check_golden("part-later-sections.v1.json", &readable(&site));
    assert_eq!(decode_part(&stored, &Id::of(&stored)), Ok(site));
    for need in ["jwt@3", "rate-limit@2", "upstreams@4"] {
        assert!(bundle.needs.contains(&need.parse().unwrap()), "{need} in {:?}", bundle.needs);
    }
}

#[test]
fn what_tells_of_limits_has_these_bytes_and_is_read() {
    let (site, gateway) = (sample::told_site(), sample::told_gateway());
    let stored = encode_part(&site);
    check_golden("part-notices.v1.bin", &stored);
    check_golden("part-notices.v1.json", &readable(&site));
    assert_eq!(decode_part(&stored, &Id::of(&stored)), Ok(site));
    let (bundle, stored) = Manifest::encode(&gateway, &parts());
    check_golden("manifest-notices.v1.bin", &stored);
    assert_eq!(Manifest::decode(stored, &bundle).unwrap().gateway, gateway);
}

#[test]
fn limits_of_all_kinds_have_these_bytes_and_are_read() {
    let site = sample::limits_site();
    let (stored, bundle) =
        (encode_part(&site), Bundle::new(&sample::gateway(), &[(HostPattern::Any, site.clone())].into()));
    check_golden("part-limits.v1.bin", &stored);
    check_golden("part-limits.v1.json", &readable(&site));
    assert_eq!(decode_part(&stored, &Id::of(&stored)), Ok(site));
    for need in ["rate-limit@3", "quota@1", "concurrency@1"] {
        assert!(bundle.needs.contains(&need.parse().unwrap()), "{need} in {:?}", bundle.needs);
    }
}

#[test]
fn where_limits_count_has_these_bytes_and_is_read() {
    let site = sample::consistency_site();
    let stored = encode_part(&site);
    check_golden("part-consistency.v1.bin", &stored);
    check_golden("part-consistency.v1.json", &readable(&site));
    assert_eq!(decode_part(&stored, &Id::of(&stored)), Ok(site));
}

#[test]
fn a_limit_beside_other_work_has_these_bytes_and_needs_no_newer_reader() {
    let site = sample::beside_site();
    let (stored, bundle) =
        (encode_part(&site), Bundle::new(&sample::gateway(), &[(HostPattern::Any, site.clone())].into()));
    check_golden("part-beside.v1.bin", &stored);
    check_golden("part-beside.v1.json", &readable(&site));
    assert_eq!(decode_part(&stored, &Id::of(&stored)), Ok(site));
    assert!(bundle.needs.contains(&"rate-limit@1".parse().unwrap()), "{:?}", bundle.needs);
}

#[test]
fn costs_networks_and_cookies_have_these_bytes_and_are_read() {
    let site = sample::costs_site();
    let (stored, bundle) =
        (encode_part(&site), Bundle::new(&sample::gateway(), &[(HostPattern::Any, site.clone())].into()));
    check_golden("part-costs.v1.bin", &stored);
    check_golden("part-costs.v1.json", &readable(&site));
    assert_eq!(decode_part(&stored, &Id::of(&stored)), Ok(site));
    for need in ["rate-limit@5", "quota@3", "concurrency@3", "condition@3"] {
        assert!(bundle.needs.contains(&need.parse().unwrap()), "{need} in {:?}", bundle.needs);
    }
}

#[test]
fn records_of_operators_have_these_bytes_and_are_read() {
    let digest = KeyDigest::parse(&"ab".repeat(32)).unwrap();
    let index = KeyIndex { digest };
    let event = AuditEvent {
        at: Timestamp::from_millis(9),
        request_id: "0f".repeat(16),
        caller: Some(AuditCaller { name: "ci".into(), role: Role::Purge }),
        address: Some("2001:db8::1".parse().unwrap()),
        action: "purge.new".into(),
        targets: vec!["all".into()],
        outcome: AuditOutcome::Failed,
        problem: Some("store-unavailable".into()),
    };
    check_golden("key-index.v1.json", &line(encode(&index)));
    check_golden("audit.v1.json", &line(encode(&event)));
    assert_eq!(decode(&encode(&index)), Ok(index));
    assert_eq!(decode(&encode(&event)), Ok(event));
}

#[test]
fn what_consumers_are_entitled_to_has_these_bytes_and_is_read() {
    let (from, until) = (Timestamp::from_millis(1_800_000_000_000), Timestamp::from_millis(1_800_604_800_000));
    let by = Some("ada".to_owned());
    let product = Product {
        name: "pets".into(),
        title: Some("Pet shop".into()),
        apis: vec!["pets".into()],
        by: by.clone(),
        changed: from,
        ..Product::default()
    };
    let monthly = PlanNumbers { policy: "monthly".into(), count: 100_000, ..PlanNumbers::default() };
    let burst = PlanNumbers { policy: "burst".into(), count: 100, period_ms: Some(1_000), burst: Some(200) };
    let plan = Plan {
        name: "pro".into(),
        product: Some("pets".into()),
        limits: vec![monthly, burst],
        by: by.clone(),
        changed: from,
        ..Plan::default()
    };
    let old = Plan { name: "trial".into(), removed: true, changed: from, ..Plan::default() };
    let subscription = Subscription {
        id: Subscription::id_of("acme", "pets"),
        consumer: "acme".into(),
        product: "pets".into(),
        plan: "pro".into(),
        from,
        by: by.clone(),
        changed: from,
        ..Subscription::default()
    };
    let grant = Grant {
        id: Grant::new_id(&[7; 6]),
        consumer: "acme".into(),
        product: Some("pets".into()),
        policy: "monthly".into(),
        to: Some(200_000),
        from,
        until,
        why: "launch".into(),
        validated_by: Some("grace".into()),
        by,
        changed: from,
        ..Grant::default()
    };
    let share = Grant { id: Grant::new_id(&[8; 6]), to: None, percent: Some(150), revoked: true, ..grant.clone() };
    let (products, plans) = (vec![product], vec![plan, old]);
    let own = Entitlements { products, plans, subscriptions: vec![subscription], grants: vec![grant, share] };
    check_golden("entitlements.v1.json", &line(encode(&own)));
    assert_eq!(decode(&encode(&own)), Ok(own));
}

#[test]
fn the_newest_version_of_a_bundle_is_read() {
    assert_eq!(decode_part(PART, &Id::of(PART)), Ok(sample::site()));
    let mut paged = decode_part(PAGED_PART, &paged_id()).unwrap();
    paged.routes.sort_by(|a, b| a.id.cmp(&b.id));
    let mut written = sample::paged_site();
    written.routes.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(paged, written);
    let pointer: Pointer = check(POINTER);
    assert_eq!(pointer.newest.is_known(), Ok(()));
    let manifest = Manifest::decode(MANIFEST.to_vec(), &pointer.newest.bundle).unwrap();
    assert_eq!(manifest.gateway, sample::gateway());
    let found: Vec<(HostPattern, Id)> =
        manifest.parts().unwrap().into_iter().map(|(host, id)| (host.parse().unwrap(), id)).collect();
    assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), parts());
}

/// The id of a part with pages is that of its head.
fn paged_id() -> Id {
    Id::of(&PAGED_PART[..8 + usize::from(u16::from_le_bytes([PAGED_PART[4], PAGED_PART[5]]))])
}

#[test]
fn a_page_is_checked_when_it_is_read() {
    let site = BTreeMap::from([(HostPattern::Any, sample::paged_site())]);
    let bundle = Bundle::new(&sample::gateway(), &site);
    assert!(bundle.records[0].0.ends_with(&paged_id().to_string()) && bundle.records[0].1 == PAGED_PART);
    assert!(bundle.needs.contains(&"route-pages@1".parse().unwrap()));
    let mut damaged = PAGED_PART.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let part = Part::decode(damaged.clone(), &paged_id()).unwrap();
    assert!((0..part.page_count() - 1).all(|page| part.routes(page).is_ok()));
    assert_eq!(part.routes(part.page_count() - 1).unwrap_err(), RecordError::Digest { kind: "part" });
    assert_eq!(decode_part(&damaged, &paged_id()), Err(RecordError::Digest { kind: "part" }));
    let cut = Part::decode(damaged[..damaged.len() - 1].to_vec(), &paged_id()).unwrap_err();
    assert!(cut.to_string().contains("its pages are not those of its index"), "{cut}");
    damaged[20] ^= 1;
    assert_eq!(Part::decode(damaged, &paged_id()).unwrap_err(), RecordError::Digest { kind: "part" });
}

#[test]
fn credentials_and_purges_are_unchanged() {
    let credential: Credential = check(CREDENTIAL);
    assert_eq!(credential.consumer, "acme");
    let restricted: Credential = check(RESTRICTED_CREDENTIAL);
    assert!(restricted.restrictions.is_some_and(|all| !all.addresses.is_empty()));
    let limited: Credential = check(LIMITED_CREDENTIAL);
    assert_eq!(limited.limits.len(), 2);
    let used: KeyUse = check(KEY_USE);
    assert_eq!(used.last.to_rfc3339(), "2026-11-28T00:00:00.000Z");
    let purges: Purges = check(PURGES);
    assert!(purges.covers(&CacheKey::parse(&"ab".repeat(32)).unwrap(), Timestamp::from_millis(5)));
    let mut everything = Purges::default();
    everything.add(Purge { resource: None, at: Timestamp::from_millis(7) });
    let text = r#"{"kind":"purges","v":1,"data":[{"at":"1970-01-01T00:00:00.007Z"}]}"#;
    assert_eq!(String::from_utf8(encode(&everything)).unwrap(), text);
}

#[test]
fn outages_known_tokens_and_sessions_are_unchanged() {
    let outage: Outage = check(IDP_OUTAGE);
    assert!(
        Revocations::of(&outage).include("jwt-3f9a5b7c9d0e1f2a", "staff:ada", None, outage.changed)
            && outage.allowed.is_some()
    );
    let known: KnownToken = check(KNOWN_TOKEN);
    assert!(!known.withdrawn && known.answer.is_some_and(|answer| answer.contains("ada")));
    let session: SealedSession = check(SESSION);
    assert_eq!(session.sealed, "AAECAwQFBgcICQoLc2VhbGVk");
    let end: SessionsEnd = check(SESSIONS_END);
    assert_eq!(end.issued_until.to_rfc3339(), "2027-01-15T08:00:00.000Z");
}

#[test]
fn usage_is_unchanged() {
    let mut tally = Tally::default();
    let at = Timestamp::from_millis(1_800_000_000_000);
    let acme = Used {
        at,
        route: Some("pets.list"),
        consumer: Some("acme"),
        plan: Some("pro"),
        subscription: Some("sub-3f9a5b7c9d0e"),
        product: Some("pets"),
        status: 200,
        problem: None,
        cost: 5,
    };
    for used in [acme, acme, Used { at, status: 429, problem: Some("rate-limit-exceeded"), ..Used::default() }] {
        assert!(tally.add(&used));
    }
    check_golden("usage.v1.json", &line(usage_record("shop", "00112233445566770000002a", &tally)));
    let batch: UsageBatch = check(USAGE);
    assert_eq!((batch.rows.len(), batch.rows[1].cost), (2, 10));
}

#[test]
fn damage_is_explained_without_quoting_the_record() {
    let cut = &CREDENTIAL.as_bytes()[..CREDENTIAL.len() / 2];
    let text = decode::<Credential>(cut).unwrap_err().to_string();
    assert!(text.contains("truncated") && !text.contains("acme"), "{text}");
    assert!(matches!(decode::<Credential>(b"\xff\x00"), Err(RecordError::Damaged { .. })));
    let text = decode_part_unnamed(&PART[..200]).unwrap_err().to_string();
    assert!(text.contains("truncated") && !text.contains("pets"), "{text}");
    let typo = String::from_utf8_lossy(CREDENTIAL.as_bytes()).replace("\"id\"", "\"ID\"");
    let text = decode::<Credential>(typo.as_bytes()).unwrap_err().to_string();
    assert!(text.ends_with("damaged: its member `id` is missing, or not of the expected form"), "{text}");
    assert!(matches!(decode::<Credential>(&vec![b' '; 1 << 20]), Err(RecordError::Damaged { .. })), "too long");
}

#[test]
fn a_record_under_another_digest_is_refused() {
    assert_eq!(decode_part(PART, &Id::of(b"x")), Err(RecordError::Digest { kind: "part" }));
    let manifest = Manifest::decode(MANIFEST.to_vec(), &Id::of(b"x"));
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
    assert_eq!(bundle.content().len(), 2);
    let trusted = TrustedProxies::Count(NonZeroU8::MIN);
    let proxies = Some(ProxySettings { trusted, field: ProxyField::Forwarded, location: LocationFields::default() });
    let other = GatewaySettings { proxies, ..sample::gateway() };
    assert_ne!(Bundle::new(&other, &sites).id, bundle.id);
}
