//! Tokens that their provider is asked about: how often it is asked, and what happens when it does not answer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use tollgate_core::authn::{CredentialPlace, IdentityRules, IntrospectionSettings, SignedAnswers};
use tollgate_core::forward::UpstreamError;
use tollgate_core::jose::{self, Jwk, SignatureCheck, SigningKey, Token, signing_input};
use tollgate_core::kinds::{Named, Place, Policy, PolicyKind};
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_edge::memory::{Content, MemorySignatures, ScriptedFetch};
use tollgate_edge::ports::{Clock, Content as _};
use tollgate_edge::{Client, serve};

use crate::bench::{Answer, Bench, NOW, ok, on_any_host, request, route, site};

const ACTIVE: &str = r#"{"active":true,"aud":"pets","sub":"ada","scope":"read"}"#;
const INACTIVE: &str = r#"{"active":false}"#;

fn settings() -> IntrospectionSettings {
    IntrospectionSettings {
        url: Some("https://id.example.com/introspect".into()),
        is_private: false,
        client: ClientAuthentication::Post("gateway".into(), SecretText::parse("${secret.CLIENT}").unwrap()),
        place: CredentialPlace::field(AUTHORIZATION, Some("Bearer".into())),
        rules: IdentityRules { audiences: vec!["pets".into()], ..IdentityRules::default() },
        cache_ms: 30_000,
        signed: None,
        outage: None,
    }
}

/// What the provider does: a delay, and an answer.
type Answering = (u64, Result<(u16, String), UpstreamError>);

/// A gateway with an `introspection` policy, whose provider answers by a script; and how often it was asked.
struct World {
    bench: Bench,
    asked: Rc<Cell<u32>>,
    answer: Rc<RefCell<Answering>>,
}

impl World {
    fn new(settings: IntrospectionSettings) -> Self {
        let mut bench = Bench::new(vec![], ok(&[], "pets"));
        let (asked, answer) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new((0, Ok((200, ACTIVE.to_owned()))))));
        let (count, said) = (Rc::clone(&asked), Rc::clone(&answer));
        bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |_: &Request<Content>| {
            count.set(count.get() + 1);
            let (delay, answer): Answering = said.borrow().clone();
            let response = answer.map(|(status, text)| {
                let mut response = Response::new(Content::from_bytes(text.into()));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
            });
            (delay, response)
        });
        bench.host.secrets.put("CLIENT", "s3cr3t");
        let named = Named { name: "opaque".into(), policy: Policy::from(settings) };
        let routes = vec![RouteSettings { authn: vec![vec![Place::new(0)]], ..route("/pets", &["GET"]) }];
        bench.publish(&on_any_host(SiteSettings { policies: [named].into_iter().collect(), ..site(routes) }));
        Self { bench, asked, answer }
    }

    fn answers(&self, status: u16, text: &str) {
        *self.answer.borrow_mut() = (0, Ok((status, text.to_owned())));
    }

    fn get(&self, token: &str) -> Answer {
        self.bench.get("/pets", &[("authorization", &format!("Bearer {token}"))])
    }

    fn advance(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }

    #[track_caller]
    fn check(&self, token: &str, status: u16, code: &str) {
        let answer = self.get(token);
        let found = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
        assert_eq!((answer.status, found.as_str()), (status, code), "{answer:?}");
        assert!(token.is_empty() || !String::from_utf8_lossy(&answer.content).contains(token), "{answer:?}");
    }
}

#[test]
fn the_provider_is_asked_once_until_its_answer_is_too_old() {
    let world = World::new(settings());
    for _ in 0..3 {
        let answer = world.get("abc");
        assert_eq!((answer.status, answer.record.principal().map(|p| p.consumer.as_str())), (200, Some("opaque:ada")));
    }
    let asked = world.bench.host.fetch.take_received();
    assert_eq!(asked.len(), 1);
    let content = String::from_utf8(asked[0].body().bytes().to_vec()).unwrap();
    assert_eq!(content, "token=abc&token_type_hint=access_token&client_id=gateway&client_secret=s3cr3t");
    world.answers(200, INACTIVE);
    world.advance(29_900);
    world.check("abc", 200, "");
    world.advance(100);
    world.check("abc", 401, "token-inactive");
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains("abc") && !log.contains("s3cr3t"), "{log}");
}

#[test]
fn the_end_of_a_token_ends_what_is_remembered_of_it() {
    let world = World::new(settings());
    let end = NOW.as_secs() + 10;
    world.answers(200, &ACTIVE.replace("\"sub\"", &format!("\"exp\":{end},\"sub\"")));
    world.check("abc", 200, "");
    world.advance(10_000);
    world.check("abc", 401, "token-not-accepted");
    assert_eq!(world.asked.get(), 2);
}

#[test]
fn a_refused_token_is_remembered_for_a_short_time() {
    let world = World::new(settings());
    world.answers(200, INACTIVE);
    world.check("abc", 401, "token-inactive");
    world.answers(200, ACTIVE);
    world.check("abc", 401, "token-inactive");
    world.check("other", 200, "");
    world.advance(5_000);
    world.check("abc", 200, "");
    world.check("two words", 401, "token-not-text");
    assert_eq!(world.bench.get("/pets", &[("authorization", "Bearer")]).problem(), "credential-malformed");
    assert_eq!(world.asked.get(), 3);
}

#[test]
fn requests_with_one_token_ask_once_and_share_the_answer() {
    let world = World::new(settings());
    world.answer.borrow_mut().0 = 200;
    let (isolate, host) = (&world.bench.isolate, &world.bench.host);
    let request = || request("GET", "/pets", &[("authorization", "Bearer abc")], "");
    let client = Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false };
    let all = (0..20).map(|_| async { serve(isolate, host, request(), client).await.reply.into_response().status() });
    let answers = host.clock.drive(join_all(all)).unwrap();
    assert!(answers.iter().all(|status| *status == StatusCode::OK), "{answers:?}");
    assert_eq!(world.asked.get(), 1);
}

#[test]
fn a_provider_that_does_not_answer_admits_nobody_and_is_left_alone_for_a_moment() {
    let world = World::new(settings());
    world.check("known", 200, "");
    for (answer, told) in [
        ((0, Err(UpstreamError::ConnectionRefused)), "connection_refused"),
        ((60_000, Ok((200, ACTIVE.to_owned()))), "within the time allowed"),
        ((0, Ok((401, String::new()))), "check `client-id` and `client-secret`"),
        ((0, Ok((302, ACTIVE.to_owned()))), "status 302"),
    ] {
        let before = world.asked.get();
        *world.answer.borrow_mut() = answer;
        let refused = world.get("new");
        assert_eq!(
            (refused.status, refused.problem().as_str(), refused.field("retry-after")),
            (503, "store-unavailable", "1")
        );
        world.check("another", 503, "introspection-away");
        assert_eq!(world.asked.get(), before + 1, "{told}");
        world.check("known", 200, "");
        let log = world.bench.host.sink.lines().join("\n");
        assert!(log.contains(told), "{told}: {log}");
        world.bench.host.sink.clear();
        world.advance(1_000);
    }
    world.answers(200, ACTIVE);
    world.check("new", 200, "");
}

#[test]
fn what_the_provider_says_of_a_refusal_is_in_the_log_without_the_token() {
    let said = r#"{"error":"invalid_request","error_description":"The token abcdefghij-klmnop is no UUID."}"#;
    for (content, want) in [
        (
            r#"{"error":"invalid_client","error_description":"Unknown client"}"#,
            "; it says `invalid_client` (Unknown client)",
        ),
        (said, "; it says `invalid_request`"),
    ] {
        for status in [400, 401, 403, 429] {
            let world = World::new(settings());
            world.answers(status, content);
            let refused = world.get("abcdefghij-klmnop");
            let why = refused.record.refusal().map(|refusal| refusal.reason.to_string()).unwrap_or_default();
            assert!(why.contains(&format!("status {status}")) && why.ends_with(want), "{why}");
            let log = world.bench.host.sink.lines().join("\n");
            assert!(log.contains(want) && !log.contains("abcdefghij"), "{log}");
            assert!(!String::from_utf8_lossy(&refused.content).contains("invalid_"), "{refused:?}");
        }
    }
}

#[test]
fn a_question_that_the_provider_refuses_keeps_nobody_else_out() {
    let world = World::new(settings());
    for status in [400, 403, 404, 413] {
        world.answers(status, "");
        world.check(&format!("odd-{status}"), 503, "introspection-away");
        world.answers(200, ACTIVE);
        world.check(&format!("good-{status}"), 200, "");
    }
    // The bearer of a token may choose what its answer contains, and keep nobody else out with it.
    let deep = format!(r#"{{"active":true,"a":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let large = format!(r#"{{"active":true,"a":"{}"}}"#, "x".repeat(70_000));
    for content in [deep.as_str(), &large, "<html>", "{}"] {
        world.answers(200, content);
        world.check(&format!("odd-{}", content.len()), 503, "introspection-away");
        world.answers(200, ACTIVE);
        world.check(&format!("fine-{}", content.len()), 200, "");
    }
    let log = world.bench.host.sink.lines().join("\n");
    for told in ["not valid JSON", "`active`", "larger than allowed", "nested"] {
        assert!(log.contains(told), "{told}: {log}");
    }
    // Some say so of every JWT.
    world.answers(400, r#"{"error":"unsupported_token_type"}"#);
    for _ in 0..2 {
        world.check("a-jwt", 401, "token-inactive");
    }
    world.answers(400, r#"{"error":"invalid_request"}"#);
    world.check("odd", 503, "introspection-away");
    for status in [401, 429, 500] {
        world.answers(status, "");
        world.check("odd", 503, "introspection-away");
        world.answers(200, ACTIVE);
        world.check("good", 503, "introspection-away");
        world.advance(1_000);
    }
}

#[test]
fn the_provider_is_asked_where_and_as_it_may_be() {
    let with = |change: fn(&mut IntrospectionSettings)| {
        let mut settings = settings();
        change(&mut settings);
        let world = World::new(settings);
        let code = world.get("abc").record.refusal().map(|refusal| refusal.reason.code());
        (code, world.asked.get())
    };
    let away = Some("introspection-away");
    assert_eq!(with(|_| {}), (None, 1));
    assert_eq!(with(|settings| settings.url = Some("http://id.example.com/ask".into())), (away, 0));
    assert_eq!(with(|settings| settings.url = Some("https://10.0.0.1/ask".into())), (away, 0));
    assert_eq!(
        with(|settings| (settings.url, settings.is_private) = (Some("http://10.0.0.1/ask".into()), true)),
        (None, 1)
    );
    let unbound = SecretText::parse("${secret.NOT_THERE}").unwrap();
    let world = World::new(IntrospectionSettings { client: ClientAuthentication::Bearer(unbound), ..settings() });
    world.check("abc", 503, "introspection-away");
    assert_eq!(world.asked.get(), 0);
}

/// RFC 8037, appendix A.1.
const PRIVATE: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

#[test]
fn the_gateway_proves_who_it_is_by_a_signed_assertion() {
    let client = ClientAuthentication::PrivateKey("gateway".into(), SecretText::parse("${secret.CLIENT}").unwrap());
    let mut world = World::new(IntrospectionSettings { client, ..settings() });
    world.bench.host.signatures =
        MemorySignatures::new(tollgate_signatures::verifies).signing(tollgate_signatures::sign);
    world.check("abc", 503, "introspection-away");
    world.bench.host.secrets.put("CLIENT", PRIVATE);
    world.advance(70_000);
    world.check("abc", 200, "");
    let asked = world.bench.host.fetch.take_received().remove(0);
    let content = String::from_utf8(asked.body().bytes().to_vec()).unwrap();
    let (_, assertion) = content.split_once("client_assertion=").unwrap();
    let token = Token::parse(assertion).unwrap();
    let key = Jwk::parse(PRIVATE.as_bytes()).unwrap();
    let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
    assert!(tollgate_signatures::verifies(&SignatureCheck {
        algorithm: token.algorithm,
        key: &key,
        message,
        signature
    }));
    let claims = token.claims().unwrap();
    assert_eq!((claims.text("iss"), claims.text("sub")), (Some("gateway"), Some("gateway")));
    assert_eq!(claims.text("aud"), Some("https://id.example.com/introspect"));
    assert!(claims.text("jti").is_some_and(|id| id.len() == 32));
}

/// A gateway whose provider has metadata and keys, and says what is written here.
fn signing(settings: IntrospectionSettings) -> (World, Rc<RefCell<String>>) {
    let mut world = World::new(settings);
    world.bench.host.signatures = MemorySignatures::new(tollgate_signatures::verifies);
    let keys =
        format!(r#"{{"keys":[{}]}}"#, PRIVATE.replace(r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","#, ""));
    let metadata = r#"{"issuer":"https://id.example.com","jwks_uri":"https://id.example.com/keys","introspection_endpoint":"https://id.example.com/ask"}"#;
    let said = Rc::new(RefCell::new(String::new()));
    let answer = Rc::clone(&said);
    world.bench.host.fetch = ScriptedFetch::new(world.bench.host.clock.clone(), move |request: &Request<Content>| {
        let text = match request.uri().path() {
            "/keys" => keys.clone(),
            "/.well-known/openid-configuration" => metadata.to_owned(),
            _ => answer.borrow().clone(),
        };
        (0, Ok(Response::new(Content::from_bytes(text.into()))))
    });
    (world, said)
}

/// An answer that the provider has signed.
fn sign(kind: &str, audience: &str) -> String {
    let key = SigningKey::parse(PRIVATE.as_bytes()).unwrap();
    let inner = serde_json::from_str::<serde_json::Value>(ACTIVE).unwrap();
    let claims = serde_json::json!({
        "iss": "https://id.example.com", "aud": audience, "iat": 1, "token_introspection": inner,
    });
    let input = signing_input(&key, kind, &claims.to_string());
    let signature = tollgate_signatures::sign(&key, input.as_bytes()).unwrap();
    jose::signed(&input, &signature)
}

#[test]
fn the_same_metadata_name_the_endpoint_and_the_keys() {
    let rules = IdentityRules { issuers: vec!["https://id.example.com".into()], ..settings().rules };
    let signed = Some(SignedAnswers { jwks: None });
    let settings = IntrospectionSettings { url: None, signed, rules, ..settings() };
    let declared = settings.uses().fetches;
    let (world, said) = signing(settings);
    *said.borrow_mut() = sign("token-introspection+jwt", "gateway");
    world.check("abc", 200, "");
    let asked: Vec<String> =
        world.bench.host.fetch.take_received().iter().map(|request| request.uri().path().to_owned()).collect();
    assert_eq!(asked, ["/.well-known/openid-configuration", "/ask", "/keys"]);
    assert_eq!(declared, 3);
}

#[test]
fn a_signed_answer_is_believed_if_the_issuer_signed_it_for_the_gateway() {
    let signed = Some(SignedAnswers { jwks: Some("https://id.example.com/keys".into()) });
    let rules = IdentityRules { issuers: vec!["https://id.example.com".into()], ..settings().rules };
    let (world, said) = signing(IntrospectionSettings { signed, rules, ..settings() });
    let good = sign("token-introspection+jwt", "gateway");
    *said.borrow_mut() = good.clone();
    world.check("abc", 200, "");
    for other in [
        ACTIVE.to_owned(),
        sign("at+jwt", "gateway"),
        sign("token-introspection+jwt", "others"),
        format!("{}AAAA", &good[..good.len() - 4]),
    ] {
        *said.borrow_mut() = other.clone();
        world.check("new", 503, "introspection-away");
        world.advance(1_000);
    }
    let asked = world.bench.host.fetch.take_received();
    assert_eq!(asked[0].headers()["accept"], "application/token-introspection+jwt");
}

#[test]
fn the_endpoint_is_the_one_in_the_metadata_of_the_issuer() {
    let rules = IdentityRules { issuers: vec!["https://id.example.com".into()], ..settings().rules };
    let world = World::new(IntrospectionSettings { url: None, rules, ..settings() });
    // One answer for both questions.
    let both = r#"{"issuer":"https://id.example.com","introspection_endpoint":"https://id.example.com/ask","active":true,"aud":"pets","sub":"ada"}"#;
    world.answers(200, both);
    world.check("abc", 200, "");
    let asked: Vec<String> =
        world.bench.host.fetch.take_received().iter().map(|request| request.uri().to_string()).collect();
    assert_eq!(asked, ["https://id.example.com/.well-known/openid-configuration", "https://id.example.com/ask"]);
    let world = World::new(IntrospectionSettings {
        url: None,
        rules: IdentityRules { issuers: vec!["https://other.example".into()], ..settings().rules },
        ..settings()
    });
    world.answers(200, both);
    world.check("abc", 503, "introspection-away");
}

#[test]
fn an_endpoint_that_has_moved_is_found_by_the_next_question() {
    let rules = IdentityRules { issuers: vec!["https://id.example.com".into()], ..settings().rules };
    let mut world = World::new(IntrospectionSettings { url: None, rules, ..settings() });
    let (has_moved, asked) = (Rc::new(Cell::new(false)), Rc::<RefCell<Vec<String>>>::default());
    let (moved, seen) = (Rc::clone(&has_moved), Rc::clone(&asked));
    world.bench.host.fetch = ScriptedFetch::new(world.bench.host.clock.clone(), move |request: &Request<Content>| {
        let name = if moved.get() { "new" } else { "old" };
        let path = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let metadata = format!(
            r#"{{"issuer":"https://id.example.com","introspection_endpoint":"https://id.example.com/{name}"}}"#
        );
        let (status, text) = match path.as_str() {
            "openid-configuration" => (200, metadata.as_str()),
            path if path == name => (200, ACTIVE),
            _ => (404, ""),
        };
        seen.borrow_mut().push(path);
        let content = Content::from_bytes(text.to_owned().into());
        (0, Ok(Response::builder().status(status).body(content).unwrap()))
    });
    world.check("abc", 200, "");
    has_moved.set(true);
    world.advance(5_000);
    world.check("new", 503, "introspection-away");
    world.advance(1_000);
    world.check("new", 200, "");
    let steps = ["openid-configuration", "old", "old", "openid-configuration", "new"];
    assert_eq!(*asked.borrow(), steps);
}
