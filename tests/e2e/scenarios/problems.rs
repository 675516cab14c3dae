//! Problems: every refusal and failure has the same form, a request id to ask about, and nothing internal.

use std::collections::BTreeSet;
use std::rc::Rc;

use tollgate_tests::client::Request;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "respond";
    every_answer_has_a_unique_request_id,
    a_problem_names_its_request_id,
    a_problem_is_not_stored_by_caches,
    a_problem_to_head_has_no_content,
    a_problem_of_the_upstream_is_passed_on_unchanged,
}

async fn every_answer_has_a_unique_request_id(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    let mut ids = BTreeSet::new();
    for path in ["/a", "/a", "/unknown", "/a?status=500", "/a?break=head"] {
        let answer = world.client().get(path).await?;
        let id = answer.field("x-request-id").ok_or(format!("{path}: no request id"))?;
        ids.insert(id.to_owned());
    }
    assert_eq!(ids.len(), 5);
    let logged = || ids.iter().all(|id| world.host.logs().iter().any(|line| line.contains(id.as_str())));
    world.eventually("a log line for each of them", logged).await?;
    Ok(())
}

async fn a_problem_names_its_request_id(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, authn: keys}")).await?;
    for (path, kind, status) in [("/b", "route-not-found", 404), ("/a", "credential-missing", 401)] {
        let answer = world.client().get(path).await?;
        assert_problem(&answer, status, kind);
        assert_eq!(answer.json()["request_id"].as_str(), answer.field("x-request-id"));
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.len() > 10, "a helpful detail: {detail}");
    }
    Ok(())
}

async fn a_problem_is_not_stored_by_caches(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, authn: keys, cache: {ttl: 1h}}")).await?;
    for path in ["/b", "/a"] {
        let answer = world.client().get(path).await?;
        let control = answer.field("cache-control").unwrap_or_default();
        assert!(control.contains("no-store"), "{path}: {control}");
    }
    Ok(())
}

async fn a_problem_to_head_has_no_content(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, authn: keys}")).await?;
    for (path, status) in [("/a", 401), ("/b", 404)] {
        let answer = world.client().send(Request::of("HEAD", path)).await?;
        assert_eq!((answer.status, answer.content.len()), (status, 0));
    }
    Ok(())
}

async fn a_problem_of_the_upstream_is_passed_on_unchanged(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    let target = "/a?status=422&size=10&field=Content-Type:application/problem%2Bjson";
    let answer = world.client().get(target).await?;
    assert_eq!((answer.status, answer.text().as_str()), (422, "xxxxxxxxxx"));
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    Ok(())
}
