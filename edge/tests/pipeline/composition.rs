//! Several policies on one route: whose error is told, which challenges there are, callers without a credential, and two
//! credentials at once.

use std::cell::Cell;
use std::rc::Rc;

use http::HeaderName;
use http::header::AUTHORIZATION;
use tollgate_core::authn::{
    AnonymousSettings, ApiKeySettings, BasicSettings, CertificateConsumer, CertificateSource,
    ClientCertificateSettings, CredentialPlace, JwtSettings, KeySource, NameAndPassword, PeerCertificate,
    PresentedCertificate, Trust,
};
use tollgate_core::jose::Algorithm;
use tollgate_core::kinds::{Named, Place, Policy};
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_core::time::Timestamp;
use tollgate_core::x509::{AlternativeNames, Certificate, Fingerprint};
use tollgate_edge::memory::MemorySignatures;

use crate::bench::{Answer, Bench, NOW, credential, key, ok, on_any_host, route, site};
use crate::tokens::{key as signer, set, token};

const KEYS: usize = 0;
const BEARER: usize = 1;
const STAFF: usize = 2;
const PARTNERS: usize = 3;
const DEVICES: usize = 4;
const PEOPLE: usize = 5;
const VISITORS: usize = 6;

fn policies() -> [(&'static str, Policy); 7] {
    let keys = CredentialPlace::field(HeaderName::from_static("x-api-key"), None);
    let bearer = CredentialPlace::field(AUTHORIZATION, Some("Bearer".into()));
    let tokens = |issuer, number| {
        let keys = KeySource::Static(set(&[("a", &signer(number))]));
        Policy::from(JwtSettings::new(issuer, "pets", keys, Algorithm::EdDsa))
    };
    [
        ("keys", Policy::from(ApiKeySettings::from(keys))),
        ("bearer", Policy::from(ApiKeySettings::from(bearer))),
        ("staff", tokens("https://staff.example", 1)),
        ("partners", tokens("https://partners.example", 2)),
        ("devices", Policy::from(devices())),
        ("people", Policy::from(BasicSettings::new())),
        ("visitors", Policy::from(visitors())),
    ]
}

fn visitors() -> AnonymousSettings {
    AnonymousSettings { consumer: "visitor".into(), plan: Some("trial".into()), scopes: vec![] }
}

/// Takes the common name of a client's certificate for the consumer.
fn devices() -> ClientCertificateSettings {
    ClientCertificateSettings {
        source: CertificateSource::Connection,
        consumer: CertificateConsumer::CommonName,
        consumer_prefix: None,
        accepts: vec![],
        plan: None,
        scopes: vec![],
        kept: vec![],
    }
}

/// A gateway with a route for each list of alternatives: `/0`, `/1`...
fn bench(routes: &[&[&[usize]]]) -> Bench {
    let authn = |all: &&[&[usize]]| {
        all.iter().map(|together| together.iter().map(|place| Place::new(*place)).collect()).collect()
    };
    let routes = routes.iter().enumerate().map(|(at, all)| {
        let route = route(&format!("/{at}"), &["GET"]);
        RouteSettings { authn: authn(all), ..route }
    });
    let mut bench = Bench::new(vec![], ok(&[], "pets"));
    bench.host.signatures = MemorySignatures::new(tollgate_signatures::verifies);
    let named = policies().into_iter().map(|(name, policy)| Named { name: name.into(), policy });
    bench.publish(&on_any_host(SiteSettings { policies: named.collect(), ..site(routes.collect()) }));
    bench.add(&key(), &credential());
    bench
}

fn claims(issuer: &str, subject: &str, age_s: u64) -> String {
    let exp = NOW.as_secs() + 60 - age_s;
    format!(r#"{{"iss":"https://{issuer}.example","aud":"pets","sub":"{subject}","exp":{exp}}}"#)
}

fn staff(subject: &str) -> String {
    format!("Bearer {}", token("a", &signer(1), &claims("staff", subject, 0)))
}

#[track_caller]
fn check(answer: &Answer, status: u16, policy: Option<&str>, problem: &str) {
    let refused = answer.record.refusal().and_then(|refusal| Some(refusal.policy?.to_string()));
    assert_eq!((answer.status, refused.as_deref(), answer.problem().as_str()), (status, policy, problem));
    assert!(status == 200 || answer.status != 401 || !answer.field("www-authenticate").is_empty());
}

#[test]
fn the_credential_that_was_presented_decides_the_error_in_every_order() {
    let expired = format!("Bearer {}", token("a", &signer(2), &claims("partners", "pia", 120)));
    let orders: [&[&[usize]]; 4] = [
        &[&[KEYS], &[BEARER], &[STAFF], &[PARTNERS]],
        &[&[PARTNERS], &[STAFF], &[BEARER], &[KEYS]],
        &[&[BEARER], &[PARTNERS], &[KEYS], &[STAFF]],
        &[&[STAFF], &[KEYS], &[PARTNERS], &[BEARER]],
    ];
    let bench = bench(&orders);
    for at in 0..orders.len() {
        let get = |fields: &[(&str, &str)]| bench.get(&format!("/{at}"), fields);
        check(&get(&[("authorization", &expired)]), 401, Some("partners"), "credential-expired");
        let unknown = format!("Bearer {}", tollgate_core::authn::ApiKey::generate("dev", &[9; 32]).unwrap().expose());
        check(&get(&[("authorization", &unknown)]), 401, Some("bearer"), "credential-unknown");
        check(&get(&[("x-api-key", "hello")]), 401, Some("keys"), "credential-malformed");
        assert_eq!(get(&[]).problem(), "credential-missing");
    }
}

#[test]
fn a_route_has_one_list_of_challenges_and_the_one_of_a_refused_token_says_why() {
    let bench = bench(&[&[&[KEYS], &[STAFF], &[PARTNERS]]]);
    let challenges = |fields: &[(&str, &str)]| {
        let answer = bench.get("/0", fields);
        answer
            .fields
            .get_all("www-authenticate")
            .iter()
            .map(|line| line.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let keys = "ApiKey realm=\"acme\", header=\"x-api-key\"";
    assert_eq!(challenges(&[]), [keys, "Bearer realm=\"acme\""]);
    assert_eq!(challenges(&[("x-api-key", "hello")]), [keys, "Bearer realm=\"acme\""]);
    let expired = format!("Bearer {}", token("a", &signer(1), &claims("staff", "ada", 120)));
    assert_eq!(
        challenges(&[("authorization", &expired)]),
        [
            keys,
            "Bearer realm=\"acme\", error=\"invalid_token\", error_description=\"The token is not accepted: it has expired.\""
        ]
    );
    let twice = challenges(&[("authorization", "Bearer a, Bearer b")]);
    assert!(twice[1].contains("error=\"invalid_request\""), "{twice:?}");
}

#[test]
fn two_credentials_of_different_consumers_are_refused_in_every_order() {
    let bench = bench(&[&[&[KEYS], &[STAFF]], &[&[STAFF], &[KEYS]], &[&[KEYS], &[KEYS, STAFF]], &[&[KEYS]]]);
    for path in ["/0", "/1", "/2"] {
        let get = |token: &str| bench.get(path, &[("x-api-key", key().expose()), ("authorization", token)]);
        let both = get(&staff("ada"));
        assert_eq!((both.status, both.problem().as_str()), (401, "credential-malformed"), "{path}");
        assert_eq!(both.record.refusal().unwrap().reason.code(), "consumers-differ");
        assert_eq!(get("Bearer hello").status, 200, "{path}: a wrong credential beside a right one changes nothing");
        assert_eq!(get("Basic eDp5").status, 200, "{path}: a credential for the upstream");
    }
    let unread = bench.get("/3", &[("x-api-key", key().expose()), ("authorization", &staff("ada"))]);
    assert_eq!(unread.status, 200, "no policy of the route reads the token");
}

#[test]
fn a_certificate_and_a_key_of_different_consumers_are_refused_in_every_order() {
    let bench = bench(&[&[&[KEYS], &[DEVICES]], &[&[DEVICES], &[KEYS]], &[&[KEYS]]]);
    let key = key();
    let with_key = [("x-api-key", key.expose())];
    assert_eq!(["/0", "/1", "/2"].map(|path| bench.get(path, &with_key).status), [200; 3]);
    let certificate = Certificate {
        fingerprint: Fingerprint::of(b"d7"),
        subject: "CN=d7".into(),
        common_name: Some("d7".into()),
        issuer: "CN=CA".into(),
        not_before: Timestamp::default(),
        not_after: Timestamp::MAX,
        names: AlternativeNames::default(),
    };
    let presented = PresentedCertificate { certificate, trust: Trust::Verified };
    bench.host.certificates.set(&Rc::new(PeerCertificate::Presented(Box::new(presented))));
    for path in ["/0", "/1"] {
        let both = bench.get(path, &with_key);
        assert_eq!((both.status, both.problem().as_str()), (401, "credential-malformed"), "{path}");
        assert_eq!(bench.get(path, &[]).record.principal().unwrap().consumer, "devices:d7");
    }
    assert_eq!(bench.get("/2", &with_key).status, 200, "no policy of the route reads the certificate");
}

#[test]
fn one_token_of_two_policies_is_one_identity_and_verified_once() {
    let mut bench = bench(&[&[&[STAFF], &[PARTNERS]], &[&[PARTNERS], &[STAFF]], &[&[BEARER], &[STAFF]]]);
    let verified = Rc::new(Cell::new(0));
    let count = Rc::clone(&verified);
    bench.host.signatures = MemorySignatures::new(move |check| {
        count.set(count.get() + 1);
        tollgate_signatures::verifies(check)
    });
    for (place, path) in ["/0", "/1", "/2"].into_iter().enumerate() {
        let answer = bench.get(path, &[("authorization", &staff(&format!("ada-{place}")))]);
        let consumer = answer.record.principal().unwrap().consumer.clone();
        assert_eq!((answer.status, consumer, verified.get()), (200, format!("staff:ada-{place}"), place + 1));
    }
    // The key in the same place is found first, so nobody verifies it as a token.
    assert_eq!(bench.get("/2", &[("authorization", &format!("Bearer {}", key().expose()))]).status, 200);
    assert_eq!(verified.get(), 3);
}

#[test]
fn an_anonymous_caller_is_admitted_and_a_wrong_credential_is_not() {
    let bench = bench(&[&[&[KEYS], &[STAFF, BEARER], &[]]]);
    let anonymous = bench.get("/0", &[]);
    assert_eq!((anonymous.status, anonymous.record.principal()), (200, None));
    assert!(anonymous.record.events.to_string().contains("no credential"), "{}", anonymous.record.events);
    let known = bench.get("/0", &[("x-api-key", key().expose())]);
    assert_eq!((known.status, known.record.principal().is_some()), (200, true));
    check(&bench.get("/0", &[("x-api-key", "hello")]), 401, Some("keys"), "credential-malformed");
    check(&bench.get("/0", &[("authorization", &staff("ada"))]), 401, Some("bearer"), "credential-malformed");
    check(&bench.get("/0", &[("authorization", "Bearer x")]), 401, Some("staff"), "credential-malformed");
    assert_eq!(bench.get("/0", &[("authorization", "Basic eDp5")]).status, 200, "no policy reads it");
    bench.host.records.fault.set(true);
    let other =
        bench.get("/0", &[("x-api-key", tollgate_core::authn::ApiKey::generate("dev", &[8; 32]).unwrap().expose())]);
    assert_eq!((other.status, other.problem().as_str()), (503, "store-unavailable"));
}

#[test]
fn who_presents_nothing_is_a_consumer_and_who_presents_something_wrong_is_refused() {
    let bench = bench(&[&[&[KEYS], &[PEOPLE], &[VISITORS]], &[&[VISITORS]]]);
    for path in ["/0", "/1"] {
        let visitor = bench.get(path, &[]);
        let principal = visitor.record.principal().expect("a consumer");
        assert_eq!((visitor.status, principal.consumer.as_str()), (200, "visitor"));
        assert_eq!((principal.plan.as_deref(), principal.credential.as_str()), (Some("trial"), "visitors/anonymous"));
    }
    let known = bench.get("/0", &[("x-api-key", key().expose())]);
    assert_eq!((known.status, known.record.principal().unwrap().consumer.as_str()), (200, "acme-inc"));
    check(&bench.get("/0", &[("x-api-key", "hello")]), 401, Some("keys"), "credential-malformed");
    let wrong = bench.get("/0", &[("authorization", "Basic YTpi")]);
    check(&wrong, 401, Some("people"), "credential-unknown");
    let challenges: Vec<_> = wrong.fields.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 2, "a visitor is asked for nothing: {challenges:?}");
    assert_eq!(bench.get("/1", &[("x-api-key", "hello")]).status, 200, "no policy of the route reads it");
}

#[test]
fn a_key_is_the_password_of_its_consumer_only() {
    let bench = bench(&[&[&[PEOPLE]]]);
    let get = |name: &str, password: &str| {
        let value = format!("Basic {}", NameAndPassword::encode(name, password));
        bench.get("/0", &[("authorization", &value)])
    };
    let right = get("acme-inc", key().expose());
    assert_eq!((right.status, right.record.principal().unwrap().credential.as_str()), (200, "key-1"));
    let unknown = tollgate_core::authn::ApiKey::generate("dev", &[9; 32]).unwrap();
    for (name, password) in [("acme", key().expose()), ("acme-inc", unknown.expose()), ("acme-inc", "secret")] {
        check(&get(name, password), 401, Some("people"), "credential-unknown");
    }
}
