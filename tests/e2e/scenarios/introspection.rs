//! Tokens that their provider is asked about: which are accepted, how the gateway asks, and what a provider can do to it.

use std::rc::Rc;
use std::time::Duration;

use tollgate_tests::client::{Answer, Request};
use tollgate_tests::upstream::Upstream;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    an_active_token_is_accepted_and_not_forwarded,
    the_upstream_gets_a_token_in_exchange_for_the_callers,
    a_token_that_is_not_active_is_refused,
    a_token_for_others_is_refused,
    a_revocation_takes_effect_when_the_answer_is_too_old,
    the_endpoint_is_found_by_the_metadata_of_the_issuer,
    a_provider_that_is_away_or_broken_admits_nobody,
}

const ACTIVE: &str = r#"{"active":true,"aud":"pets","sub":"ada","scope":"read"}"#;
const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

fn policy(name: &str, place: &str, more: &str) -> String {
    let client = "client-id: \"a:b\", client-secret: \"${secret.UPSTREAM_TOKEN}\"";
    format!("{name}: {{kind: introspection, {place}, private-network: true, audience: pets, {client}{more}}}")
}

/// A gateway whose provider answers this about every token.
async fn guarded(world: &World, answer: &str, more: &str) -> Result<Upstream, Box<dyn std::error::Error>> {
    let provider = world.server().await?;
    provider.serve("/introspect", answer);
    let policy = policy("opaque", &format!("url: \"{}/introspect\"", provider.url()), more);
    let project = Project::new(world).policy(&policy).route("{path: /a, authn: opaque}");
    world.publish(project.route("{path: /open, authn: none}")).await?;
    Ok(provider)
}

async fn with_token(world: &World, path: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get(path).field("Authorization", &format!("Bearer {TOKEN}"))).await?)
}

async fn an_active_token_is_accepted_and_not_forwarded(world: Rc<World>) -> Outcome {
    let provider = guarded(&world, ACTIVE, "").await?;
    for path in ["/a", "/a", "/open"] {
        let answer = with_token(&world, path).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains(TOKEN), "the upstream saw the token: {}", answer.text());
    }
    let asked = provider.report().last().ok_or("the provider was not asked")?;
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/introspect"));
    // RFC 6749, section 2.3.1: `a:b` is encoded first.
    assert_eq!(asked.field("authorization"), Some("Basic YSUzQWI6czNjcjN0LW9mLXRoZS1ob3N0"));
    assert_eq!(asked.field("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.content, format!("token={TOKEN}&token_type_hint=access_token"));
    let records = world.records(3).await?;
    assert_eq!(records.iter().filter(|line| line["consumer"] == "opaque:ada").count(), 2, "{records:?}");
    let logs = world.host.logs().concat();
    assert!(!logs.contains(TOKEN) && !logs.contains("s3cr3t"), "{logs}");
    Ok(())
}

async fn the_upstream_gets_a_token_in_exchange_for_the_callers(world: Rc<World>) -> Outcome {
    let provider = world.server().await?;
    provider.serve("/introspect", ACTIVE);
    provider.serve(
        "/token",
        r#"{"access_token":"exch4nged","issued_token_type":"urn:x","token_type":"Bearer","expires_in":300}"#,
    );
    let policy = policy("opaque", &format!("url: \"{}/introspect\"", provider.url()), "");
    let auth = format!(
        "{{kind: token-exchange, token-url: \"{}/token\", private-network: true, client-id: gateway, client-auth: post, \
         client-secret: \"${{secret.UPSTREAM_TOKEN}}\", resources: [\"https://pets.internal\"]}}",
        provider.url()
    );
    let route = format!("{{path: /a, authn: opaque, upstream-auth: {auth}}}");
    world.publish(Project::new(&world).policy(&policy).route(&route)).await?;
    for _ in 0..2 {
        let answer = with_token(&world, "/a").await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.all("authorization"), ["Bearer exch4nged"]);
    }
    let asked = provider.report().requests().into_iter().rfind(|request| request.path() == "/token");
    let asked = asked.ok_or("no token was asked for")?;
    let grant =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&resource=https%3A%2F%2Fpets.internal";
    assert!(asked.content.starts_with(&format!("{grant}&subject_token={TOKEN}&")), "{}", asked.content);
    world.records(2).await?;
    let logs = world.host.logs().concat();
    assert!(!logs.contains(TOKEN) && !logs.contains("exch4nged") && !logs.contains("s3cr3t"), "{logs}");
    Ok(())
}

async fn a_token_that_is_not_active_is_refused(world: Rc<World>) -> Outcome {
    let _provider = guarded(&world, r#"{"active":false}"#, "").await?;
    let answer = with_token(&world, "/a").await?;
    assert_problem(&answer, 401, "credential-unknown");
    assert!(answer.field("www-authenticate").unwrap_or_default().starts_with("Bearer realm=\"e2e\""), "{answer:?}");
    assert_problem(&world.client().get("/a").await?, 401, "credential-missing");
    let odd = Request::get("/a").field("Authorization", "Bearer two words");
    assert_problem(&world.client().send(odd).await?, 401, "credential-malformed");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_token_for_others_is_refused(world: Rc<World>) -> Outcome {
    let _provider = guarded(&world, &ACTIVE.replace("pets", "owners"), "").await?;
    assert_problem(&with_token(&world, "/a").await?, 401, "credential-not-accepted");
    Ok(())
}

async fn a_revocation_takes_effect_when_the_answer_is_too_old(world: Rc<World>) -> Outcome {
    let provider = guarded(&world, ACTIVE, ", cache: 1s").await?;
    assert_eq!(with_token(&world, "/a").await?.status, 200);
    provider.serve("/introspect", r#"{"active":false}"#);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_problem(&with_token(&world, "/a").await?, 401, "credential-unknown");
    Ok(())
}

async fn the_endpoint_is_found_by_the_metadata_of_the_issuer(world: Rc<World>) -> Outcome {
    let provider = world.server().await?;
    let issuer = provider.url();
    let metadata = format!(r#"{{"issuer":"{issuer}","introspection_endpoint":"{issuer}/ask"}}"#);
    provider.serve("/.well-known/openid-configuration", &metadata);
    provider.serve("/ask", &ACTIVE.replace(r#""sub""#, &format!(r#""iss":"{issuer}","sub""#)));
    let policy = policy("opaque", &format!("issuer: \"{issuer}\""), "");
    world.publish(Project::new(&world).policy(&policy).route("{path: /a, authn: opaque}")).await?;
    assert_eq!(with_token(&world, "/a").await?.status, 200);
    Ok(())
}

async fn a_provider_that_is_away_or_broken_admits_nobody(world: Rc<World>) -> Outcome {
    let provider = world.server().await?;
    provider.serve("/html", "<html>");
    provider.serve("/unclear", r#"{"sub":"ada"}"#);
    provider.serve("/large", &format!(r#"{{"active":true,"aud":"pets","sub":"ada","x":"{}"}}"#, "x".repeat(70_000)));
    let at = |path: &str| format!("url: \"{}/{path}\"", provider.url());
    let mut project = Project::new(&world).route("{path: /open, authn: none}");
    for name in ["html", "unclear", "large"] {
        project = project.policy(&policy(name, &at(name), "")).route(&format!("{{path: /{name}, authn: {name}}}"));
    }
    let gone = policy("gone", "url: \"http://127.0.0.1:9/ask\"", "");
    world.publish(project.policy(&gone).route("{path: /gone, authn: gone}")).await?;
    for path in ["/gone", "/html", "/unclear", "/large"] {
        let answer = with_token(&world, path).await?;
        assert_problem(&answer, 503, "store-unavailable");
        assert_eq!(answer.field("retry-after"), Some("1"), "{path}");
    }
    assert_eq!(world.upstream.report().total(), 0);
    assert_eq!(with_token(&world, "/open").await?.status, 200);
    Ok(())
}
