//! Identity mapping: one person with tokens of two providers is one consumer, by claims, by a list, and by links.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_core::operator::Role;
use tollgate_tests::client::{Answer, Request};

use super::jwt::{jwk, key, token};
use crate::lane::token as operator_token;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    claims_of_two_providers_name_one_consumer,
    linked_identities_are_one_consumer_until_they_are_unlinked,
}

const OFFICE: &str = "https://office.example.com";
const PARTNER: &str = "https://login.partner.example";

const KEYS: &str = "/.tollgate/v1/keys";

/// A gateway with a policy for each provider, and a limit of three requests for each consumer.
async fn publish(world: &World, office: &str, partner: &str) -> Outcome {
    let policy = |name: &str, issuer: &str, more: &str| {
        format!(
            "{name}: {{kind: jwt, issuer: \"{issuer}\", audience: orders, keys: '{{\"keys\":[{}]}}', {more}}}",
            jwk(&key())
        )
    };
    let upstream =
        format!("{{url: \"{}\", identity: {{X-Consumer: consumer, X-Groups: groups}}}}", world.upstream.url());
    let project = Project::new(world)
        .upstream(&upstream)
        .policy(&policy("office", OFFICE, office))
        .policy(&policy("partner", PARTNER, partner))
        .policy("often: {kind: rate-limit, rate: 3/d}");
    world.publish(project.route("{path: /a, authn: {any: [office, partner]}, limit: often}")).await
}

fn claims(issuer: &str, subject: &str, more: &str) -> String {
    format!(r#"{{"iss":"{issuer}","aud":"orders","sub":"{subject}","exp":4000000000{more}}}"#)
}

async fn get(world: &World, issuer: &str, subject: &str, more: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    let token = token(&key(), &claims(issuer, subject, more));
    Ok(world.client().send(Request::get("/a").field("Authorization", &format!("Bearer {token}"))).await?)
}

/// The consumer and the groups that the upstream is told.
async fn told(
    world: &World,
    issuer: &str,
    subject: &str,
    more: &str,
) -> Result<(String, String), Box<dyn std::error::Error>> {
    let answer = get(world, issuer, subject, more).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    let field = |name: &str| received.field(name).unwrap_or_default().to_owned();
    Ok((field("x-consumer"), field("x-groups")))
}

async fn claims_of_two_providers_name_one_consumer(world: Rc<World>) -> Outcome {
    let by_mail = "consumer: email, consumer-prefix: \"person:\", claims: {email_verified: \"true\"}";
    let listed = "map-consumers: {\"person:ada@example.com\": \"sub=p-17\"}, map-groups: {editors: role=lead}";
    publish(&world, by_mail, &format!("{by_mail}, {listed}")).await?;
    let mail = |address: &str| format!(r#","email":"{address}","email_verified":true,"role":["lead"]"#);
    let ada = "person:ada@example.com".to_owned();
    assert_eq!(told(&world, OFFICE, "o-1", &mail("ada@example.com")).await?, (ada.clone(), String::new()));
    assert_eq!(told(&world, PARTNER, "p-9", &mail("ada@example.com")).await?, (ada.clone(), "editors".to_owned()));
    assert_eq!(told(&world, PARTNER, "p-17", &mail("other@example.com")).await?.0, ada);
    assert_problem(&get(&world, OFFICE, "o-1", &mail("ada@example.com")).await?, 429, "rate-limit-exceeded");
    let unverified = r#","email":"eve@example.com","email_verified":false"#;
    assert_problem(&get(&world, OFFICE, "o-2", unverified).await?, 401, "credential-not-accepted");
    Ok(())
}

async fn ask(world: &World, target: &str, content: &Value) -> Result<Answer, Box<dyn std::error::Error>> {
    let request = Request::post(target, content.to_string()).field("content-type", "application/json");
    let bearer = format!("Bearer {}", operator_token(Role::Operate));
    Ok(world.client().send(request.field("authorization", &bearer)).await?)
}

async fn linked_identities_are_one_consumer_until_they_are_unlinked(world: Rc<World>) -> Outcome {
    publish(&world, "links: sub", "links: sub, unlinked: refuse").await?;
    let ada = format!("{}-ada", world.name);
    let link = async |issuer: &str, subject: &str, consumer: &str| {
        let content = json!({"consumer": consumer, "identity": format!("{issuer} sub={subject}"), "groups": ["staff"]});
        ask(&world, KEYS, &content).await
    };
    assert_eq!(told(&world, OFFICE, "o-9", "").await?.0, "office:o-9");
    assert_problem(&get(&world, PARTNER, "p-9", "").await?, 401, "credential-not-accepted");
    let office = link(OFFICE, "o-1", &ada).await?;
    assert_eq!(office.status, 201, "{}", office.text());
    assert_eq!(link(PARTNER, "p-1", &ada).await?.status, 201);
    assert_problem(&link(PARTNER, "p-1", "bob").await?, 400, "bad-request");
    for (issuer, subject) in [(OFFICE, "o-1"), (PARTNER, "p-1"), (OFFICE, "o-1")] {
        assert_eq!(told(&world, issuer, subject, "").await?, (ada.clone(), "staff".to_owned()));
    }
    // One person is counted once.
    assert_problem(&get(&world, PARTNER, "p-1", "").await?, 429, "rate-limit-exceeded");
    let id = office.json()["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(ask(&world, &format!("{KEYS}/{id}/revoke"), &json!({})).await?.status, 200);
    let end = Instant::now() + Duration::from_secs(10);
    while get(&world, OFFICE, "o-1", "").await?.status != 200 {
        assert!(Instant::now() < end, "the identity is still linked");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(
        world.upstream.report().last().and_then(|last| last.field("x-consumer").map(str::to_owned)).as_deref(),
        Some("office:o-1")
    );
    Ok(())
}
