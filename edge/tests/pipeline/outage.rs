//! Outages of identity providers: which tokens are admitted without their provider, and how that is recorded.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_executor::block_on;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tollgate_core::authn::{
    Allowance, CredentialPlace, IdentityRules, IntrospectionSettings, JwtSettings, KeySource, KnownToken, Outage,
    OutagePolicy, OutageRules, RevokedToken, token_digest,
};
use tollgate_core::event::Verdict;
use tollgate_core::forward::UpstreamError;
use tollgate_core::kinds::{Named, Place, Policy, PolicyKind as _};
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::operator::{OutageView, Role};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{GatewaySettings, RouteSettings, SiteSettings};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemorySignatures, ScriptedFetch};
use tollgate_edge::operator::serve_operator;
use tollgate_edge::ports::{Clock, Content as _, Records as _};
use tollgate_kv_schemas::{Bundle, decode, encode, keys};

use crate::bench::{Answer, Bench, NOW, gateway, ok, on_any_host, route, site};
use crate::tokens::{claims, key, set, settings as jwt_settings, token};

const ACTIVE: &str = r#"{"active":true,"aud":"pets","sub":"ada","scope":"read"}"#;
const OPERATOR: &str = "operate-00000000000000000000000000000000";

fn rules() -> OutageRules {
    let consumers = vec!["opaque:ada".into(), "staff:ada".into()];
    OutageRules { consumers, for_s: 3_600, late_s: 600, after_s: None }
}

fn opaque(rules: OutageRules) -> IntrospectionSettings {
    IntrospectionSettings {
        url: Some("https://id.example.com/introspect".into()),
        is_private: false,
        client: ClientAuthentication::Post("gateway".into(), SecretText::parse("${secret.CLIENT}").unwrap()),
        place: CredentialPlace::field(AUTHORIZATION, Some("Bearer".into())),
        rules: IdentityRules { audiences: vec!["pets".into()], ..IdentityRules::default() },
        cache_ms: 30_000,
        signed: None,
        outage: Some(rules),
    }
}

fn staff() -> JwtSettings {
    let keys = KeySource::Set("https://id.example.com/keys".into(), false);
    JwtSettings { outage: Some(rules()), ..jwt_settings(keys) }
}

/// A gateway with both policies; its provider answers by a script.
struct World {
    bench: Bench,
    asked: Rc<Cell<u32>>,
    answer: Rc<RefCell<Result<String, UpstreamError>>>,
}

impl World {
    fn new(opaque: IntrospectionSettings) -> Self {
        let mut bench = Bench::new(vec![], ok(&[], "pets"));
        let (asked, answer) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Ok(ACTIVE.to_owned()))));
        let (count, said) = (Rc::clone(&asked), Rc::clone(&answer));
        bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |request: &Request<Content>| {
            count.set(count.get() + 1);
            let is_keys = request.uri().path() == "/keys";
            let answer: Result<String, UpstreamError> = said.borrow().clone();
            let text = answer.map(|text| if is_keys { set(&[("a", &key(1))]) } else { text });
            (0, text.map(|text| Response::new(Content::from_bytes(text.into()))))
        });
        bench.host.signatures = MemorySignatures::new(tollgate_signatures::verifies);
        bench.host.secrets.put("CLIENT", "s3cr3t");
        bench.host.secrets.put(Role::Operate.secret_name(), format!("ops:{OPERATOR}"));
        let outages = [("opaque", &opaque.outage), ("staff", &staff().outage)]
            .map(|(policy, rules)| OutagePolicy { policy: policy.to_owned(), rules: rules.clone().unwrap() });
        let policies = [("opaque", Policy::from(opaque)), ("staff", Policy::from(staff()))];
        let policies = policies.map(|(name, policy)| Named { name: name.into(), policy });
        let routes: [(&str, &[usize]); 4] =
            [("/opaque", &[0]), ("/staff", &[1]), ("/opaque-or-staff", &[0, 1]), ("/staff-or-opaque", &[1, 0])];
        let routes = routes.map(|(path, places)| {
            let authn = places.iter().map(|place| vec![Place::new(*place)]).collect();
            RouteSettings { authn, ..route(path, &["GET"]) }
        });
        let sites = on_any_host(SiteSettings { policies: policies.into_iter().collect(), ..site(routes.to_vec()) });
        let gateway = GatewaySettings { outages: outages.to_vec(), ..gateway() };
        bench.host.records.publish(&Bundle::new(&gateway, &sites));
        Self { bench, asked, answer }
    }

    fn is_away(&self) {
        *self.answer.borrow_mut() = Err(UpstreamError::ConnectionRefused);
    }

    fn answers(&self, text: &str) {
        *self.answer.borrow_mut() = Ok(text.to_owned());
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.bench.get(path, &[("authorization", &format!("Bearer {token}"))])
    }

    /// The status and the code of the reason of a refusal.
    #[track_caller]
    fn check(&self, path: &str, token: &str, expected: (u16, &str)) {
        let answer = self.get(path, token);
        let found = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
        assert_eq!((answer.status, found.as_str()), expected, "{answer:?}");
    }

    fn advance(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }

    /// Goes on in a new isolate, which knows nothing of tokens.
    fn restart(&mut self) {
        self.bench.isolate = self.bench.another_isolate();
    }

    fn allow(&self, policy: &str, consumers: &[&str], for_ms: u64) {
        let from = self.bench.host.clock.now();
        let consumers = consumers.iter().map(|name| (*name).to_owned()).collect();
        let until = from.plus_millis(for_ms);
        let allowed = Allowance { consumers, from, until, reason: "down".into(), by: "ops".into() };
        self.say(policy, &Outage { allowed: Some(allowed), ..Outage::default() });
    }

    fn say(&self, policy: &str, outage: &Outage) {
        self.bench.host.records.put(keys::idp_outage("acme", policy), encode(outage));
    }

    /// Loses the keys that isolates share.
    fn lose_keys(&self) {
        let records = &self.bench.host.records;
        let shared = block_on(records.list("acme:fetched:", None, 10)).unwrap().keys;
        assert_eq!(shared.len(), 1);
        // The store takes one write a second of a key.
        self.advance(2_000);
        shared.iter().for_each(|key| block_on(records.write(key, b"lost", 600)).unwrap());
    }

    fn known(&self, policy: &str, token: &str) -> Option<KnownToken> {
        let record = block_on(self.bench.host.records.read(&keys::known_token("acme", policy, &token_digest(token))));
        record.unwrap().map(|bytes| decode(&bytes).unwrap())
    }

    fn operate(&self, method: &str, path: &str, content: &str) -> (u16, Option<OutageView>) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/.tollgate/v1/idp-outages/{path}"))
            .header("authorization", format!("Bearer {OPERATOR}"))
            .header("content-type", "application/json")
            .body(Content::from_bytes(content.to_owned().into()))
            .unwrap();
        let Bench { host, isolate } = &self.bench;
        let answer = host.clock.drive(serve_operator(isolate, host, request, None)).unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body().bytes()).ok())
    }
}

/// A token of `ada` that is issued at the beginning and ends after an hour.
fn ada() -> String {
    token("a", &key(1), &claims("ada"))
}

#[test]
fn a_known_token_of_a_named_consumer_is_admitted_while_an_operator_allows_it() {
    let mut world = World::new(opaque(rules()));
    world.check("/opaque", "abc", (200, ""));
    world.answers(&ACTIVE.replace("ada", "eve"));
    world.check("/opaque", "eve", (200, ""));
    assert_eq!(world.known("opaque", "abc").unwrap().consumer, "opaque:ada");
    assert_eq!(world.known("opaque", "eve"), None, "nothing is recorded of other consumers");
    world.is_away();
    world.restart();
    world.check("/opaque", "abc", (503, "introspection-away"));
    world.allow("opaque", &["opaque:ada"], 600_000);
    world.advance(5_000);
    let answer = world.get("/opaque", "abc");
    let principal = answer.record.principal().unwrap();
    assert_eq!((answer.status, principal.consumer.as_str(), principal.scopes.len()), (200, "opaque:ada", 1));
    assert!(answer.record.events.as_slice().iter().any(|event| event.verdict == Verdict::OpenOnFailure));
    let line = world.bench.host.sink.lines().pop().unwrap();
    assert!(line.contains("\"open_on_failure\":[\"opaque\"]") && line.contains("opaque:ada"), "{line}");
    let metrics = world.bench.host.sink.metrics().to_prometheus();
    assert!(metrics.contains("tollgate_open_on_failure_total{policy=\"opaque\"} 1"), "{metrics}");
    world.check("/opaque", "eve", (503, "outage-refused"));
    world.check("/opaque", "never-seen", (503, "outage-refused"));
    world.advance(595_000);
    world.check("/opaque", "abc", (503, "introspection-away"));
}

#[test]
fn an_admitted_token_is_not_asked_about_for_a_while() {
    let world = World::new(opaque(rules()));
    world.check("/opaque", "abc", (200, ""));
    world.is_away();
    world.allow("opaque", &["opaque:ada"], 600_000);
    world.advance(31_000);
    let asked = world.asked.get();
    for _ in 0..5 {
        world.check("/opaque", "abc", (200, ""));
        world.advance(2_000);
    }
    assert_eq!(world.asked.get(), asked + 1);
    world.answers(ACTIVE);
    world.advance(30_000);
    let answer = world.get("/opaque", "abc");
    assert!(answer.record.principal().is_some_and(|principal| !principal.in_outage), "the provider is back");
}

#[test]
fn a_signed_token_is_admitted_without_keys_and_some_time_after_its_end() {
    let mut world = World::new(opaque(rules()));
    world.check("/staff", &ada(), (200, ""));
    world.check("/staff", &token("a", &key(1), &claims("eve")), (200, ""));
    world.is_away();
    // A new isolate, for which the shared keys are lost.
    world.restart();
    world.lose_keys();
    world.check("/staff", &ada(), (503, "token-keys-away"));
    world.allow("staff", &["staff:ada"], 3_600_000);
    world.advance(5_000);
    world.check("/staff", &ada(), (200, ""));
    let forged = token("a", &key(2), &claims("ada"));
    world.check("/staff", &forged, (503, "outage-refused"));
    world.check("/staff", &token("a", &key(1), &claims("eve")), (503, "outage-refused"));
    world.advance(3_592_000);
    world.allow("staff", &["staff:ada"], 3_600_000);
    world.advance(5_000);
    world.check("/staff", &ada(), (200, ""));
    world.advance(595_999);
    world.check("/staff", &ada(), (200, ""));
    world.advance(1);
    world.check("/staff", &ada(), (503, "outage-refused"));
}

#[test]
fn what_the_policy_requires_holds_in_an_outage_too() {
    let mut stricter = opaque(rules());
    stricter.rules.audiences = vec!["owners".into()];
    let world = World::new(stricter);
    // It was recorded when the policy asked for another audience.
    let (credential, consumer) = ("token-1".into(), "opaque:ada".into());
    let answer = Some(ACTIVE.into());
    let known = KnownToken { credential, consumer, verified: NOW, ends: Timestamp::MAX, answer, withdrawn: false };
    let key = keys::known_token("acme", "opaque", &token_digest("abc"));
    block_on(world.bench.host.records.write(&key, &encode(&known), 600)).unwrap();
    world.is_away();
    world.allow("opaque", &["opaque:ada"], 600_000);
    world.check("/opaque", "abc", (401, "token-not-accepted"));
}

#[test]
fn a_token_that_its_provider_has_withdrawn_is_never_admitted() {
    let mut world = World::new(opaque(rules()));
    world.check("/opaque", "abc", (200, ""));
    world.answers(r#"{"active":false}"#);
    world.advance(31_000);
    world.check("/opaque", "abc", (401, "token-inactive"));
    assert!(world.known("opaque", "abc").is_some_and(|known| known.withdrawn));
    world.is_away();
    world.restart();
    world.allow("opaque", &["opaque:ada"], 600_000);
    world.check("/opaque", "abc", (503, "outage-refused"));
}

#[test]
fn what_cannot_be_listed_is_not_admitted() {
    let world = World::new(opaque(rules()));
    world.check("/opaque", "abc", (200, ""));
    world.is_away();
    world.allow("opaque", &["opaque:ada"], 600_000);
    world.advance(31_000);
    world.bench.host.counters.fault.set(true);
    world.check("/opaque", "abc", (503, "outage-refused"));
    world.bench.host.counters.fault.set(false);
    world.advance(1_000);
    world.check("/opaque", "abc", (200, ""));
}

#[test]
fn admitted_tokens_are_listed_and_revoked_and_other_isolates_see_it() {
    let mut world = World::new(opaque(rules()));
    world.check("/opaque", "abc", (200, ""));
    let other = Rc::clone(&world.bench.isolate);
    world.is_away();
    world.advance(31_000);
    let allow = r#"{"consumers":["opaque:ada"],"for":"10m","reason":"down"}"#;
    let (status, view) = world.operate("POST", "opaque/allow", allow);
    assert!(status == 200 && view.unwrap().open);
    world.check("/opaque", "abc", (200, ""));
    let (_, view) = world.operate("GET", "opaque", "");
    let view = view.unwrap();
    let [token] = &view.tokens[..] else { panic!("{view:?}") };
    assert_eq!((token.consumer.as_str(), token.revoked), ("opaque:ada", false));
    world.restart();
    let content = format!(r#"{{"tokens":["{}"]}}"#, token.credential);
    assert_eq!(world.operate("POST", "opaque/revoke", &content).0, 200);
    world.check("/opaque", "abc", (401, "credential-revoked"));
    // The isolate that admits it sees the revocation within five seconds.
    world.bench.isolate = other;
    world.advance(5_000);
    world.check("/opaque", "abc", (401, "credential-revoked"));
    // Also when the provider is back and says that it is active.
    world.answers(ACTIVE);
    assert_eq!(world.operate("POST", "opaque/end", "").0, 200);
    world.advance(31_000);
    world.check("/opaque", "abc", (401, "credential-revoked"));
    world.check("/opaque", "new", (200, ""));
}

#[test]
fn a_revocation_is_seen_within_30_seconds_and_nothing_is_admitted_without_the_list() {
    let mut world = World::new(opaque(rules()));
    world.check("/staff", &ada(), (200, ""));
    let credential = world.known("staff", &ada()).unwrap().credential;
    let revoked = vec![RevokedToken { credential, until: Timestamp::MAX, issued_until: None }];
    world.say("staff", &Outage { revoked, ..Outage::default() });
    world.advance(29_999);
    world.check("/staff", &ada(), (200, ""));
    world.advance(1);
    world.check("/staff", &ada(), (401, "credential-revoked"));
    // While the store is away, what was read is used for ten minutes; an isolate that has read nothing serves nothing.
    world.bench.host.records.put(keys::idp_outage("acme", "staff"), b"damaged".to_vec());
    world.advance(60_000);
    world.check("/staff", &ada(), (401, "credential-revoked"));
    world.restart();
    world.check("/staff", &ada(), (503, "outage-unknown"));
}

#[test]
fn calls_of_the_operator_are_checked_against_the_policy() {
    let world = World::new(opaque(rules()));
    for (path, content, expected) in [
        ("opaque/allow", r#"{"consumers":["opaque:eve"],"for":"10m","reason":"x"}"#, 400),
        ("opaque/allow", r#"{"consumers":["opaque:ada"],"for":"2h","reason":"x"}"#, 400),
        ("other/allow", r#"{"consumers":["opaque:ada"],"for":"10m","reason":"x"}"#, 404),
        ("opaque/revoke", r#"{"tokens":["token-1"]}"#, 400),
        ("opaque/revoke", r#"{"jti":["never"],"restore":true}"#, 404),
    ] {
        assert_eq!(world.operate("POST", path, content).0, expected, "{path} {content}");
    }
    let (status, view) = world.operate("GET", "opaque", "");
    assert!(status == 200 && view.unwrap().outage.allowed.is_none());
}

#[test]
fn an_isolate_opens_by_itself_after_the_stated_time() {
    let world = World::new(opaque(OutageRules { after_s: Some(60), for_s: 600, ..rules() }));
    world.check("/opaque", "abc", (200, ""));
    world.is_away();
    world.advance(31_000);
    world.check("/opaque", "abc", (503, "introspection-away"));
    for _ in 0..2 {
        world.advance(29_999);
        world.check("/opaque", "abc", (503, "introspection-away"));
    }
    world.advance(1_000);
    world.check("/opaque", "abc", (200, ""));
    // It ends by itself, too.
    for _ in 0..20 {
        world.advance(30_000);
        world.get("/opaque", "abc");
    }
    world.check("/opaque", "abc", (503, "introspection-away"));
}

/// A policy that admits nothing in an outage, but whose tokens can be revoked.
#[test]
fn any_token_is_revoked_by_its_id_its_jti_or_its_consumer_and_accepted_again() {
    let world = World::new(opaque(OutageRules::only_revocation()));
    let answer = |jti: &str, iat: u64| ACTIVE.replace("\"sub\"", &format!("\"jti\":\"{jti}\",\"iat\":{iat},\"sub\""));
    let now_s = NOW.as_secs();
    world.answers(&answer("7", now_s - 60));
    for token in ["abc", "other"] {
        world.check("/opaque", token, (200, ""));
    }
    let credential = world.get("/opaque", "abc").record.principal().unwrap().credential.clone();
    let revoke =
        |content: &str, status| assert_eq!(world.operate("POST", "opaque/revoke", content).0, status, "{content}");
    revoke(&format!(r#"{{"tokens":["{credential}"]}}"#), 200);
    world.check("/opaque", "abc", (401, "credential-revoked"));
    world.check("/opaque", "other", (200, ""));
    // A command that makes the id of a token itself does not know by which kind of policy it was read.
    let by_another_kind = credential.replace("token-", "jwt-");
    assert_ne!(by_another_kind, credential);
    revoke(&format!(r#"{{"tokens":["{by_another_kind}"],"restore":true}}"#), 200);
    world.check("/opaque", "abc", (200, ""));
    revoke(&format!(r#"{{"tokens":["{by_another_kind}"]}}"#), 200);
    world.check("/opaque", "abc", (401, "credential-revoked"));
    revoke(r#"{"jti":["7"]}"#, 200);
    world.check("/opaque", "other", (401, "credential-revoked"));
    revoke(r#"{"jti":["7"],"restore":true}"#, 200);
    world.check("/opaque", "other", (200, ""));
    revoke(r#"{"consumers":["opaque:ada"]}"#, 200);
    world.check("/opaque", "other", (401, "credential-revoked"));
    // One that is issued afterwards is another one.
    world.advance(1_000);
    world.answers(&answer("8", world.bench.host.clock.now().as_secs()));
    world.check("/opaque", "new", (200, ""));
    world.answers(ACTIVE);
    world.check("/opaque", "without-time", (401, "credential-revoked"));
    assert_eq!(world.operate("POST", "opaque/allow", r#"{"consumers":["opaque:ada"],"for":"1m","reason":"x"}"#).0, 400);
    let (_, view) = world.operate("GET", "opaque", "");
    assert_eq!(view.unwrap().outage.revoked.len(), 2, "what was restored has ended");
    // Everything ends by itself.
    world.advance(31 * 24 * 3_600_000);
    world.answers(&answer("7", now_s - 60));
    world.check("/opaque", "abc", (200, ""));
}

#[test]
fn a_revoked_token_does_not_pass_by_another_policy_that_reads_it() {
    let world = World::new(opaque(OutageRules::only_revocation()));
    let token = ada();
    for path in ["/opaque", "/staff", "/opaque-or-staff", "/staff-or-opaque"] {
        world.check(path, &token, (200, ""));
    }
    let credential = world.get("/opaque", &token).record.principal().unwrap().credential.clone();
    assert_eq!(world.operate("POST", "opaque/revoke", &format!(r#"{{"tokens":["{credential}"]}}"#)).0, 200);
    world.check("/opaque", &token, (401, "credential-revoked"));
    world.check("/opaque-or-staff", &token, (401, "credential-revoked"));
    // Where the other policy comes first, the caller is that policy's, for which nothing is revoked.
    world.check("/staff-or-opaque", &token, (200, ""));
    world.check("/staff", &token, (200, ""));
    // A token that only the first policy refuses is not revoked.
    world.answers(r#"{"active":false}"#);
    world.advance(31_000);
    world.check("/opaque-or-staff", &crate::tokens::token("a", &key(1), &claims("bob")), (200, ""));
}

/// Keys in the configuration are never away, but their tokens can be revoked.
#[test]
fn tokens_of_keys_in_the_configuration_can_be_revoked() {
    let own = |outage| JwtSettings { outage: Some(outage), ..jwt_settings(KeySource::Static(set(&[("a", &key(1))]))) };
    assert!(own(OutageRules::only_revocation()).is_coherent() && !own(rules()).is_coherent());
}
