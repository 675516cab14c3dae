//! Callers without a credential, as a consumer.

use std::rc::Rc;

use tollgate_tests::client::Request;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    who_presents_nothing_is_a_consumer_with_the_limits_of_a_plan,
    who_presents_a_wrong_credential_is_not_anonymous,
}

async fn publish(world: &World) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(world)
        .policy("visitors: {kind: anonymous, consumer: visitor, plan: trial}")
        .policy(&format!("{limit}: {{kind: rate-limit, rate: 5/d, burst: 5}}"))
        .plan(&format!("trial: {{limits: {{{limit}: {{rate: 2/d, burst: 2}}}}}}"))
        .route(&format!("{{path: /a, authn: {{any: [keys, visitors]}}, limit: {limit}}}"));
    world.publish(project).await
}

async fn who_presents_nothing_is_a_consumer_with_the_limits_of_a_plan(world: Rc<World>) -> Outcome {
    publish(&world).await?;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(world.client().get("/a").await?.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    let records = world.records(3).await?;
    assert!(records.iter().all(|line| line["consumer"] == "visitor"), "{records:?}");
    let key = world.plain_key("acme").await?;
    assert_eq!(world.client().send(Request::get("/a").field("X-API-Key", &key)).await?.status, 200);
    Ok(())
}

async fn who_presents_a_wrong_credential_is_not_anonymous(world: Rc<World>) -> Outcome {
    publish(&world).await?;
    for (key, problem) in [("hello", "credential-malformed"), ("", "credential-malformed")] {
        let answer = world.client().send(Request::get("/a").field("X-API-Key", key)).await?;
        assert_problem(&answer, 401, problem);
        assert_eq!(answer.field("www-authenticate"), Some("ApiKey realm=\"e2e\", header=\"x-api-key\""));
    }
    let expired = world.key("acme", |key| key.expires = Some("2020-01-01T00:00:00Z")).await?;
    let answer = world.client().send(Request::get("/a").field("X-API-Key", &expired)).await?;
    assert_problem(&answer, 401, "credential-expired");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}
