//! A real identity provider: what its clients and the gateway do together, and what happens when it is away or broken.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use tokio::time::{Instant, sleep};
use tollgate_tests::client::{Answer, Client, Failed, Request};
use tollgate_tests::hosts::Kind;
use tollgate_tests::identity_provider::IdentityProvider;

use crate::lane::HOST_SECRET;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_client_finds_its_provider_by_the_challenge,
    an_opaque_token_is_accepted_until_its_provider_revokes_it,
    a_rotation_is_followed_while_a_thousand_keys_a_second_are_invented,
    a_provider_that_answers_nonsense_is_told_to_the_operator,
    a_provider_that_is_killed_refuses_no_token_of_a_known_key,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A provider with a client `app`, and with the gateway as its client.
async fn provider(world: &World, port: u16) -> Result<IdentityProvider> {
    world.secret(APP_SECRET);
    let place = (world.artifacts(), world.secrets());
    Ok(IdentityProvider::start(place, &[("app", APP_SECRET), ("gateway", HOST_SECRET.1)], port).await?)
}

const APP_SECRET: &str = "s3cr3t-of-the-app";

/// The resources that the provider issues tokens for.
const SIGNED: &str = "https://signed.example";
const OPAQUE: &str = "https://opaque.example";

fn jwt(name: &str, issuer: &str, more: &str) -> String {
    format!("{name}: {{kind: jwt, issuer: \"{issuer}\", audience: pets, private-network: true{more}}}")
}

async fn with_token(world: &World, path: &str, token: &str) -> Result<Answer> {
    Ok(world.client().send(Request::get(path).field("Authorization", &format!("Bearer {token}"))).await?)
}

async fn assert_accepted(world: &World, path: &str, token: &str) -> Outcome {
    let answer = with_token(world, path, token).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains(token), "the upstream saw the token: {}", answer.text());
    Ok(())
}

/// RFC 9728, section 5; RFC 9068.
async fn a_client_finds_its_provider_by_the_challenge(world: Rc<World>) -> Outcome {
    let provider = provider(&world, 0).await?;
    let resource = format!("http://{}/v1", world.domain);
    let policy = jwt("staff", provider.url(), &format!(", type: at+jwt, resource: \"{resource}\""));
    let project = Project::new(&world).policy(&policy).route("{path: /a, authn: staff}");
    world.publish(project.route("{path: /w, authn: staff, scopes: [write]}")).await?;

    let refused = world.client().get("/a").await?;
    assert_problem(&refused, 401, "credential-missing");
    let challenge = refused.field("www-authenticate").unwrap_or_default().to_owned();
    let url = challenge.split("resource_metadata=\"").nth(1).and_then(|rest| rest.split('"').next());
    let url = url.ok_or_else(|| format!("no metadata in {challenge}"))?;
    let path = url.strip_prefix(&format!("http://{}", world.domain)).ok_or_else(|| url.to_owned())?;
    let metadata = world.client().get(path).await?;
    assert_eq!((metadata.status, metadata.field("content-type")), (200, Some("application/json")), "{metadata:?}");
    let metadata = metadata.json();
    assert_eq!(metadata["resource"], resource);
    assert_eq!(metadata["authorization_servers"][0], provider.url());
    assert_eq!(world.upstream.report().total(), 0);

    let reading = provider.token(SIGNED, "read").await?;
    assert_accepted(&world, "/a", &reading).await?;
    assert_problem(&with_token(&world, "/w", &reading).await?, 403, "scope-missing");
    assert_accepted(&world, "/w", &provider.token(SIGNED, "read%20write").await?).await?;
    let records = world.records(4).await?;
    assert!(records.iter().any(|line| line["consumer"] == "staff:app"), "{records:?}");
    Ok(())
}

/// RFC 7662 and RFC 7009, and with signed answers RFC 9701.
async fn an_opaque_token_is_accepted_until_its_provider_revokes_it(world: Rc<World>) -> Outcome {
    let provider = provider(&world, 0).await?;
    let client = "client-id: gateway, client-secret: \"${secret.UPSTREAM_TOKEN}\"";
    let policy = |name: &str, more: &str| {
        let issuer = provider.url();
        format!(
            "{name}: {{kind: introspection, issuer: \"{issuer}\", audience: pets, private-network: true, consumer: client_id, \
             cache: 1s, {client}{more}}}"
        )
    };
    let project = Project::new(&world)
        .policy(&policy("plain", ""))
        .policy(&policy("sealed", ", signed: true"))
        .route("{path: /plain, authn: plain}")
        .route("{path: /sealed, authn: sealed}");
    world.publish(project).await?;
    let token = provider.token(OPAQUE, "read").await?;
    for path in ["/plain", "/sealed"] {
        assert_accepted(&world, path, &token).await?;
        assert_problem(&with_token(&world, path, "one-that-nobody-issued").await?, 401, "credential-unknown");
    }
    provider.revoke(&token).await?;
    sleep(Duration::from_millis(1_100)).await;
    for path in ["/plain", "/sealed"] {
        assert_problem(&with_token(&world, path, &token).await?, 401, "credential-unknown");
    }
    Ok(())
}

/// At once: a thousand tokens a second with invented key ids, and a key that is published five seconds before it is used.
async fn a_rotation_is_followed_while_a_thousand_keys_a_second_are_invented(world: Rc<World>) -> Outcome {
    let mut provider = provider(&world, 0).await?;
    let policy = jwt("staff", provider.url(), "");
    world.publish(Project::new(&world).policy(&policy).route("{path: /a, authn: staff}")).await?;
    assert_accepted(&world, "/a", &provider.token(SIGNED, "read").await?).await?;
    let attack = Rc::new(Attack::new());
    let attackers = (0..ATTACKERS).map(|_| Rc::clone(&attack).run(world.client()));
    let attackers: Vec<_> = attackers.map(tokio::task::spawn_local).collect();

    provider.publish(&["k1", "k2"]).await?;
    let published = Instant::now();
    while published.elapsed() < PUBLISHED || attack.invented.get() < INVENTED_MIN {
        assert!(published.elapsed() < ATTACK_MAX, "only {} keys were invented", attack.invented.get());
        assert_accepted(&world, "/a", &provider.token(SIGNED, "read").await?).await?;
        sleep(Duration::from_millis(50)).await;
    }
    provider.publish(&["k2", "k1"]).await?;
    for _ in 0..20 {
        let token = provider.token(SIGNED, "read").await?;
        assert!(header(&token).contains("\"k2\""), "the provider signs with the new key");
        assert_accepted(&world, "/a", &token).await?;
    }
    attack.ended.set(true);
    for attacker in attackers {
        let statuses = attacker.await??;
        assert!(statuses.keys().all(|status| *status == 401), "answers to invented keys: {statuses:?}");
    }
    let (sets, metadata) = (provider.times("/jwks").await?, provider.count(METADATA).await?);
    let isolates = isolates(world.host.kind());
    let crowded = sets.windows(isolates + 1).find(|some| some[isolates] - some[0] < FETCH_AGAIN_MS);
    assert_eq!(crowded, None, "{} fetches by {isolates} isolates within five seconds: {sets:?}", isolates + 1);
    // The tests have asked once.
    assert!(metadata <= isolates as u64 + 1, "the metadata were fetched {metadata} times");
    Ok(())
}

/// How many isolates of a host in these tests may fetch at the same moment. Requests of one isolate never do, on Workers neither.
fn isolates(kind: Kind) -> usize {
    match kind {
        Kind::Native => 2,
        Kind::Cloudflare => 1,
        // An instance serves 128 requests and has in the beginning what others have shared. There are as many as requests in flight, when
        // that becomes too old: those of the attack, and one with a good token, of which the instance before may still fetch.
        Kind::Spin => ATTACKERS + 2,
    }
}

/// Tokens with key ids that no one has, from several connections, at a rate.
struct Attack {
    begun: Instant,
    invented: Cell<u64>,
    ended: Cell<bool>,
}

impl Attack {
    fn new() -> Self {
        Self { begun: Instant::now(), invented: Cell::new(0), ended: Cell::new(false) }
    }

    /// Presents tokens on one connection until the end; returns the answers by their status.
    async fn run(self: Rc<Self>, client: Client) -> std::result::Result<BTreeMap<u16, u64>, Failed> {
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let (claims, signature) = (part(r#"{"sub":"eve","exp":4000000000}"#), part(&"s".repeat(64)));
        let next = async || {
            let is_early = || self.invented.get() > self.begun.elapsed().as_millis() as u64 * INVENTED_PER_MS;
            while !self.ended.get() && is_early() {
                sleep(Duration::from_millis(1)).await;
            }
            let number = self.invented.replace(self.invented.get() + 1);
            let header = part(&format!(r#"{{"alg":"ES256","kid":"invented-{number}"}}"#));
            let field = format!("Authorization: Bearer {header}.{claims}.{signature}\r\n");
            (!self.ended.get()).then(|| ("/a".to_owned(), field))
        };
        client.statuses_on_one_connection(next).await
    }
}

/// A token of an issuer that it has not signed.
fn unsigned(issuer: &str) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let claims = part(&format!(r#"{{"iss":"{issuer}","sub":"eve","exp":4000000000}}"#));
    [&part(r#"{"alg":"ES256","kid":"a"}"#), ".", &claims, ".", &part(&"s".repeat(64))].concat()
}

fn header(token: &str) -> String {
    let part = token.split('.').next().unwrap_or_default();
    String::from_utf8_lossy(&Base64UrlUnpadded::decode_vec(part).unwrap_or_default()).into_owned()
}

/// Connections of the attack.
const ATTACKERS: usize = 16;

const INVENTED_PER_MS: u64 = 1;

/// As many as in five seconds: a busy machine takes longer for them.
const INVENTED_MIN: u64 = 5_000;

const ATTACK_MAX: Duration = Duration::from_secs(150);

/// How long a key is published before it is used.
const PUBLISHED: Duration = Duration::from_millis(5_100);

/// How long an isolate fetches no set of keys after it has fetched one; the clocks of two processes are not one.
const FETCH_AGAIN_MS: u64 = 4_900;

const METADATA: &str = "/.well-known/openid-configuration";

/// On a socket: HTML, ten megabytes, one byte a second, a redirect to another host.
async fn a_provider_that_answers_nonsense_is_told_to_the_operator(world: Rc<World>) -> Outcome {
    let provider = provider(&world, 0).await?;
    let mut project = Project::new(&world).route("{path: /open, authn: none}");
    for (name, _) in NONSENSE {
        let policy = jwt(name, &format!("{}/{name}", provider.url()), "");
        project = project.policy(&policy).route(&format!("{{path: /{name}, authn: {name}}}"));
    }
    world.publish(project).await?;
    for (name, _) in NONSENSE {
        let token = unsigned(&format!("{}/{name}", provider.url()));
        let begun = Instant::now();
        let answer = with_token(&world, &format!("/{name}"), &token).await?;
        assert_problem(&answer, 503, "store-unavailable");
        assert_eq!(answer.field("retry-after"), Some("1"), "{name}");
        assert!(begun.elapsed() < BOUND, "{name} took {:?}", begun.elapsed());
    }
    assert_eq!(with_token(&world, "/open", &provider.token(SIGNED, "read").await?).await?.status, 200);
    let records = world.records(NONSENSE.len() + 1).await?;
    for (name, why) in NONSENSE {
        let route = format!("/{name}");
        let line = records.iter().find(|line| line["route"] == route).ok_or(name)?.to_string();
        assert!(line.contains(why), "{name}: no `{why}` in {line}");
    }
    Ok(())
}

/// What an issuer answers, and what the operator reads.
const NONSENSE: [(&str, &str); 4] = [
    ("html", "not what was asked for"),
    ("large", "larger than allowed"),
    ("slow", "no complete answer within the time allowed"),
    ("moved", "status 302"),
];

/// The time of one fetch, 3 s, and of the rest on a busy machine.
const BOUND: Duration = Duration::from_secs(6);

/// Tokens of known keys are accepted without the provider; when it is there again, with other keys, it is followed.
async fn a_provider_that_is_killed_refuses_no_token_of_a_known_key(world: Rc<World>) -> Outcome {
    let running = provider(&world, 0).await?;
    let (issuer, port) = (running.url().to_owned(), running.port());
    let project =
        Project::new(&world).policy(&jwt("staff", &issuer, "")).policy(&jwt("new", &format!("{issuer}/new"), ""));
    world.publish(project.route("{path: /a, authn: staff}").route("{path: /new, authn: new}")).await?;
    assert_accepted(&world, "/a", &running.token(SIGNED, "read").await?).await?;
    let later = running.token(SIGNED, "read").await?;
    // Isolates share what they fetched after the reply.
    sleep(Duration::from_millis(300)).await;
    running.kill().await?;
    for _ in 0..5 {
        assert_accepted(&world, "/a", &later).await?;
    }
    assert_problem(&with_token(&world, "/new", &unsigned(&format!("{issuer}/new"))).await?, 503, "store-unavailable");

    let again = provider(&world, port).await?;
    let token = again.token(SIGNED, "read").await?;
    let end = Instant::now() + FOLLOWED;
    let mut answer = with_token(&world, "/a", &token).await?;
    while answer.status == 401 && Instant::now() < end {
        sleep(Duration::from_millis(200)).await;
        answer = with_token(&world, "/a", &token).await?;
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    Ok(())
}

/// Keys that were fetched five seconds ago are fetched again for a key that is not among them.
const FOLLOWED: Duration = Duration::from_secs(8);
