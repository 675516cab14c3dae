//! The guard slot: which clients are refused by address before any key is looked up, and that a client cannot evade it.

use std::rc::Rc;

use tollgate_tests::client::Request;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "guard";
    a_client_in_an_allowed_network_is_admitted,
    a_client_in_no_allowed_network_is_refused_without_details,
    the_longest_prefix_decides,
    a_client_cannot_name_another_address,
    a_limit_in_the_guard_refuses_before_a_key_is_looked_up,
}

/// The networks of all clients of the tests: they run on this machine.
const HERE: &str = "\"127.0.0.0/8\", \"::1\"";

async fn filtered(world: &World, filter: &str) -> Outcome {
    let project = Project::new(world)
        .policy(&format!("office: {{kind: ip-filter, {filter}}}"))
        .route("{path: /a, guard: office, authn: none}")
        .route("{path: /keyed, guard: office, authn: keys}");
    world.publish(project).await
}

async fn a_client_in_an_allowed_network_is_admitted(world: Rc<World>) -> Outcome {
    filtered(&world, &format!("allow: [{HERE}]")).await?;
    assert_eq!(world.client().get("/a").await?.status, 200);
    assert_problem(&world.client().get("/keyed").await?, 401, "credential-missing");
    Ok(())
}

async fn a_client_in_no_allowed_network_is_refused_without_details(world: Rc<World>) -> Outcome {
    filtered(&world, "allow: [\"198.51.100.0/24\", \"2001:db8::/32\"]").await?;
    for path in ["/a", "/keyed"] {
        let refused = world.client().get(path).await?;
        assert_problem(&refused, 403, "client-not-admitted");
        assert_eq!(refused.json()["policy"], "office");
        assert!(!refused.text().contains("198.51.100") && !refused.text().contains("127.0.0"), "{}", refused.text());
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn the_longest_prefix_decides(world: Rc<World>) -> Outcome {
    filtered(&world, &format!("allow: [{HERE}], deny: [\"0.0.0.0/0\", \"::/0\"]")).await?;
    assert_eq!(world.client().get("/a").await?.status, 200);
    Ok(())
}

async fn a_client_cannot_name_another_address(world: Rc<World>) -> Outcome {
    filtered(&world, "allow: [\"203.0.113.0/24\"]").await?;
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "spin-client-addr", "client-ip", "true-client-ip"] {
        let value = if name == "forwarded" { "for=203.0.113.7" } else { "203.0.113.7" };
        let refused = world.client().send(Request::get("/a").field(name, value)).await?;
        assert_problem(&refused, 403, "client-not-admitted");
    }
    Ok(())
}

async fn a_limit_in_the_guard_refuses_before_a_key_is_looked_up(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{limit}: {{kind: rate-limit, rate: 2/d, burst: 2, by: address}}"))
        .route(&format!("{{path: /a, guard: {limit}, authn: keys}}"));
    world.publish(project).await?;
    // Well-formed keys that do not exist: each would cost a look-up.
    let mut problems = Vec::new();
    for n in 0..4 {
        let key = crate::project::Key::new(&format!("{}-{n}", world.name), 9, "nobody");
        let answer = world.client().send(Request::get("/a").field("X-API-Key", &key.text)).await?;
        problems.push(answer.json()["type"].as_str().unwrap_or_default().replace("urn:tollgate:problem:", ""));
    }
    assert_eq!(problems, ["credential-unknown", "credential-unknown", "rate-limit-exceeded", "rate-limit-exceeded"]);
    Ok(())
}
