//! Trusted proxies: whose address filters, limits and fields use, and that nobody else can choose it.

use std::rc::Rc;

use tollgate_tests::client::Request;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "client";
    a_filter_uses_the_client_behind_trusted_proxies,
    a_limit_counts_the_client_behind_trusted_proxies,
    a_count_trusts_so_many_hops,
    only_the_configured_field_is_read,
    a_peer_that_is_not_trusted_is_the_client,
    an_address_that_cannot_be_read_is_no_address,
    the_upstream_gets_the_hops_that_are_believed,
}

/// The networks of the peers of the tests: they run on this machine.
const HERE: &str = "trusted-proxies: [\"127.0.0.0/8\", \"::1\"]";

/// A gateway that admits 203.0.113.0/24, with this rule for proxies.
async fn filtered(world: &World, rules: &[&str]) -> Outcome {
    let project = Project::new(world)
        .policy("office: {kind: ip-filter, allow: [203.0.113.0/24]}")
        .route("{path: /a, guard: office, authn: none}");
    world.publish(rules.iter().fold(project, |project, rule| project.gateway(rule))).await
}

async fn status(world: &World, fields: &[(&str, &str)]) -> Result<u16, Box<dyn std::error::Error>> {
    let request = fields.iter().fold(Request::get("/a"), |request, (name, value)| request.field(name, value));
    Ok(world.client().send(request).await?.status)
}

async fn a_filter_uses_the_client_behind_trusted_proxies(world: Rc<World>) -> Outcome {
    filtered(&world, &[HERE]).await?;
    for (addresses, want) in [
        ("203.0.113.7", 200),
        ("198.51.100.1, 203.0.113.7", 200),
        ("203.0.113.7, 127.0.0.5", 200),
        ("203.0.113.7:1234", 200),
        ("198.51.100.1", 403),
        ("203.0.113.7, 198.51.100.1", 403),
        ("203.0.113.7, 198.51.100.1, 127.0.0.5", 403),
    ] {
        assert_eq!(status(&world, &[("X-Forwarded-For", addresses)]).await?, want, "{addresses}");
    }
    let lines = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", "198.51.100.1")];
    assert_eq!(status(&world, &lines).await?, 403, "the last line is of the nearest proxy");
    assert_eq!(status(&world, &[]).await?, 403, "the proxy itself");
    Ok(())
}

async fn a_limit_counts_the_client_behind_trusted_proxies(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .gateway(HERE)
        .policy(&format!("{limit}: {{kind: rate-limit, rate: 2/d, burst: 2, by: address}}"))
        .route(&format!("{{path: /a, limit: {limit}, authn: none}}"));
    world.publish(project).await?;
    let mut statuses = Vec::new();
    for client in ["203.0.113.1", "203.0.113.1", "9.9.9.9, 203.0.113.1", "203.0.113.2", "203.0.113.2", "203.0.113.2"] {
        statuses.push(status(&world, &[("X-Forwarded-For", client)]).await?);
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429], "each client has its own quota");
    Ok(())
}

async fn a_count_trusts_so_many_hops(world: Rc<World>) -> Outcome {
    filtered(&world, &["trusted-proxies: 2"]).await?;
    for (addresses, want) in [
        ("203.0.113.7, 198.51.100.1", 200),
        ("198.51.100.2, 203.0.113.7, 198.51.100.1", 200),
        ("203.0.113.7", 200),
        ("203.0.113.7, 198.51.100.2, 198.51.100.1", 403),
    ] {
        assert_eq!(status(&world, &[("X-Forwarded-For", addresses)]).await?, want, "{addresses}");
    }
    Ok(())
}

async fn only_the_configured_field_is_read(world: Rc<World>) -> Outcome {
    filtered(&world, &[HERE, "proxy-field: forwarded"]).await?;
    for (value, want) in [
        ("for=203.0.113.7", 200),
        ("for=198.51.100.1;proto=https, For=\"203.0.113.7:443\";by=_b", 200),
        ("for=198.51.100.1", 403),
        ("for=unknown", 403),
        // The client left a quote open, to hide what the proxy adds.
        ("for=203.0.113.7;host=\"x, for=198.51.100.1", 403),
    ] {
        assert_eq!(status(&world, &[("Forwarded", value)]).await?, want, "{value}");
    }
    assert_eq!(status(&world, &[("X-Forwarded-For", "203.0.113.7")]).await?, 403);
    let both = [("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=203.0.113.7")];
    assert_eq!(status(&world, &both).await?, 200);
    Ok(())
}

async fn a_peer_that_is_not_trusted_is_the_client(world: Rc<World>) -> Outcome {
    filtered(&world, &["trusted-proxies: [192.0.2.0/24]"]).await?;
    for name in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        let value = if name == "Forwarded" { "for=203.0.113.7" } else { "203.0.113.7" };
        assert_eq!(status(&world, &[(name, value)]).await?, 403, "{name}");
    }
    Ok(())
}

async fn an_address_that_cannot_be_read_is_no_address(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .gateway(HERE)
        .policy("proxies: {kind: ip-filter, allow: [\"127.0.0.0/8\", \"::1\", 203.0.113.0/24]}")
        .route("{path: /a, guard: proxies, authn: none}");
    world.publish(project).await?;
    assert_eq!(status(&world, &[]).await?, 200, "a request of the proxy itself");
    for addresses in ["unknown", "203.0.113.7, _hidden", "203.0.113.7 127.0.0.1", "127.1", "203.0.113.007", "::1%lo"] {
        let refused = world.client().send(Request::get("/a").field("X-Forwarded-For", addresses)).await?;
        assert_problem(&refused, 403, "client-not-admitted");
    }
    Ok(())
}

async fn the_upstream_gets_the_hops_that_are_believed(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).gateway(HERE).gateway("client-fields: both");
    world.publish(project.route("{path: \"/{*rest}\"}")).await?;
    let request = Request::get("/a")
        .field("X-Forwarded-For", "9.9.9.9, 203.0.113.7, 127.0.0.5")
        .field("X-Forwarded-Proto", "https")
        .field("X-Forwarded-Host", "www.example.com")
        .field("X-Forwarded-Prefix", "/claimed")
        .field("X-Original-URL", "/claimed")
        .field("Forwarded", "for=9.9.9.9");
    assert_eq!(world.client().send(request).await?.status, 200);
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    let addresses = received.field("x-forwarded-for").unwrap_or_default();
    assert!(addresses.starts_with("203.0.113.7, 127.0.0.5, "), "{addresses}");
    assert_eq!(received.field("x-forwarded-proto"), Some("https"));
    assert_eq!(received.field("x-forwarded-host"), Some("www.example.com"));
    let forwarded = received.field("forwarded").unwrap_or_default();
    let client = "for=203.0.113.7;host=\"www.example.com\";proto=https, for=127.0.0.5, for=";
    assert!(forwarded.starts_with(client) && forwarded.ends_with(";proto=http"), "{forwarded}");
    assert!(!format!("{:?}", received.fields).contains("claimed"), "{:?}", received.fields);
    Ok(())
}
