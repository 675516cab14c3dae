//! How the gateway authenticates itself to upstreams: names and passwords, and tokens that are fetched and kept.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use tollgate_core::authn::{CredentialPlace, IdentityRules, IntrospectionSettings};
use tollgate_core::forward::{AwsSettings, ClientCredentials, TokenExchange, TokenType, UpstreamAuth, UpstreamError};
use tollgate_core::kinds::{Named, Place, Policy};
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_edge::memory::{Content, ScriptedFetch};
use tollgate_edge::ports::{Clock, Content as _};
use tollgate_edge::{Client, serve};

use crate::bench::{Answer, Bench, answer, on_any_host, request, route, site};

fn secret() -> SecretText {
    SecretText::parse("${secret.CLIENT}").unwrap()
}

fn credentials() -> UpstreamAuth {
    UpstreamAuth::ClientCredentials(ClientCredentials {
        url: "https://id.example.com/token".into(),
        is_private: false,
        client: ClientAuthentication::Basic("gateway".into(), secret()),
        scopes: vec!["pets".into()],
        audience: None,
        resources: vec![],
    })
}

/// A gateway whose upstream needs authentication; the server of tokens answers by a script, and counts in its tokens how often it
/// was asked.
struct World {
    bench: Bench,
    asked: Rc<Cell<u32>>,
    /// A delay, and whether there is an answer.
    answering: Rc<RefCell<(u64, Result<(), UpstreamError>)>>,
}

impl World {
    fn new(auth: UpstreamAuth, status: impl Fn(&str) -> u16 + 'static) -> Self {
        let mut bench = Bench::new(vec![], move |request| {
            let sent = request.headers().get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
            (0, Ok(answer(status(sent), &[], "")))
        });
        let (asked, answering) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new((0, Ok(())))));
        let (count, said) = (Rc::clone(&asked), Rc::clone(&answering));
        bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |_: &Request<Content>| {
            count.set(count.get() + 1);
            let (delay, answer) = *said.borrow();
            let token = format!(r#"{{"access_token":"t{}","token_type":"Bearer","expires_in":100}}"#, count.get());
            (delay, answer.map(|()| Response::new(Content::from_bytes(token.into()))))
        });
        bench.host.secrets.put("CLIENT", "s3cr3t");
        let mut site = site(vec![route("/a", &[])]);
        site.upstreams[0].auth = auth;
        bench.publish(&on_any_host(site));
        Self { bench, asked, answering }
    }

    fn get(&self) -> Answer {
        self.bench.get("/a", &[("authorization", "Bearer of-the-client")])
    }

    /// What the upstream gets with the next request.
    fn sent(&self) -> String {
        assert_eq!(self.get().status, 200);
        let received = self.bench.host.upstream.take_received();
        received[0].headers()[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    fn advance(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }
}

#[test]
fn a_name_and_a_password_replace_what_the_client_sends() {
    let world = World::new(UpstreamAuth::Basic("gateway".into(), secret()), |_| 200);
    assert_eq!(world.sent(), "Basic Z2F0ZXdheTpzM2NyM3Q=");
    let world =
        World::new(UpstreamAuth::Basic("gateway".into(), SecretText::parse("${secret.NONE}").unwrap()), |_| 200);
    let refused = world.get();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "secret-missing"));
    assert!(world.bench.host.upstream.take_received().is_empty());
}

#[test]
fn a_token_is_fetched_once_and_again_before_it_ends() {
    let world = World::new(credentials(), |_| 200);
    assert_eq!((world.sent(), world.sent()), ("Bearer t1".into(), "Bearer t1".into()));
    let asked = world.bench.host.fetch.take_received().remove(0);
    assert_eq!(asked.headers()[AUTHORIZATION], "Basic Z2F0ZXdheTpzM2NyM3Q=");
    assert_eq!(&asked.body().bytes()[..], b"grant_type=client_credentials&scope=pets");
    world.advance(74_000);
    assert_eq!(world.sent(), "Bearer t1");
    world.advance(1_000);
    assert_eq!((world.sent(), world.asked.get()), ("Bearer t2".into(), 2));
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains("s3cr3t") && !log.contains("Bearer"), "{log}");
}

#[test]
fn the_token_before_is_used_while_the_server_does_not_answer_until_it_ends() {
    let world = World::new(credentials(), |_| 200);
    assert_eq!(world.sent(), "Bearer t1");
    *world.answering.borrow_mut() = (0, Err(UpstreamError::ConnectionRefused));
    world.advance(80_000);
    assert_eq!((world.sent(), world.sent(), world.asked.get()), ("Bearer t1".into(), "Bearer t1".into(), 2));
    world.advance(1_000);
    assert_eq!((world.sent(), world.asked.get()), ("Bearer t1".into(), 3));
    world.advance(15_000);
    let refused = world.get();
    assert_eq!(
        (refused.status, refused.problem().as_str(), refused.field("retry-after")),
        (503, "store-unavailable", "1")
    );
    assert_eq!(refused.record.refusal().map(|refusal| refusal.reason.code()), Some("upstream-token-away"));
    *world.answering.borrow_mut() = (0, Ok(()));
    world.advance(1_000);
    assert_eq!(world.sent(), "Bearer t5");
}

#[test]
fn a_token_that_the_upstream_refuses_is_forgotten() {
    let world = World::new(credentials(), |sent| if sent == "Bearer t1" { 401 } else { 200 });
    assert_eq!(world.get().status, 401, "requests are not sent again");
    world.advance(4_999);
    assert_eq!(world.get().status, 401, "a new token is not fetched again");
    world.advance(1);
    assert_eq!(world.get().status, 401);
    world.bench.host.upstream.take_received();
    assert_eq!(world.sent(), "Bearer t2");
    assert_eq!(world.sent(), "Bearer t2");
}

#[test]
fn an_upstream_that_accepts_no_token_does_not_make_each_request_fetch_one() {
    let world = World::new(credentials(), |_| 401);
    for _ in 0..100 {
        assert_eq!(world.get().status, 401);
        world.advance(100);
    }
    assert_eq!(world.asked.get(), 2, "one in five seconds");
}

#[test]
fn requests_at_once_fetch_one_token() {
    let world = World::new(credentials(), |_| 200);
    world.answering.borrow_mut().0 = 300;
    let (isolate, host) = (&world.bench.isolate, &world.bench.host);
    let client = Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false };
    let one =
        || async { serve(isolate, host, request("GET", "/a", &[], ""), client).await.reply.into_response().status() };
    let answers = host.clock.drive(join_all((0..20).map(|_| one()))).unwrap();
    assert!(answers.iter().all(|status| *status == StatusCode::OK), "{answers:?}");
    assert_eq!(world.asked.get(), 1);
}

/// What the server of tokens answers to a caller's token, by its text.
type Exchanged = Rc<RefCell<Box<dyn Fn(&str) -> Result<(u16, String), UpstreamError>>>>;

/// A gateway that exchanges the tokens of its callers, all of which are active and belong to a consumer of the same name.
struct Exchange {
    bench: Bench,
    asked: Rc<RefCell<Vec<String>>>,
    answer: Exchanged,
}

fn granted(token: &str) -> Result<(u16, String), UpstreamError> {
    Ok((
        200,
        format!(r#"{{"access_token":"for-{token}","issued_token_type":"x","token_type":"Bearer","expires_in":100}}"#),
    ))
}

impl Exchange {
    fn new() -> Self {
        let mut bench = Bench::new(vec![], crate::bench::ok(&[], ""));
        let asked: Rc<RefCell<Vec<String>>> = Rc::default();
        let answer: Exchanged = Rc::new(RefCell::new(Box::new(granted)));
        let (log, said) = (Rc::clone(&asked), Rc::clone(&answer));
        bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |request: &Request<Content>| {
            let content = String::from_utf8(request.body().bytes().to_vec()).unwrap();
            let value = |name: &str| {
                content.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("").to_owned()
            };
            let answer = if request.uri().path() == "/introspect" {
                Ok((200, format!(r#"{{"active":true,"aud":"pets","sub":"{}"}}"#, value("token"))))
            } else {
                log.borrow_mut().push(content.clone());
                said.borrow()(&value("subject_token"))
            };
            let response = answer.map(|(status, text)| {
                let mut response = Response::new(Content::from_bytes(text.into()));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
            });
            (0, response)
        });
        bench.host.secrets.put("CLIENT", "s3cr3t");
        let client = ClientAuthentication::Post("gateway".into(), secret());
        let introspection = IntrospectionSettings {
            url: Some("https://id.example.com/introspect".into()),
            is_private: false,
            client: client.clone(),
            place: CredentialPlace::field(AUTHORIZATION, Some("Bearer".into())),
            rules: IdentityRules { audiences: vec!["pets".into()], ..IdentityRules::default() },
            cache_ms: 3_600_000,
            signed: None,
            outage: None,
        };
        let UpstreamAuth::ClientCredentials(server) = credentials() else { unreachable!() };
        let server = ClientCredentials { client, audience: Some("store".into()), scopes: vec![], ..server };
        let named = Named { name: "opaque".into(), policy: Policy::from(introspection) };
        let routes = vec![RouteSettings { authn: vec![vec![Place::new(0)]], ..route("/a", &[]) }];
        let mut site = SiteSettings { policies: [named].into_iter().collect(), ..site(routes) };
        let exchange = TokenExchange { server, subject: TokenType::AccessToken, actor: None };
        site.upstreams[0].auth = UpstreamAuth::TokenExchange(exchange);
        bench.publish(&on_any_host(site));
        Self { bench, asked, answer }
    }

    fn answers(&self, answer: impl Fn(&str) -> Result<(u16, String), UpstreamError> + 'static) {
        *self.answer.borrow_mut() = Box::new(answer);
    }

    /// The status for a caller with this token, the reason of a refusal, and what the upstream got.
    fn get(&self, token: &str) -> (u16, String, String) {
        let answer = self.bench.get("/a", &[("authorization", &format!("Bearer {token}"))]);
        let code = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
        let sent = self.bench.host.upstream.take_received();
        let sent = sent.first().map_or("", |request| request.headers()[AUTHORIZATION].to_str().unwrap()).to_owned();
        assert_eq!(answer.status == 401, !answer.field("www-authenticate").is_empty());
        (answer.status, code, sent)
    }

    #[track_caller]
    fn check(&self, token: &str, want: (u16, &str, &str)) {
        let (status, code, sent) = self.get(token);
        assert_eq!((status, code.as_str(), sent.as_str()), want);
    }

    fn advance(&self, ms: u64) {
        let clock = &self.bench.host.clock;
        clock.drive(clock.sleep(ms)).unwrap();
    }
}

#[test]
fn rfc_8693_each_token_of_a_caller_is_exchanged_once_for_its_time() {
    let world = Exchange::new();
    for _ in 0..3 {
        world.check("ada", (200, "", "Bearer for-ada"));
        world.check("bob", (200, "", "Bearer for-bob"));
    }
    let urn = "urn%3Aietf%3Aparams%3Aoauth";
    let want = format!(
        "grant_type={urn}%3Agrant-type%3Atoken-exchange&audience=store&subject_token=ada\
         &subject_token_type={urn}%3Atoken-type%3Aaccess_token&client_id=gateway&client_secret=s3cr3t"
    );
    assert_eq!((world.asked.borrow().len(), &world.asked.borrow()[0]), (2, &want));
    world.advance(75_000);
    world.check("ada", (200, "", "Bearer for-ada"));
    assert_eq!(world.asked.borrow().len(), 3);
    world.answers(|_| Ok((200, r#"{"access_token":"a","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:refresh_token"}"#.into())));
    world.check("eve", (503, "upstream-token-away", ""));
    let log = world.bench.host.sink.lines().join("\n");
    assert!(!log.contains("for-ada") && !log.contains("s3cr3t"), "{log}");
}

#[test]
fn rfc_8693_2_2_2_a_caller_whose_token_is_not_exchanged_is_refused_and_others_are_not() {
    let world = Exchange::new();
    world.answers(|token| match token {
        "ada" => Ok((400, r#"{"error":"invalid_grant"}"#.into())),
        "eve" => Ok((400, r#"{"error":"invalid_target"}"#.into())),
        other => granted(other),
    });
    for _ in 0..2 {
        world.check("ada", (401, "exchange-refused", ""));
        world.check("eve", (403, "exchange-refused", ""));
        world.check("bob", (200, "", "Bearer for-bob"));
    }
    assert_eq!(world.asked.borrow().len(), 3, "a refusal is remembered");
    world.answers(granted);
    world.advance(5_000);
    world.check("ada", (200, "", "Bearer for-ada"));
}

#[test]
fn while_the_server_is_away_tokens_that_were_exchanged_are_used_and_it_is_not_asked_for_each_caller() {
    let world = Exchange::new();
    world.check("ada", (200, "", "Bearer for-ada"));
    world.answers(|_| Err(UpstreamError::ConnectionRefused));
    for token in ["bob", "eve", "dan"] {
        world.check(token, (503, "upstream-token-away", ""));
    }
    assert_eq!(world.asked.borrow().len(), 2, "it is asked again after a second");
    world.check("ada", (200, "", "Bearer for-ada"));
    world.answers(|_| Ok((401, r#"{"error":"invalid_client"}"#.into())));
    world.advance(1_000);
    world.check("bob", (503, "upstream-token-away", ""));
    world.answers(granted);
    world.advance(1_000);
    world.check("bob", (200, "", "Bearer for-bob"));
}

#[test]
fn what_the_server_answers_for_one_caller_keeps_no_other_out() {
    let odd = |status: u16, content: &str| (status, content.to_owned());
    let large = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "x".repeat(9_000));
    for (status, content) in [
        odd(400, r#"{"error":"interaction_required"}"#),
        odd(400, r#"{"error":"unauthorized_client"}"#),
        odd(403, ""),
        odd(500, ""),
        odd(200, &large),
        odd(200, &"x".repeat(70_000)),
        odd(200, r#"{"access_token":"a","token_type":"DPoP"}"#),
    ] {
        let world = Exchange::new();
        let answer = content.clone();
        world.answers(move |token| if token == "eve" { Ok((status, answer.clone())) } else { granted(token) });
        for _ in 0..3 {
            world.check("eve", (503, "upstream-token-away", ""));
        }
        world.check("ada", (200, "", "Bearer for-ada"));
        assert_eq!(world.asked.borrow().len(), 2, "{status} {content:.40}: it is not asked again for a moment");
    }
    // What says that the server is away, or does not know the gateway, is of the server.
    for (status, content) in [odd(401, ""), odd(400, r#"{"error":"invalid_client"}"#), odd(503, ""), odd(429, "")] {
        let world = Exchange::new();
        world.answers(move |token| if token == "eve" { Ok((status, content.clone())) } else { granted(token) });
        world.check("eve", (503, "upstream-token-away", ""));
        world.check("ada", (503, "upstream-token-away", ""));
    }
}

#[test]
fn an_exchange_that_is_refused_is_told_in_the_challenge() {
    let world = Exchange::new();
    world.answers(|_| Ok((400, r#"{"error":"invalid_grant"}"#.into())));
    let answer = world.bench.get("/a", &[("authorization", "Bearer ada")]);
    assert!(answer.field("www-authenticate").contains(r#"error="invalid_token""#), "{answer:?}");
}

fn aws(service: &str, streams: bool) -> AwsSettings {
    let (region, service) = ("us-east-1".into(), service.into());
    let key_id = SecretText::parse("AKIDEXAMPLE").unwrap();
    let session = Some(SecretText::parse("${secret.SESSION}").unwrap());
    AwsSettings { region, service, key_id, secret: secret(), session, streams, forwarded: vec!["x-amz-target".into()] }
}

#[test]
fn a_request_is_signed_as_it_is_sent_and_without_what_a_client_would_say_to_the_service() {
    let bench = Bench::new(vec![], crate::bench::ok(&[], ""));
    bench.host.secrets.put("CLIENT", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    bench.host.secrets.put("SESSION", "t3mp");
    let publish = |aws: AwsSettings| {
        let mut site = site(vec![route("/{*rest}", &[])]);
        site.upstreams[0].auth = UpstreamAuth::Aws(aws);
        site.upstreams[0].fields = vec![("x-amz-meta-of".into(), SecretText::parse("the-gateway").unwrap())];
        bench.publish(&on_any_host(site));
    };
    publish(aws("execute-api", false));
    let claimed = [
        ("x-amz-copy-source", "others"),
        ("x_amz_acl", "public"),
        ("x-amz-date", "1"),
        ("x-amz-security-token", "own"),
        ("x-amz-target", "Get"),
        ("authorization", "Bearer of-the-client"),
    ];
    assert_eq!(bench.send(request("POST", "/a%20b?b=2&a=1", &claimed, "hello")).status, 200);
    let sent = bench.host.upstream.take_received().remove(0);
    let field = |name: &str| sent.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!(field("x-amz-copy-source") + &field("x_amz_acl"), "");
    assert_eq!((field("x-amz-date").as_str(), field("x-amz-security-token").as_str()), ("20270115T080000Z", "t3mp"));
    assert_eq!((field("x-amz-target").as_str(), field("x-amz-meta-of").as_str()), ("Get", "the-gateway"));
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!((field("x-amz-content-sha256").as_str(), &sent.body().bytes()[..]), (digest, &b"hello"[..]));
    let authorization = field("authorization");
    let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/us-east-1/execute-api/aws4_request, SignedHeaders=host;\
                 x-amz-content-sha256;x-amz-date;x-amz-meta-of;x-amz-security-token;x-amz-target, Signature=";
    assert!(authorization.starts_with(start), "{authorization}");
    assert_eq!(authorization.len(), start.len() + 64);

    let log = bench.host.sink.lines().join("\n");
    assert!(!log.contains("AKIDEXAMPLE") && !log.contains("t3mp"), "{log}");
}

#[test]
fn s3_gets_content_of_known_length_without_frames_and_paths_without_a_plus_sign() {
    let bench = |aws: AwsSettings| {
        let bench = Bench::new(vec![], crate::bench::ok(&[], ""));
        bench.host.secrets.put("CLIENT", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        bench.host.secrets.put("SESSION", "t3mp");
        let mut site = site(vec![route("/{*rest}", &[])]);
        site.upstreams[0].auth = UpstreamAuth::Aws(aws);
        bench.publish(&on_any_host(site));
        bench
    };
    let put = |bench: &Bench, target: &str, fields: &[(&str, &str)]| {
        let answer = bench.send(request("PUT", target, fields, "hello"));
        let sent = bench.host.upstream.take_received().into_iter().next();
        let digest =
            |sent: &http::Request<Content>| sent.headers()["x-amz-content-sha256"].to_str().unwrap().to_owned();
        (answer.status, sent.map(|sent| (sent.uri().path().to_owned(), digest(&sent))))
    };
    let sent = |path: &str, digest: &str| (200, Some((path.to_owned(), digest.to_owned())));
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let known = ("content-length", "5");
    let s3 = bench(aws("s3", true));
    assert_eq!(put(&s3, "/libc++%20a+b", &[known]), sent("/base/libc%2B%2B%20a%2Bb", "UNSIGNED-PAYLOAD"));
    assert_eq!(put(&s3, "/of-unknown-length", &[]), sent("/base/of-unknown-length", digest));
    assert_eq!(put(&s3, "/framed", &[known, ("content-encoding", "gzip, AWS-chunked")]), (415, None));
    assert_eq!(put(&bench(aws("execute-api", false)), "/a+b", &[known]), sent("/base/a+b", digest));
}
