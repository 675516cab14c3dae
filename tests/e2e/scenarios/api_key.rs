//! API keys: which are accepted, how the others are refused, and that no key is forwarded.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tollgate_core::authn::ApiKey;
use tollgate_core::bounds::CREDENTIAL_FRESH_MS;
use tollgate_core::operator::Role;
use tollgate_tests::client::{Answer, Request};

use crate::lane::token;
use crate::project::{Key, Project};
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_key_is_accepted_and_not_forwarded,
    a_missing_key_is_401_and_says_where_to_send_it,
    a_malformed_key_is_refused,
    a_typo_is_refused_without_a_look_up,
    an_unknown_key_is_refused,
    an_expired_key_is_refused,
    a_key_before_its_time_is_refused,
    a_revoked_key_is_refused,
    a_revocation_takes_effect,
    a_revocation_is_seen_within_the_stated_time,
    a_key_is_accepted_only_from_where_it_may_be_used,
    a_key_in_the_query_is_refused_unless_allowed,
    a_key_in_the_query_is_removed_if_allowed,
    two_keys_are_refused,
    a_key_may_follow_a_scheme,
    one_of_several_policies_is_enough,
    a_missing_scope_is_403,
    a_public_route_needs_no_key,
    no_key_reaches_the_upstream_of_a_public_route,
}

async fn guarded(world: &World) -> Outcome {
    let project = Project::new(world).route("{path: /a, authn: keys}");
    world.publish(project).await
}

async fn with_key(world: &World, key: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get("/a").field("X-API-Key", key)).await?)
}

/// Checks a refusal: it has a challenge, does not contain the key, and did not reach the upstream.
#[track_caller]
fn assert_refused(world: &World, answer: &Answer, key: &str, kind: &str) {
    assert_problem(answer, 401, kind);
    let challenge = answer.field("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("realm=\"e2e\""), "{challenge}");
    assert!(key.is_empty() || !format!("{answer:?}").contains(key), "{answer:?}");
    assert_eq!(world.upstream.report().total(), 0);
}

async fn a_key_is_accepted_and_not_forwarded(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let key = world.plain_key("acme").await?;
    let answer = with_key(&world, &key).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains(&key), "the upstream saw the key: {}", answer.text());
    world.records(1).await?;
    assert!(!world.host.logs().concat().contains(&key));
    Ok(())
}

async fn a_missing_key_is_401_and_says_where_to_send_it(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let answer = world.client().get("/a").await?;
    assert_refused(&world, &answer, "", "credential-missing");
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_lowercase();
    assert!(detail.contains("x-api-key"), "{detail}");
    Ok(())
}

async fn a_malformed_key_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let long = "tg_dev_".to_owned() + &"a".repeat(2000);
    for key in ["hello", "tg_", "tg_dev_", "tg_DEV_00000000000000000000000000000000000000", &long] {
        let answer = with_key(&world, key).await?;
        assert_refused(&world, &answer, key, "credential-malformed");
    }
    Ok(())
}

async fn a_typo_is_refused_without_a_look_up(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let key = world.plain_key("acme").await?;
    // If the key were looked up, the answer would be that the records are unavailable.
    let end = if key.ends_with('0') { "1" } else { "0" };
    let typo = format!("{}{end}", &key[..key.len() - 1]);
    let answer = with_key(&world, &typo).await?;
    assert_refused(&world, &answer, &typo, "credential-malformed");
    Ok(())
}

async fn an_unknown_key_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let key = Key::new(&world.name, 99, "nobody").text;
    let answer = with_key(&world, &key).await?;
    assert_refused(&world, &answer, &key, "credential-unknown");
    Ok(())
}

async fn an_expired_key_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let key = world.key("acme", |key| key.expires = Some("2020-01-01T00:00:00Z")).await?;
    let answer = with_key(&world, &key).await?;
    assert_refused(&world, &answer, &key, "credential-expired");
    Ok(())
}

async fn a_key_before_its_time_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let key = world.key("acme", |key| key.not_before = Some("2099-01-01T00:00:00Z")).await?;
    let answer = with_key(&world, &key).await?;
    assert_refused(&world, &answer, &key, "credential-not-yet-valid");
    Ok(())
}

async fn a_revoked_key_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let key = world.key("acme", |key| key.revoked = true).await?;
    let answer = with_key(&world, &key).await?;
    assert_refused(&world, &answer, &key, "credential-revoked");
    Ok(())
}

async fn a_revocation_takes_effect(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let mut key = Key::new(&world.name, 50, "acme");
    world.host.put(&key.records()?).await?;
    assert_eq!(with_key(&world, &key.text).await?.status, 200);
    key.revoked = true;
    world.host.put(&key.records()?).await?;
    let answer = with_key(&world, &key.text).await?;
    assert_problem(&answer, 401, "credential-revoked");
    assert_eq!(world.upstream.report().total(), 1);
    Ok(())
}

/// On a host that caches, whichever way the revocation takes: through the store, and through another isolate or this one.
async fn a_revocation_is_seen_within_the_stated_time(world: Rc<World>) -> Outcome {
    let operator = token(Role::Operate);
    let host = world.start_host(false, &[(Role::Operate.secret_name(), &operator)]).await?;
    let mut in_store = Key::new(&world.name, 51, "acme");
    let by_operator = Key::new(&world.name, 52, "acme");
    host.put(&[in_store.records()?, by_operator.records()?].concat()).await?;
    world.publish_to(&host, &Project::new(&world).route("{path: /a, authn: keys}").yaml()).await?;
    let client = host.client().for_host(&world.domain);
    let status =
        async |key: &Key| client.send(Request::get("/a").field("X-API-Key", &key.text)).await.map(|a| a.status);
    for _ in 0..10 {
        assert_eq!((status(&in_store).await?, status(&by_operator).await?), (200, 200));
    }
    in_store.revoked = true;
    host.put(&in_store.records()?).await?;
    let digest = ApiKey::parse(&by_operator.text)?.digest().to_hex();
    let revoke = Request::of("POST", &format!("/.tollgate/v1/keys/{digest}/revoke"));
    let revoked = client.send(revoke.field("authorization", &format!("Bearer {operator}"))).await?;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    let (since, stated) = (Instant::now(), Duration::from_millis(CREDENTIAL_FRESH_MS));
    while since.elapsed() < stated {
        status(&in_store).await?;
        status(&by_operator).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // The answers to those that were sent before the end of the time.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..10 {
        assert_eq!((status(&in_store).await?, status(&by_operator).await?), (401, 401), "{:?}", since.elapsed());
    }
    Ok(())
}

async fn a_key_is_accepted_only_from_where_it_may_be_used(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let refused =
        ["addresses: [198.51.100.0/24]", "hosts: [elsewhere.test]", "referrers: [\"https://app.example.com\"]"];
    for property in refused {
        let key = world.key("acme", |key| key.more = vec![property]).await?;
        assert_refused(&world, &with_key(&world, &key).await?, &key, "credential-not-accepted");
    }
    let allowed =
        ["addresses: [127.0.0.0/8, \"::1/128\"]", "hosts: [\"*.test\"]", "referrers: [\"https://*.example.com\"]"];
    let key = world.key("acme", |key| key.more = allowed.to_vec()).await?;
    let request = Request::get("/a").field("X-API-Key", &key).field("Origin", "https://app.example.com");
    let answer = world.client().send(request).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Ok(())
}

async fn a_key_in_the_query_is_refused_unless_allowed(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let key = world.plain_key("acme").await?;
    let answer = world.client().get(&format!("/a?api_key={key}")).await?;
    assert_refused(&world, &answer, &key, "credential-misplaced");
    world.records(1).await?;
    assert!(!world.host.logs().concat().contains(&key));
    Ok(())
}

async fn a_key_in_the_query_is_removed_if_allowed(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .policy("anywhere: {kind: api-key, header: X-API-Key, query: key}")
        .route("{path: /a, authn: anywhere}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    let answer = world.client().get(&format!("/a?x=1&key={key}&y=2")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.target, "/a?x=1&y=2");
    assert_eq!(with_key(&world, &key).await?.status, 200);
    world.records(2).await?;
    assert!(!world.host.logs().concat().contains(&key));
    Ok(())
}

async fn two_keys_are_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let (one, two) = (world.plain_key("acme").await?, world.plain_key("evil").await?);
    let request = Request::get("/a").field("X-API-Key", &one).field("X-API-Key", &two);
    let answer = world.client().send(request).await?;
    assert!([400, 401].contains(&answer.status), "{}", answer.text());
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_key_may_follow_a_scheme(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .policy("bearer: {kind: api-key, header: Authorization, scheme: Bearer}")
        .route("{path: /a, authn: bearer}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    let with = |value: String| world.client().send_owned(Request::get("/a").field("Authorization", &value));
    assert_eq!(with(format!("Bearer {key}")).await?.status, 200);
    assert_eq!(with(format!("bearer {key}")).await?.status, 200);
    assert_eq!(with(key.clone()).await?.status, 401);
    let refused = with(format!("Basic {key}")).await?;
    assert_problem(&refused, 401, "credential-missing");
    assert_eq!(refused.field("www-authenticate"), Some("Bearer realm=\"e2e\""));
    Ok(())
}

async fn one_of_several_policies_is_enough(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .policy("bearer: {kind: api-key, header: Authorization, scheme: Bearer}")
        .route("{path: /a, authn: {any: [keys, bearer]}}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    assert_eq!(with_key(&world, &key).await?.status, 200);
    let bearer = Request::get("/a").field("Authorization", &format!("Bearer {key}"));
    assert_eq!(world.client().send(bearer).await?.status, 200);
    let refused = world.client().get("/a").await?;
    assert_eq!(refused.status, 401);
    let challenges = refused.all("www-authenticate").join(", ");
    assert!(challenges.contains("Bearer") && challenges.contains("ApiKey"), "{challenges}");
    Ok(())
}

async fn a_missing_scope_is_403(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).route("{path: /a, authn: keys, scopes: [read, write]}");
    world.publish(project).await?;
    let some = world.key("acme", |key| key.scopes = vec!["read"]).await?;
    let all = world.key("acme", |key| key.scopes = vec!["write", "read", "more"]).await?;
    assert_problem(&with_key(&world, &some).await?, 403, "scope-missing");
    assert_eq!(world.upstream.report().total(), 0);
    assert_eq!(with_key(&world, &all).await?.status, 200);
    Ok(())
}

async fn a_public_route_needs_no_key(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).api("authn: keys").route("{path: /a, authn: none}");
    world.publish(project.route("{path: /b}")).await?;
    assert_eq!(world.client().get("/a").await?.status, 200);
    assert_eq!(world.client().get("/b").await?.status, 401);
    Ok(())
}

async fn no_key_reaches_the_upstream_of_a_public_route(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .policy("anywhere: {kind: api-key, header: X-Other-Key, query: key}")
        .policy("bearer: {kind: api-key, header: Authorization, scheme: Bearer}")
        .route("{path: /keyed, authn: {any: [keys, anywhere, bearer]}}")
        .route("{path: \"/open/{*rest}\", authn: none}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    let escaped = key.replace('_', "%5F");
    let requests = [
        Request::get("/open/a").field("X-API-Key", &key),
        Request::get("/open/a").field("X-API-Key", &key).field("X-API-Key", &key),
        Request::get("/open/a").field("X_API_Key", &key),
        Request::get("/open/a").field("X-Other_Key", "not a key"),
        Request::get("/open/a").field("Authorization", &format!("bearer  {key}")),
        Request::get("/open/a").field("Authorization", &format!("Basic {key}")),
        Request::get(&format!("/open/a?key={key}&key={key}")),
        Request::get(&format!("/open/a?x=1&k%65y={key}")),
        Request::get(&format!("/open/a?x=1;key={key}")),
        Request::get(&format!("/open/a?x=1&other={escaped}")),
        Request::get("/open/a?%6bey=not-a-key"),
    ];
    for request in requests {
        assert_eq!(world.client().send(request).await?.status, 200);
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        let all = format!("{} {:?}", received.target, received.fields).to_lowercase();
        for secret in [key.to_lowercase().as_str(), escaped.to_lowercase().as_str(), "not a key", "not-a-key"] {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }
    let other = Request::get("/open/a?x=1;y=%41&z").field("Authorization", "Basic abc").field("X-Key", "mine");
    assert_eq!(world.client().send(other).await?.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.target, "/open/a?x=1;y=%41&z");
    assert_eq!((received.field("authorization"), received.field("x-key")), (Some("Basic abc"), Some("mine")));
    Ok(())
}
