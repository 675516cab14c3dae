//! Signed webhooks: the vectors of their senders, when content is read, and what is forwarded.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use tollgate_core::authn::{WebhookSender, WebhookSettings};
use tollgate_core::bounds::VERIFIED_CONTENT_BYTES_MAX;
use tollgate_core::forward::UpstreamError;
use tollgate_core::kinds::{Named, Place, Policy};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_edge::memory::{Content, MemorySignatures, ScriptedUpstream};
use tollgate_edge::ports::Content as _;

use crate::bench::{Answer, Bench, KEYS, NOW, credential, key, ok, on_any_host, request, route, site};

const GITHUB_SECRET: &str = "It's a Secret to Everybody";
const GITHUB: (&str, &str) =
    ("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
const HELLO: &str = "Hello, World!";

/// A gateway with one webhook, and how many signatures were verified.
struct World {
    bench: Bench,
    verified: Rc<Cell<u32>>,
}

fn settings(sender: WebhookSender, secrets: &[&str]) -> WebhookSettings {
    let secrets = secrets.iter().map(|text| SecretText::parse(text).unwrap()).collect();
    WebhookSettings { sender, secrets, consumer: None, tolerance_s: 300, once_ms: None }
}

impl World {
    /// A gateway with the secrets `NEW` and `OLD`.
    fn new(webhook: WebhookSettings, secret: &str) -> Self {
        let mut bench = Bench::new(vec![], ok(&[], "taken"));
        let verified = Rc::new(Cell::new(0));
        let count = Rc::clone(&verified);
        bench.host.signatures = MemorySignatures::new(move |check| {
            count.set(count.get() + 1);
            tollgate_signatures::verifies(check)
        });
        bench.host.secrets.put("OLD", secret);
        bench.host.secrets.put("NEW", "another secret of many bytes");
        let hooks = RouteSettings {
            authn: vec![vec![Place::new(3)]],
            content_bytes_max: 2 * VERIFIED_CONTENT_BYTES_MAX,
            ..route("/hooks", &["POST", "GET"])
        };
        let or_keys = RouteSettings { authn: vec![vec![Place::new(3)], vec![KEYS]], ..hooks.clone() };
        let either = RouteSettings { path: "/either".parse().unwrap(), id: "api.either".into(), ..or_keys };
        let mut site: SiteSettings = site(vec![hooks, either]);
        let scoped = RouteSettings { scopes: vec!["write".into()], ..route("/scoped", &["POST"]) };
        site.routes.push(RouteSettings { authn: vec![vec![Place::new(3)]], ..scoped });
        site.policies.push(Named { name: "hooks".into(), policy: Policy::from(webhook) });
        bench.publish(&on_any_host(site));
        Self { bench, verified }
    }

    fn github() -> Self {
        Self::new(settings(WebhookSender::GitHub, &["${secret.NEW}", "${secret.OLD}"]), GITHUB_SECRET)
    }

    fn post(&self, fields: &[(&str, &str)], content: &'static str) -> Answer {
        self.bench.send(request("POST", "/hooks", fields, content))
    }

    #[track_caller]
    fn refuses(&self, answer: &Answer, status: u16, problem: &str, code: &str) {
        let found = answer.record.refusal().map_or("", |refusal| refusal.reason.code());
        assert_eq!((answer.status, answer.problem().as_str(), found), (status, problem, code));
        assert!(self.bench.host.upstream.take_received().is_empty());
    }
}

/// Sender, secret, fields, content, and the seconds at which it was signed.
type Vector<'v> = (WebhookSender, &'v str, &'v [(&'v str, &'v str)], &'static str, u64);

#[test]
fn the_vectors_of_the_senders_are_accepted_and_forwarded_unchanged() {
    let slack_body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let standard = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let slack = [
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    let vectors: [Vector; 3] = [
        (WebhookSender::GitHub, GITHUB_SECRET, &[GITHUB], HELLO, NOW.as_secs()),
        (
            WebhookSender::StandardWebhooks,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &standard,
            r#"{"test": 2432232314}"#,
            1_614_265_330,
        ),
        (WebhookSender::Slack, "8f742231b10e8888abcd99yyyzzz85a5", &slack, slack_body, 1_531_420_618),
    ];
    for (sender, secret, fields, content, signed_s) in vectors {
        let tolerance_s = u32::try_from(NOW.as_secs() - signed_s).unwrap();
        let world = World::new(WebhookSettings { tolerance_s, ..settings(sender.clone(), &["${secret.OLD}"]) }, secret);
        let answer = world.post(fields, content);
        assert_eq!(answer.status, 200, "{sender:?} {}", answer.problem());
        let principal = answer.record.principal().unwrap();
        assert_eq!((principal.consumer.as_str(), principal.credential.as_str()), ("hooks", "hooks/1"));
        let received = world.bench.host.upstream.take_received();
        assert_eq!(received[0].body().bytes().as_ref(), content.as_bytes());
        assert_eq!(received[0].headers()[fields[0].0], fields[0].1);
        assert_eq!(world.post(fields, "another content").problem(), "credential-unknown");
        if signed_s < NOW.as_secs() {
            world.bench.host.clock.advance(1_000);
            assert_eq!(world.post(fields, content).problem(), "credential-expired");
        }
    }
}

#[test]
fn either_of_two_secrets_is_accepted() {
    let world = World::github();
    let answer = world.post(&[GITHUB], HELLO);
    assert_eq!((answer.status, answer.record.principal().unwrap().credential.as_str()), (200, "hooks/2"));
    assert_eq!(world.verified.get(), 2);
}

#[test]
fn content_is_read_only_if_everything_else_is_right() {
    let world = World::github();
    world.refuses(&world.post(&[], HELLO), 401, "credential-missing", "message-not-signed");
    world.refuses(&world.post(&[(GITHUB.0, "sha256=xy")], HELLO), 401, "credential-malformed", "message-refused");
    assert_eq!(world.verified.get(), 0);
    let wrong = format!("sha256={}", "0".repeat(64));
    let answer = world.post(&[(GITHUB.0, &wrong)], HELLO);
    world.refuses(&answer, 401, "credential-unknown", "signature-wrong");
    assert_eq!(answer.field("www-authenticate"), "Signature realm=\"acme\", header=\"x-hub-signature-256\"");
}

#[test]
fn content_beyond_the_bound_is_a_413_whatever_else_would_accept_the_request() {
    let world = World::github();
    world.bench.add(&key(), &credential());
    let send = |target: &str, bytes: u64, key: &str| {
        let content = Bytes::from(vec![b'x'; usize::try_from(bytes).unwrap()]);
        let fields = [GITHUB, ("x-api-key", key)];
        world.bench.send(request("POST", target, &fields, "").map(|_| Content::from_bytes(content)))
    };
    let key = key();
    for target in ["/hooks", "/either"] {
        let answer = send(target, VERIFIED_CONTENT_BYTES_MAX + 1, key.expose());
        world.refuses(&answer, 413, "content-too-large", "content-not-verifiable");
        assert_eq!(answer.field("www-authenticate"), "");
    }
    assert_eq!(send("/hooks", VERIFIED_CONTENT_BYTES_MAX, "").problem(), "credential-unknown");
    // Another policy accepts it, and what it accepts is the whole content.
    assert_eq!(send("/either", 5, key.expose()).status, 200);
    assert_eq!(world.bench.host.upstream.take_received()[0].body().bytes().len(), 5);
}

#[test]
fn content_that_breaks_off_is_never_forwarded() {
    let world = World::github();
    world.bench.add(&key(), &credential());
    let key = key();
    let fields = [GITHUB, ("x-api-key", key.expose())];
    let answer =
        world.bench.send(request("POST", "/either", &fields, "").map(|_| Content::breaking_after(&b"Hello"[..])));
    world.refuses(&answer, 400, "bad-request", "content-interrupted");
}

#[test]
fn the_content_of_a_get_is_not_verified() {
    let world = World::github();
    let get = |content| world.bench.send(request("GET", "/hooks", &[GITHUB], content));
    world.refuses(&get(HELLO), 401, "credential-not-accepted", "message-refused");
    world.refuses(&get(""), 401, "credential-unknown", "signature-wrong");
}

#[test]
fn fields_that_were_left_out_are_forwarded_with_the_content() {
    let world = World::github();
    let left_out = HeaderMap::from_iter([(http::header::ACCEPT_LANGUAGE, HeaderValue::from_static("de"))]);
    let request: Request<Content> = request("POST", "/hooks", &[GITHUB], HELLO);
    let answer = world.bench.send(request.map(|content| content.leaving_out(left_out)));
    assert_eq!(answer.status, 200, "{}", answer.problem());
    assert_eq!(world.bench.host.upstream.take_received()[0].headers()["accept-language"], "de");
}

#[test]
fn a_message_is_accepted_once_within_the_window() {
    let once =
        WebhookSettings { once_ms: NonZeroU32::new(600_000), ..settings(WebhookSender::GitHub, &["${secret.OLD}"]) };
    let world = World::new(once, GITHUB_SECRET);
    assert_eq!(world.post(&[GITHUB], HELLO).status, 200);
    let _ = world.bench.host.upstream.take_received();
    world.refuses(&world.post(&[GITHUB], HELLO), 401, "credential-replayed", "message-replayed");
    world.bench.host.clock.advance(600_001);
    assert_eq!(world.post(&[GITHUB], HELLO).status, 200);
    let _ = world.bench.host.upstream.take_received();
    world.bench.host.counters.fault.set(true);
    let answer = world.post(&[GITHUB], HELLO);
    world.refuses(&answer, 503, "store-unavailable", "counters-failed");
    assert_eq!(answer.field("retry-after"), "1");
}

#[test]
fn a_message_that_was_not_forwarded_is_accepted_again() {
    let once =
        WebhookSettings { once_ms: NonZeroU32::new(600_000), ..settings(WebhookSender::GitHub, &["${secret.OLD}"]) };
    let outcomes = [
        (Some(UpstreamError::ConnectionRefused), "upstream-failed", 200),
        (Some(UpstreamError::DnsTimeout), "upstream-timeout", 200),
        // The upstream may have it.
        (Some(UpstreamError::ConnectionTerminated), "upstream-failed", 401),
        (Some(UpstreamError::ProxyInternalError), "upstream-failed", 401),
        (None, "", 401),
    ];
    for (error, problem, again) in outcomes {
        let mut world = World::new(once.clone(), GITHUB_SECRET);
        // A later phase refuses it.
        let answer = world.bench.send(request("POST", "/scoped", &[GITHUB], HELLO));
        world.refuses(&answer, 403, "scope-missing", "scopes-missing");
        let clock = world.bench.host.clock.clone();
        world.bench.host.upstream = ScriptedUpstream::new(clock.clone(), move |_| match error {
            Some(error) => (0, Err(error)),
            None => (0, Ok(http::Response::builder().status(503).body(Content::empty()).unwrap())),
        });
        assert_eq!(world.post(&[GITHUB], HELLO).problem(), problem, "{error:?}");
        world.bench.host.upstream = ScriptedUpstream::new(clock, ok(&[], "taken"));
        assert_eq!(world.post(&[GITHUB], HELLO).status, again, "{error:?}");
        assert_eq!(world.post(&[GITHUB], HELLO).problem(), "credential-replayed", "{error:?}");
    }
}

/// What may have been charged is released, so a message is not lost with an answer of the store.
#[test]
fn a_message_is_accepted_again_if_the_answer_of_the_counter_store_was_lost() {
    let once =
        WebhookSettings { once_ms: NonZeroU32::new(600_000), ..settings(WebhookSender::GitHub, &["${secret.OLD}"]) };
    let world = World::new(once, GITHUB_SECRET);
    world.bench.host.counters.faults.answers_lost.set(true);
    world.refuses(&world.post(&[GITHUB], HELLO), 503, "store-unavailable", "counters-failed");
    world.bench.host.counters.faults.answers_lost.set(false);
    assert_eq!(world.post(&[GITHUB], HELLO).status, 200);
    assert_eq!(world.post(&[GITHUB], HELLO).problem(), "credential-replayed");
}

#[test]
fn a_secret_that_is_missing_or_short_is_told_to_the_operator() {
    let world = World::new(settings(WebhookSender::GitHub, &["${secret.NONE}"]), GITHUB_SECRET);
    world.refuses(&world.post(&[GITHUB], HELLO), 503, "secret-missing", "secret-missing");
    let world = World::new(settings(WebhookSender::GitHub, &["${secret.OLD}"]), "fifteen letters");
    let answer = world.post(&[GITHUB], HELLO);
    world.refuses(&answer, 503, "store-unavailable", "signing-keys-away");
    assert!(!String::from_utf8_lossy(&answer.content).contains("fifteen"));
}
