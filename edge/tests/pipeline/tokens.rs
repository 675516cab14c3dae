//! Signed tokens: their keys, what is remembered, and what an identity provider can do to the gateway.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use http::{Request, Response};
use tollgate_core::authn::{CredentialPlace, IdentityRules, JwtSettings, KeySource, ScopeRule};
use tollgate_core::expression::Source;
use tollgate_core::forward::UpstreamError;
use tollgate_core::jose::{Algorithm, KeyType};
use tollgate_core::kinds::{Named, Place, Policy, PolicyKind};
use tollgate_core::limit::{Counting, LimitBy, OnUnavailable, QuotaSettings, Unit, Windows};
use tollgate_core::route::{HostPattern, Predicate, Subject, Test};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_edge::memory::{Content, MemorySignatures, ScriptedFetch};
use tollgate_edge::ports::{Clock, Content as _};

use crate::bench::{Answer, Bench, NOW, ok, on_any_host, request, route, site};

const ISSUER: &str = "https://id.example.com";
const KEYS_URL: &str = "https://id.example.com/keys";

pub(crate) fn settings(keys: KeySource) -> JwtSettings {
    JwtSettings::new(ISSUER, "pets", keys, Algorithm::EdDsa)
}

fn for_audience(audience: &str) -> IdentityRules {
    IdentityRules { issuers: vec![ISSUER.into()], audiences: vec![audience.into()], ..IdentityRules::default() }
}

fn at_url() -> KeySource {
    KeySource::Set(KEYS_URL.into(), false)
}

/// A key of the issuer, by its number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub(crate) fn jwk(id: &str, key: &SigningKey) -> String {
    let x = Base64UrlUnpadded::encode_string(key.verifying_key().as_bytes());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"{id}","x":"{x}"}}"#)
}

pub(crate) fn set(keys: &[(&str, &SigningKey)]) -> String {
    let keys: Vec<String> = keys.iter().map(|(id, key)| jwk(id, key)).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

pub(crate) fn token(id: &str, key: &SigningKey, claims: &str) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed = format!("{}.{}", part(&format!(r#"{{"alg":"EdDSA","kid":"{id}"}}"#)), part(claims));
    let signature = Base64UrlUnpadded::encode_string(&key.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

pub(crate) fn claims(subject: &str) -> String {
    let exp = NOW.as_secs() + 3_600;
    format!(r#"{{"iss":"{ISSUER}","aud":"pets","sub":"{subject}","exp":{exp},"scope":"read"}}"#)
}

/// A gateway with two `jwt` policies, whose issuer answers by a script; and how often it was asked, and signatures were
/// verified.
pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) asked: Rc<Cell<u32>>,
    pub(crate) verified: Rc<Cell<u32>>,
    /// What the issuer answers.
    answer: Rc<RefCell<Result<String, UpstreamError>>>,
}

impl World {
    pub(crate) fn new(first: JwtSettings) -> Self {
        let mut bench = Bench::new(vec![], ok(&[], "pets"));
        let verified = Rc::new(Cell::new(0));
        let count = Rc::clone(&verified);
        bench.host.signatures = MemorySignatures::new(move |check| {
            count.set(count.get() + 1);
            tollgate_signatures::verifies(check)
        });
        let (asked, answer) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Ok(set(&[("a", &key(1))])))));
        let (count, said) = (Rc::clone(&asked), Rc::clone(&answer));
        bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |_: &Request<Content>| {
            count.set(count.get() + 1);
            (0, said.borrow().clone().map(|text| Response::new(Content::from_bytes(text.into()))))
        });
        let world = Self { bench, asked, verified, answer };
        world.publish(first);
        world
    }

    fn publish(&self, first: JwtSettings) {
        let IdentityRules { binding, consumer_prefix, .. } = first.rules.clone();
        let rules = IdentityRules { binding, consumer_prefix, ..for_audience("owners") };
        let stricter = JwtSettings { rules, ..first.clone() };
        let at = |path: &str, place| RouteSettings { authn: vec![vec![Place::new(place)]], ..route(path, &["GET"]) };
        let open = route("/open", &["GET"]);
        let written = RouteSettings { scopes: vec!["read".into(), "write".into()], ..at("/written", 0) };
        let of_others = Predicate { of: Subject::Header("x-of".into()), test: Test::OneOf(vec!["others".into()]) };
        let others = RouteSettings { id: "api.others".into(), when: vec![of_others], ..at("/chosen", 1) };
        let both = RouteSettings { authn: vec![vec![Place::new(0), Place::new(1)]], ..route("/both", &["GET"]) };
        let settings = SiteSettings {
            policies: [("staff", first), ("others", stricter)]
                .into_iter()
                .map(|(name, policy)| Named { name: name.into(), policy: Policy::from(policy) })
                .collect(),
            ..site(vec![at("/pets", 0), at("/owners", 1), open, written, at("/chosen", 0), others, both])
        };
        self.bench.publish(&on_any_host(settings) as &std::collections::BTreeMap<HostPattern, SiteSettings>);
    }

    fn answers(&self, text: impl Into<String>) {
        *self.answer.borrow_mut() = Ok(text.into());
    }

    pub(crate) fn is_away(&self) {
        *self.answer.borrow_mut() = Err(UpstreamError::ConnectionRefused);
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.bench.get(path, &[("authorization", &format!("Bearer {token}"))])
    }

    #[track_caller]
    pub(crate) fn check(&self, token: &str, status: u16, problem: &str, code: &str) {
        let answer = self.get("/pets", token);
        let found = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
        assert_eq!((answer.status, answer.problem().as_str(), found.as_str()), (status, problem, code));
        assert!(token.is_empty() || !String::from_utf8_lossy(&answer.content).contains(token));
    }
}

#[test]
fn a_token_names_its_caller_and_is_verified_once() {
    let world = World::new(settings(at_url()));
    let text = token("a", &key(1), &claims("ada"));
    for _ in 0..3 {
        let answer = world.get("/pets", &text);
        assert_eq!(answer.status, 200);
        let principal = answer.record.principal().unwrap();
        assert_eq!(
            (principal.consumer.as_str(), principal.scopes.as_slice()),
            ("staff:ada", ["read".to_owned()].as_slice())
        );
        assert!(principal.credential.starts_with("jwt-") && principal.credential.len() == 20);
        let received = world.bench.host.upstream.take_received().remove(0);
        assert!(!received.headers().contains_key("authorization"), "a credential is not forwarded");
    }
    assert_eq!((world.verified.get(), world.asked.get()), (1, 1));
    let log = world.bench.host.sink.lines().join("\n");
    assert!(
        log.contains("staff:ada") && !log.contains(&text) && !log.contains(text.rsplit('.').next().unwrap()),
        "{log}"
    );
    assert_eq!(world.bench.get("/open", &[("authorization", &format!("Bearer {text}"))]).status, 200);
    let received = world.bench.host.upstream.take_received().remove(0);
    assert!(!received.headers().contains_key("authorization"), "nor is it on a public route");
}

#[test]
fn a_token_in_a_cookie_is_read_and_no_upstream_sees_it() {
    let place = CredentialPlace { cookie: Some("session".into()), ..settings(at_url()).place };
    let world = World::new(JwtSettings { place, ..settings(at_url()) });
    let text = token("a", &key(1), &claims("ada"));
    for (path, cookies, forwarded) in [
        ("/pets", format!("a=1; session={text}; b=2"), Some("a=1; b=2")),
        ("/pets", format!("session={text}"), None),
        ("/open", format!("session={text}; a=1"), Some("a=1")),
        ("/open", "a=1; b=2".to_owned(), Some("a=1; b=2")),
    ] {
        assert_eq!(world.bench.get(path, &[("cookie", &cookies)]).status, 200, "{path} {cookies}");
        let received = world.bench.host.upstream.take_received().remove(0);
        let left = received.headers().get("cookie").map(|line| line.to_str().unwrap());
        assert_eq!(left, forwarded, "{path} {cookies}");
    }
    assert!(!world.bench.host.sink.lines().concat().contains(&text));
    let bearer = format!("Bearer {text}");
    let both = world.bench.get("/pets", &[("cookie", &format!("session={text}")), ("authorization", &bearer)]);
    assert_eq!((both.status, both.problem().as_str()), (401, "credential-malformed"));
    let none = world.bench.get("/pets", &[("cookie", "a=1")]);
    assert!(String::from_utf8_lossy(&none.content).contains("or the cookie `session`"));
}

#[test]
fn what_one_policy_has_verified_says_nothing_about_another() {
    let world = World::new(settings(at_url()));
    let text = token("a", &key(1), &claims("ada"));
    assert_eq!(world.get("/pets", &text).status, 200);
    let refused = world.get("/owners", &text);
    assert_eq!((refused.status, refused.problem().as_str()), (401, "credential-not-accepted"));
    world.publish(JwtSettings { rules: for_audience("cats"), ..settings(at_url()) });
    world.bench.host.clock.drive(world.bench.isolate.refresh(&world.bench.host)).unwrap();
    assert_eq!(world.get("/pets", &text).status, 401, "nor about the same policy as it is configured now");
}

#[test]
fn a_remembered_token_ends_when_it_expires() {
    let world = World::new(settings(at_url()));
    let text = token("a", &key(1), &claims("ada"));
    assert_eq!(world.get("/pets", &text).status, 200);
    world.bench.host.clock.advance(3_599_000);
    assert_eq!(world.get("/pets", &text).status, 200);
    world.bench.host.clock.advance(1_000);
    world.check(&text, 401, "credential-expired", "token-not-accepted");
}

#[test]
fn the_tokens_of_a_key_that_was_withdrawn_end_soon_after() {
    let world = World::new(settings(at_url()));
    let text = token("a", &key(1), &claims("ada"));
    assert_eq!(world.get("/pets", &text).status, 200);
    world.answers(set(&[("b", &key(2))]));
    world.bench.host.clock.advance(301_000);
    // The stale keys are used once more, and fetched again after this reply.
    assert_eq!(world.get("/pets", &text).status, 200);
    world.bench.host.clock.advance(300_000);
    world.check(&text, 401, "credential-unknown", "token-key-unknown");
}

#[test]
fn a_token_that_is_missing_broken_or_foreign_is_refused_with_a_challenge() {
    let world = World::new(settings(at_url()));
    let missing = world.bench.get("/pets", &[]);
    assert_eq!((missing.status, missing.problem().as_str()), (401, "credential-missing"));
    assert_eq!(missing.field("www-authenticate"), "Bearer realm=\"acme\"");
    assert!(String::from_utf8_lossy(&missing.content).contains("authorization: Bearer <token>"));
    world.check("hello", 401, "credential-malformed", "token-malformed");
    let good = token("a", &key(1), &claims("ada"));
    let two = request("GET", "/pets", &[("authorization", "Bearer x"), ("authorization", "Bearer y")], "");
    assert_eq!(world.bench.send(two).problem(), "credential-malformed");
    world.check(&token("a", &key(2), &claims("ada")), 401, "credential-unknown", "signature-wrong");
    let (head, signature) = good.rsplit_once('.').unwrap();
    world.check(&format!("{head}."), 401, "credential-unknown", "signature-wrong");
    let none =
        format!("{}.{}.", Base64UrlUnpadded::encode_string(br#"{"alg":"none"}"#), head.split('.').nth(1).unwrap());
    world.check(&none, 401, "credential-malformed", "token-malformed");
    let hmac = Base64UrlUnpadded::encode_string(br#"{"alg":"HS256","kid":"a"}"#);
    world.check(
        &format!("{hmac}.{}.{signature}", head.split('.').nth(1).unwrap()),
        401,
        "credential-not-accepted",
        "algorithm-not-accepted",
    );
    let other = claims("ada").replace(ISSUER, "https://evil.example");
    world.check(&token("a", &key(1), &other), 401, "credential-not-accepted", "token-not-accepted");
    world.check(&token("a", &key(1), "[]"), 401, "credential-malformed", "token-malformed");
    assert_eq!(world.bench.host.upstream.take_received().len(), 0);
}

#[test]
fn a_rotation_is_followed_and_invented_keys_cause_one_fetch_in_five_seconds() {
    let world = World::new(settings(at_url()));
    assert_eq!(world.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200);
    for invented in 0..20 {
        let text = token(&format!("invented-{invented}"), &key(9), &claims("eve"));
        world.check(&text, 401, "credential-unknown", "token-key-unknown");
    }
    assert_eq!(world.asked.get(), 1, "the keys are younger than five seconds");
    world.answers(set(&[("a", &key(1)), ("b", &key(2))]));
    world.bench.host.clock.advance(5_000);
    assert_eq!(world.get("/pets", &token("b", &key(2), &claims("bob"))).status, 200, "published five seconds ago");
    assert_eq!(world.asked.get(), 2);
    for step in 1..=10 {
        world.bench.host.clock.advance(1_000);
        world.check(&token("c", &key(3), &claims("eve")), 401, "credential-unknown", "token-key-unknown");
        assert_eq!(world.asked.get(), 2 + step / 5, "second {step}");
    }
    world.answers(set(&[("a", &key(4))]));
    world.bench.host.clock.advance(5_000);
    assert_eq!(world.get("/pets", &token("a", &key(4), &claims("ada"))).status, 200, "a new key with an old id");
}

#[test]
fn keys_that_an_issuer_withdraws_are_not_used_any_more() {
    let world = World::new(settings(at_url()));
    let of = |issued: &str| token("a", &key(1), &claims(issued));
    assert_eq!(world.get("/pets", &of("ada")).status, 200);
    world.answers(r#"{"keys":[]}"#.to_owned());
    world.bench.host.clock.advance(5_000);
    world.check(&token("b", &key(2), &claims("eve")), 401, "credential-unknown", "token-key-unknown");
    world.check(&of("bob"), 401, "credential-unknown", "token-key-unknown");
}

#[test]
fn keys_outlive_their_issuer_and_a_cold_isolate_gets_them_from_the_others() {
    let world = World::new(settings(at_url()));
    assert_eq!(world.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200);
    *world.answer.borrow_mut() = Err(UpstreamError::ConnectionRefused);
    world.bench.host.clock.advance(400_000);
    assert_eq!(world.get("/pets", &token("a", &key(1), &claims("bob"))).status, 200, "stale keys are used");
    let cold =
        World { bench: Bench { isolate: world.bench.another_isolate(), host: world.bench.host.clone() }, ..world };
    assert_eq!(cold.get("/pets", &token("a", &key(1), &claims("cid"))).status, 200);
    assert_eq!(cold.asked.get(), 3, "the stale keys were asked for after each reply");
}

/// That an issuer publishes no key of this id is said by the issuer, not by its absence.
#[test]
fn a_new_key_of_an_issuer_that_is_away_is_not_called_unknown_and_found_where_another_isolate_has_it() {
    let world = World::new(settings(at_url()));
    let of = |number: u8, id: &str, name: &str| token(id, &key(number), &claims(name));
    assert_eq!(world.get("/pets", &of(1, "a", "ada")).status, 200);
    let other = World {
        bench: Bench { isolate: world.bench.another_isolate(), host: world.bench.host.clone() },
        asked: Rc::clone(&world.asked),
        verified: Rc::clone(&world.verified),
        answer: Rc::clone(&world.answer),
    };
    assert_eq!(other.get("/pets", &of(1, "a", "bob")).status, 200);
    world.bench.host.clock.advance(5_000);
    world.answers(set(&[("a", &key(1)), ("b", &key(2))]));
    assert_eq!(other.get("/pets", &of(2, "b", "bob")).status, 200);
    *world.answer.borrow_mut() = Err(UpstreamError::ConnectionRefused);
    let before = world.asked.get();
    world.check(&of(3, "c", "eve"), 503, "store-unavailable", "token-keys-away");
    assert_eq!(world.get("/pets", &of(2, "b", "ada")).status, 200, "shared by the other isolate");
    world.check(&of(3, "c", "eve"), 401, "credential-unknown", "token-key-unknown");
    world.bench.host.clock.advance(5_000);
    for _ in 0..10 {
        world.check(&of(3, "c", "eve"), 503, "store-unavailable", "token-keys-away");
    }
    assert_eq!(world.asked.get(), before + 2, "asked once in five seconds");
}

#[test]
fn a_token_of_another_issuer_is_refused_without_keys() {
    let world = World::new(settings(at_url()));
    *world.answer.borrow_mut() = Err(UpstreamError::ConnectionRefused);
    let foreign = claims("ada").replace(ISSUER, "https://other.example.com");
    world.check(&token("a", &key(1), &foreign), 401, "credential-not-accepted", "token-not-accepted");
    assert_eq!((world.asked.get(), world.verified.get()), (0, 0));
}

#[test]
fn an_issuer_that_answers_badly_costs_its_tokens_and_nothing_else() {
    let page = "<html>".to_owned();
    let large = format!(r#"{{"keys":[],"more":"{}"}}"#, "x".repeat(300_000));
    for answer in [Ok(page), Ok(large), Ok("[]".to_owned()), Ok(String::new()), Err(UpstreamError::ConnectionRefused)] {
        let world = World::new(settings(at_url()));
        *world.answer.borrow_mut() = answer;
        let refused = world.get("/pets", &token("a", &key(1), &claims("ada")));
        assert_eq!((refused.status, refused.problem().as_str()), (503, "store-unavailable"));
        assert_eq!(refused.field("retry-after"), "1");
        let why = refused.record.refusal().unwrap().reason.to_string();
        assert!(why.starts_with("the keys of the issuer: "), "{why}");
        assert_eq!(world.bench.get("/open", &[]).status, 200);
        world.answers(set(&[("a", &key(1))]));
        world.bench.host.clock.advance(400_000);
        assert_eq!(world.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200, "it has recovered");
    }
    let world = World::new(settings(at_url()));
    world.answers(format!(r#"{{"keys":[{{"kty":"XX"}},7,{}]}}"#, jwk("a", &key(1))));
    assert_eq!(world.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200, "the good key works");
}

#[test]
fn a_platform_that_cannot_verify_admits_nobody() {
    let world = World::new(settings(at_url()));
    world.bench.host.signatures.fault.set(true);
    world.check(&token("a", &key(1), &claims("ada")), 503, "store-unavailable", "token-keys-away");
}

#[test]
fn the_keys_of_an_issuer_are_found_by_its_metadata() {
    let world = World::new(settings(KeySource::Discovery(false)));
    let urls: Rc<RefCell<Vec<String>>> = Rc::default();
    let issuer = Rc::new(RefCell::new(ISSUER.to_owned()));
    let (seen, named) = (Rc::clone(&urls), Rc::clone(&issuer));
    let mut host = world.bench.host.clone();
    host.fetch = ScriptedFetch::new(host.clock.clone(), move |request: &Request<Content>| {
        seen.borrow_mut().push(request.uri().to_string());
        let metadata = format!(r#"{{"issuer":"{}","jwks_uri":"https://keys.example.com/all"}}"#, named.borrow());
        let text = if request.uri().path() == "/all" { set(&[("a", &key(1))]) } else { metadata };
        (0, Ok(Response::new(Content::from_bytes(text.into()))))
    });
    let world = World { bench: Bench { isolate: world.bench.another_isolate(), host }, ..world };
    *issuer.borrow_mut() = "https://other.example".to_owned();
    world.check(&token("a", &key(1), &claims("ada")), 503, "store-unavailable", "token-keys-away");
    *issuer.borrow_mut() = ISSUER.to_owned();
    world.bench.host.clock.advance(24 * 3_600_000);
    let exp = world.bench.host.clock.now().as_secs() + 60;
    let text = claims("ada").replace(&(NOW.as_secs() + 3_600).to_string(), &exp.to_string());
    assert_eq!(world.get("/pets", &token("a", &key(1), &text)).status, 200);
    let seen = urls.borrow().clone();
    assert_eq!(seen.first().map(String::as_str), Some("https://id.example.com/.well-known/openid-configuration"));
    assert_eq!(seen.last().map(String::as_str), Some("https://keys.example.com/all"));
}

/// The client asks its provider for the scope, by the provider's name of it.
#[test]
fn a_missing_scope_has_the_name_that_tokens_have() {
    let renamed = [("read", "read"), ("write", "pets.write")];
    let scopes = renamed.map(|(scope, in_token)| ScopeRule { scope: scope.into(), in_token: in_token.into() }).to_vec();
    let of_tokens = settings(at_url());
    let world = World::new(JwtSettings { rules: IdentityRules { scopes, ..of_tokens.rules.clone() }, ..of_tokens });
    let refused = world.get("/written", &token("a", &key(1), &claims("ada")));
    assert_eq!((refused.status, refused.problem().as_str()), (403, "scope-missing"));
    let challenge = refused.field("www-authenticate");
    assert!(challenge.ends_with("error=\"insufficient_scope\", scope=\"pets.write\""), "{challenge}");
    assert!(String::from_utf8_lossy(&refused.content).contains("lacks: pets.write."));
    let held = claims("ada").replace(r#""scope":"read""#, r#""scope":"read pets.write""#);
    assert_eq!(world.get("/written", &token("a", &key(1), &held)).status, 200);
}

/// Keys of an issuer that has moved its set, from `/old` with one key to `/new` with another one.
fn moving(old: &'static str) -> (World, Rc<RefCell<Vec<String>>>) {
    let world = World::new(settings(KeySource::Discovery(false)));
    let (asked, has_moved) = (Rc::<RefCell<Vec<String>>>::default(), Rc::new(Cell::new(false)));
    let (seen, moved) = (Rc::clone(&asked), Rc::clone(&has_moved));
    let mut host = world.bench.host.clone();
    host.fetch = ScriptedFetch::new(host.clock.clone(), move |request: &Request<Content>| {
        let path = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let (name, keys) = if moved.get() { ("new", old.to_owned()) } else { ("old", set(&[("a", &key(1))])) };
        let text = match path.as_str() {
            "old" => keys,
            "new" => set(&[("b", &key(2))]),
            _ => format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"https://keys.example.com/{name}"}}"#),
        };
        seen.borrow_mut().push(path);
        (0, Ok(Response::new(Content::from_bytes(text.into()))))
    });
    let world = World { bench: Bench { isolate: world.bench.another_isolate(), host }, ..world };
    assert_eq!(world.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200);
    has_moved.set(true);
    asked.borrow_mut().clear();
    (world, asked)
}

#[test]
fn a_set_that_has_moved_is_found_when_its_url_has_no_keys() {
    let (world, asked) = moving("not found");
    world.bench.host.clock.advance(5_000);
    assert_eq!(world.get("/pets", &token("b", &key(2), &claims("bob"))).status, 200);
    assert_eq!(*asked.borrow(), ["old", "openid-configuration", "new"]);
}

#[test]
fn a_set_that_has_moved_is_found_within_a_minute_when_its_url_has_old_keys() {
    let (world, asked) = moving(r#"{"keys":[]}"#);
    for second in [5, 10] {
        world.bench.host.clock.advance(5_000);
        world.check(&token("b", &key(2), &claims("bob")), 401, "credential-unknown", "token-key-unknown");
        assert_eq!(asked.borrow().len(), second / 5, "one fetch in five seconds");
    }
    world.bench.host.clock.advance(50_000);
    assert_eq!(world.get("/pets", &token("b", &key(2), &claims("bob"))).status, 200);
    assert_eq!(asked.borrow()[2..], ["old", "openid-configuration", "new"]);
}

#[test]
fn keys_are_fetched_over_tls_from_public_addresses_only() {
    for url in
        ["http://id.example.com/keys", "https://10.0.0.7/keys", "https://localhost/keys", "https://metadata.internal/"]
    {
        let world = World::new(settings(KeySource::Set(url.into(), false)));
        world.check(&token("a", &key(1), &claims("ada")), 503, "store-unavailable", "token-keys-away");
        assert_eq!(world.asked.get(), 0, "{url}");
        let allowed = World::new(settings(KeySource::Set(url.into(), true)));
        assert_eq!(allowed.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200, "{url}");
    }
}

#[test]
fn keys_in_the_configuration_and_shared_secrets_need_no_issuer() {
    let world = World::new(settings(KeySource::Static(set(&[("a", &key(1))]))));
    assert_eq!(world.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200);
    world.check(&token("b", &key(2), &claims("ada")), 401, "credential-unknown", "token-key-unknown");
    assert_eq!(world.asked.get(), 0);
    let secret = KeySource::Secret(SecretText::parse("${secret.SHARED}").unwrap());
    let shared = JwtSettings { algorithms: [Algorithm::Hs256].into_iter().collect(), ..settings(secret) };
    let world = World::new(shared);
    let text = "eyJhbGciOiJIUzI1NiJ9.e30.AAAA";
    world.check(text, 503, "secret-missing", "secret-missing");
    world.bench.host.secrets.put("SHARED", "too short");
    world.bench.host.clock.advance(60_000);
    world.check(text, 503, "store-unavailable", "token-keys-away");
    world.bench.host.secrets.put("SHARED", "0123456789abcdef0123456789abcdef");
    world.bench.host.clock.advance(60_000);
    world.check(text, 401, "credential-unknown", "signature-wrong");
    assert_eq!(Algorithm::Hs256.key_type(), KeyType::Octets);
}

/// `{"alg":"HS256"}` and the claims of Ada, with a secret of 32 letters `n` and `o`.
const BY_NEW_SECRET: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiYXVkIjoicGV0cyIsInN1YiI6ImFkYSIsImV4cCI6MTgwMDAwMzYwMCwic2NvcGUiOiJyZWFkIn0.zItsNJE1XkiK8LeyLUOvCaM0V07dRrgI4fZlF3hp3xk";
const BY_OLD_SECRET: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiYXVkIjoicGV0cyIsInN1YiI6ImFkYSIsImV4cCI6MTgwMDAwMzYwMCwic2NvcGUiOiJyZWFkIn0.nRnEU54dV5sR-oJWre_hNjt3VtPigp-InY1OhGY8LMI";

#[test]
fn both_values_of_a_shared_secret_are_accepted_while_it_is_rotated() {
    let secret = KeySource::Secret(SecretText::parse("${secret.SHARED}").unwrap());
    let world = World::new(JwtSettings { algorithms: [Algorithm::Hs256].into_iter().collect(), ..settings(secret) });
    let (new, old) = ("n".repeat(32), "o".repeat(32));
    let statuses = |secret: &str| {
        world.bench.host.secrets.put("SHARED", secret);
        // Longer than a secret is kept, and than a verified token is remembered for.
        world.bench.host.clock.advance(301_000);
        [BY_OLD_SECRET, BY_NEW_SECRET].map(|token| world.get("/pets", token).status)
    };
    assert_eq!(statuses(&old), [200, 401]);
    assert_eq!(statuses(&format!("{old}\n{new}\n")), [200, 200]);
    assert_eq!(statuses(&format!("{new}\n{old}")), [200, 200]);
    assert_eq!(statuses(&new), [401, 200]);
}

#[test]
fn one_token_causes_no_more_work_than_its_policy_declares() {
    let many = |from: u8| {
        let keys: Vec<String> = (from..from + 20).map(|n| jwk("", &key(n)).replace(r#""kid":"","#, "")).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    };
    let world = World::new(settings(at_url()));
    world.answers(many(10));
    let forged = token("x", &key(9), &claims("eve"));
    world.check(&forged, 401, "credential-unknown", "signature-wrong");
    assert_eq!((world.verified.get(), world.asked.get()), (8, 1), "eight of the keys are tried");
    world.answers(many(40));
    world.bench.host.clock.advance(5_000);
    world.check(&forged, 401, "credential-unknown", "signature-wrong");
    assert_eq!((world.verified.get(), world.asked.get()), (8 + 16, 2), "and eight of the newer ones");
    let policy = settings(at_url());
    let declared = policy.uses();
    assert_eq!((declared.verifications, declared.fetches, declared.answers), (16, 1, 1));
}

/// RFC 9728, sections 3 and 5.1.
#[test]
fn rfc_9728_metadata_are_served_and_named_in_challenges() {
    let with = |issuer: &str| {
        let keys = KeySource::Static(set(&[("a", &key(1))]));
        let plain = JwtSettings::new(issuer, "pets", keys, Algorithm::EdDsa);
        JwtSettings {
            rules: IdentityRules { resource: Some("https://api.example.com/v1".into()), ..plain.rules },
            ..plain
        }
    };
    let world = World::new(with(ISSUER));
    let path = "/.well-known/oauth-protected-resource/v1";
    let challenge = world.bench.get("/pets", &[]).field("www-authenticate").to_owned();
    assert_eq!(challenge, format!("Bearer realm=\"acme\", resource_metadata=\"https://api.example.com{path}\""));
    let answer = world.bench.get(path, &[]);
    assert_eq!((answer.status, answer.field("content-type")), (200, "application/json"));
    let document: serde_json::Value = serde_json::from_slice(&answer.content).unwrap();
    assert_eq!(document["resource"], "https://api.example.com/v1");
    assert_eq!(document["authorization_servers"], serde_json::json!([ISSUER]));
    let head = world.bench.send(request("HEAD", path, &[], ""));
    assert_eq!((head.status, head.content.len()), (200, 0));
    for other in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/v2"] {
        assert_eq!(world.bench.get(other, &[]).problem(), "route-not-found", "{other}");
    }
    assert_eq!(world.bench.send(request("POST", path, &[], "")).problem(), "route-not-found");
    assert_eq!(world.bench.host.upstream.take_received().len(), 0);
}

#[test]
fn a_number_of_a_limit_may_be_written_with_a_point_and_what_is_none_is_told() {
    let plain = settings(at_url());
    let rules = IdentityRules { kept_claims: vec![vec!["n".into()]], ..plain.rules.clone() };
    let world = World::new(JwtSettings { rules: rules.clone(), ..plain.clone() });
    let number_from = Some(Source::Claim(vec!["n".into()]));
    let quota = QuotaSettings {
        quota: NonZeroU32::new(3).unwrap(),
        windows: Windows { unit: Unit::Day, anchor: None, zone: None, zone_name: String::new() },
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Open,
        plans: BTreeMap::new(),
        counting: Counting { at_most: NonZeroU32::new(100), number_from, ..Counting::default() },
    };
    let policies = [("staff", Policy::from(JwtSettings { rules, ..plain })), ("daily", quota.into())];
    let policies = policies.into_iter().map(|(name, policy)| Named { name: name.into(), policy }).collect();
    let (authn, limit) = (vec![vec![Place::new(0)]], vec![Place::new(0)]);
    let limited = RouteSettings { authn, limit, ..route("/limited", &["GET"]) };
    world.bench.publish(&on_any_host(SiteSettings { policies, ..site(vec![limited]) }));
    for (number, code) in [
        ("10", Some("number-claimed")),
        ("10.0", Some("number-claimed")),
        ("\"10\"", Some("number-claimed")),
        ("10.5", Some("claim-not-used")),
        ("1000.0", Some("claim-not-used")),
        ("[10]", Some("claim-not-used")),
        ("{\"n\":10}", Some("claim-not-used")),
        ("true", Some("claim-not-used")),
    ] {
        let stated = claims("ada").replace("\"scope\"", &format!("\"n\":{number},\"scope\""));
        let answer = world.get("/limited", &token("a", &key(1), &stated));
        let codes = answer.record.events.as_slice().iter().map(|event| event.reason.code());
        let told: Vec<_> = codes.filter(|code| ["number-claimed", "claim-not-used"].contains(code)).collect();
        assert_eq!(told, Vec::from_iter(code), "{number}");
    }
}
