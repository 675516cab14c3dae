//! Services that decide whether requests are authorized: what they are told, which answers are decisions, and what happens without one.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::client::{Answer, Request};

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authorize";
    a_policy_agent_is_told_what_is_named_and_decides,
    a_service_with_the_evaluation_api_decides,
    without_a_decision_the_policy_says_what_happens,
    a_decision_is_used_for_equal_questions,
}

const OPA: &str =
    "protocol: opa, send: {user: principal.consumer, path: request.path, tier: 'request.headers[\"x-tier\"]'}";

fn policy(name: &str, url: &str, more: &str) -> String {
    format!("{name}: {{kind: external, url: \"{url}\", private-network: true, {more}}}")
}

async fn send(world: &World, request: Request, key: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(request.field("X-API-Key", key)).await?)
}

async fn a_policy_agent_is_told_what_is_named_and_decides(world: Rc<World>) -> Outcome {
    let service = world.server().await?;
    service.serve("/v1/data/allow", r#"{"result":true}"#);
    let opa = policy(
        "opa",
        &format!("{}/v1/data/allow", service.url()),
        &format!("{OPA}, token: \"${{secret.UPSTREAM_TOKEN}}\""),
    );
    world.publish(Project::new(&world).policy(&opa).route("{path: \"/a/{id}\", authn: keys, authz: opa}")).await?;
    let key = world.key("acme", |_| ()).await?;
    let answer = send(&world, Request::get("/a/1").field("X-Tier", "gold").field("X-Secret", "hidden"), &key).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked = service.report().last().ok_or("the service was not asked")?;
    assert_eq!((asked.method.as_str(), asked.field("content-type")), ("POST", Some("application/json")));
    assert_eq!(asked.field("authorization"), Some("Bearer s3cr3t-of-the-host"));
    let told: Value = serde_json::from_str(&asked.content)?;
    assert_eq!(told, json!({"input": {"user": format!("{}-acme", world.name), "path": "/a/1", "tier": "gold"}}));
    // What is missing is left out.
    assert_eq!(send(&world, Request::get("/a/2"), &key).await?.status, 200);
    assert!(!service.report().last().ok_or("the service was not asked")?.content.contains("tier"));
    let forwarded = world.upstream.report().total();
    for refusal in [r#"{"result":false}"#, r#"{"result":{"allow":false}}"#, "{}"] {
        service.serve("/v1/data/allow", refusal);
        let refused = send(&world, Request::get("/a/1"), &key).await?;
        assert_problem(&refused, 403, "not-authorized");
        assert_eq!(refused.json()["policy"], "opa");
    }
    assert_eq!(world.upstream.report().total(), forwarded);
    let records = world.records(5).await?;
    let says = |text: &str| records.iter().filter(|line| line.to_string().contains(text)).count();
    assert_eq!((says("the service refuses the request"), says("its answer has no `result`")), (2, 1), "{records:?}");
    Ok(())
}

async fn a_service_with_the_evaluation_api_decides(world: Rc<World>) -> Outcome {
    let service = world.server().await?;
    service.serve("/access/v1/evaluation", r#"{"decision":true,"context":{"id":"0"}}"#);
    let sent = "subject.type: \"'user'\", subject.id: principal.consumer, action.name: request.method, resource.type: \"'pet'\", \
                resource.id: params.id";
    let more = format!("protocol: authzen, send: {{{sent}}}");
    let pdp = policy("pdp", &format!("{}/access/v1/evaluation", service.url()), &more);
    let any = policy("any", &format!("{}/open", service.url()), "protocol: http, send: {id: params.id}");
    let project =
        Project::new(&world).policy(&pdp).policy(&any).route("{path: \"/a/{id}\", authn: keys, authz: [pdp, any]}");
    world.publish(project).await?;
    let key = world.key("acme", |_| ()).await?;
    let answer = send(&world, Request::get("/a/7"), &key).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked = service.report().requests();
    let told: Value = serde_json::from_str(&asked.first().ok_or("the service was not asked")?.content)?;
    let want = json!({
        "subject": {"type": "user", "id": format!("{}-acme", world.name)},
        "action": {"name": "GET"},
        "resource": {"type": "pet", "id": "7"},
    });
    assert_eq!((told, asked.last().map(|asked| asked.content.as_str())), (want, Some(r#"{"id":"7"}"#)));
    service.serve("/access/v1/evaluation", r#"{"decision":false}"#);
    assert_problem(&send(&world, Request::get("/a/7"), &key).await?, 403, "not-authorized");
    Ok(())
}

async fn without_a_decision_the_policy_says_what_happens(world: Rc<World>) -> Outcome {
    let service = world.server().await?;
    service.serve("/html", "<html>");
    service.serve("/twice", r#"{"result":false,"result":true}"#);
    service.serve("/large", &format!(r#"{{"result":true,"x":"{}"}}"#, "x".repeat(70_000)));
    let mut project = Project::new(&world);
    for name in ["html", "twice", "large"] {
        let url = format!("{}/{name}", service.url());
        project =
            project.policy(&policy(name, &url, OPA)).route(&format!("{{path: /{name}, authn: keys, authz: {name}}}"));
    }
    let gone = "http://127.0.0.1:9/ask";
    project = project.policy(&policy("gone", gone, OPA)).route("{path: /gone, authn: keys, authz: gone}");
    project = project
        .policy(&policy("open", gone, &format!("{OPA}, on-unavailable: open")))
        .route("{path: /open, authn: keys, authz: open}");
    world.publish(project).await?;
    let key = world.key("acme", |_| ()).await?;
    for path in ["/html", "/twice", "/large", "/gone"] {
        let refused = send(&world, Request::get(path), &key).await?;
        assert_problem(&refused, 503, "store-unavailable");
        assert_eq!(refused.field("retry-after"), Some("1"), "{path}");
    }
    assert_eq!(send(&world, Request::get("/open"), &key).await?.status, 200);
    Ok(())
}

async fn a_decision_is_used_for_equal_questions(world: Rc<World>) -> Outcome {
    let service = world.server().await?;
    service.serve("/ask", r#"{"result":true}"#);
    let opa = policy("opa", &format!("{}/ask", service.url()), &format!("{OPA}, cache: 1s"));
    world.publish(Project::new(&world).policy(&opa).route("{path: \"/a/{id}\", authn: keys, authz: opa}")).await?;
    let key = world.key("acme", |_| ()).await?;
    let began = Instant::now();
    assert_eq!(send(&world, Request::get("/a/1"), &key).await?.status, 200);
    service.serve("/ask", r#"{"result":false}"#);
    assert_problem(&send(&world, Request::get("/a/2"), &key).await?, 403, "not-authorized");
    // At the latest after this time the decision is a new one.
    tokio::time::sleep(Duration::from_millis(1_200).saturating_sub(began.elapsed())).await;
    assert_problem(&send(&world, Request::get("/a/1"), &key).await?, 403, "not-authorized");
    Ok(())
}
