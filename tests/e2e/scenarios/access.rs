//! The authorization slot: which authenticated callers are refused, and what they learn.

use std::rc::Rc;

use tollgate_tests::client::{Answer, Request};

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authorize";
    a_caller_in_an_allowed_list_is_authorized,
    a_caller_in_no_allowed_list_is_refused_without_details_and_not_charged,
    a_denied_caller_is_refused_whatever_allows_it,
}

async fn publish(world: &World, lists: &str) -> Outcome {
    let project = Project::new(world)
        .policy(&format!("partners: {{kind: access, {lists}}}"))
        .policy("once: {kind: rate-limit, rate: 1/d, burst: 1}")
        .route("{path: /a, authn: keys, authz: partners, limit: once}");
    world.publish(project).await
}

async fn with_key(world: &World, key: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get("/a").field("X-API-Key", key)).await?)
}

async fn a_caller_in_an_allowed_list_is_authorized(world: Rc<World>) -> Outcome {
    publish(&world, &format!("allow: {{groups: [staff, partners], plans: [gold], consumers: [{}-ada]}}", world.name))
        .await?;
    for key in [
        world.key("bob", |key| key.more.push("groups: [visitors, partners]")).await?,
        world.key("eve", |key| key.plan = Some("gold")).await?,
        world.key("ada", |_| ()).await?,
    ] {
        let answer = with_key(&world, &key).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    Ok(())
}

async fn a_caller_in_no_allowed_list_is_refused_without_details_and_not_charged(world: Rc<World>) -> Outcome {
    publish(&world, "allow: {groups: [secret-group]}").await?;
    let key = world.key("bob", |key| key.more.push("groups: [visitors]")).await?;
    for _ in 0..2 {
        let refused = with_key(&world, &key).await?;
        assert_problem(&refused, 403, "not-authorized");
        assert_eq!(refused.json()["policy"], "partners");
        assert_eq!((refused.field("ratelimit"), refused.field("www-authenticate")), (None, None));
        assert!(!refused.text().contains("secret-group") && !refused.text().contains("visitors"), "{}", refused.text());
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_denied_caller_is_refused_whatever_allows_it(world: Rc<World>) -> Outcome {
    publish(&world, &format!("allow: {{groups: [staff]}}, deny: {{consumers: [{}-bob]}}", world.name)).await?;
    let key = world.key("bob", |key| key.more.push("groups: [staff]")).await?;
    assert_problem(&with_key(&world, &key).await?, 403, "not-authorized");
    Ok(())
}
