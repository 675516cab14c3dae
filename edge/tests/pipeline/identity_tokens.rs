//! Tokens in which the gateway tells upstreams who callers are: when they are signed, what they say, and where their keys are.

use std::cell::Cell;
use std::rc::Rc;

use http::HeaderName;
use tollgate_core::authn::{ApiKey, Credential};
use tollgate_core::cache::CacheCredentials;
use tollgate_core::forward::{Attribute, IdentityField, IdentityToken, TokenClaim, TokenSigning, Told};
use tollgate_core::jose::{JwkSet, Members, SignatureCheck, Token, Value};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{GatewaySettings, RouteSettings};
use tollgate_edge::memory::MemorySignatures;
use tollgate_edge::ports::Clock;
use tollgate_kv_schemas::Bundle;

use crate::bench::{Bench, KEYS, NOW, cached, credential, gateway, key, ok, on_any_host, route, site};

/// RFC 8037, appendix A.1, and a key on P-256 (RFC 7515, appendix A.3).
const FIRST: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const SECOND: &str = r#"{"kty":"EC","crv":"P-256","kid":"two","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

struct World {
    bench: Bench,
    signed: Rc<Cell<u32>>,
}

impl World {
    fn new(field: &'static str) -> Self {
        let mut bench = Bench::new(vec![], ok(&[("cache-control", "max-age=60")], ""));
        let signed = Rc::new(Cell::new(0));
        let count = Rc::clone(&signed);
        bench.host.signatures = MemorySignatures::new(tollgate_signatures::verifies).signing(move |key, message| {
            count.set(count.get() + 1);
            tollgate_signatures::sign(key, message)
        });
        bench.host.secrets.put("KEY", FIRST);
        let signing = TokenSigning {
            issuer: "https://api.example.com".into(),
            key: SecretText::parse("${secret.KEY}").unwrap(),
            keys_path: "/keys".into(),
            lifetime_s: 300,
        };
        let authn = vec![vec![KEYS]];
        let own = || RouteSettings { authn: authn.clone(), ..route("/a", &[]) };
        let stored = RouteSettings { authn: authn.clone(), ..route("/stored", &["GET"]) };
        let stored = cached(stored, CacheCredentials::PerConsumer);
        let mut site = site(vec![own(), route("/open", &[]), route("/keys", &[]), stored]);
        let claims = vec![TokenClaim { name: "plan".into(), tells: Attribute::Plan }];
        let tells = Told::Token(Box::new(IdentityToken { audience: "pets".into(), claims }));
        site.upstreams[0].identity = vec![IdentityField { name: HeaderName::from_static(field), tells }];
        let gateway = GatewaySettings { identity_tokens: Some(signing), ..gateway() };
        bench.host.records.publish(&Bundle::new(&gateway, &on_any_host(site)));
        bench.add(&key(), &credential());
        Self { bench, signed }
    }

    /// The value that the upstream gets, if the request is answered with 200.
    fn sent(&self, path: &str, field: &str) -> Option<String> {
        let key = key();
        let other = field.replace('-', "_");
        let sent = [("x-api-key", key.expose()), (field, "of-the-client"), (&other, "of-the-client")];
        assert_eq!(self.bench.get(path, &sent).status, 200);
        let received = self.bench.host.upstream.take_received();
        let fields = received.first()?.headers();
        assert!(!fields.values().any(|value| value == "of-the-client"), "{fields:?}");
        assert!(fields.get_all(field).iter().count() < 2, "{fields:?}");
        fields.get(field).map(|value| value.to_str().unwrap().to_owned())
    }

    /// Checks a token with the keys that are published, and answers its claims.
    fn verified(&self, token: &str) -> Members {
        let answer = self.bench.get("/keys", &[]);
        assert_eq!((answer.status, answer.field("content-type")), (200, "application/jwk-set+json"));
        assert!(!String::from_utf8_lossy(&answer.content).contains("\"d\""));
        let keys = JwkSet::parse(&answer.content).unwrap();
        let token = Token::parse(token).unwrap();
        let key = keys.keys.iter().find(|key| key.id == token.key_id).unwrap();
        let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        let check = SignatureCheck { algorithm: token.algorithm, key, message, signature };
        assert!(tollgate_signatures::verifies(&check));
        token.claims().unwrap()
    }

    fn advance(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }
}

#[test]
fn a_token_says_who_the_caller_is_and_is_signed_once_for_half_of_its_time() {
    let world = World::new("x-identity");
    let token = world.sent("/a", "x-identity").unwrap();
    let claims = world.verified(&token);
    let text = |name| claims.text(name).unwrap_or_default();
    assert_eq!((text("iss"), text("aud"), text("sub")), ("https://api.example.com", "pets", "acme-inc"));
    assert_eq!((text("scope"), text("plan")), ("pets.read", "gold"));
    let end = i64::try_from(NOW.as_secs() + 300).unwrap();
    assert_eq!(claims.get("exp"), Some(&Value::Integer(end)));
    for _ in 0..3 {
        assert_eq!(world.sent("/a", "x-identity"), Some(token.clone()));
    }
    world.advance(149_999);
    assert_eq!((world.sent("/a", "x-identity"), world.signed.get()), (Some(token.clone()), 1));
    world.advance(1);
    let next = world.sent("/a", "x-identity").unwrap();
    assert_eq!((next != token, world.signed.get()), (true, 2));
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains(&token) && !log.contains("nWGxne"), "{log}");
}

#[test]
fn nothing_is_told_where_there_is_no_caller_and_a_scheme_is_before_a_bearer_token() {
    let world = World::new("x-identity");
    assert_eq!(world.sent("/open", "x-identity"), None);
    assert_eq!(world.signed.get(), 0);
    let bearer = World::new("authorization");
    let token = bearer.sent("/a", "authorization").unwrap();
    bearer.verified(token.strip_prefix("Bearer ").unwrap());
}

#[test]
fn while_a_key_is_rotated_both_are_published_and_the_first_one_signs() {
    let world = World::new("x-identity");
    let signed_by = |world: &World| {
        let token = world.sent("/a", "x-identity").unwrap();
        world.verified(&token);
        Token::parse(&token).unwrap().key_id.unwrap()
    };
    let first = signed_by(&world);
    world.bench.host.secrets.put("KEY", format!("{FIRST}\n{SECOND}"));
    world.advance(200_000);
    assert_eq!(signed_by(&world), first);
    world.bench.host.secrets.put("KEY", format!("{SECOND}\n{FIRST}"));
    world.advance(200_000);
    // The secret is read again beside the request that finds it too old.
    signed_by(&world);
    world.advance(200_000);
    assert_eq!(signed_by(&world), "two");
    world.bench.host.secrets.put("KEY", SECOND);
    world.advance(200_000);
    signed_by(&world);
}

/// A key that has leaked is replaced at once, and so is what it has signed.
#[test]
fn a_key_that_is_replaced_signs_nothing_more_that_is_sent() {
    let world = World::new("x-identity");
    let key_id = |world: &World| Token::parse(&world.sent("/a", "x-identity").unwrap()).unwrap().key_id.unwrap();
    assert_ne!(key_id(&world), "two");
    world.bench.host.secrets.put("KEY", SECOND);
    // Less than half of a token's time; a secret is read again after a minute.
    world.advance(61_000);
    assert_eq!(key_id(&world), "two");
}

#[test]
fn a_second_line_that_is_no_key_changes_nothing() {
    let world = World::new("x-identity");
    world.bench.host.secrets.put("KEY", format!("{FIRST}\nno-key"));
    let token = world.sent("/a", "x-identity").unwrap();
    world.verified(&token);
    world.bench.host.secrets.put("KEY", "{");
    world.advance(200_000);
    world.sent("/open", "x-identity");
}

#[test]
fn without_a_key_nothing_is_told_and_nothing_is_sent() {
    let world = World::new("x-identity");
    for broken in ["no-key", r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}"#] {
        world.bench.host.secrets.put("KEY", broken);
        let (own, keys) = (key(), world.bench.get("/keys", &[]));
        assert_eq!((keys.status, keys.problem().as_str()), (503, "store-unavailable"));
        let refused = world.bench.get("/a", &[("x-api-key", own.expose())]);
        assert_eq!((refused.status, refused.problem().as_str()), (503, "store-unavailable"));
        assert_eq!(refused.record.refusal().map(|refusal| refusal.reason.code()), Some("identity-token-away"));
        assert!(world.bench.host.upstream.take_received().is_empty());
        world.advance(200_000);
    }
}

#[test]
fn what_a_token_says_selects_the_stored_response_and_its_time_does_not() {
    let world = World::new("x-identity");
    assert!(world.sent("/stored", "x-identity").is_some());
    world.advance(30_000);
    assert_eq!(world.sent("/stored", "x-identity"), None, "the stored response is used");
    let other = ApiKey::generate("dev", &[9; 32]).unwrap();
    let more = Credential { scopes: vec!["other".into()], ..credential() };
    world.bench.add(&other, &more);
    assert_eq!(world.bench.get("/stored", &[("x-api-key", other.expose())]).status, 200);
    assert_eq!(world.bench.host.upstream.take_received().len(), 1, "the same consumer with other scopes");
}
