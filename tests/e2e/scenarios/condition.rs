//! Conditions: expressions about a request and its caller, and that a client cannot evade them by another spelling.

use std::rc::Rc;

use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::Kind;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authorize";
    a_condition_that_is_true_authorizes,
    a_condition_that_is_false_or_has_no_value_refuses_without_details,
    another_spelling_does_not_evade_a_condition,
    a_country_is_known_where_the_platform_tells_it,
    hours_are_those_of_a_zone,
}

async fn publish(world: &World, condition: &str) -> Outcome {
    let project = Project::new(world)
        .policy(&format!("rule: {{kind: condition, allow: '{condition}'}}"))
        .route("{path: \"/shops/{shop}\", authn: keys, authz: rule}");
    world.publish(project).await
}

async fn send(world: &World, request: Request, key: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(request.field("X-API-Key", key)).await?)
}

async fn a_condition_that_is_true_authorizes(world: Rc<World>) -> Outcome {
    let here = "(cidr(\"127.0.0.0/8\").containsIP(client.address) || client.address == ip(\"::1\"))";
    let rule = "params.shop == principal.consumer && \"x-a\" in request.headers && request.query[\"n\"] == \"1 2\"";
    publish(&world, &format!("{rule} && {here} && now > timestamp(\"2020-01-01T00:00:00Z\")")).await?;
    let key = world.key("acme", |_| ()).await?;
    let answer =
        send(&world, Request::get(&format!("/shops/{}-acme?n=1%202", world.name)).field("X-A", "yes"), &key).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Ok(())
}

async fn a_condition_that_is_false_or_has_no_value_refuses_without_details(world: Rc<World>) -> Outcome {
    publish(&world, "params.shop == principal.consumer && request.headers[\"x-level\"] != \"guest\"").await?;
    let key = world.key("acme", |_| ()).await?;
    let shop = format!("/shops/{}-acme", world.name);
    let with = |level: &str| Request::get(&shop).field("X-Level", level);
    assert_eq!(send(&world, with("member"), &key).await?.status, 200);
    let before = world.upstream.report().total();
    let mut refused = vec![Request::get("/shops/other").field("X-Level", "member"), with("guest"), Request::get(&shop)];
    if !world.on(Kind::Cloudflare) {
        // Workers join the lines of a field (RFC 9110, section 5.3): this is one line `member, guest` there.
        refused.push(with("member").field("X-Level", "guest"));
    }
    for request in refused {
        let refused = send(&world, request, &key).await?;
        assert_problem(&refused, 403, "not-authorized");
        assert_eq!(refused.json()["policy"], "rule");
        assert!(!refused.text().contains("level") && !refused.text().contains("guest"), "{}", refused.text());
    }
    assert_eq!(world.upstream.report().total(), before);
    Ok(())
}

async fn another_spelling_does_not_evade_a_condition(world: Rc<World>) -> Outcome {
    publish(&world, "!(\"action\" in request.query) && params.shop != \"admin\"").await?;
    let key = world.key("acme", |_| ()).await?;
    for target in [
        "/shops/a?action=1",
        "/shops/a?%61ction=1",
        "/shops/a?x&action",
        "/shops/a?action[]=1",
        "/shops/a?+action=1",
        "/shops/a?x=1;action=1",
        "/shops/%61dmin",
        "/shops/admin",
    ] {
        assert_problem(&send(&world, Request::get(target), &key).await?, 403, "not-authorized");
    }
    assert_eq!(send(&world, Request::get("/shops/a?Action=1"), &key).await?.status, 200);
    Ok(())
}

async fn a_country_is_known_where_the_platform_tells_it(world: Rc<World>) -> Outcome {
    publish(&world, "client.country in [\"DE\", \"AT\"] && client.asn != 64512").await?;
    let key = world.key("acme", |_| ()).await?;
    // Stands for what Cloudflare says in `request.cf`; other hosts do not read it, nor fields of clients.
    let from = |said: &str| Request::get("/shops/a").field("Test-Location", said).field("CF-IPCountry", "DE");
    let known = from(r#"{"country": "DE", "asn": 3320}"#);
    if world.on(Kind::Cloudflare) {
        assert_eq!(send(&world, known, &key).await?.status, 200);
    } else {
        assert_problem(&send(&world, known, &key).await?, 403, "not-authorized");
    }
    for said in [r#"{"country": "US", "asn": 3320}"#, r#"{"country": "DE", "asn": 64512}"#, r#"{"asn": 3320}"#, "{}"] {
        assert_problem(&send(&world, from(said), &key).await?, 403, "not-authorized");
    }
    Ok(())
}

async fn hours_are_those_of_a_zone(world: Rc<World>) -> Outcome {
    // Kathmandu is 5:45 ahead of UTC, Marquesas 9:30 behind, all year.
    let minutes = |zone: &str| format!("(now.getHours(\"{zone}\") * 60 + now.getMinutes(\"{zone}\"))");
    let ahead = format!("({} - {} + 1440) % 1440 == 345", minutes("Asia/Kathmandu"), minutes("UTC"));
    let behind = format!("({} - {} + 1440) % 1440 == 870", minutes("Pacific/Marquesas"), minutes("UTC"));
    publish(&world, &format!("{ahead} && {behind}")).await?;
    let key = world.key("acme", |_| ()).await?;
    assert_eq!(send(&world, Request::get("/shops/a"), &key).await?.status, 200);
    publish(&world, &format!("!({ahead})")).await?;
    assert_problem(&send(&world, Request::get("/shops/a"), &key).await?, 403, "not-authorized");
    Ok(())
}
