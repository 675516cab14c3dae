//! The operator endpoint: which roles may use which resources, and the effects.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tollgate_core::authn::KeyText;
use tollgate_core::cache::Purges;
use tollgate_core::operator::{Resource, Role};
use tollgate_kv_schemas::decode;
use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::Kind;

use crate::lane::token;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "operator";
    without_a_bound_token_it_is_an_unknown_route_and_not_forwarded,
    a_wrong_token_gets_a_challenge,
    a_role_allows_only_its_own_resources,
    hostile_requests_get_problems,
    a_purge_takes_effect,
    concurrent_purges_are_all_kept,
    a_key_is_issued_used_and_revoked,
    keys_are_listed_and_rotated,
    a_key_of_another_make_is_imported_by_its_hash,
    every_call_is_audited,
    a_call_is_audited_even_if_its_client_hangs_up,
    metrics_contain_their_scope,
    failed_authentications_lock_nobody_out,
}

const METRICS: &str = "/.tollgate/v1/metrics";
const PURGES: &str = "/.tollgate/v1/purges";
const KEYS: &str = "/.tollgate/v1/keys";

fn post(target: &str, content: &Value) -> Request {
    Request::post(target, content.to_string()).field("content-type", "application/json")
}

async fn ask(world: &World, role: Role, request: Request) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(with_token(request, &token(role))).await?)
}

fn with_token(request: Request, token: &str) -> Request {
    request.field("authorization", &format!("Bearer {token}"))
}

/// The audit lines about an action, once there are `count` of them.
async fn audit(world: &World, action: &str, count: usize) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let lines = || -> Vec<Value> {
        let lines = world.host.logs();
        let lines = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["event"] == "audit" && line["action"] == action).collect()
    };
    world.eventually(&format!("{count} lines of the audit"), || lines().len() >= count).await?;
    Ok(lines())
}

async fn without_a_bound_token_it_is_an_unknown_route_and_not_forwarded(world: Rc<World>) -> Outcome {
    let host = world.start_host(true, &[]).await?;
    let everything = Project::new(&world).route("{path: \"/{*rest}\"}").yaml();
    world.publish_to(&host, &everything).await?;
    let client = host.client().for_host(&world.domain);
    assert_eq!(client.get("/x").await?.status, 200);
    let answer = client.send(with_token(post(PURGES, &json!({"all": true})), &token(Role::Operate))).await?;
    assert_problem(&answer, 404, "route-not-found");
    assert_eq!(world.upstream.report().count(PURGES), 0);
    let unknown = host.client().for_host("unknown.test").get("/x").await?;
    let mut documents = [answer.json(), unknown.json()];
    documents.iter_mut().for_each(|document| document["request_id"] = Value::Null);
    assert_eq!(documents[0], documents[1]);
    assert!(!host.logs().iter().any(|line| line.contains("\"audit\"")));
    Ok(())
}

async fn a_wrong_token_gets_a_challenge(world: Rc<World>) -> Outcome {
    let answer = world.client().get(METRICS).await?;
    assert_problem(&answer, 401, "credential-missing");
    assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"tollgate-operator\""));
    let wrong = "0".repeat(32);
    let answer = world.client().send(with_token(Request::get(METRICS), &wrong)).await?;
    assert_problem(&answer, 401, "credential-unknown");
    assert!(!world.host.logs().join("\n").contains(&wrong), "a token in the log");
    Ok(())
}

async fn a_role_allows_only_its_own_resources(world: Rc<World>) -> Outcome {
    for resource in Resource::ALL {
        let target = format!("/.tollgate/{}", resource.path().replace("{}", "key-000000000000"));
        for role in Role::ALL.into_iter().filter(|role| !role.allows(resource.role())) {
            let request = Request::of(resource.method().as_str(), &target);
            assert_problem(&ask(&world, role, request).await?, 403, "role-missing");
        }
    }
    Ok(())
}

async fn hostile_requests_get_problems(world: Rc<World>) -> Outcome {
    let ask = async |request| ask(&world, Role::Operate, request).await;
    let json = |content: String| Request::post(PURGES, content).field("content-type", "application/json");
    assert_problem(&ask(json(String::new())).await?, 400, "bad-request");
    assert_problem(&ask(json("{\"all\":".to_owned())).await?, 400, "bad-request");
    assert_problem(&ask(json("[".repeat(16_000))).await?, 400, "bad-request");
    assert_problem(&ask(json(r#"{"all":true,"more":1}"#.to_owned())).await?, 400, "bad-request");
    assert_problem(&ask(json("x".repeat(100_000))).await?, 413, "content-too-large");
    assert_problem(&ask(Request::post(PURGES, "all=true")).await?, 415, "unsupported-media-type");
    let expired = post(KEYS, &json!({"consumer": "acme", "expires": "2020-01-01T00:00:00Z"}));
    assert_problem(&ask(expired).await?, 400, "bad-request");
    let answer = ask(Request::of("DELETE", PURGES)).await?;
    assert_problem(&answer, 405, "method-not-allowed");
    assert_eq!(answer.field("allow"), Some("POST"));
    assert_problem(&ask(Request::get("/.tollgate/v2/metrics")).await?, 404, "resource-not-found");
    assert_problem(&ask(Request::get("/.tollgate/v1/keys/e2e%3Aconfig%3Aactive")).await?, 400, "bad-request");
    Ok(())
}

async fn until_hit(world: &World, target: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    for _ in 0..100 {
        let answer = world.client().get(target).await?;
        if answer.field("cache-status").is_some_and(|status| status.contains("hit")) {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{target} is never answered from store").into())
}

async fn a_purge_takes_effect(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: \"/{*rest}\", cache: {ttl: 1h}}")).await?;
    until_hit(&world, "/a?q=1").await?;
    until_hit(&world, "/b").await?;
    let url = format!("http://{}/a?q=1", world.domain);
    let answer = ask(&world, Role::Purge, post(PURGES, &json!({"url": url}))).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["keys"][0].as_str().map(str::len), Some(64), "{}", answer.text());
    let status = |answer: &Answer| answer.field("cache-status").unwrap_or_default().to_owned();
    assert!(!status(&world.client().get("/a?q=1").await?).contains("hit"));
    assert!(status(&world.client().get("/b").await?).contains("hit"), "the others stay");
    until_hit(&world, "/a?q=1").await?;
    let elsewhere = post(PURGES, &json!({"url": "http://unknown.test/a"}));
    assert_problem(&ask(&world, Role::Purge, elsewhere).await?, 404, "resource-not-found");
    Ok(())
}

async fn concurrent_purges_are_all_kept(world: Rc<World>) -> Outcome {
    let key = |number: u8| format!("{number:02x}").repeat(32);
    let asked = (0..8).map(|number| {
        let request = with_token(post(PURGES, &json!({"key": key(number)})), &token(Role::Purge));
        tokio::task::spawn_local(world.client().send_owned(request))
    });
    let asked: Vec<_> = asked.collect();
    for answer in asked {
        let answer = answer.await??;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let record = world.host.get("e2e:purges").await?.ok_or("no record of purges")?;
    let record: Purges = decode(&record)?;
    let is_kept =
        |key: String| record.as_slice().iter().any(|p| p.resource.as_ref().is_some_and(|r| r.as_str() == key));
    assert!((0..8).all(|number| is_kept(key(number))), "{record:?}");
    Ok(())
}

async fn a_key_is_issued_used_and_revoked(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, authn: keys}")).await?;
    let answer = ask(&world, Role::Operate, post(KEYS, &json!({"consumer": "acme", "environment": "test"}))).await?;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let (key, id) = (answer.json()["key"].clone(), answer.json()["id"].clone());
    let (key, id) = (key.as_str().unwrap_or_default(), id.as_str().unwrap_or_default());
    let get = async || world.client().send(Request::get("/a").field("x-api-key", key)).await;
    assert_eq!(get().await?.status, 200);
    let shown = ask(&world, Role::Read, Request::get(&format!("{KEYS}/{id}"))).await?;
    assert_eq!(shown.json()["consumer"], "acme", "{}", shown.text());
    assert!(!shown.text().contains(key));
    let revoked = ask(&world, Role::Operate, Request::of("POST", &format!("{KEYS}/{id}/revoke"))).await?;
    assert_eq!(revoked.json()["revoked"], true, "{}", revoked.text());
    assert_problem(&get().await?, 401, "credential-revoked");
    assert!(!world.host.logs().join("\n").contains(key), "a key in the log");
    Ok(())
}

async fn keys_are_listed_and_rotated(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, authn: keys}")).await?;
    let consumer = format!("{}-rotating", world.name);
    let answer = ask(&world, Role::Operate, post(KEYS, &json!({"consumer": consumer}))).await?;
    let old = answer.json();
    let rotate = format!("{KEYS}/{}/rotate", old["id"].as_str().unwrap_or_default());
    // A store with one write a second for each key may delay the answer.
    let answer = ask(&world, Role::Operate, post(&rotate, &json!({"overlap": "4s"}))).await?;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let new = answer.json();
    let status = async |key: &Value| {
        let request = Request::get("/a").field("x-api-key", key.as_str().unwrap_or_default());
        world.client().send(request).await.map(|answer| answer.status)
    };
    assert_eq!((status(&old["key"]).await?, status(&new["key"]).await?), (200, 200));
    let listed = ask(&world, Role::Read, Request::get(&format!("{KEYS}?consumer={consumer}"))).await?;
    let listed = listed.json();
    let keys = listed["keys"].as_array().ok_or("no list")?;
    assert_eq!((keys.len(), &listed["cursor"]), (2, &Value::Null), "{listed}");
    let show = format!("{KEYS}/{}", new["id"].as_str().unwrap_or_default());
    for attempt in 0.. {
        let shown = ask(&world, Role::Read, Request::get(&show)).await?.json();
        if shown["last_used"].is_string() {
            break;
        }
        assert!(attempt < 50, "the use is not recorded: {shown}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let end = Instant::now() + Duration::from_secs(10);
    while status(&old["key"]).await? == 200 {
        assert!(Instant::now() < end, "the old key is still accepted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(status(&new["key"]).await?, 200);
    Ok(())
}

async fn a_key_of_another_make_is_imported_by_its_hash(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .policy("old: {kind: api-key, header: X-Old-Key, key-format: any, environments: [live]}")
        .route("{path: /a, authn: old}")
        .route("{path: /b, authn: none}");
    world.publish(project).await?;
    let text = |number: u8| format!("sk-{}-{number}-0123456789abcdef", world.name);
    let import = async |number: u8, environment: &str| {
        let sha256 = KeyText::of_any_make(&text(number))?.digest().to_hex();
        let content = json!({"consumer": "acme", "sha256": sha256, "environment": environment});
        ask(&world, Role::Operate, post(KEYS, &content)).await
    };
    let get =
        async |path: &str, number: u8| world.client().send(Request::get(path).field("x-old-key", &text(number))).await;
    assert_problem(&get("/a", 3).await?, 401, "credential-unknown");
    let imported = import(1, "live").await?;
    assert_eq!((imported.status, imported.json().get("key")), (201, None), "{}", imported.text());
    assert_problem(&import(1, "live").await?, 400, "bad-request");
    assert_eq!(get("/a", 1).await?.status, 200);
    assert_eq!(import(2, "test").await?.status, 201);
    assert_problem(&get("/a", 2).await?, 401, "credential-not-accepted");
    for path in ["/a", "/b"] {
        assert_eq!(get(path, 1).await?.status, 200);
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert!(!format!("{received:?}").contains(&text(1)), "the upstream saw the key: {received:?}");
    }
    assert!(!world.host.logs().concat().contains(&text(1)), "a key in the log");
    Ok(())
}

async fn every_call_is_audited(world: Rc<World>) -> Outcome {
    let key = "ab".repeat(32);
    ask(&world, Role::Purge, post(PURGES, &json!({"key": key}))).await?;
    ask(&world, Role::Read, post(PURGES, &json!({"key": key}))).await?;
    // Lines of the scenario before may arrive late.
    let mut lines = Vec::new();
    let (mut done, mut refused) = (None, None);
    while done.is_none() || refused.is_none() {
        lines = audit(&world, "purge.new", lines.len() + 1).await?;
        done = lines.iter().find(|line| line["targets"] == json!([key]) && line["role"] == "purge").cloned();
        refused = lines.iter().find(|line| line["role"] == "read").cloned();
    }
    let (done, refused) = (done.ok_or("no line of the purge")?, refused.ok_or("no line of the refusal")?);
    assert_eq!((&done["caller"], &done["outcome"]), (&json!("e2e-purge"), &json!("done")));
    assert_eq!((&refused["outcome"], &refused["problem"]), (&json!("refused"), &json!("role-missing")));
    world.client().get(METRICS).await?;
    let lines = audit(&world, "unknown", 1).await?;
    assert_eq!((&lines[0]["caller"], &lines[0]["problem"]), (&Value::Null, &json!("credential-missing")));
    assert!(
        Role::ALL.into_iter().all(|role| !world.host.logs().join("\n").contains(&token(role))),
        "a token in the log"
    );
    Ok(())
}

/// Sends a request of this content for a purge, and resets the connection after `ms`: that ends a request on Workers, a
/// connection that is only closed does not.
async fn hang_up(world: &World, content: &str, content_bytes: usize, ms: u64) -> Outcome {
    let (host, token) = (&world.domain, token(Role::Purge));
    let request = format!(
        "POST {PURGES} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {content_bytes}\r\n\r\n{content}"
    );
    let mut stream = world.client().connect().await?;
    stream.write_all(request.as_bytes()).await?;
    tokio::time::sleep(Duration::from_millis(ms)).await;
    stream.set_zero_linger()?;
    Ok(())
}

async fn a_call_is_audited_even_if_its_client_hangs_up(world: Rc<World>) -> Outcome {
    let earlier = audit(&world, "purge.new", 0).await?.len();
    hang_up(&world, "{", 100, 200).await?;
    let lines = audit(&world, "purge.new", earlier + 1).await?;
    assert_eq!((&lines[earlier]["outcome"], &lines[earlier]["problem"]), (&json!("refused"), &json!("bad-request")));
    let key = |number: u64| format!("{:02x}", 0xc0 + number).repeat(32);
    for number in 0..8 {
        let content = json!({"key": key(number)}).to_string();
        hang_up(&world, &content, content.len(), number).await?;
    }
    // Later than all of them.
    ask(&world, Role::Purge, post(PURGES, &json!({"key": key(8)}))).await?;
    let record = world.host.get("e2e:purges").await?.ok_or("no record of purges")?;
    let record: Purges = decode(&record)?;
    let purged: Vec<&str> = record.as_slice().iter().filter_map(|p| Some(p.resource.as_ref()?.as_str())).collect();
    for key in (0..=8).map(key).filter(|key| purged.contains(&key.as_str())) {
        let is_audited = || world.host.logs().iter().any(|line| line.contains("\"audit\"") && line.contains(&key));
        world.eventually(&format!("the audit of the purge of {key}"), is_audited).await?;
    }
    Ok(())
}

async fn metrics_contain_their_scope(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    world.client().get("/a").await?;
    world.records(1).await?;
    let answer = ask(&world, Role::Read, Request::get(METRICS)).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["scope"], if world.on(Kind::Native) { "process" } else { "isolate" });
    assert!(answer.json()["metrics"].as_array().is_some_and(|families| families.len() >= 5), "{}", answer.text());
    let text = ask(&world, Role::Read, Request::get(METRICS).field("accept", "text/plain")).await?;
    assert!(text.text().contains("# TYPE http_server_request_duration_seconds histogram"), "{}", text.text());
    Ok(())
}

async fn failed_authentications_lock_nobody_out(world: Rc<World>) -> Outcome {
    // A separate host: the failures here would affect the next scenario.
    let host = world.start_host(true, &[(Role::Read.secret_name(), &token(Role::Read))]).await?;
    let mut statuses = Vec::new();
    // Each isolate has its own bound, and a host may have two isolates.
    for _ in 0..60 {
        statuses.push(host.client().get(METRICS).await?.status);
    }
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
    if !world.on(Kind::Spin) {
        assert!(statuses.contains(&429), "{statuses:?}");
    }
    let allowed = host.client().send(with_token(Request::get(METRICS), &token(Role::Read))).await?;
    assert_eq!(allowed.status, 200);
    Ok(())
}
